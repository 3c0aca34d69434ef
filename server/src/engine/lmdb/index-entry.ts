/** One channel of a segment's index: the chunks that hold it, and how many of its messages they hold. */
import type { Channel, Offset } from "@dogear/shared";

export interface IndexEntry {
  readonly channel: Channel;
  /** Its highest offset in the segment. */
  readonly last: Offset;
  /** Its messages in the segment. */
  readonly count: number;
  /** How many chunks hold it. */
  readonly chunks: number;
  /** The first offset of chunk `i` of these. */
  posting(i: number): Offset;
  /** How many of its messages come before chunk `i`. */
  before(i: number): number;
}

/** What is stored of an entry beside its postings. */
export type EntryRow = readonly [channel: Channel, last: Offset, count: number, chunks: number];

/** The entry of a segment that is written to. */
export class GrowingEntry implements IndexEntry {
  readonly channel: Channel;
  last = 0 as Offset;
  count = 0;
  readonly #postings: Offset[] = [];
  readonly #before: number[] = [];

  constructor(channel: Channel) {
    this.channel = channel;
  }

  get chunks(): number {
    return this.#postings.length;
  }

  posting(i: number): Offset {
    return this.#postings[i] as Offset;
  }

  before(i: number): number {
    return this.#before[i] as number;
  }

  /** Takes note of a message, and of the first offset of the chunk that holds it. */
  add(offset: Offset, chunk: Offset): void {
    if (this.#postings.at(-1) !== chunk) {
      this.#postings.push(chunk);
      this.#before.push(this.count);
    }
    this.last = offset;
    this.count++;
  }
}

/** The entry of a sealed segment. Its postings stay in the bytes they were stored as, since most are never asked for. */
export class StoredEntry implements IndexEntry {
  readonly channel: Channel;
  readonly last: Offset;
  readonly count: number;
  readonly chunks: number;
  readonly #value: Buffer;
  readonly #start: number;
  readonly #base: Offset;

  /** `start` says where in `value` its columns are. */
  constructor([channel, last, count, chunks]: EntryRow, value: Buffer, start: number, base: Offset) {
    this.channel = channel;
    this.last = last;
    this.count = count;
    this.chunks = chunks;
    this.#value = value;
    this.#start = start;
    this.#base = base;
  }

  posting(i: number): Offset {
    return (this.#base + this.#value.readUInt32LE(this.#start + 4 * i)) as Offset;
  }

  before(i: number): number {
    return this.#value.readUInt32LE(this.#start + 4 * (this.chunks + i));
  }
}

export function entryRow({ channel, last, count, chunks }: IndexEntry): EntryRow {
  return [channel, last, count, chunks];
}

/** What both columns of an entry take. */
export function columnBytes({ chunks }: IndexEntry): number {
  return 8 * chunks;
}

/** Writes the postings, as their distance from `base`, and then what comes before each; returns where they end. */
export function writeColumns(entry: IndexEntry, value: Buffer, start: number, base: Offset): number {
  let at = start;
  for (let i = 0; i < entry.chunks; i++) at = value.writeUInt32LE(entry.posting(i) - base, at);
  for (let i = 0; i < entry.chunks; i++) at = value.writeUInt32LE(entry.before(i), at);
  return at;
}

/** The first chunk of an entry that starts at an offset or after it; one past its last where there is none. */
export function chunkFrom(entry: IndexEntry, offset: Offset): number {
  let low = 0;
  let high = entry.chunks;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (entry.posting(middle) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
