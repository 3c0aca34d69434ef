/** What the state store in LMDB adds to the contract: one flush for all who wait, all or none, and failing disks. */
import type { Database } from "lmdb";
import { expect, it } from "vitest";
import { type Environment, openEnvironment } from "../../server/src/engine/lmdb/environment.ts";
import { LmdbState } from "../../server/src/engine/lmdb/lmdb-state.ts";
import { Room } from "../../server/src/engine/lmdb/room.ts";
import { Trouble } from "../../server/src/engine/lmdb/trouble.ts";
import { systemClock } from "../../server/src/runtime/clock.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { temporaryFolder } from "../support/temp.ts";

const bytes = (text: string) => Buffer.from(text);

/** A batch that LMDB could not commit, as it says so. */
function failedBatch(reason: Error): Promise<boolean> {
  const commitError = Promise.reject(reason);
  commitError.catch(() => {});
  return Promise.reject(Object.assign(new Error("Commit failed (see commitError for details)"), { commitError }));
}

interface StateUnderTest {
  readonly state: LmdbState;
  readonly disk: { commits: number; failing: Error | undefined; full: boolean };
  /** After which the process has to stop. */
  readonly failures: unknown[];
}

/** Lets `use` work with a state store on a disk that counts its commits and can be made to fail. */
async function withState(use: (test: StateUnderTest) => Promise<void>, folder = temporaryFolder()): Promise<void> {
  const environment = openEnvironment(folder);
  const disk: StateUnderTest["disk"] = { commits: 0, failing: undefined, full: false };
  const batch: Environment["batch"] = (action) => {
    disk.commits++;
    return disk.failing === undefined ? environment.batch(action) : failedBatch(disk.failing);
  };
  const watched = new Proxy(environment, {
    get: (target, name) => (name === "batch" ? batch : Reflect.get(target, name)),
  });
  const room = new Room(folder, systemClock, async () => (disk.full ? 0 : 1e12));
  const failures: unknown[] = [];
  const trouble = new Trouble({ room, logger: silentLogger, fatal: (error) => failures.push(error) });
  try {
    await use({ state: new LmdbState({ environment: watched, folder, clock: systemClock, trouble }), disk, failures });
  } finally {
    await environment.close();
  }
}

it("makes one commit of what waits for one", async () => {
  await withState(async ({ state, disk }) => {
    const first = await Promise.all(
      Array.from({ length: 200 }, (_, i) => state.putAll([{ key: `k${i}`, value: bytes("1"), version: 0 }])),
    );
    expect(disk.commits).toBe(1);
    await Promise.all(first.map((versions, i) => state.put(`k${i}`, bytes("2"), versions?.[0] as number)));
    expect(disk.commits).toBe(2);
    expect((await state.list("k")).map(({ value }) => value.toString())).toEqual(Array(200).fill("2"));
  });
});

it("commits nothing where every version was another", async () => {
  await withState(async ({ state, disk }) => {
    expect(await state.put("k", bytes("1"), 7)).toBeUndefined();
    expect(disk.commits).toBe(0);
  });
});

it("makes all of the changes or none", async () => {
  await withState(async ({ state }) => {
    const version = (await state.put("b", bytes("1"), 0)) as number;
    const changes = ["a", "b", "c"].map((key) => ({ key, value: bytes("2"), version: 0 }));
    expect(await state.putAll(changes)).toBeUndefined();
    expect((await state.list("")).map(({ key, version: of }) => [key, of])).toEqual([["b", version]]);
  });
});

it("stores nothing more after a write that failed, and says so to those who wanted it and to whoever stops the process", async () => {
  await withState(async ({ state, disk, failures }) => {
    const version = (await state.put("a", bytes("1"), 0)) as number;
    disk.failing = new Error("Input/output error");
    const change = { key: "a", value: bytes("2"), version };
    const both = [state.putAll([change]), state.put("b", bytes("2"), 0)];
    for (const call of both) await expect(call).rejects.toMatchObject({ code: "unavailable", cause: disk.failing });
    expect(failures).toEqual([disk.failing]);
    disk.failing = undefined;
    await expect(state.putAll([change])).rejects.toMatchObject({ code: "unavailable" });
    expect(await state.get("a")).toMatchObject({ value: bytes("1"), version });
    expect(failures.length).toBe(1);
  });
});

it("says that the disk is full where it is, changes nothing, and can be asked again", async () => {
  await withState(async ({ state, disk, failures }) => {
    const version = (await state.put("a", bytes("1"), 0)) as number;
    disk.failing = new Error("Input/output error");
    disk.full = true;
    const change = { key: "a", value: bytes("2"), version };
    const both = [state.putAll([change]), state.put("b", bytes("2"), 0)];
    for (const call of both) await expect(call).rejects.toMatchObject({ code: "disk-full", cause: disk.failing });
    expect(await state.get("a")).toMatchObject({ value: bytes("1"), version });
    disk.failing = undefined;
    expect(await state.putAll([change])).toHaveLength(1);
    expect(await state.put("b", bytes("2"), 0)).toBeDefined();
    expect(failures).toEqual([]);
  });
});

it("gives no version twice, however often it is opened", async () => {
  const folder = temporaryFolder();
  const versions: number[] = [];
  for (let i = 0; i < 3; i++) {
    await withState(async ({ state }) => {
      const version = (await state.put("k", bytes("1"), 0)) as number;
      versions.push(version, (await state.put("other", bytes("1"), 0)) as number);
      await state.putAll([
        { key: "k", value: undefined, version },
        { key: "other", value: undefined, version: versions.at(-1) as number },
      ]);
    }, folder);
  }
  expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
});

it("finds out a record that is not what was stored, also one of another key or version, and refuses to open over it", async () => {
  const folder = temporaryFolder();
  await withState(async ({ state }) => {
    for (const key of ["a", "b"]) await state.put(key, bytes(key), 0);
  }, folder);
  const damages: [key: string, change: (raw: Buffer, other: Buffer) => Buffer, version: number][] = [
    ["a", (raw) => Buffer.concat([raw.subarray(0, -1), Buffer.from("c")]), 1],
    ["a", (raw) => raw, 2],
    ["a", (_, other) => other, 1],
    ["a", () => Buffer.alloc(0), 1],
    ["a", () => Buffer.alloc(4), 1],
  ];
  for (const [key, change, version] of damages) {
    await withRaw(folder, async (records) => {
      const [raw, other] = [records.getBinary("a") as Buffer, records.getBinary("b") as Buffer];
      await records.put(key, change(raw, other), version);
    });
    const opening = withState(async () => {}, folder);
    await expect(opening).rejects.toThrow(`The data in ${folder} cannot be read: its record a is not what was stored.`);
    await withRaw(folder, (records) => records.remove("a"));
    await withState(async ({ state }) => void (await state.put("a", bytes("a"), 0)), folder);
  }
});

/** Lets `use` change what is stored, past the store. */
async function withRaw(folder: string, use: (records: Database<Buffer, string>) => Promise<unknown>): Promise<void> {
  const environment = openEnvironment(folder);
  await use(environment.openDB<Buffer, string>({ name: "state", encoding: "binary", useVersions: true }));
  await environment.close();
}
