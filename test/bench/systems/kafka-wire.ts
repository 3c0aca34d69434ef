/** As much of Kafka's protocol as the benchmark needs: requests without tagged fields, and batches of records. */
import { connect, type Socket } from "node:net";
import { message, numberAt } from "../message.ts";
import { Remainder } from "./peer.ts";

export const apis = {
  produce: { key: 0, version: 3 },
  fetch: { key: 1, version: 4 },
  listOffsets: { key: 2, version: 1 },
  createTopics: { key: 19, version: 2 },
} as const;

type Api = (typeof apis)[keyof typeof apis];

/** Fields one after the other. */
export class Fields {
  readonly #parts: Buffer[] = [];

  int8(value: number): this {
    this.#parts.push(Buffer.from([value]));
    return this;
  }

  int16(value: number): this {
    const part = Buffer.alloc(2);
    part.writeInt16BE(value);
    return this.raw(part);
  }

  int32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeInt32BE(value);
    return this.raw(part);
  }

  int64(value: number): this {
    const part = Buffer.alloc(8);
    part.writeBigInt64BE(BigInt(value));
    return this.raw(part);
  }

  text(value: string): this {
    const bytes = Buffer.from(value);
    return this.int16(bytes.length).raw(bytes);
  }

  bytes(value: Buffer): this {
    return this.int32(value.length).raw(value);
  }

  raw(value: Buffer): this {
    this.#parts.push(value);
    return this;
  }

  whole(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** A connection, on which answers come in the order of requests. */
export class KafkaSocket {
  onFault: (why: string) => void = () => {};
  readonly #socket: Socket;
  readonly #rest = new Remainder();
  readonly #waiting: ((answer: Buffer) => void)[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {});
    socket.on("close", () => this.onFault("the connection was lost"));
    socket.on("data", (data) => this.#read(data));
  }

  static open(port: number, localAddress?: string): Promise<KafkaSocket> {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true, ...(localAddress && { localAddress }) });
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.once("connect", () => resolve(new KafkaSocket(socket)));
    });
  }

  /** Takes the answer after its header; it is valid until that returns. */
  send({ key, version }: Api, body: Fields, onAnswer: (answer: Buffer) => void): void {
    const head = new Fields().int16(key).int16(version).int32(0).text("bench");
    const request = new Fields().bytes(head.raw(body.whole()).whole());
    this.#waiting.push(onAnswer);
    this.#socket.write(request.whole());
  }

  ask(api: Api, body: Fields): Promise<Buffer> {
    return new Promise((resolve) => this.send(api, body, (answer) => resolve(Buffer.from(answer))));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.onFault = () => {};
    this.#socket.resetAndDestroy();
  }

  #read(data: Buffer): void {
    const bytes = this.#rest.with(data);
    if (bytes === undefined) return;
    let [at, wanted] = [0, 0];
    while (at + 4 <= bytes.length) {
      const end = at + 4 + bytes.readInt32BE(at);
      if (end > bytes.length) {
        wanted = end - at;
        break;
      }
      const correlation = 4;
      this.#waiting.shift()?.(bytes.subarray(at + 4 + correlation, end));
      at = end;
    }
    this.#rest.keep(bytes, at, wanted);
  }
}

const crcTable = new Int32Array(256).map((_, index) => {
  const castagnoli = 0x82f63b78;
  let crc = index;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ castagnoli : crc >>> 1;
  return crc;
});

function crc32c(bytes: Buffer, from: number): number {
  let crc = -1;
  for (let at = from; at < bytes.length; at++)
    crc = (crcTable[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc;
}

/** A zigzag number of up to four bytes. */
function varint(value: number): Buffer {
  let left = value < 0 ? -2 * value - 1 : 2 * value;
  const bytes: number[] = [];
  for (; left > 0x7f; left >>>= 7) bytes.push((left & 0x7f) | 0x80);
  bytes.push(left);
  return Buffer.from(bytes);
}

const none = varint(-1);
const zero = Buffer.from([0]);

/** A batch with the messages of these numbers. */
export function batchOf(numbers: readonly number[], size: number): Buffer {
  const records = numbers.flatMap((number, delta) => {
    const value = Buffer.from(message(number, size));
    // Attributes, the time since the batch's, its offset in the batch, no key, the value, no headers.
    const record = [zero, zero, varint(delta), none, varint(value.length), value, zero];
    return [varint(record.reduce((sum, { length }) => sum + length, 0)), ...record];
  });
  const now = Date.now();
  const checked = new Fields()
    .int16(0)
    .int32(numbers.length - 1)
    .int64(now)
    .int64(now);
  checked.int64(-1).int16(-1).int32(-1).int32(numbers.length);
  for (const part of records) checked.raw(part);
  const body = checked.whole();
  const [epoch, magic] = [-1, 2];
  const rest = new Fields().int32(epoch).int8(magic).int32(crc32c(body, 0)).raw(body).whole();
  return new Fields().int64(0).bytes(rest).whole();
}

/** Calls for each message from an offset on; returns the offset to read next. */
export function eachRecord(bytes: Buffer, from: number, take: (number: number) => void): number {
  let next = from;
  let at = 0;
  const [headBytes, countAt] = [61, 57];
  while (at + headBytes <= bytes.length) {
    const first = Number(bytes.readBigInt64BE(at));
    const end = at + 12 + bytes.readInt32BE(at + 8);
    // The last batch may be cut off.
    if (end > bytes.length) break;
    let record = at + headBytes;
    const count = bytes.readInt32BE(at + countAt);
    for (let i = 0; i < count; i++) {
      const begin = after(bytes, record);
      const length = zigzag(bytes, record);
      // Attributes; then a time, an offset, no key and a length.
      const value = after(bytes, after(bytes, after(bytes, after(bytes, begin + 1))));
      if (first + i >= from) take(numberAt(bytes, value + 1));
      record = begin + length;
    }
    next = Math.max(next, first + count);
    at = end;
  }
  return next;
}

/** Where the number that begins here has ended. */
function after(bytes: Buffer, from: number): number {
  let at = from;
  while ((bytes[at] as number) > 0x7f) at++;
  return at + 1;
}

function zigzag(bytes: Buffer, from: number): number {
  let [value, shift, at] = [0, 0, from];
  for (; (bytes[at] as number) > 0x7f; at++, shift += 7) value |= ((bytes[at] as number) & 0x7f) << shift;
  value |= (bytes[at] as number) << shift;
  return value >>> 1;
}
