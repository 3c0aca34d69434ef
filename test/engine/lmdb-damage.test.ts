/** What the LMDB engine makes of data files that something happened to: it refuses, or says what it lost. */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Offset, Pattern } from "@dogear/shared";
import { describe, expect, it, test, vi } from "vitest";
import type { Log } from "../../server/src/engine/engine.ts";
import { Catalog } from "../../server/src/engine/lmdb/catalog.ts";
import { DataDamagedError } from "../../server/src/engine/lmdb/data-file.ts";
import { closeEnvironment, openEnvironment } from "../../server/src/engine/lmdb/environment.ts";
import { LmdbEngine } from "../../server/src/engine/lmdb/lmdb-engine.ts";
import { systemClock } from "../../server/src/runtime/clock.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { Metrics } from "../../server/src/runtime/metrics.ts";
import { draft, parsed, policy } from "../contract/support.ts";
import { chance } from "../support/clock.ts";
import { temporaryFolder } from "../support/temp.ts";
import {
  chunksOf,
  dataIn,
  fileOf,
  fill,
  flipBit,
  folderOf,
  overwrite,
  plenty,
  segmentsOf,
  small,
  wipe,
  withLog,
} from "./support.ts";

const stateOf = (data: string) => join(data, "state", "data.mdb");

function zero(file: string, start: number, length: number): void {
  overwrite(file, start, (bytes) => bytes.fill(0), length);
}

/** Zeros all chunks of a segment. */
function ruin(data: string, first: number): void {
  const file = fileOf(data, first);
  zero(file, 0, statSync(file).size);
}

/** A log of several segments; returns their first offsets. */
async function several(data: string): Promise<readonly number[]> {
  await withLog(data, (log) => fill(log, 200), small);
  return segmentsOf(data);
}

describe("a file that LMDB could not open", () => {
  test.each([
    ["without its beginning", (file: string) => zero(file, 0, 8_192)],
    ["without its first page", (file: string) => zero(file, 0, 4_096)],
    ["cut off in its first page", (file: string) => truncateSync(file, 1_000)],
    ["cut off after its first page", (file: string) => truncateSync(file, 4_096)],
    ["that is none", (file: string) => writeFileSync(file, "x".repeat(20_000))],
  ])("%s is refused, and the error names it", async (_, harm) => {
    const data = temporaryFolder();
    await withLog(data, (log) => fill(log, 3));
    harm(stateOf(data));
    const opening = withLog(data, async () => {});
    await expect(opening).rejects.toThrow(DataDamagedError);
    await expect(opening).rejects.toThrow(join(data, "state"));
  });

  it("is begun anew where it was cut off while it began", async () => {
    const [data, fresh] = [temporaryFolder(), temporaryFolder()];
    await closeEnvironment(openEnvironment(fresh));
    const begun = readFileSync(join(fresh, "data.mdb"));
    expect(begun.length).toBe(8_192);
    mkdirSync(join(data, "state"));
    writeFileSync(stateOf(data), begun.subarray(0, 4_096));
    await withLog(data, (log) => fill(log, 3));
    await withLog(data, async (log) => expect(await log.bounds()).toEqual({ oldest: 1, newest: 3 }));
  });

  it("that lost its end is an error, and not the end of the process", async () => {
    const data = temporaryFolder();
    await withLog(data, (log) => fill(log, 60));
    const { size } = statSync(stateOf(data));
    for (let kept = size - 4_096; kept > 8_192; kept -= 4_096) {
      truncateSync(stateOf(data), kept);
      await withLog(data, (log) => dataIn(log).then(() => {})).catch((error: unknown) =>
        expect(error).toBeInstanceOf(DataDamagedError),
      );
    }
  });
});

