/**
 * One segment of a log: a folder with a stretch of chunks.
 *
 *     chunks             the chunks
 *     producers          what the log knew of producers when the segment began
 *     index              once sealed: how long the first part is (u32, little-endian), where the chunks are, and the
 *                        channel index
 *     damaged-<offset>   an end that was cut off, kept for whoever wants to look
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { matcher, type Offset, type Pattern } from "@dogear/shared";
import { Messages } from "../messages.ts";
import { countMatching, remembering, type Stretch } from "../page.ts";
import type { ProducerRecord } from "../producers.ts";
import { ChannelIndex } from "./channel-index.ts";
import { checked, withChecksum } from "./checksum.ts";
import { type Chunk, ChunkCorrupt, decodeChunk, type EncodedChunk } from "./chunk.ts";
import { ChunkFile } from "./chunk-file.ts";
import { DataDamagedError } from "./data-file.ts";
import { makeFolder, readSmallFile, removeSmallFile, storeSmallFile } from "./folder.ts";
import { Places } from "./places.ts";

/** What a scan of a segment finds. */
export type Scanned = { readonly chunk: Chunk } | { readonly corrupt: Offset; readonly why: string };

/** What a segment keeps of the chunks that are read, for those who catch up together, and what each takes beside its bytes. */
const cachedBytesMax = 4 * 1_024 * 1_024;
const cachedChunkBytes = 512;
/** Of so many chunks it is remembered that they were read. A chunk is kept when it is read again. */
const rememberedMax = 10_000;

export class Segment {
  readonly first: Offset;
  readonly path: string;
  readonly #file: ChunkFile;
  /** Chunks by their first offsets. */
  readonly #cache = new Map<Offset, Chunk>();
  #cachedBytes = 0;
  /** The chunk that was read last: a page mostly ends in the middle of one, where the next begins. */
  #latest: Chunk | undefined;
  #readBefore = new Set<Offset>();
  #index: ChannelIndex | undefined;
  #sealed: boolean;

  private constructor(folder: string, first: Offset) {
    this.first = first;
    this.path = join(folder, segmentName(first));
    if (existsSync(join(this.path, "data.mdb")))
      throw new DataDamagedError(this.path, "it is of a format that was given up before version 0.1.0");
    makeFolder(this.path);
    this.#sealed = existsSync(this.#fact("index"));
    const { places } = this.#stored();
    this.#file = new ChunkFile(this.#fact("chunks"), first, places && Places.decode(first, places));
  }

  static open(folder: string, first: Offset): Segment {
    return new Segment(folder, first);
  }

  /** Adds chunks and resolves once they are flushed. */
  append(chunks: readonly EncodedChunk[]): Promise<void> {
    return this.#file.append(chunks);
  }

  /** What its chunks take. */
  get bytes(): number {
    return this.#file.length;
  }

  /** The last offset it holds; the one before it begins where it holds none, and nothing where that cannot be read. */
  get last(): Offset | undefined {
    const key = this.#file.firstAtOrBefore(Number.MAX_SAFE_INTEGER as Offset);
    return key === undefined ? ((this.first - 1) as Offset) : this.#read(key)?.last;
  }

  /** The time of the first chunk at or before an offset, or of the first one. */
  timeAt(offset: Offset): number | undefined {
    const key = this.#file.firstAtOrBefore(offset) ?? this.#file.firstAfter(offset);
    return key === undefined ? undefined : this.#read(key)?.time;
  }

  /** The chunk that holds an offset. */
  chunkAt(offset: Offset): Chunk | undefined {
    const key = this.#file.firstAtOrBefore(offset);
    const chunk = key === undefined ? undefined : this.#read(key);
    return chunk !== undefined && chunk.last >= offset ? chunk : undefined;
  }

  /** Stretches after an offset up to `end`, the chunks that hold nothing of the pattern left out where that is quicker. */
  *stretches(pattern: Pattern, after: Offset, end: Offset): Generator<Stretch> {
    let at = after;
    let from = this.#file.firstAtOrBefore((after + 1) as Offset) ?? this.first;
    while (at < end) {
      const plan = this.index().plan(pattern, from);
      if (plan === "all") return yield* this.all(at, end);
      if (plan.length === 0) break;
      for (const first of plan) {
        const stretch = this.#stretch(first, end);
        if (stretch.through <= at) continue;
        yield stretch;
        at = stretch.through;
      }
      from = (Math.max(at, plan.at(-1) as Offset) + 1) as Offset;
    }
    if (at < end) yield { messages: Messages.none, through: end };
  }

