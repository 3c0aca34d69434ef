/** What the LMDB engine makes of data files that something happened to: it refuses, or says what it lost. */
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Offset, Pattern } from "@dogear/shared";
import { describe, expect, it, test, vi } from "vitest";
import { Catalog } from "../../server/src/engine/lmdb/catalog.ts";
import { DataDamagedError } from "../../server/src/engine/lmdb/data-file.ts";
import { closeEnvironment, openEnvironment } from "../../server/src/engine/lmdb/environment.ts";
import { LmdbEngine } from "../../server/src/engine/lmdb/lmdb-engine.ts";
import { systemClock } from "../../server/src/runtime/clock.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { Metrics } from "../../server/src/runtime/metrics.ts";
import { draft, policy } from "../contract/support.ts";
import { chance } from "../support/clock.ts";
import { temporaryFolder } from "../support/temp.ts";
import { chunksOf, dataIn, factsOf, fill, segmentsOf, small, tamper, withLog } from "./support.ts";

const folderOf = (data: string, first: number) => join(data, "logs", "default", String(first).padStart(16, "0"));
const fileOf = (data: string, first: number) => join(folderOf(data, first), "data.mdb");

function overwrite(file: string, start: number, length: number): void {
  const open = openSync(file, "r+");
  writeSync(open, Buffer.alloc(length), 0, length, start);
  closeSync(open);
}

/** Where the pages begin in which LMDB keeps where the chunks are, those of earlier commits among them. */
function branchPages(file: string): number[] {
  const bytes = readFileSync(file);
  const starts = Array.from({ length: bytes.length / 4_096 }, (_, i) => 4_096 * i);
  return starts.filter((start) => bytes.readUInt16LE(start + 18) === 1);
}

/** A log of several segments; returns their first offsets. */
async function several(data: string): Promise<readonly number[]> {
  await withLog(data, (log) => fill(log, 200), small);
  return segmentsOf(data);
}

describe("a file that LMDB could not open", () => {
  test.each([
    ["without its beginning", (file: string) => overwrite(file, 0, 8_192)],
    ["without its first page", (file: string) => overwrite(file, 0, 4_096)],
    ["cut off in its first page", (file: string) => truncateSync(file, 1_000)],
    ["cut off after its first page", (file: string) => truncateSync(file, 4_096)],
    ["that is none", (file: string) => writeFileSync(file, "x".repeat(20_000))],
  ])("%s is refused, and the error names it", async (_, harm) => {
    const data = temporaryFolder();
    await withLog(data, (log) => fill(log, 3));
    harm(fileOf(data, 1));
    const opening = withLog(data, async () => {});
    await expect(opening).rejects.toThrow(DataDamagedError);
    await expect(opening).rejects.toThrow(folderOf(data, 1));
  });

  it("is begun anew where it was cut off while it began", async () => {
    const [data, fresh] = [temporaryFolder(), temporaryFolder()];
    await closeEnvironment(openEnvironment(fresh));
    const begun = readFileSync(join(fresh, "data.mdb"));
    expect(begun.length).toBe(8_192);
    for (const folder of [folderOf(data, 1), join(data, "state")]) {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "data.mdb"), begun.subarray(0, 4_096));
    }
    await withLog(data, (log) => fill(log, 3));
    await withLog(data, async (log) => expect(await log.bounds()).toEqual({ oldest: 1, newest: 3 }));
  });

  it("is refused as state too", async () => {
    const data = temporaryFolder();
    await withLog(data, (log) => fill(log, 3));
    overwrite(join(data, "state", "data.mdb"), 0, 4_096);
    await expect(withLog(data, async () => {})).rejects.toThrow(join(data, "state"));
  });

  it("that lost its end is an error or a hole, and not the end of the process", async () => {
    const data = temporaryFolder();
    await withLog(data, (log) => fill(log, 60));
    const { size } = statSync(fileOf(data, 1));
    for (let kept = size - 4_096; kept > 8_192; kept -= 4_096) {
      truncateSync(fileOf(data, 1), kept);
      await withLog(data, (log) => dataIn(log).then(() => {})).catch((error: unknown) =>
        expect(error).toBeInstanceOf(DataDamagedError),
      );
    }
  });
});

it("refuses a log without its state: the cursors are lost with it (G9)", async () => {
  const data = temporaryFolder();
  await withLog(data, (log) => fill(log, 3));
  rmSync(join(data, "state"), { recursive: true });
  await expect(withLog(data, async () => {})).rejects.toThrow(/nothing in the folder state says what it is/);
});

