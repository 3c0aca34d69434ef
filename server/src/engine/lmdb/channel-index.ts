/**
 * Which chunks of one segment hold which channel, and how often: what lets a selective reader skip the rest, and
 * messages be counted without reading them.
 *
 * A posting is the first offset of a chunk. The open segment's index is kept in memory as chunks are appended; a
 * sealed segment's is written once and read back when first needed:
 *
 *     version, crc32 of all that follows, bytes of the head            u32, u32, u32
 *     head: the number of chunks, the lowest posting, and a row of
 *     each channel                                                     JSON
 *     of each channel its postings, as their distance from the lowest
 *     one, then how many of its messages come before each              u32 …
 *
 * Numbers are little-endian.
 */
import { crc32 } from "node:zlib";
import { type Channel, isWildcard, matcher, type Offset, type Pattern } from "@dogear/shared";
import type { Chunk } from "./chunk.ts";
import {
  chunkFrom,
  columnBytes,
  type EntryRow,
  entryRow,
  GrowingEntry,
  type IndexEntry,
  StoredEntry,
  writeColumns,
} from "./index-entry.ts";

/** What an index says before its postings. */
interface Head {
  readonly chunks: number;
  readonly base: Offset;
  readonly rows: readonly EntryRow[];
  /** Left out where there are none. */
  readonly holes?: readonly Offset[];
}

const formatVersion = 3;
const preambleBytes = 12;

/** Above this share of a segment's chunks, reading them all in a row beats picking them. */
const selectiveShareMax = 0.25;

/** How many chunks one plan looks ahead. */
const planChunksMax = 64;

export class ChannelIndex {
  readonly #entries: IndexEntry[] = [];
  readonly #byChannel = new Map<string, IndexEntry>();
  /** The entries that each wildcard pattern selects, and how many entries were looked at to know. */
  readonly #selected = new Map<Pattern, { entries: IndexEntry[]; seen: number }>();
  /** Where chunks begin, or are missing, that cannot be read. Whatever pattern is read, it may be in there. */
  #holes: readonly Offset[] = [];
  #chunks = 0;

  addHole(first: Offset): void {
    this.#holes = [...this.#holes, first];
  }

  add({ first, messages }: Chunk): void {
    this.#chunks++;
    let entry: GrowingEntry | undefined;
    for (let i = 0; i < messages.length; i++) {
      const channel = messages.channels[i] as Channel;
      if (entry?.channel !== channel) entry = this.#growing(channel);
      entry.add(messages.offsets[i] as Offset, first);
    }
  }

  /** Whether it knows every message up to the last one, at an offset. */
  isWholeThrough(last: Offset): boolean {
    return this.#holes.length === 0 && this.#entries.some((entry) => entry.last === last);
  }

  /** The highest offset of each channel. */
  *lastOffsets(): Generator<readonly [Channel, Offset]> {
    for (const { channel, last } of this.#entries) yield [channel, last];
  }

  /** How many messages of each channel there are. */
  *counts(): Generator<readonly [Channel, number]> {
    for (const { channel, count } of this.#entries) yield [channel, count];
  }

  /**
   * The chunks after an offset that hold what a pattern selects, or that cannot be read, oldest first: the next few, or
   * `"all"` where reading every chunk is the better plan. `from` is the first offset of the chunk to start with.
   */
  plan(pattern: Pattern, from: Offset): readonly Offset[] | "all" {
    const entries = this.#select(pattern);
    const postings = entries.reduce((sum, entry) => sum + entry.chunks, 0);
    if (postings > this.#chunks * selectiveShareMax) return "all";
    const next = new Set(this.#holes.filter((hole) => hole >= from));
    for (const entry of entries) {
      const start = chunkFrom(entry, from);
      const end = Math.min(start + planChunksMax, entry.chunks);
      for (let i = start; i < end; i++) next.add(entry.posting(i));
    }
    return [...next].sort((a, b) => a - b).slice(0, planChunksMax);
  }

  /** How many messages a pattern selects: all of the segment's, or those in the chunks after the one named. */
  count(pattern: Pattern, chunk?: Offset): number {
    return this.#select(pattern).reduce((sum, entry) => sum + countAfter(entry, chunk), 0);
  }

  encode(): Buffer {
    const base = this.#entries[0]?.posting(0) ?? (0 as Offset);
    const head: Head = { chunks: this.#chunks, base, rows: this.#entries.map(entryRow), ...holesOf(this.#holes) };
    const text = Buffer.from(JSON.stringify(head));
    const columns = this.#entries.reduce((sum, entry) => sum + columnBytes(entry), 0);
    const value = Buffer.allocUnsafe(preambleBytes + text.length + columns);
    value.writeUInt32LE(formatVersion, 0);
    value.writeUInt32LE(text.length, 8);
    let at = preambleBytes + text.copy(value, preambleBytes);
    for (const entry of this.#entries) at = writeColumns(entry, value, at, base);
    value.writeUInt32LE(crc32(value.subarray(8)), 4);
    return value;
  }

  /** Reads an index; `undefined` where it is of another format or damaged, and the segment must be read instead. */
  static decode(value: Buffer): ChannelIndex | undefined {
    const isWhole = value.length > preambleBytes && value.readUInt32LE(4) === crc32(value.subarray(8));
    if (!isWhole || value.readUInt32LE(0) !== formatVersion) return undefined;
    let at = preambleBytes + value.readUInt32LE(8);
    const { chunks, base, rows, holes = [] } = JSON.parse(value.toString("utf8", preambleBytes, at)) as Head;
    const index = new ChannelIndex();
    index.#chunks = chunks;
    index.#holes = holes;
    for (const row of rows) {
      const entry = index.#put(new StoredEntry(row, value, at, base));
      at += columnBytes(entry);
    }
    return index;
  }

  #select(pattern: Pattern): readonly IndexEntry[] {
    if (!isWildcard(pattern)) {
      const entry = this.#byChannel.get(pattern);
      return entry === undefined ? [] : [entry];
    }
    let selected = this.#selected.get(pattern);
    if (selected === undefined) {
      selected = { entries: [], seen: 0 };
      this.#selected.set(pattern, selected);
      if (this.#selected.size > patternsMax) this.#selected.delete(this.#selected.keys().next().value as Pattern);
    }
    const matches = matcher(pattern);
    for (; selected.seen < this.#entries.length; selected.seen++) {
      const entry = this.#entries[selected.seen] as IndexEntry;
      if (matches(entry.channel)) selected.entries.push(entry);
    }
    return selected.entries;
  }

  #growing(channel: Channel): GrowingEntry {
    const entry = this.#byChannel.get(channel);
    return entry instanceof GrowingEntry ? entry : this.#put(new GrowingEntry(channel));
  }

  #put<E extends IndexEntry>(entry: E): E {
    this.#entries.push(entry);
    this.#byChannel.set(entry.channel, entry);
    return entry;
  }
}

/** Patterns whose selection one index remembers. */
const patternsMax = 1_000;

function holesOf(holes: readonly Offset[]): Pick<Head, "holes"> {
  return holes.length === 0 ? {} : { holes };
}

function countAfter(entry: IndexEntry, chunk: Offset | undefined): number {
  if (chunk === undefined) return entry.count;
  const next = chunkFrom(entry, (chunk + 1) as Offset);
  return next === entry.chunks ? 0 : entry.count - entry.before(next);
}
