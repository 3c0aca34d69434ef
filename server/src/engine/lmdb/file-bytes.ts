/** Reading and writing stretches of an open file, all of a stretch or nothing. */
import * as fs from "node:fs";
import { promisify } from "node:util";

const writev = promisify(fs.writev);

/** Whoever goes through a file step by step may pass over so many bytes with each. */
const stepBytes = 32;
export const readAheadBytes: number = 64 * 1_024;

/** Reads a file ahead for whoever goes through it step by step; of whoever does not it reads what is asked for. */
export class ReadAhead {
  readonly #file: number;
  #start = 0;
  #bytes = Buffer.alloc(0);

  constructor(file: number) {
    this.#file = file;
  }

  /**
   * So many bytes from a place on, which are good until this is called again; nothing where the file ends before them. It
   * reads no further than `end`, before which the file must not change.
   */
  read(start: number, length: number, end: number): Buffer | undefined {
    const known = this.#start + this.#bytes.length;
    if (start < this.#start || start + length > known) {
      const isNextStep = start >= this.#start && start <= known + stepBytes;
      const wanted = Math.min(isNextStep ? Math.max(length, readAheadBytes) : length, end - start);
      const bytes = Buffer.allocUnsafeSlow(Math.max(0, wanted));
      this.#start = start;
      this.#bytes = bytes.subarray(0, readSome(this.#file, bytes, start));
    }
    const from = start - this.#start;
    const bytes = this.#bytes.subarray(from, from + length);
    return bytes.length === length ? bytes : undefined;
  }

  /** The file has changed. */
  forget(): void {
    this.#bytes = Buffer.alloc(0);
  }
}

/** So many bytes from a place on, in memory of their own; nothing where the file ends before them. */
export function readWhole(file: number, start: number, length: number): Buffer | undefined {
  const bytes = Buffer.allocUnsafeSlow(length);
  return readSome(file, bytes, start) === length ? bytes : undefined;
}

/** Writes buffers one after another. The system may write less at once than it was given. */
export async function writeWhole(file: number, buffers: readonly Buffer[], start: number): Promise<void> {
  let left = buffers;
  let at = start;
  while (left.length > 0) {
    const { bytesWritten } = await writev(file, left, at);
    at += bytesWritten;
    left = without(left, bytesWritten);
  }
}

/** Fills a buffer from a place on, as far as there is something; returns how far. */
function readSome(file: number, bytes: Buffer, start: number): number {
  let read = 0;
  while (read < bytes.length) {
    const more = fs.readSync(file, bytes, read, bytes.length - read, start + read);
    if (more === 0) break;
    read += more;
  }
  return read;
}

/** What is left of buffers of which so many bytes are written. */
function without(buffers: readonly Buffer[], written: number): readonly Buffer[] {
  let gone = 0;
  let left = written;
  for (const { length } of buffers) {
    if (length > left) break;
    left -= length;
    gone++;
  }
  const [first, ...rest] = buffers.slice(gone);
  return first === undefined ? [] : [first.subarray(left), ...rest];
}
