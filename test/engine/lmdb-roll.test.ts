/** One segment ends and the next begins: between two commits, and not at all where the disk does not let it. */
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Offset } from "@dogear/shared";
import { expect, it, vi } from "vitest";
import type { Log, NamespacePolicy } from "../../server/src/engine/engine.ts";
import { Catalog } from "../../server/src/engine/lmdb/catalog.ts";
import { LmdbEngine } from "../../server/src/engine/lmdb/lmdb-engine.ts";
import { Segment, segmentName } from "../../server/src/engine/lmdb/segment.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { Metrics } from "../../server/src/runtime/metrics.ts";
import { draft, policy } from "../contract/support.ts";
import { chance, movableClock } from "../support/clock.ts";
import { temporaryFolder } from "../support/temp.ts";
import { dataIn, flipBit, segmentsOf, small, withLog } from "./support.ts";

interface Rolling {
  readonly log: Log;
  readonly data: string;
  readonly failures: unknown[];
  readonly disk: { free: number };
  /** What happens when the time is asked that a commit took; it was flushed a moment ago. */
  onFlushed: () => void;
  /** Moves the clock, and lets whatever waits for its time have its turn at once. */
  pass(ms: number): void;
}

async function rolling(
  policyUsed: NamespacePolicy,
  use: (rolling: Rolling) => Promise<void>,
  data = temporaryFolder(),
): Promise<void> {
  const movable = movableClock();
  let waiting: (() => void)[] = [];
  let asked = 0;
  const clock = {
    ...movable,
    after: (_: number, call: () => void) => {
      waiting.push(call);
      return () => {
        waiting = waiting.filter((other) => other !== call);
      };
    },
    // Asked before a commit and after it.
    monotonic: () => {
      if (++asked % 2 === 0) test.onFlushed();
      return movable.monotonic();
    },
  };
  const failures: unknown[] = [];
  const disk = { free: 1e12 };
  const parts = { data, clock, chance, logger: silentLogger, metrics: new Metrics(), freeBytes: async () => disk.free };
  const engine = await LmdbEngine.open({ ...parts, fatal: (error) => failures.push(error) });
  const pass = (ms: number): void => {
    movable.advance(ms);
    const due = waiting;
    waiting = [];
    for (const call of due) call();
  };
  const log = await engine.open(policyUsed);
  const test: Rolling = { log, data, failures, disk, onFlushed: () => {}, pass };
  try {
    await use(test);
  } finally {
    await engine.close();
  }
}

const hourly = { ...policy, retention: { ageMs: 8 * 3_600_000, bytes: undefined } };

it("begins no segment while a commit is under way, which would be counted to it and lie in the one before (G1)", async () => {
  let data = "";
  await rolling(hourly, async (test) => {
    data = test.data;
    await test.log.append([draft("a", 1)]);
    test.onFlushed = () => {
      test.onFlushed = () => {};
      test.pass(3_600_001);
    };
    await test.log.append([draft("a", 2)]);
    await test.log.append([draft("a", 3)]);
  });
  expect(segmentsOf(data)).toEqual([1, 3]);
  await withLog(data, async (log) => expect((await dataIn(log)).data).toEqual([1, 2, 3]), hourly);
});

it("begins one for age also where nobody publishes any more", async () => {
  await rolling(hourly, async (test) => {
    await test.log.append([draft("a", 1)]);
    test.pass(3_600_001);
    await expect.poll(() => segmentsOf(test.data)).toEqual([1, 2]);
  });
});

const large = "x".repeat(80_000);

it("refuses what comes while the next segment cannot be begun for want of room, and keeps what came before (G1)", async () => {
  let data = "";
  await rolling(small, async ({ log, data: folder, disk, failures, pass }) => {
    data = folder;
    await log.append([draft("a", large)]);
    const obstacle = join(folder, "logs", "default", "0000000000000002");
    writeFileSync(obstacle, "");
    disk.free = 0;
    await expect(log.append([draft("a", 2)])).rejects.toMatchObject({ code: "disk-full" });
    rmSync(obstacle);
    disk.free = 1e12;
    pass(1_000);
    await expect
      .poll(() => log.append([draft("a", 2)]).catch(() => undefined))
      .toEqual([{ offset: 2, duplicate: false }]);
    await log.append([draft("a", 3)]);
    expect(failures).toEqual([]);
  });
  await withLog(data, async (log) => expect((await dataIn(log)).data).toEqual([large, 2, 3]), small);
});

it("stops where the next segment cannot be begun for another reason, and accepts nothing more (G1)", async () => {
  let data = "";
  await rolling(small, async ({ log, data: folder, failures }) => {
    data = folder;
    await log.append([draft("a", large)]);
    const obstacle = join(folder, "logs", "default", "0000000000000002");
    writeFileSync(obstacle, "");
    await expect(log.append([draft("a", 2)])).rejects.toMatchObject({ code: "unavailable" });
    expect(failures.length).toBe(1);
    rmSync(obstacle);
    await expect(log.append([draft("a", 2)])).rejects.toMatchObject({ code: "unavailable" });
  });
  await withLog(data, async (log) => expect((await dataIn(log)).data).toEqual([large]), small);
});

