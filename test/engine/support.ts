/** LMDB engines for tests: opened for a while, filled, and tampered with. */
import { closeSync, openSync, readdirSync, readFileSync, truncateSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Offset, Pattern } from "@dogear/shared";
import type { Budget, Log, NamespacePolicy, Page } from "../../server/src/engine/engine.ts";
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

/** A file of a segment. */
export function fileOf(data: string, first: number, name: "chunks" | "index" | "producers" = "chunks"): string {
  return join(folderOf(data, first), name);
}

export function folderOf(data: string, first: number): string {
  return join(data, "logs", "default", String(first).padStart(16, "0"));
}

/** Where a chunk is in its file, with its frame. */
interface Stored {
  readonly first: number;
  readonly start: number;
  readonly end: number;
}

const frameBytes = 20;

/** The chunks of a segment, up to where zeros follow. */
export function chunksOf(data: string, segment: number): readonly Stored[] {
  const bytes = readFileSync(fileOf(data, segment));
  const chunks: Stored[] = [];
  for (let start = 0; bytes.toString("latin1", start, start + 4) === "DGCK"; ) {
    const end = start + frameBytes + bytes.readUInt32LE(start + 4);
    chunks.push({ first: bytes.readDoubleLE(start + 8), start, end });
    start = end;
  }
  return chunks;
}

/** By its first offset. */
export function chunkOf(data: string, segment: number, offset: number): Stored {
  const chunk = chunksOf(data, segment).find(({ first }) => first === offset);
  if (chunk === undefined) throw new Error(`No chunk begins at ${offset}.`);
  return chunk;
}

/** Flips a bit in the text of a chunk's last message. */
export function flipBit(data: string, segment: number, offset: number): void {
  const { end } = chunkOf(data, segment, offset);
  overwrite(fileOf(data, segment), end - 5, (bytes) => bytes.writeUInt8(bytes.readUInt8() ^ 1), 1);
}

/** Writes zeros over a chunk and its frame. */
export function wipe(data: string, segment: number, offset: number): void {
  const { start, end } = chunkOf(data, segment, offset);
  overwrite(fileOf(data, segment), start, (bytes) => bytes.fill(0), end - start);
}

/** Takes a chunk off, and all that comes after it. */
export function cutAt(data: string, segment: number, offset: number): void {
  truncateSync(fileOf(data, segment), chunkOf(data, segment, offset).start);
}

/** Changes a stretch of a file. */
export function overwrite(file: string, start: number, change: (bytes: Buffer) => void, length: number): void {
  const bytes = Buffer.from(readFileSync(file).subarray(start, start + length));
  change(bytes);
  const open = openSync(file, "r+");
  writeSync(open, bytes, 0, bytes.length, start);
  closeSync(open);
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