describe("a file of chunks", () => {
  it("is served up to where it ends, and goes on there, wherever it was cut off (G1, G2)", async () => {
    const original = temporaryFolder();
    await withLog(original, (log) => fill(log, 20));
    const end = chunksOf(original, 1).at(-1)?.end as number;
    for (let kept = 0; kept < end; kept += 997) {
      const data = temporaryFolder();
      cpSync(original, data, { recursive: true });
      truncateSync(fileOf(data, 1), kept);
      await withLog(data, async (log) => {
        const { newest } = await log.bounds();
        expect((await dataIn(log)).data.length).toBe(newest);
        expect(log.lineage.length).toBe(2);
        await log.append([draft("a", "new")]);
        expect((await dataIn(log, newest)).data).toEqual(["new"]);
      });
    }
  });

  it("has holes where pages of it are zeros, or were written elsewhere: the rest is served, and nothing else (G5)", async () => {
    const original = temporaryFolder();
    await withLog(original, (log) => fill(log, 40));
    const whole = await served(original);
    const bytes = readFileSync(fileOf(original, 1)).subarray(0, chunksOf(original, 1).at(-1)?.end);
    const page = 4_096;
    for (let at = 0; at + page < bytes.length; at += page) {
      for (const instead of [
        Buffer.alloc(page),
        bytes.subarray((at + 2 * page) % (bytes.length - page)).subarray(0, page),
      ]) {
        const data = temporaryFolder();
        cpSync(original, data, { recursive: true });
        overwrite(fileOf(data, 1), at, (there) => instead.copy(there), page);
        const left = await served(data);
        expect(left.length).toBeGreaterThan(30);
        expect(whole.filter((message) => left.includes(message))).toEqual(left);
      }
    }
  });

  it("of an earlier format is refused, and the error names it", async () => {
    const data = temporaryFolder();
    mkdirSync(folderOf(data, 1), { recursive: true });
    writeFileSync(join(folderOf(data, 1), "data.mdb"), "");
    const opening = withLog(data, async () => {});
    await expect(opening).rejects.toThrow(DataDamagedError);
    await expect(opening).rejects.toThrow(folderOf(data, 1));
  });

  /** All messages with their offsets, read from gap to gap. */
  async function served(data: string): Promise<string[]> {
    const messages: string[] = [];
    await withLog(data, async (log) => {
      const { newest } = await log.bounds();
      for (let after = 0; after < newest; ) {
        const page = await log.read(">" as Pattern, after as Offset, plenty);
        messages.push(...parsed(page.messages).map(({ offset, data }) => JSON.stringify([offset, data])));
        after = page.through;
      }
    });
    return messages;
  }
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

  it("where a segment vanished", async () => {
    const data = temporaryFolder();
    const [first, second, third] = (await several(data)) as [number, number, number];
    rmSync(folderOf(data, second), { recursive: true });
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
  });

  it("where the chunks of a segment vanished, as far as its index says that it held something of the pattern", async () => {
    for (const harm of [rmSync, truncateSync]) {
      const data = temporaryFolder();
      const [, second, third] = (await several(data)) as [number, number, number];
      harm(fileOf(data, second));
      const events = await withLog(
        data,
        async (log) => {
          const told = async (pattern: string) => (await dataIn(log, second - 1, pattern as Pattern)).gap;
          expect(await told(">")).toEqual({ from: second - 1, to: third - 1, reason: "corruption" });
          // Of message number n the channel is c(n - 1).
          const ofThree = Array.from({ length: third - second }, (_, i) => second + i).filter((n) => n % 10 === 4);
          expect(await told("c3")).toEqual({ from: second - 1, to: ofThree.at(-1), reason: "corruption" });
          expect(await told("none")).toBeUndefined();
        },
        small,
      );
      expect(events).toContain("log.corrupt");
    }
  });

  it("where a segment turns out to be damaged that is being read, and at the next start", async () => {
    const data = temporaryFolder();
    const [, second, third] = (await several(data)) as [number, number, number];
    const told = { from: second - 1, to: third - 1, reason: "corruption" };
    const read = async (log: Log): Promise<void> => {
      expect((await dataIn(log, second - 1)).gap).toEqual(told);
      expect((await dataIn(log, third - 1)).data.length).toBeGreaterThan(0);
    };
    const events = await withLog(
      data,
      async (log) => {
        ruin(data, second);
        await read(log);
      },
      small,
    );
    expect(events).toContain("log.corrupt");
    await withLog(data, read, small);
  });

  it("and does not keep others from publishing, where a draft is repeated whose message was in there (P-29)", async () => {
    const data = temporaryFolder();
    const [, second] = (await several(data)) as [number, number];
    await withLog(
      data,
      async (log) => {
        ruin(data, second);
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
        ruin(data, second);
        expect(await log.count(">" as Pattern, (third - 1) as Offset)).toBe(201 - third);
        expect((await log.channels("", 100)).length).toBe(10);
      },
      small,
    );
  });

  it("and does not keep retention from removing it: whoever had not read so far is told, whatever it reads (G5)", async () => {
    const data = temporaryFolder();
    const [first, second] = (await several(data)) as [number, number];
    // What it held is in its index no more, either.
    ruin(data, first);
    rmSync(fileOf(data, first, "index"));
    await withLog(
      data,
      async (log) => {
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
    for (const harm of [(data: string) => flipBit(data, 1, 5), (data: string) => wipe(data, 1, 5)]) {
      const data = temporaryFolder();
      await withLog(data, (log) => fill(log, 20), small);
      harm(data);
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
  expect(existsSync(fileOf(data, before, "index"))).toBe(false);
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
  const file = fileOf(data, second, "index");
  // Where its chunks are, and which holds what.
  for (const at of [40, statSync(file).size - 1])
    overwrite(file, at, (bytes) => bytes.writeUInt8(bytes.readUInt8() ^ 1), 1);
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
  flipBit(data, 1, 5);
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
