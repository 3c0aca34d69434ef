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
import { textBytesMax, writeTexts } from "../text.ts";

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
  const messages = writeTexts(accepted, time);
  const names = new Names();
  const channelIndexes = messages.channels.map((channel) => names.index(channel));
  const origins = accepted.flatMap(originOf);
  const tables = writeTables(messages, channelIndexes, names, origins);
  const value = Buffer.concat([Buffer.alloc(headerBytes), tables, messages.bytes]);
  const first = messages.offsets[0] as Offset;
  value.writeUInt16LE(formatVersion, 4);
  value.writeUInt16LE(names.list.length, 6);
  value.writeUInt32LE(messages.length, 8);
  value.writeUInt32LE(headerBytes + tables.length, 12);
  value.writeDoubleLE(first, 16);
  value.writeDoubleLE(time, 24);
  value.writeUInt32LE(crc32(value.subarray(4)), 0);
  const last = messages.offsets.at(-1) as Offset;
  return { chunk: { first, last, time, messages, origins, bytes: value.length }, value };
}

/** Reads a chunk, or throws ChunkCorrupt. */
export function decodeChunk(value: Buffer): Chunk {
  if (value.length < headerBytes || crc32(value.subarray(4)) !== value.readUInt32LE(0)) {
    throw new ChunkCorrupt("its checksum does not match");
  }
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

class Names {
  readonly list: string[] = [];
  readonly #indexes = new Map<string, number>();

  index(name: string): number {
    let index = this.#indexes.get(name);
    if (index === undefined) {
      index = this.list.push(name) - 1;
      this.#indexes.set(name, index);
    }
    return index;
  }
}

function originOf({ draft: { id }, offset, provenance }: Accepted): ChunkOrigin[] {
  const origins: ChunkOrigin[] = [];
  if (provenance !== undefined) origins.push({ offset, provenance, id: undefined });
  if (id !== undefined) origins.push({ offset, provenance: undefined, id });
  return origins;
}

function writeTables(
  messages: Messages,
  channelIndexes: readonly number[],
  names: Names,
  origins: readonly ChunkOrigin[],
): Buffer {
  const first = messages.offsets[0] as Offset;
  const originNames = origins.map(({ provenance, id }) => names.index(provenance?.producer ?? (id as string)));
  const nameBytes = names.list.reduce((sum, name) => sum + 2 + Buffer.byteLength(name), 0);
  const table = Buffer.allocUnsafe(6 * messages.length + nameBytes + 4 + 23 * origins.length);
  let at = 0;
  for (const end of messages.ends) at = table.writeUInt32LE(end, at);
  for (const index of channelIndexes) at = table.writeUInt16LE(index, at);
  for (const name of names.list) {
    const length = table.write(name, at + 2);
    at = table.writeUInt16LE(length, at) + length;
  }
  at = table.writeUInt32LE(origins.length, at);
  origins.forEach(({ offset, provenance }, i) => {
    at = table.writeUInt32LE(offset - first, at);
    at = table.writeUInt8(provenance === undefined ? originById : originByProducer, at);
    at = table.writeUInt16LE(originNames[i] as number, at);
    if (provenance === undefined) return;
    at = table.writeDoubleLE(provenance.number, at);
    at = table.writeDoubleLE(provenance.previousOffset, at);
  });
  return table.subarray(0, at);
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
      at += 7;
    } else {
      const number = value.readDoubleLE(at + 7);
      const previousOffset = value.readDoubleLE(at + 15) as Offset;
      origins.push({ offset, provenance: { producer: name, number, previousOffset }, id: undefined });
      at += 23;
    }
  }
  return origins;
}