describe("a hole, whatever pattern is read, is told as a gap (G5)", () => {
  const patterns = [">", "c3", "none"] as const;

  it("where the first segments vanished", async () => {
    const data = temporaryFolder();
    const [first, second, third] = (await several(data)) as [number, number, number];
    for (const gone of [first, second]) rmSync(folderOf(data, gone), { recursive: true });
    const events = await withLog(
      data,
      async (log) => {
        for (const pattern of patterns) {
          const { gap } = await dataIn(log, first - 1, pattern as Pattern);
          expect(gap, pattern).toEqual({ from: first - 1, to: third - 1, reason: "corruption" });
        }
      },
      small,
    );
    expect(events).toContain("log.corrupt");
  });

  it("where a segment vanished, or what is in it", async () => {
    for (const harm of [
      (folder: string) => rmSync(folder, { recursive: true }),
      (folder: string) => rmSync(join(folder, "data.mdb")),
      (folder: string) => truncateSync(join(folder, "data.mdb"), 0),
    ]) {
      const data = temporaryFolder();
      const [first, second, third] = (await several(data)) as [number, number, number];
      harm(folderOf(data, second));
      const events = await withLog(
        data,
        async (log) => {
          for (const pattern of patterns) {
            const { gap } = await dataIn(log, second - 1, pattern as Pattern);
            expect(gap, pattern).toEqual({ from: second - 1, to: third - 1, reason: "corruption" });
          }
          expect((await log.bounds()).oldest).toBe(first);
        },
        small,
      );
      expect(events).toContain("log.corrupt");
    }
  });

  it("where LMDB finds a segment damaged that it reads; at the next start it is refused, and can be moved away", async () => {
    const data = temporaryFolder();
    const [, second, third] = (await several(data)) as [number, number, number];
    const told = { from: second - 1, to: third - 1, reason: "corruption" };
    const events = await withLog(
      data,
      async (log) => {
        for (const start of branchPages(fileOf(data, second))) overwrite(fileOf(data, second), start, 4_096);
        expect((await dataIn(log, second - 1)).gap).toEqual(told);
        expect((await dataIn(log, third - 1)).data.length).toBeGreaterThan(0);
      },
      small,
    );
    expect(events).toContain("log.corrupt");
    await expect(withLog(data, async () => {}, small)).rejects.toThrow(folderOf(data, second));
    rmSync(folderOf(data, second), { recursive: true });
    await withLog(data, async (log) => expect((await dataIn(log, second - 1)).gap).toEqual(told), small);
  });

  it("and does not keep others from publishing, where a draft is repeated whose message was in there (P-29)", async () => {
    const data = temporaryFolder();
    const [, second] = (await several(data)) as [number, number];
    await withLog(
      data,
      async (log) => {
        for (const start of branchPages(fileOf(data, second))) overwrite(fileOf(data, second), start, 4_096);
        const number = second + 1;
        const repeated = draft("c0", 0, { by: "producer", producer: "p", number, previous: number - 1 });
        const answers = await Promise.all([log.append([repeated]), log.append([draft("c0", 1)])]);
        expect(answers).toEqual([[{ refused: "outcome-unknown" }], [{ offset: 201, duplicate: false }]]);
      },
      small,
    );
  });

  it("and does not keep from being counted what is in the others", async () => {
    const data = temporaryFolder();
    const [, second, third] = (await several(data)) as [number, number, number];
    await withLog(
      data,
      async (log) => {
        for (const start of branchPages(fileOf(data, second))) overwrite(fileOf(data, second), start, 4_096);
        expect(await log.count(">" as Pattern, (second + 1) as Offset)).toBe(201 - third);
        expect((await log.channels("", 100)).length).toBe(10);
      },
      small,
    );
  });

  it("and does not keep retention from removing it: whoever had not read so far is told, whatever it reads (G5)", async () => {
    const data = temporaryFolder();
    const [first, second] = (await several(data)) as [number, number];
    // All of the segment at once, while nobody has it open.
    const file = fileOf(data, first);
    await withLog(
      data,
      async (log) => {
        overwrite(file, 8_192, statSync(file).size - 8_192);
        expect((await log.offsetAt(0)) < second).toBe(true);
        await fill(log, 700, 200);
        await vi.waitFor(() => expect(segmentsOf(data)).not.toContain(first));
        const { oldest } = await log.bounds();
        const { gap } = await dataIn(log, 0, "quiet" as Pattern);
        expect(gap).toMatchObject({ from: 0, reason: "retention" });
        expect(gap?.to).toBeGreaterThanOrEqual(second - 1);
        expect(gap?.to).toBeLessThan(oldest);
      },
      small,
    );
  });

  it("where a chunk is damaged or missing, before and after the segment is sealed", async () => {
    for (const harm of [
      (environment: Parameters<typeof chunksOf>[0]) => chunksOf(environment).put(5, Buffer.from("damaged")),
      (environment: Parameters<typeof chunksOf>[0]) => chunksOf(environment).remove(5),
    ]) {
      const data = temporaryFolder();
      await withLog(data, (log) => fill(log, 20), small);
      await tamper(data, 1, harm);
      const told = { from: 4, to: 5, reason: "corruption" };
      await withLog(
        data,
        async (log) => {
          for (const pattern of patterns) expect((await dataIn(log, 4, pattern as Pattern)).gap, pattern).toEqual(told);
          await fill(log, 200, 20);
        },
        small,
      );
      await withLog(
        data,
        async (log) => {
          for (const pattern of patterns) expect((await dataIn(log, 4, pattern as Pattern)).gap, pattern).toEqual(told);
        },
        small,
      );
    }
  });
});

