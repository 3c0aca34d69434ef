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
    return new Messages(
      this.bytes.subarray(start, this.ends[to - 1]),
      this.ends.slice(from, to).map((end) => end - start),
      this.offsets.slice(from, to),
      this.channels.slice(from, to),
    );
  }
}

/** Puts a run together from pieces of others, copying each stretch once. */
export class MessagesBuilder {
  readonly #pieces: Buffer[] = [];
  readonly #ends: number[] = [];
  readonly #offsets: Offset[] = [];
  readonly #channels: Channel[] = [];
  #bytes = 0;

  get length(): number {
    return this.#ends.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds messages `from` up to, not including, `to`. */
  add(messages: Messages, from = 0, to: number = messages.length): void {
    if (from >= to) return;
    const start = messages.start(from);
    const base = this.#bytes === 0 ? 0 : this.#bytes + 1;
    for (let i = from; i < to; i++) {
      this.#ends.push(base + (messages.ends[i] as number) - start);
      this.#offsets.push(messages.offsets[i] as Offset);
      this.#channels.push(messages.channels[i] as Channel);
    }
    const piece = messages.bytes.subarray(start, messages.ends[to - 1]);
    this.#pieces.push(piece);
    this.#bytes = base + piece.length;
  }

  build(): Messages {
    if (this.#pieces.length === 0) return Messages.none;
    const only = this.#pieces.length === 1 ? this.#pieces[0] : undefined;
    const bytes = only ?? joined(this.#pieces, this.#bytes);
    return new Messages(bytes, this.#ends, this.#offsets, this.#channels);
  }
}

const comma = 0x2c;

function joined(pieces: readonly Buffer[], length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  for (const piece of pieces) {
    if (at > 0) bytes[at++] = comma;
    at += piece.copy(bytes, at);
  }
  return bytes;
}
