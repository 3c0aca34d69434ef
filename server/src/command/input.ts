/** Standard input, line by line or as a whole, never holding more than the hub would take. */
import { isUtf8 } from "node:buffer";
import { CommandError } from "./usage.ts";

export interface Line {
  /** The first is 1. */
  readonly number: number;
  readonly text: string;
}

/**
 * Only a line feed ends a line: `node:readline` would also split at U+2028, which JSON allows within a string. What is
 * not UTF-8 is refused, since decoding would replace it.
 */
export async function* lines(
  input: AsyncIterable<Buffer>,
  lineBytesMax: number,
): AsyncGenerator<Line, void, undefined> {
  let number = 0;
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const chunk of read(input)) {
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
      const tail = chunk.subarray(start, end);
      yield decode(++number, rest.length === 0 ? tail : Buffer.concat([...rest, tail]));
      rest = [];
      restBytes = 0;
      start = end + 1;
    }
    const tail = chunk.subarray(start);
    if (tail.length > 0) rest.push(tail);
    restBytes += tail.length;
    if (restBytes > lineBytesMax)
      throw new CommandError("data", `Line ${number + 1} is longer than ${lineBytesMax} bytes.`);
  }
  if (rest.length > 0) yield decode(++number, Buffer.concat(rest));
}

/** All of it. */
export async function whole(input: AsyncIterable<Buffer>, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of read(input)) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > bytesMax) {
      throw new CommandError("data", `The input is larger than ${bytesMax} bytes, the most this hub takes.`);
    }
  }
  return Buffer.concat(chunks);
}

async function* read(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* input;
  } catch (cause) {
    const { name, message } = cause as Error;
    if (name === "AbortError") throw cause;
    throw new CommandError("data", `The input cannot be read: ${message}.`, { cause });
  }
}

const lineFeed = 0x0a;

function decode(number: number, bytes: Buffer): Line {
  if (!isUtf8(bytes)) throw new CommandError("data", `Line ${number} is not UTF-8 text.`);
  return { number, text: bytes.toString("utf8") };
}
