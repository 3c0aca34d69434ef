/**
 * The file of a segment: its chunks one after another, each behind a frame.
 *
 *     "DGCK"                                                                  u32
 *     how long the chunk is                                                   u32
 *     its first offset                                                        f64
 *     crc32 of these, begun with where in the file the frame is               u32
 *
 * Numbers are little-endian. The chunk has a checksum of its own. Whatever is damaged, the chunks after it are found by
 * their frames; and a page of the file that turns up where another belongs has none that counts.
 *
 * One append is on its way at a time, and is flushed before it is answered. It is the last thing in the file until then, so
 * that a crash leaves a loose end of it: some of its sectors, where others are zeros or after the end of the file. Behind
 * the last chunk the file goes on with zeros, written with one append for many that follow: where a file
 * grows with each, its file system flushes the new length as well, which takes as long again.
 */
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { crc32 } from "node:zlib";
import type { Offset } from "@dogear/shared";
import { type EncodedChunk, isWholeChunk } from "./chunk.ts";
import { ReadAhead, readAheadBytes, readWhole, writeWhole } from "./file-bytes.ts";
import { flushFolder } from "./folder.ts";
import { type Place, Places } from "./places.ts";

const flush = promisify(fs.fdatasync);
const truncate = promisify(fs.ftruncate);

const magic = 0x4b434744;
const magicBytes = Buffer.from("DGCK");
const frameBytes = 20;

/**
 * Where the system flushes each write by itself, that is one call less. On macOS such a flush does not reach the disk, and
 * Windows has none.
 */
const flushesWrites = process.platform === "linux";
const openFlags = fs.constants.O_RDWR | fs.constants.O_CREAT | (flushesWrites ? fs.constants.O_DSYNC : 0);

/** What is shorter is read together with what follows it. */
const shortBytes = 16 * 1_024;

/** What there is after the last chunk: what an append leaves that is not finished, or something that may have been whole once. */
export type LooseEnd = "none" | "unfinished" | "damaged";

/** So many are written ahead of what comes next. An append that is as long by itself has no need of them. */
const zeros = Buffer.alloc(64 * 1_024);

/** What a disk writes all of or nothing. */
const sectorBytes = 512;

export class ChunkFile {
  readonly #path: string;
  readonly #file: number;
  readonly #places: Places;
  /** Where the last chunk ends. */
  #end: number;
  /** How long the file is. */
  #size: number;
  #looseEnd: LooseEnd;
  readonly #ahead: ReadAhead;

