/**
 * Which chunks of one segment hold which channel: what lets a selective reader skip the rest.
 *
 * A posting is the first offset of a chunk. The open segment's index is kept in memory as chunks are appended; a
 * sealed segment's is written once, sorted, and read back whole when first needed.
 */
import { type Channel, isWildcard, matcher, type Offset, type Pattern } from "@dogear/shared";
import type { Chunk } from "./chunk.ts";

/** One channel of a segment. */
interface Entry {
  readonly channel: Channel;
  readonly postings: Offset[];
  last: Offset;
  count: number;
}

/** Above this share of a segment's chunks, reading them all in a row beats picking them. */
const selectiveShareMax = 0.25;

/** How many chunks one plan looks ahead. */
const planChunksMax = 64;

export class ChannelIndex {
  readonly #entries: Entry[] = [];
  readonly #byChannel = new Map<string, Entry>();
  /** The entries that each wildcard pattern selects, and how many entries were looked at to know. */
  readonly #selected = new Map<Pattern, { entries: Entry[]; seen: number }>();
  #chunks = 0;

  add({ first, messages }: Chunk): void {
    this.#chunks++;
    for (let i = 0; i < messages.length; i++) {
      const entry = this.#entry(messages.channels[i] as Channel);
      if (entry.postings.at(-1) !== first) entry.postings.push(first);
      entry.last = messages.offsets[i] as Offset;
      entry.count++;
    }
  }

  /** The highest offset of each channel. */
  *lastOffsets(): Generator<readonly [Channel, Offset]> {
    for (const { channel, last } of this.#entries) yield [channel, last];
  }

  /**
   * The chunks after an offset that hold what a pattern selects, oldest first: the next few, or `"all"` where
   * reading every chunk is the better plan. `from` is the first offset of the chunk to start with.
   */
  plan(pattern: Pattern, from: Offset): readonly Offset[] | "all" {
    const entries = this.#select(pattern);
    const postings = entries.reduce((sum, entry) => sum + entry.postings.length, 0);
    if (postings > this.#chunks * selectiveShareMax) return "all";
    const next = new Set<Offset>();
    for (const entry of entries) {
      const start = firstAtOrAfter(entry.postings, from);
      for (const posting of entry.postings.slice(start, start + planChunksMax)) next.add(posting);
    }
    return [...next].sort((a, b) => a - b).slice(0, planChunksMax);
  }

  encode(): Buffer {
    const rows = this.#entries.map(({ channel, postings, last, count }) => [channel, last, count, deltas(postings)]);
    return Buffer.from(JSON.stringify({ chunks: this.#chunks, rows }));
  }

  static decode(value: Uint8Array): ChannelIndex {
    const { chunks, rows } = JSON.parse(Buffer.from(value).toString()) as {
      chunks: number;
      rows: [Channel, Offset, number, number[]][];
    };
    const index = new ChannelIndex();
    index.#chunks = chunks;
    for (const [channel, last, count, differences] of rows) {
      index.#put({ channel, postings: sums(differences), last, count });
    }
    return index;
  }

  #select(pattern: Pattern): readonly Entry[] {
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
      const entry = this.#entries[selected.seen] as Entry;
      if (matches(entry.channel)) selected.entries.push(entry);
    }
    return selected.entries;
  }

  #entry(channel: Channel): Entry {
    return this.#byChannel.get(channel) ?? this.#put({ channel, postings: [], last: 0 as Offset, count: 0 });
  }

  #put(entry: Entry): Entry {
    this.#entries.push(entry);
    this.#byChannel.set(entry.channel, entry);
    return entry;
  }
}

/** Patterns whose selection one index remembers. */
const patternsMax = 1_000;

function firstAtOrAfter(sorted: readonly Offset[], offset: Offset): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

function deltas(postings: readonly number[]): number[] {
  return postings.map((posting, i) => posting - (postings[i - 1] ?? 0));
}

function sums(differences: readonly number[]): Offset[] {
  let sum = 0;
  return differences.map((difference) => {
    sum += difference;
    return sum as Offset;
  });
}
