/** The lines of a stream of bytes, one at a time. */
import { isUtf8 } from "node:buffer";
import { CommandError } from "./usage.ts";

export interface Line {
  /** The first is 1. */
  readonly number: number;
  readonly text: string;
}

/**
 * Only a line feed ends a line: `node:readline` would also split at U+2028, which JSON allows within a string. What is
 * not UTF-8 is an error, and not replaced; and so is a line without an end.
 */
export async function* lines(input: AsyncIterable<Buffer>, bytesMax: number): AsyncGenerator<Line, void, undefined> {
  let number = 0;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of input) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(lineFeed); end >= 0; end = bytes.indexOf(lineFeed, start)) {
      yield line(++number, bytes.subarray(start, end));
      start = end + 1;
    }
    rest = bytes.subarray(start);
    if (rest.length > bytesMax) throw new CommandError("data", `Line ${number + 1} is longer than ${bytesMax} bytes.`);
  }
  if (rest.length > 0) yield line(++number, rest);
}

const lineFeed = 0x0a;

function line(number: number, bytes: Buffer): Line {
  if (!isUtf8(bytes)) throw new CommandError("data", `Line ${number} is not UTF-8 text.`);
  return { number, text: bytes.toString("utf8") };
}
