/**
 * A chunk: what one commit, or 64 KiB of it, looks like on disk.
 *
 *     crc32 of all that follows                    u32
 *     version, count of names                      u16, u16
 *     count of messages, where their texts start   u32, u32
 *     first offset, time                           f64, f64
 *     where each text ends                         u32 × messages
 *     the channel of each, as an index of names    u16 × messages
 *     names: channels first, then producers, ids   (u16 length, bytes) …
 *     count of origins                             u32
 *     origins: which message, what, its name       u32, u8, u16, then for a producer: number f64, previous offset f64
 *     texts, joined by commas
 *
 * Offsets in a chunk are consecutive and its messages share one time. Texts are in wire form, so reading a chunk is
 * slicing it. Numbers are little-endian.
 */
import { crc32 } from "node:zlib";
import type { Channel, Offset } from "@dogear/shared";
import type { Accepted } from "../admission.ts";
import { Messages } from "../messages.ts";
import type { Provenance } from "../producers.ts";
import { textBytesMax, textsBytesMax, writeTexts } from "../text.ts";

export interface Chunk {
  readonly first: Offset;
  readonly last: Offset;
  readonly time: number;
  readonly messages: Messages;
  readonly origins: readonly ChunkOrigin[];
  /** Its size on disk. */
  readonly bytes: number;
}

/** Which producer or which id a message came with; one that had both has two of these. */
export interface ChunkOrigin {
  readonly offset: Offset;
  readonly provenance: Provenance | undefined;
  readonly id: string | undefined;
}

/** A chunk, and its bytes. */
export interface EncodedChunk {
  readonly chunk: Chunk;
  readonly value: Buffer;
}

/** A chunk whose bytes are not what was written. */
export class ChunkCorrupt extends Error {}

const chunkBytesMax = 64 * 1_024;
const formatVersion = 1;
const headerBytes = 32;
const originByProducer = 1;
const originById = 2;
const producerOriginBytes = 23;
const idOriginBytes = 7;

/** Cuts what one commit accepted into runs that fit a chunk each; a message larger than a chunk gets its own. */
export function cutIntoChunks(accepted: readonly Accepted[]): readonly (readonly Accepted[])[] {
  const chunks: Accepted[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const one of accepted) {
    const size = textBytesMax(one);
    if (bytes + size > chunkBytesMax) {
      chunks.push([]);
      bytes = 0;
    }
    (chunks.at(-1) as Accepted[]).push(one);
    bytes += size;
  }
  return chunks;
}

/** Writes a chunk; `messages` of the one returned share memory with what goes to disk. */
export function encodeChunk(accepted: readonly Accepted[], time: number): EncodedChunk {
  const origins = originsOf(accepted);
  const tables = new Tables(accepted, origins);
  const textStart = headerBytes + tables.bytes;
  const room = Buffer.allocUnsafeSlow(textStart + textsBytesMax(accepted));
  const messages = writeTexts(accepted, time, room, textStart);
  const value = room.subarray(0, textStart + messages.byteLength);
  tables.write(value, messages);
  const first = messages.offsets[0] as Offset;
  value.writeUInt16LE(formatVersion, 4);
  value.writeUInt16LE(tables.names.length, 6);
  value.writeUInt32LE(messages.length, 8);
  value.writeUInt32LE(textStart, 12);
  value.writeDoubleLE(first, 16);
  value.writeDoubleLE(time, 24);
  value.writeUInt32LE(crc32(value.subarray(4)), 0);
  const last = messages.offsets.at(-1) as Offset;
  return { chunk: { first, last, time, messages, origins, bytes: value.length }, value };
}

/** Whether the bytes of a chunk are what was written. */
export function isWholeChunk(value: Buffer): boolean {
  return value.length >= headerBytes && crc32(value.subarray(4)) === value.readUInt32LE(0);
}

/** Reads a chunk, or throws ChunkCorrupt. */
export function decodeChunk(value: Buffer): Chunk {
  if (!isWholeChunk(value)) throw new ChunkCorrupt("its checksum does not match");
  if (value.readUInt16LE(4) !== formatVersion) {
    throw new ChunkCorrupt(`its format is version ${value.readUInt16LE(4)}; this hub reads version ${formatVersion}`);
  }
  const nameCount = value.readUInt16LE(6);
  const count = value.readUInt32LE(8);
  const textStart = value.readUInt32LE(12);
  const first = value.readDoubleLE(16) as Offset;
  const namesStart = headerBytes + 6 * count;
  const { names, end } = readNames(value, namesStart, nameCount);
  const ends: number[] = new Array(count);
  const offsets: Offset[] = new Array(count);
  const channels: Channel[] = new Array(count);
  for (let i = 0; i < count; i++) {
    const channel = value.readUInt16LE(headerBytes + 4 * count + 2 * i);
    ends[i] = value.readUInt32LE(headerBytes + 4 * i);
    offsets[i] = (first + i) as Offset;
    channels[i] = names[channel] as Channel;
  }
  return {
    first,
    last: (first + count - 1) as Offset,
    time: value.readDoubleLE(24),
    messages: new Messages(value.subarray(textStart), ends, offsets, channels),
    // Read when asked for: those who catch up do not ask.
    get origins() {
      return readOrigins(value, end, first, names);
    },
    bytes: value.length,
  };
}