  /** Every stretch after an offset up to `end`. */
  *all(after: Offset, end: Offset): Generator<Stretch> {
    let at = after;
    while (at < end) {
      const from = (at + 1) as Offset;
      const next = this.#file.firstAtOrBefore(from);
      const stretch = next === undefined ? undefined : this.#stretch(next, end);
      // Offsets are consecutive, so where no chunk holds the next one there is a hole.
      const hole = { messages: undefined, through: ((this.#file.firstAfter(at) ?? end + 1) - 1) as Offset };
      const found = stretch === undefined || stretch.through <= at ? hole : stretch;
      yield found;
      at = found.through;
    }
  }

  /** How many messages after an offset a pattern selects. A chunk that cannot be read counts, unless the offset is in it. */
  count(pattern: Pattern, after: Offset): number {
    const within = this.#file.firstAtOrBefore(after);
    const later = this.index().count(pattern, within);
    const messages = within === undefined ? undefined : this.#read(within)?.messages;
    return messages === undefined ? later : later + countMatching(messages, after, remembering(matcher(pattern)));
  }

  /** Reads the segment from the start, checks every chunk, and notices where one is missing. */
  *scan(): Generator<Scanned> {
    let expected: Offset | undefined = this.first;
    for (const first of this.#file.firsts()) {
      if (expected !== undefined && first > expected) yield { corrupt: expected, why: "it is missing" };
      const scanned = this.#scanned(first);
      yield scanned;
      // How far one goes that cannot be read, nobody knows.
      expected = "chunk" in scanned ? ((scanned.chunk.last + 1) as Offset) : undefined;
    }
    if (this.#file.looseEnd === "damaged" && expected !== undefined)
      yield { corrupt: expected, why: "it is not whole" };
  }

  /** Whether a crash left an append unfinished at its end, which nobody was told of. It goes before the next one. */
  get isEndUnfinished(): boolean {
    return this.#file.looseEnd === "unfinished";
  }

  /** Takes the end, which cannot be read, out of the log from an offset on, and keeps its bytes. */
  async cutOff(from: Offset): Promise<void> {
    await this.#file.cutOff((from - 1) as Offset, `damaged-${from}`);
  }

  index(): ChannelIndex {
    if (this.#index === undefined) {
      const { index } = this.#stored();
      this.#index = (index && ChannelIndex.decode(index)) ?? this.#rebuiltIndex();
    }
    return this.#index;
  }

  /** Gives the segment the index that its owner keeps while it is open. */
  useIndex(index: ChannelIndex): void {
    this.#index = index;
  }

  /** Whether its index is written. */
  get sealed(): boolean {
    return this.#sealed;
  }

  /** Writes the index, after which the segment does not change any more. */
  async seal(): Promise<void> {
    await this.#file.trim();
    const places = this.#file.places.encode();
    const length = Buffer.alloc(4);
    length.writeUInt32LE(places.length);
    await storeSmallFile(this.#fact("index"), Buffer.concat([length, places, this.index().encode()]));
    this.#sealed = true;
  }

  /** Takes its index away, because it is to be written to again. */
  async unseal(): Promise<void> {
    await removeSmallFile(this.#fact("index"));
    this.#sealed = false;
  }

  /** What the log knew of producers; `undefined` where that is damaged, too, and the segments before tell it. */
  producers(): readonly ProducerRecord[] | undefined {
    const stored = readSmallFile(this.#fact("producers"));
    const text = stored && checked("producers", stored);
    return text === undefined ? undefined : (JSON.parse(text.toString()) as ProducerRecord[]);
  }

  async storeProducers(records: readonly ProducerRecord[]): Promise<void> {
    const value = withChecksum("producers", Buffer.from(JSON.stringify(records)));
    await storeSmallFile(this.#fact("producers"), value);
  }

  close(): void {
    this.#file.close();
  }

  /** What was written when it was sealed, if it was. Each part has a checksum. */
  #stored(): { readonly places?: Buffer; readonly index?: Buffer } {
    const stored = readSmallFile(this.#fact("index"));
    if (stored === undefined || stored.length < 4) return {};
    const end = 4 + stored.readUInt32LE(0);
    return { places: stored.subarray(4, end), index: stored.subarray(end) };
  }

  /** Where one of its files is. */
  #fact(name: string): string {
    return join(this.path, name);
  }

  #stretch(first: Offset, end: Offset): Stretch {
    const chunk = this.#read(first);
    if (chunk !== undefined) return { messages: chunk.messages, through: chunk.last };
    const next = this.#file.firstAfter(first);
    return { messages: undefined, through: next === undefined ? end : ((next - 1) as Offset) };
  }

  #read(first: Offset): Chunk | undefined {
    if (this.#latest?.first === first) return this.#latest;
    const cached = this.#cache.get(first);
    if (cached !== undefined) return cached;
    try {
      const chunk = this.#decode(first);
      this.#latest = chunk;
      if (this.#readBefore.delete(first)) this.#keep(chunk);
      else this.#remember(first);
      return chunk;
    } catch (error) {
      if (error instanceof ChunkCorrupt) return undefined;
      throw error;
    }
  }

  #remember(first: Offset): void {
    if (this.#readBefore.size >= rememberedMax) this.#readBefore.clear();
    this.#readBefore.add(first);
  }

  #keep(chunk: Chunk): void {
    this.#cache.set(chunk.first, chunk);
    this.#cachedBytes += chunk.bytes + cachedChunkBytes;
    for (const [first, { bytes }] of this.#cache) {
      if (this.#cachedBytes <= cachedBytesMax) return;
      this.#cache.delete(first);
      this.#cachedBytes -= bytes + cachedChunkBytes;
    }
  }

  #decode(first: Offset): Chunk {
    const value = this.#file.read(first);
    if (value === undefined) throw new ChunkCorrupt("it is not whole");
    const chunk = decodeChunk(value);
    if (chunk.first !== first) throw new ChunkCorrupt(`it says it starts at ${chunk.first}`);
    return chunk;
  }

  #scanned(first: Offset): Scanned {
    try {
      return { chunk: this.#decode(first) };
    } catch (error) {
      if (!(error instanceof ChunkCorrupt)) throw error;
      return { corrupt: first, why: error.message };
    }
  }

  #rebuiltIndex(): ChannelIndex {
    const index = new ChannelIndex();
    for (const scanned of this.scan()) {
      if ("chunk" in scanned) index.add(scanned.chunk);
      else index.addHole(scanned.corrupt);
    }
    return index;
  }
}

export function segmentName(first: Offset): string {
  return String(first).padStart(16, "0");
}
