/** Where the chunks of a segment are in its file: a row for each, in their order. */
import type { Offset } from "@dogear/shared";
import { checked, withChecksum } from "./checksum.ts";

export interface Place {
  /** The first offset of the chunk. */
  readonly first: Offset;
  /** Where in the file its frame begins. */
  readonly start: number;
  /** How long the chunk itself is. */
  readonly length: number;
}

/** First offset, as the distance from the segment's, then start and length: u32 each. */
const columns = 3;
const rowBytes = 4 * columns;
const name = "places";

export class Places {
  readonly #base: Offset;
  #rows: Uint32Array;
  #count: number;

  private constructor(base: Offset, rows: Uint32Array, count: number) {
    this.#base = base;
    this.#rows = rows;
    this.#count = count;
  }

  /** None yet; `base` is the first offset of the segment. */
  static none(base: Offset): Places {
    return new Places(base, new Uint32Array(0), 0);
  }

  /** Reads what `encode` has written; nothing where it is damaged. */
  static decode(base: Offset, value: Buffer): Places | undefined {
    const bytes = checked(name, value);
    if (bytes === undefined) return undefined;
    const rows = new Uint32Array(bytes.length / 4);
    for (let i = 0; i < rows.length; i++) rows[i] = bytes.readUInt32LE(4 * i);
    return new Places(base, rows, rows.length / columns);
  }

  get count(): number {
    return this.#count;
  }

  get last(): Place | undefined {
    return this.at(this.#count - 1);
  }

  at(index: number): Place | undefined {
    if (index < 0 || index >= this.#count) return undefined;
    const column = (number: number) => this.#rows[index * columns + number] as number;
    return { first: (this.#base + column(0)) as Offset, start: column(1), length: column(2) };
  }

  /** The index of the last chunk that begins at an offset or before it; -1 where none does. */
  indexAtOrBefore(offset: Offset): number {
    const distance = offset - this.#base;
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#rows[middle * columns] as number) <= distance) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  add({ first, start, length }: Place): void {
    const at = this.#count * columns;
    if (at === this.#rows.length) {
      const longer = new Uint32Array(2 * at + columns);
      longer.set(this.#rows);
      this.#rows = longer;
    }
    this.#rows[at] = first - this.#base;
    this.#rows[at + 1] = start;
    this.#rows[at + 2] = length;
    this.#count++;
  }

  /** Keeps the first so many. */
  shorten(count: number): void {
    this.#count = Math.min(this.#count, count);
  }

  encode(): Buffer {
    const bytes = Buffer.allocUnsafe(this.#count * rowBytes);
    for (let i = 0; i < this.#count * columns; i++) bytes.writeUInt32LE(this.#rows[i] as number, 4 * i);
    return withChecksum(name, bytes);
  }
}