function originsOf(accepted: readonly Accepted[]): readonly ChunkOrigin[] {
  const origins: ChunkOrigin[] = [];
  for (const { draft, offset, provenance } of accepted) {
    if (provenance !== undefined) origins.push({ offset, provenance, id: undefined });
    if (draft.id !== undefined) origins.push({ offset, provenance: undefined, id: draft.id });
  }
  return origins;
}

/** What stands between the header of a chunk and its texts. */
class Tables {
  readonly names: readonly string[];
  readonly bytes: number;
  readonly #channels: readonly number[];
  readonly #origins: readonly ChunkOrigin[];
  readonly #originNames: readonly number[];

  constructor(accepted: readonly Accepted[], origins: readonly ChunkOrigin[]) {
    const names = new Names();
    this.#channels = accepted.map(({ draft }) => names.index(draft.channel));
    this.#origins = origins;
    this.#originNames = origins.map(({ provenance, id }) => names.index(provenance?.producer ?? (id as string)));
    this.names = names.list;
    let bytes = 6 * accepted.length + 4;
    for (const name of names.list) bytes += 2 + Buffer.byteLength(name);
    for (const { provenance } of origins) bytes += provenance === undefined ? idOriginBytes : producerOriginBytes;
    this.bytes = bytes;
  }

  write(value: Buffer, { ends, offsets }: Messages): void {
    let at = headerBytes;
    for (const end of ends) at = value.writeUInt32LE(end, at);
    for (const channel of this.#channels) at = value.writeUInt16LE(channel, at);
    for (const name of this.names) {
      const length = value.write(name, at + 2);
      at = value.writeUInt16LE(length, at) + length;
    }
    at = value.writeUInt32LE(this.#origins.length, at);
    const first = offsets[0] as Offset;
    for (let i = 0; i < this.#origins.length; i++) {
      const { offset, provenance } = this.#origins[i] as ChunkOrigin;
      at = value.writeUInt32LE(offset - first, at);
      at = value.writeUInt8(provenance === undefined ? originById : originByProducer, at);
      at = value.writeUInt16LE(this.#originNames[i] as number, at);
      if (provenance === undefined) continue;
      at = value.writeDoubleLE(provenance.number, at);
      at = value.writeDoubleLE(provenance.previousOffset, at);
    }
  }
}

class Names {
  readonly list: string[] = [];
  readonly #indexes = new Map<string, number>();
  /** Mostly the one before is asked for again. */
  #last = { name: "", index: -1 };

  index(name: string): number {
    if (name === this.#last.name && this.#last.index >= 0) return this.#last.index;
    let index = this.#indexes.get(name);
    if (index === undefined) {
      index = this.list.push(name) - 1;
      this.#indexes.set(name, index);
    }
    this.#last = { name, index };
    return index;
  }
}

function readNames(value: Buffer, start: number, count: number): { names: readonly string[]; end: number } {
  const names: string[] = [];
  let at = start;
  for (let i = 0; i < count; i++) {
    const length = value.readUInt16LE(at);
    names.push(value.toString("utf8", at + 2, at + 2 + length));
    at += 2 + length;
  }
  return { names, end: at };
}

function readOrigins(value: Buffer, start: number, first: Offset, names: readonly string[]): readonly ChunkOrigin[] {
  const origins: ChunkOrigin[] = [];
  let at = start + 4;
  for (let count = value.readUInt32LE(start); count > 0; count--) {
    const offset = (first + value.readUInt32LE(at)) as Offset;
    const name = names[value.readUInt16LE(at + 5)] as string;
    if (value.readUInt8(at + 4) === originById) {
      origins.push({ offset, provenance: undefined, id: name });
      at += idOriginBytes;
    } else {
      const number = value.readDoubleLE(at + 7);
      const previousOffset = value.readDoubleLE(at + 15) as Offset;
      origins.push({ offset, provenance: { producer: name, number, previousOffset }, id: undefined });
      at += producerOriginBytes;
    }
  }
  return origins;
}