it("takes the index away from a segment that is written to again, because the one after it vanished (G5)", async () => {
  const data = temporaryFolder();
  const firsts = await several(data);
  const [before, last] = firsts.slice(-2) as [number, number];
  rmSync(folderOf(data, last), { recursive: true });
  await withLog(data, async () => {}, small);
  await tamper(data, before, async (environment) => expect(factsOf(environment).doesExist("index")).toBe(false));
});

it("begins a new epoch where the last segment vanished, however new it was (G2)", async () => {
  const data = temporaryFolder();
  // After a crash within a second nobody remembers how far the log went.
  vi.spyOn(Catalog.prototype, "storeWatermark").mockResolvedValue();
  const last = (await several(data)).at(-1) as number;
  vi.restoreAllMocks();
  rmSync(folderOf(data, last), { recursive: true });
  await withLog(data, async (log) => expect(log.lineage).toMatchObject([{ first: 1 }, { first: last }]), small);
});

it("reads a segment whose index is damaged as if it had none", async () => {
  const data = temporaryFolder();
  const [, second, third] = (await several(data)) as [number, number, number];
  const before = await readOf(data, second - 1);
  await tamper(data, second, async (environment) => {
    const index = Buffer.from(factsOf(environment).getBinary("index") as Buffer);
    index[index.length - 1] = (index[index.length - 1] as number) ^ 1;
    index[40] = (index[40] as number) ^ 1;
    await factsOf(environment).put("index", index);
  });
  expect(third).toBeGreaterThan(second);
  expect(await readOf(data, second - 1)).toEqual(before);
});

async function readOf(data: string, after: number): Promise<unknown> {
  let read: unknown;
  await withLog(
    data,
    async (log) => {
      read = [await dataIn(log, after, "c3" as Pattern), await dataIn(log, after, "c7" as Pattern)];
    },
    small,
  );
  return read;
}

it("begins a new epoch also where it crashes while it cuts off an end (G2)", async () => {
  const data = temporaryFolder();
  await withLog(data, async (log) => {
    for (let i = 1; i <= 5; i++) await log.append([draft("a", i)]);
  });
  await tamper(data, 1, (environment) => chunksOf(environment).put(5, Buffer.from("damaged")));
  // As if nobody had stored how far it had come, which is done once a second.
  const state = openEnvironment(join(data, "state"));
  await state.openDB<Buffer, string>({ name: "catalog", encoding: "binary" }).remove("default/watermark");
  await state.close();
  const crash = new Error("A crash.");
  const id = (): string => {
    throw crash;
  };
  const parts = { data, clock: systemClock, logger: silentLogger, metrics: new Metrics(), fatal: () => {} };
  const crashing = await LmdbEngine.open({ ...parts, chance: { ...chance, id } });
  await expect(crashing.open(policy)).rejects.toThrow(crash);
  await crashing.close();
  await withLog(data, async (log) => expect(log.lineage.length).toBe(2));
});
