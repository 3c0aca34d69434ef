/**
 * A run of messages in wire form, packed into one buffer.
 *
 *     bytes     {"offset":7,…},{"offset":9,…},{"offset":12,…}
 *     ends                    ^              ^               ^
 *
 * Messages stay text from the moment they are appended until a client parses them: a run is sent by copying it.
 */
import type { Channel, Offset } from "@dogear/shared";

export class Messages {
  static readonly none: Messages = new Messages(Buffer.alloc(0), [], [], []);

  /** Texts joined by commas. Never changed once made: sockets and readers share it. */
  readonly bytes: Buffer;
  /** Where each text ends. */
  readonly ends: readonly number[];
  readonly offsets: readonly Offset[];
  readonly channels: readonly Channel[];

  constructor(bytes: Buffer, ends: readonly number[], offsets: readonly Offset[], channels: readonly Channel[]) {
    this.bytes = bytes;
    this.ends = ends;
    this.offsets = offsets;
    this.channels = channels;
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
}

interface Piece {
  readonly messages: Messages;
  readonly from: number;
  to: number;
}

/** Puts a run together from pieces of others. One piece alone is not copied, and a whole run stays the run it is. */
export class MessagesBuilder {
  readonly #pieces: Piece[] = [];
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
    const last = this.#pieces.at(-1);
    if (last?.messages === messages && last.to === from) last.to = to;
    else this.#pieces.push({ messages, from, to });
    const comma = this.#length === 0 ? 0 : 1;
    this.#length += to - from;
    this.#bytes += comma + (messages.ends[to - 1] as number) - messages.start(from);
  }

  build(): Messages {
    const [first, second] = this.#pieces;
    if (first === undefined) return Messages.none;
    return second === undefined ? first.messages.slice(first.from, first.to) : this.#joined();
  }

  #joined(): Messages {
    const bytes = Buffer.allocUnsafe(this.#bytes);
    const ends = new Array<number>(this.#length);
    const offsets = new Array<Offset>(this.#length);
    const channels = new Array<Channel>(this.#length);
    let at = 0;
    let n = 0;
    for (const { messages, from, to } of this.#pieces) {
      if (n > 0) bytes[at++] = comma;
      const start = messages.start(from);
      for (let i = from; i < to; i++, n++) {
        ends[n] = at + (messages.ends[i] as number) - start;
        offsets[n] = messages.offsets[i] as Offset;
        channels[n] = messages.channels[i] as Channel;
      }
      at += messages.bytes.copy(bytes, at, start, messages.ends[to - 1]);
    }
    return new Messages(bytes, ends, offsets, channels);
  }
}

const comma = 0x2c;
