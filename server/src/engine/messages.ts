/**
 * A run of messages in wire form, packed into one buffer.
 *
 *     bytes     {"offset":7,…},{"offset":9,…},{"offset":12,…}
 *     ends                    ^              ^               ^
 *
 * Messages stay text from the moment they are appended until a client parses them: a run is sent by copying it.
 */
import type { Channel, Offset } from "@dogear/shared";

/** Messages `from` up to, not including, `to` of a run. */
export interface Part {
  readonly messages: Messages;
  readonly from: number;
  readonly to: number;
}

export class Messages {
  static readonly none: Messages = new Messages(Buffer.alloc(0), [], [], []);

  /** Where each text ends. */
  readonly ends: readonly number[];
  readonly offsets: readonly Offset[];
  readonly channels: readonly Channel[];
  /** Either the texts, or what they are to be put together from. */
  #bytes: Buffer | undefined;
  #parts: readonly Part[] | undefined;

  constructor(
    texts: Buffer | readonly Part[],
    ends: readonly number[],
    offsets: readonly Offset[],
    channels: readonly Channel[],
  ) {
    this.#bytes = Buffer.isBuffer(texts) ? texts : undefined;
    this.#parts = Buffer.isBuffer(texts) ? undefined : texts;
    this.ends = ends;
    this.offsets = offsets;
    this.channels = channels;
  }

  /** Texts joined by commas. Never changed once made: sockets and readers share it. Made of parts when it is first asked for. */
  get bytes(): Buffer {
    this.#bytes ??= this.#joined();
    return this.#bytes;
  }

  /** How long `bytes` is. */
  get byteLength(): number {
    return this.ends.at(-1) ?? 0;
  }

  /** The runs that it was put together from, or itself. */
  get parts(): readonly Part[] {
    return this.#parts ?? [{ messages: this, from: 0, to: this.length }];
  }

  /** What `bytes` is, in pieces, which are not copied. */
  get pieces(): readonly (Buffer | ",")[] {
    if (this.#bytes !== undefined) return [this.#bytes];
    return this.parts.flatMap((part, i) => (i === 0 ? [bytesOf(part)] : [",", bytesOf(part)]));
  }

  get length(): number {
    return this.ends.length;
  }

  /** Where message `i` starts. */
  start(i: number): number {
    return i === 0 ? 0 : (this.ends[i - 1] as number) + 1;
  }

  /** The index of the first message after an offset. */
  indexAfter(offset: Offset): number {
    let low = 0;
    let high = this.offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.offsets[middle] as number) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * The same messages, for whoever keeps them: copied where their bytes are a small part of what they were cut from. (Node
   * cuts small buffers from shared ones, and one that is kept keeps all of what it was cut from.)
   */
  inMemoryOfTheirOwn(): Messages {
    if (this.bytes.buffer.byteLength <= 2 * this.bytes.length) return this;
    const own = Buffer.allocUnsafeSlow(this.bytes.length);
    this.bytes.copy(own);
    return new Messages(own, this.ends, this.offsets, this.channels);
  }

  /** Messages `from` up to, not including, `to`, without copying them. */
  slice(from: number, to: number = this.length): Messages {
    if (from >= to) return Messages.none;
    if (from === 0 && to === this.length) return this;
    const start = this.start(from);
    const ends = this.ends.slice(from, to);
    for (let i = 0; i < ends.length; i++) ends[i] = (ends[i] as number) - start;
    const bytes = this.bytes.subarray(start, this.ends[to - 1]);
    return new Messages(bytes, ends, this.offsets.slice(from, to), this.channels.slice(from, to));
  }

  #joined(): Buffer {
    const bytes = Buffer.allocUnsafe(this.byteLength);
    let at = 0;
    for (const part of this.parts) {
      if (at > 0) bytes[at++] = comma;
      at += bytesOf(part).copy(bytes, at);
    }
    // What it was made of may be larger.
    this.#parts = undefined;
    return bytes;
  }
}

function bytesOf({ messages, from, to }: Part): Buffer {
  return messages.bytes.subarray(messages.start(from), messages.ends[to - 1]);
}

/** Puts a run together from parts of others, none of which is copied. A whole run stays the run it is. */
export class MessagesBuilder {
  readonly #parts: (Part & { to: number })[] = [];
  #length = 0;
  #bytes = 0;

  get length(): number {
    return this.#length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds messages `from` up to, not including, `to`. */
  add(messages: Messages, from = 0, to: number = messages.length): void {
    if (from >= to) return;
    const last = this.#parts.at(-1);
    if (last?.messages === messages && last.to === from) last.to = to;
    else this.#parts.push({ messages, from, to });
    const comma = this.#length === 0 ? 0 : 1;
    this.#length += to - from;
    this.#bytes += comma + (messages.ends[to - 1] as number) - messages.start(from);
  }

  build(): Messages {
    const [first, second] = this.#parts;
    if (first === undefined) return Messages.none;
    return second === undefined ? first.messages.slice(first.from, first.to) : this.#together();
  }

  #together(): Messages {
    const ends = new Array<number>(this.#length);
    const offsets = new Array<Offset>(this.#length);
    const channels = new Array<Channel>(this.#length);
    let start = 0;
    let n = 0;
    for (const { messages, from, to } of this.#parts) {
      const shift = start - messages.start(from);
      for (let i = from; i < to; i++, n++) {
        ends[n] = (messages.ends[i] as number) + shift;
        offsets[n] = messages.offsets[i] as Offset;
        channels[n] = messages.channels[i] as Channel;
      }
      start = (ends[n - 1] as number) + 1;
    }
    return new Messages(this.#parts, ends, offsets, channels);
  }
}

const comma = 0x2c;
