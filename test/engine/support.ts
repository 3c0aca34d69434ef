/** LMDB engines for tests: opened for a while, filled, and tampered with. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Offset, Pattern } from "@dogear/shared";
import type { Database } from "lmdb";
import type { Budget, Log, NamespacePolicy, Page } from "../../server/src/engine/engine.ts";
import { type Environment, openEnvironment } from "../../server/src/engine/lmdb/environment.ts";
import { LmdbEngine } from "../../server/src/engine/lmdb/lmdb-engine.ts";
import type { Logger } from "../../server/src/runtime/logger.ts";
import { Metrics } from "../../server/src/runtime/metrics.ts";
import { draft, parsed, policy } from "../contract/support.ts";
import { chance, movableClock } from "../support/clock.ts";

export const plenty: Budget = { messages: 100_000, bytes: 100_000_000, scan: 1_000_000_000 };
export const all: Pattern = ">" as Pattern;

/** Segments of 75 KB. */
export const small: NamespacePolicy = { ...policy, retention: { ageMs: undefined, bytes: 600_000 } };

/** Opens a log, lets `use` work with it, and closes it; returns what was logged. */
export async function withLog(data: string, use: (log: Log) => Promise<void>, policyUsed = policy): Promise<string[]> {
  const events: string[] = [];
  const note: Logger["info"] = (event) => void events.push(event);
  const engine = await LmdbEngine.open({
    data,
    clock: movableClock(),
    chance,
    logger: { info: note, warn: note, error: note },
    metrics: new Metrics(),
    fatal: (error) => {
      throw error;
    },
  });
  try {
    await use(await engine.open(policyUsed));
  } finally {
    await engine.close();
  }
  return events;
}

export async function dataIn(
  log: Log,
  after = 0,
  pattern: Pattern = all,
): Promise<Pick<Page, "gap" | "through"> & { data: unknown[] }> {
  const page = await log.read(pattern, after as Offset, plenty);
  return { data: parsed(page.messages).map(({ data }) => data), gap: page.gap, through: page.through };
}

/** The first offsets of the segments on disk. */
export function segmentsOf(data: string): number[] {
  return readdirSync(join(data, "logs", "default"))
    .map(Number)
    .sort((a, b) => a - b);
}

/** Changes a segment behind the engine's back. */
export async function tamper(
  data: string,
  first: number,
  change: (environment: Environment) => Promise<unknown>,
): Promise<void> {
  const environment = openEnvironment(join(data, "logs", "default", String(first).padStart(16, "0")));
  await change(environment);
  await environment.close();
}

export function chunksOf(environment: Environment): Database<Buffer, number> {
  return environment.openDB<Buffer, number>({ name: "chunks", encoding: "binary" });
}

export function factsOf(environment: Environment): Database<Buffer, string> {
  return environment.openDB<Buffer, string>({ name: "facts", encoding: "binary" });
}

/** Appends drafts of about 1 KB each until the log has several segments. */
export async function fill(log: Log, count: number, from = 0): Promise<void> {
  for (let i = from; i < from + count; i++) {
    await log.append([
      draft(
        `c${i % 10}`,
        { i, text: "x".repeat(1_000) },
        { by: "producer", producer: "p", number: i + 1, previous: i },
      ),
    ]);
  }
}