  /**
   * Opens the file of a segment that begins at an offset, or begins one. Where its chunks are is found by reading all of
   * it, unless that is known.
   */
  constructor(path: string, first: Offset, places: Places | undefined) {
    this.#path = path;
    this.#file = fs.openSync(path, openFlags, 0o664);
    this.#ahead = new ReadAhead(this.#file);
    this.#size = fs.fstatSync(this.#file).size;
    if (this.#size === 0) flushFolder(dirname(path));
    this.#places = places ?? Places.none(first);
    if (places === undefined) this.#find();
    this.#end = endOf(this.#places.last);
    // Where they are known, something came after it, and it is whole or damaged.
    this.#looseEnd = places === undefined ? this.#findLooseEnd() : "none";
    // It may have seen the zeros that the next append is written over.
    this.#ahead.forget();
  }

  /** How many bytes there are up to the end of the last chunk. */
  get length(): number {
    return this.#end;
  }

  /** What is after the last chunk. Whatever it is, it goes before something else is appended. */
  get looseEnd(): LooseEnd {
    return this.#looseEnd;
  }

  get places(): Pick<Places, "encode"> {
    return this.#places;
  }

  /** The first offsets of all chunks, in order. */
  *firsts(): Generator<Offset> {
    for (let i = 0; i < this.#places.count; i++) yield (this.#places.at(i) as Place).first;
  }

  /** The first offset of the last chunk that begins at an offset or before it. */
  firstAtOrBefore(offset: Offset): Offset | undefined {
    return this.#places.at(this.#places.indexAtOrBefore(offset))?.first;
  }

  /** The first offset of the first chunk that begins after an offset. */
  firstAfter(offset: Offset): Offset | undefined {
    return this.#places.at(this.#places.indexAtOrBefore(offset) + 1)?.first;
  }

  /** The bytes of the chunk that begins at an offset, in memory of their own; nothing where there is none, or not all of it. */
  read(first: Offset): Buffer | undefined {
    const place = this.#places.at(this.#places.indexAtOrBefore(first));
    if (place?.first !== first) return undefined;
    const start = place.start + frameBytes;
    if (place.length >= shortBytes) return readWhole(this.#file, start, place.length);
    const bytes = this.#ahead.read(start, place.length, this.#end);
    if (bytes === undefined) return undefined;
    const own = Buffer.allocUnsafeSlow(bytes.length);
    bytes.copy(own);
    return own;
  }

  /** Adds chunks, and resolves once they are flushed. */
  async append(chunks: readonly EncodedChunk[]): Promise<void> {
    // What one that failed has left behind must not be taken for something that came after this one.
    if (this.#looseEnd !== "none") await this.#shorten(this.#end);
    const added: Place[] = [];
    const buffers: Buffer[] = [];
    let end = this.#end;
    for (const { chunk, value } of chunks) {
      const place = { first: chunk.first, start: end, length: value.length };
      added.push(place);
      buffers.push(frame(place), value);
      end = endOf(place);
    }
    const runsAhead = end > this.#size && end - this.#end < zeros.length;
    if (runsAhead) buffers.push(zeros);
    this.#looseEnd = "unfinished";
    try {
      await writeWhole(this.#file, buffers, this.#end);
      if (!flushesWrites) await flush(this.#file);
    } catch (error) {
      // If that fails too, it is tried again before the next one.
      await this.#shorten(this.#end).catch(() => {});
      throw error;
    }
    this.#looseEnd = "none";
    for (const place of added) this.#places.add(place);
    this.#end = end;
    this.#size = Math.max(this.#size, runsAhead ? end + zeros.length : end);
  }

  /** Takes away what is after the last chunk, once nothing more is appended. */
  async trim(): Promise<void> {
    if (this.#size > this.#end || this.#looseEnd !== "none") await this.#shorten(this.#end);
  }

  /** Takes the end off, from the first chunk after an offset on, and keeps its bytes in another file beside this one. */
  async cutOff(after: Offset, name: string): Promise<void> {
    const last = this.#places.indexAtOrBefore(after);
    const end = endOf(this.#places.at(last));
    const kept = fs.createWriteStream(join(dirname(this.#path), name));
    await pipeline(fs.createReadStream(this.#path, { start: end }), kept);
    this.#places.shorten(last + 1);
    await this.#shorten(end);
    this.#end = end;
  }

  close(): void {
    fs.closeSync(this.#file);
  }

  async #shorten(end: number): Promise<void> {
    await truncate(this.#file, end);
    await flush(this.#file);
    this.#ahead.forget();
    this.#looseEnd = "none";
    this.#size = end;
  }

  /** Finds all frames, those behind something damaged as well. */
  #find(): void {
    let at: number | undefined = 0;
    while (at !== undefined) {
      const place = this.#placeAt(at);
      if (place === undefined) at = this.#nextFrame(at + 1);
      else {
        this.#places.add(place);
        at = endOf(place);
      }
    }
  }

  /** What the frame at a place in the file says, if there is one with all of its chunk. */
  #placeAt(start: number): Place | undefined {
    const place = this.#frameAt(start);
    return place !== undefined && endOf(place) <= this.#size ? place : undefined;
  }

  #frameAt(start: number): Place | undefined {
    const bytes = this.#ahead.read(start, frameBytes, this.#size);
    if (bytes?.readUInt32LE(0) !== magic || bytes.readUInt32LE(16) !== checkOf(bytes, start)) return undefined;
    return { first: bytes.readDoubleLE(8) as Offset, start, length: bytes.readUInt32LE(4) };
  }

  /** Finds what is after the last chunk, or instead of it. */
  #findLooseEnd(): LooseEnd {
    const end = this.#end;
    if (this.#areZeros(end, this.#size)) return this.#dropUnfinished() ? "unfinished" : "none";
    const isBegun = this.#frameAt(end) !== undefined || this.#areZeros(end + frameBytes, this.#size);
    return isBegun || this.#hasUnwritten(end, frameBytes) ? "unfinished" : "damaged";
  }

  /** Whether the last chunk was not written to its end, after which it is none. */
  #dropUnfinished(): boolean {
    const { last } = this.#places;
    if (last === undefined) return false;
    const bytes = this.read(last.first);
    if (bytes !== undefined && isWholeChunk(bytes)) return false;
    // A chunk ends with JSON, which does not end with zeros.
    const isCutShort = bytes?.at(-1) === 0;
    if (!isCutShort && !this.#hasUnwritten(last.start, endOf(last) - last.start)) return false;
    this.#places.shorten(this.#places.count - 1);
    this.#end = endOf(this.#places.last);
    return true;
  }

  /** Whether a sector of a stretch, or its part of one, is zeros: nothing has been written there. */
  #hasUnwritten(start: number, length: number): boolean {
    const end = start + length;
    for (let at = start; at < end; ) {
      const next = Math.min(end, at - (at % sectorBytes) + sectorBytes);
      if (this.#areZeros(at, next)) return true;
      at = next;
    }
    return false;
  }

  #areZeros(start: number, end: number): boolean {
    for (let at = start; at < end; at += readAheadBytes) {
      const bytes = this.#ahead.read(at, Math.min(readAheadBytes, end - at), this.#size);
      if (bytes?.some((byte) => byte !== 0)) return false;
    }
    return true;
  }

  #nextFrame(from: number): number | undefined {
    for (let at = from; at + frameBytes <= this.#size; ) {
      const bytes = this.#ahead.read(at, Math.min(readAheadBytes, this.#size - at), this.#size);
      if (bytes === undefined) return undefined;
      const found = bytes.indexOf(magicBytes);
      // The beginning of one may be at the end.
      if (found < 0) at += Math.max(1, bytes.length - magicBytes.length + 1);
      else if (this.#placeAt(at + found) === undefined) at += found + 1;
      else return at + found;
    }
    return undefined;
  }
}

function endOf(place: Place | undefined): number {
  return place === undefined ? 0 : place.start + frameBytes + place.length;
}

function frame({ first, start, length }: Place): Buffer {
  const bytes = Buffer.allocUnsafe(frameBytes);
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt32LE(length, 4);
  bytes.writeDoubleLE(first, 8);
  bytes.writeUInt32LE(checkOf(bytes, start), 16);
  return bytes;
}

function checkOf(bytes: Buffer, start: number): number {
  return crc32(bytes.subarray(0, 16), start);
}
