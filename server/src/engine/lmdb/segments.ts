/**
 * The row of segments that makes up a log: the newest is written to, the older ones are sealed and removed whole.
 *
 *     0000000000000001/   0000000000081920/   0000000000163840/
 *     sealed              sealed              open
 *
 * Removing a folder returns its space at once. Of the sealed segments only the few that are being read stay open.
 */
import { readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Channel, Offset, Pattern } from "@dogear/shared";
import { joinHoles, type Stretch } from "../page.ts";
import type { Chunk } from "./chunk.ts";
import { makeFolder } from "./folder.ts";
import { Segment, segmentName } from "./segment.ts";

/** What is known of a segment without opening it. */
export interface SegmentInfo {
  readonly first: Offset;
  /** Its last offset, which for the open segment is the newest of the log. */
  last: Offset;
  bytes: number;
  firstTime: number;
  lastTime: number;
  /** How many messages of it patterns select, as far as somebody asked since it is sealed. */
  readonly counts: Map<Pattern, number>;
}

/** Patterns of which one segment remembers how many messages they select. */
const countsMax = 1_000;

/** Sealed segments kept open for readers. */
const openSealedMax = 4;

/** Holes that are remembered as told. */
const holesToldMax = 10_000;

const removedPrefix = "removed-";

export class Segments {
  readonly #folder: string;
  readonly #infos: SegmentInfo[] = [];
  /** Segments that are open, sealed or to be sealed, least recently read first. */
  readonly #sealed = new Map<Offset, Segment>();
  #open: Segment;
  readonly #onHole: (first: Offset, through: Offset) => void;
  /** Where holes end that were told of. */
  readonly #holesTold = new Set<Offset>();

  private constructor(
    folder: string,
    infos: SegmentInfo[],
    open: Segment,
    onHole: (first: Offset, through: Offset) => void,
  ) {
    this.#onHole = onHole;
    this.#folder = folder;
    this.#infos = infos;
    this.#open = open;
  }

  /**
   * The first offsets of the segments in a folder, after finishing any removal that was under way. What is before
   * `oldest` is known to have been removed.
   */
  static async list(folder: string, oldest: Offset): Promise<readonly Offset[]> {
    makeFolder(folder);
    const names = (await readdir(folder)).sort();
    const isSegment = (name: string) => /^\d{16}$/.test(name);
    const isRemoved = (name: string) => name.startsWith(removedPrefix) || (isSegment(name) && Number(name) < oldest);
    await Promise.all(names.filter(isRemoved).map((name) => rm(join(folder, name), { recursive: true, force: true })));
    return names.filter((name) => isSegment(name) && !isRemoved(name)).map((name) => Number(name) as Offset);
  }

  /** `onHole` is told of what turns out to be unreadable. */
  static start(
    folder: string,
    infos: readonly SegmentInfo[],
    open: Segment,
    onHole: (first: Offset, through: Offset) => void,
  ): Segments {
    return new Segments(folder, [...infos], open, onHole);
  }

  get open(): Segment {
    return this.#open;
  }

  get openInfo(): SegmentInfo {
    return this.#infos.at(-1) as SegmentInfo;
  }

  get oldest(): SegmentInfo {
    return this.#infos[0] as SegmentInfo;
  }

  /** Where the oldest segment ends, whatever can be read of it: before the next begins. */
  get throughOldest(): Offset {
    const next = this.#infos[1];
    return next === undefined ? this.oldest.last : ((next.first - 1) as Offset);
  }

  /** Whether the oldest segment is sealed. One that was closed is. */
  get isOldestSealed(): boolean {
    const { first } = this.oldest;
    const open = first === this.#open.first ? this.#open : this.#sealed.get(first);
    return open?.sealed ?? true;
  }

  /** Makes a new segment the open one; the one before is returned, to be sealed. */
  roll(next: Segment): Segment {
    const before = this.#open;
    const { last, lastTime } = this.openInfo;
    this.#sealed.set(before.first, before);
    this.#open = next;
    this.#infos.push({ first: (last + 1) as Offset, last, bytes: 0, firstTime: lastTime, lastTime, counts: new Map() });
    return before;
  }