it("keeps a segment whose age cannot be read (G1)", async () => {
  const data = temporaryFolder();
  const begin = async ({ log, pass }: Rolling): Promise<void> => {
    await log.append([draft("a", 1)]);
    pass(3_600_001);
    await expect.poll(() => segmentsOf(data)).toEqual([1, 2]);
  };
  await rolling(hourly, begin, data);
  flipBit(data, 1, 1);
  const upkeep = async ({ log, pass }: Rolling): Promise<void> => {
    await log.append([draft("a", 2)]);
    pass(1_000);
  };
  // Closing waits for upkeep.
  await rolling(hourly, upkeep, data);
  expect(segmentsOf(data)).toEqual([1, 2]);
});

it("does not take a segment that holds nothing for an old one, which retention would remove under the next messages (G1)", async () => {
  const data = temporaryFolder();
  await rolling(hourly, async () => {}, data);
  const late = async ({ log, pass }: Rolling): Promise<void> => {
    pass(1_000);
    await log.append([draft("a", 1)]);
    pass(1_000);
    await log.append([draft("a", 2)]);
  };
  await rolling(hourly, late, data);
  await withLog(data, async (log) => expect((await dataIn(log)).data).toEqual([1, 2]), hourly);
});

it("gives a segment that held nothing at the start the age of its first message", async () => {
  const data = temporaryFolder();
  await rolling(hourly, async () => {}, data);
  const later = async ({ log }: Rolling): Promise<void> => {
    await log.append([draft("a", 1)]);
    await log.append([draft("a", 2)]);
  };
  await rolling(hourly, later, data);
  expect(segmentsOf(data)).toEqual([1]);
});

it("seals later what it could not seal for want of room, so that retention goes on", async () => {
  await rolling(small, async ({ log, data, disk, failures, pass }) => {
    await log.append([draft("a", large)]);
    vi.spyOn(Segment.prototype, "seal").mockImplementationOnce(async () => {
      disk.free = 0;
      throw new Error("There is no room.");
    });
    await log.append([draft("a", 2)]);
    await expect.poll(() => log.append([draft("a", 3)]).catch(({ code }) => code)).toBe("disk-full");
    disk.free = 1e12;
    pass(1_000);
    for (let i = 0; i < 9; i++)
      await expect.poll(() => log.append([draft("a", large)]).catch(() => [])).not.toEqual([]);
    pass(1_000);
    await expect.poll(() => segmentsOf(data)[0]).toBeGreaterThan(1);
    expect(failures).toEqual([]);
  });
});

it("begins none any more once it is closed", async () => {
  const data = temporaryFolder();
  let failures: unknown[] = [];
  const closing = async (test: Rolling): Promise<void> => {
    failures = test.failures;
    await test.log.append([draft("a", 1)]);
    let goOn: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const upkeep = vi.spyOn(Catalog.prototype, "storeWatermark").mockReturnValueOnce(held);
    test.pass(1_000);
    await expect.poll(() => upkeep.mock.calls.length).toBe(1);
    // More upkeep waits its turn, and has it when the log is being closed.
    test.pass(3_600_001);
    setImmediate(goOn);
  };
  await rolling(hourly, closing, data);
  expect(segmentsOf(data)).toEqual([1]);
  expect(failures).toEqual([]);
});

it("goes on where the disk was full when it began one, and has room again a moment later", async () => {
  await rolling(hourly, async ({ log, data, disk, failures, pass }) => {
    await log.append([draft("a", 1)]);
    const obstacle = join(data, "logs", "default", "0000000000000002");
    writeFileSync(obstacle, "");
    // Asked once a second, and when something failed.
    const free = [1e12, 0];
    Object.defineProperty(disk, "free", { get: () => free.shift() ?? 1e12 });
    pass(3_600_001);
    await expect.poll(() => free).toEqual([]);
    rmSync(obstacle);
    pass(1_000);
    await expect
      .poll(() => log.append([draft("a", 2)]).catch(({ code }) => code))
      .toEqual([{ offset: 2, duplicate: false }]);
    expect(failures).toEqual([]);
  });
});

it("deletes what a crash left of a segment that was removed", async () => {
  const data = temporaryFolder();
  const kept = temporaryFolder();
  await withLog(data, async (log) => void (await log.append([draft("a", 1)])), small);
  cpSync(join(data, "logs"), kept, { recursive: true });
  const fill = async ({ log }: Rolling): Promise<void> => {
    for (let i = 0; i < 9; i++) await log.append([draft("a", large)]);
  };
  await rolling(small, fill, data);
  expect(segmentsOf(data)[0]).toBeGreaterThan(1);
  const first = segmentName(1 as Offset);
  cpSync(join(kept, "default", first), join(data, "logs", "default", first), { recursive: true });
  await rolling(small, async () => {}, data);
  expect(segmentsOf(data)[0]).toBeGreaterThan(1);
});
