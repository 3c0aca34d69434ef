/** What the embedded engine says of itself when its disk is full, and when it fails. */
import { execFileSync } from "node:child_process";
import { expect, it, onTestFinished } from "vitest";
import type { Engine, Log } from "../../server/src/engine/engine.ts";
import { LmdbEngine } from "../../server/src/engine/lmdb/lmdb-engine.ts";
import { type Clock, systemClock } from "../../server/src/runtime/clock.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { Metrics } from "../../server/src/runtime/metrics.ts";
import { draft, policy } from "../contract/support.ts";
import { VirtualClock } from "../hub/support.ts";
import { chance } from "../support/clock.ts";
import { temporaryFolder } from "../support/temp.ts";
import { dataIn } from "./support.ts";

const MiB = 1_024 * 1_024;
const memoryPolicy = { ...policy, namespace: "typing", durability: "memory" } as const;

interface EngineUnderTest<C extends Clock> {
  readonly engine: Engine;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: C;
  readonly disk: { free: number };
  readonly failures: unknown[];
}

/** An engine on a disk that has as little left as the test says. */
async function opened<C extends Clock>(clock: C): Promise<EngineUnderTest<C>> {
  const disk = { free: 1_000 * MiB };
  const failures: unknown[] = [];
  const metrics = new Metrics();
  const engine = await LmdbEngine.open({
    data: temporaryFolder(),
    clock,
    chance,
    logger: silentLogger,
    metrics,
    fatal: (error) => failures.push(error),
    freeBytes: async () => disk.free,
  });
  onTestFinished(() => engine.close());
  return { engine, log: await engine.open(policy), metrics, clock, disk, failures };
}

it("cannot be written while the disk is full, can be read, and can be written again when there is room", async () => {
  const { engine, log, clock, disk, failures } = await opened(new VirtualClock());
  const typing = await engine.open(memoryPolicy);
  await log.append([draft("a", 1)]);
  disk.free = 63 * MiB;
  await clock.advance(1_000);
  expect(engine.health()).toEqual({ writable: false, freeBytes: 63 * MiB });
  await expect(log.append([draft("a", 2)])).rejects.toMatchObject({ code: "disk-full" });
  expect(await dataIn(log)).toMatchObject({ data: [1] });
  expect(await typing.append([draft("typing.a", 1)])).toEqual([{ offset: 1, duplicate: false }]);
  disk.free = 65 * MiB;
  await clock.advance(1_000);
  expect(engine.health()).toEqual({ writable: true, freeBytes: 65 * MiB });
  await log.append([draft("a", 3)]);
  expect(await dataIn(log)).toMatchObject({ data: [1, 3] });
  expect(failures).toEqual([]);
});

it("counts what it writes as gone from the disk until it looks again", async () => {
  const { engine, log, clock, disk } = await opened(new VirtualClock());
  await log.append([draft("a", "x".repeat(100_000))]);
  const { freeBytes } = engine.health();
  expect(freeBytes).toBeLessThan(disk.free - 100_000);
  expect(freeBytes).toBeGreaterThan(disk.free - 200_000);
  await clock.advance(1_000);
  expect(engine.health().freeBytes).toBe(disk.free);
});

it("cannot be written after a write that failed, whatever the disk says later", async () => {
  const { engine, log, clock, failures } = await opened(new VirtualClock());
  await log.append([draft("a", 1)]);
  limitFiles(1 * MiB);
  onTestFinished(() => limitFiles("unlimited"));
  const large = Array.from({ length: 32 }, () => draft("a", "x".repeat(100_000)));
  await expect(log.append(large)).rejects.toMatchObject({ code: "unavailable" });
  limitFiles("unlimited");
  expect(failures).toHaveLength(1);
  expect(engine.health().writable).toBe(false);
  await clock.advance(1_000);
  expect(engine.health().writable).toBe(false);
});

it("counts its commits, the messages that shared them, and how long they took", async () => {
  const { log, metrics } = await opened(systemClock);
  await Promise.all(Array.from({ length: 5 }, (_, i) => log.append([draft("a", i), draft("b", i)])));
  await log.append([draft("a", 5)]);
  const text = await metrics.text();
  expect(text).toContain("\ndogear_log_commit_messages_count 2\n");
  expect(text).toContain("\ndogear_log_commit_messages_sum 11\n");
  expect(text).toContain("\ndogear_log_flush_seconds_count 2\n");
  expect(Number(/^dogear_log_flush_seconds_sum (.*)$/m.exec(text)?.[1])).toBeGreaterThan(0);
});

/** The largest file that this process may write; the kernel fails what goes beyond. */
function limitFiles(bytes: number | "unlimited"): void {
  execFileSync("prlimit", [`--pid=${process.pid}`, `--fsize=${bytes}:`]);
}