  /** Closes sealed segments that were not read lately. */
  closeIdle(): void {
    for (const [first, segment] of this.#sealed) {
      if (this.#sealed.size <= openSealedMax) break;
      if (segment.sealed) this.#close(first);
    }
  }

  /** Closes and deletes the oldest segment. */
  async removeOldest(): Promise<void> {
    const { first } = this.#infos.shift() as SegmentInfo;
    this.#close(first);
    // Renamed first: a folder that is half deleted must not be taken for a segment.
    const doomed = join(this.#folder, removedPrefix + segmentName(first));
    await rename(join(this.#folder, segmentName(first)), doomed);
    await rm(doomed, { recursive: true, force: true });
  }

  /** The segment whose range holds an offset, or the one after it. */
  at(offset: Offset): Segment {
    const info = this.#infos.find(({ last }) => last >= offset) ?? this.openInfo;
    return this.#segment(info.first);
  }

  /** The chunk that holds an offset; nothing where it cannot be read. */
  chunkAt(offset: Offset): Chunk | undefined {
    return this.at(offset).chunkAt(offset);
  }

  /** Every stretch after an offset; segments that hold nothing of the pattern are passed over quickly. */
  *stretches(pattern: Pattern | "everything", after: Offset): Generator<Stretch> {
    let at = after;
    for (const { first, last } of [...this.#infos]) {
      if (last <= at) continue;
      if (first > at + 1) {
        at = (first - 1) as Offset;
        yield { messages: undefined, through: at };
      }
      const segment = this.#segment(first);
      const read = pattern === "everything" ? segment.all(at, last) : segment.stretches(pattern, at, last);
      for (const stretch of joinHoles(read)) {
        if (stretch.messages === undefined) this.#tell(at, stretch.through);
        yield stretch;
        at = stretch.through;
      }
      at = last;
    }
  }

  /** Tells of a hole once, though everybody who reads comes upon it. */
  #tell(after: Offset, through: Offset): void {
    if (this.#holesTold.has(through)) return;
    if (this.#holesTold.size >= holesToldMax) this.#holesTold.clear();
    this.#holesTold.add(through);
    this.#onHole((after + 1) as Offset, through);
  }

  /**
   * How many messages after an offset a pattern selects. The newest are counted at once, and others have their turn
   * before each segment that has to be opened.
   */
  async count(pattern: Pattern, after: Offset, turn: () => Promise<void>): Promise<number> {
    if (after >= this.openInfo.last) return 0;
    const sealed = this.#infos.slice(0, -1).filter(({ last }) => last > after);
    let sum = this.#open.count(pattern, after);
    for (const info of sealed.reverse()) sum += await this.#countSealed(info, pattern, after, turn);
    return sum;
  }

  /** How many messages each channel has. Others have their turn before each segment. */
  async channels(turn: () => Promise<void>): Promise<ReadonlyMap<Channel, number>> {
    const counts = new Map<Channel, number>();
    for (const info of [...this.#infos].reverse()) {
      await turn();
      // It may have been removed meanwhile.
      if (!this.#infos.includes(info)) continue;
      for (const [channel, count] of this.#segment(info.first).index().counts()) {
        counts.set(channel, (counts.get(channel) ?? 0) + count);
      }
    }
    return counts;
  }

  async #countSealed(info: SegmentInfo, pattern: Pattern, after: Offset, turn: () => Promise<void>): Promise<number> {
    const whole = info.first > after;
    const known = whole ? info.counts.get(pattern) : undefined;
    if (known !== undefined) return known;
    await turn();
    if (!this.#infos.includes(info)) return 0;
    const count = this.#segment(info.first).count(pattern, after);
    if (whole) {
      if (info.counts.size >= countsMax) info.counts.clear();
      info.counts.set(pattern, count);
    }
    return count;
  }

  /** The last offset of the oldest segments that are too old, or with which there is too much. */
  excess(bytesMax: number, oldest: number): Offset | undefined {
    let through: Offset | undefined;
    let left = this.#infos.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { last, lastTime, bytes } of this.#infos.slice(0, -1)) {
      if (left <= bytesMax && lastTime >= oldest) break;
      through = last;
      left -= bytes;
    }
    return through;
  }

  /** The last offset before a time. */
  offsetAt(time: number): Offset {
    const info = this.#infos.find(({ lastTime }) => lastTime >= time);
    if (info === undefined) return this.openInfo.last;
    return this.#offsetIn(info, time);
  }

  /** The highest offset of each channel in the oldest segment; nothing where some of it cannot be read. */
  lastOffsetsOfOldest(): Iterable<readonly [Channel, Offset]> | undefined {
    const index = this.#segment(this.oldest.first).index();
    return index.isWholeThrough(this.throughOldest) ? index.lastOffsets() : undefined;
  }

  #offsetIn({ first, last }: SegmentInfo, time: number): Offset {
    const segment = this.#segment(first);
    let low: number = first;
    let high: number = last + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2) as Offset;
      if ((segment.timeAt(middle) ?? 0) >= time) high = middle;
      else low = middle + 1;
    }
    return (low - 1) as Offset;
  }

  close(): void {
    this.#open.close();
    for (const segment of this.#sealed.values()) segment.close();
  }

  #close(first: Offset): void {
    this.#sealed.get(first)?.close();
    this.#sealed.delete(first);
  }

  #segment(first: Offset): Segment {
    if (first === this.#open.first) return this.#open;
    const segment = this.#sealed.get(first) ?? Segment.open(this.#folder, first);
    this.#sealed.delete(first);
    this.#sealed.set(first, segment);
    return segment;
  }
}

/** What a segment takes on disk, and when it was written to last. */
export async function segmentFile(folder: string, first: Offset): Promise<{ bytes: number; writtenAt: number }> {
  const { size, mtimeMs } = await stat(join(folder, segmentName(first), "chunks"));
  return { bytes: size, writtenAt: mtimeMs };
}
