/** A member of a group that settles each message at once, and notices what it is given twice. */
import { type HubEnvelope, jsonSubprotocol } from "@dogear/shared";
import { RawSocket } from "./raw-socket.ts";

export interface WorkerOptions {
  readonly group: string;
  readonly pattern: string;
  readonly window: number;
}

/** What all members of a group were given, by offset. */
export type Seen = Set<number>;

const fenceField = Buffer.from('"fence":');
const offsetField = Buffer.from('{"offset":');

export class Worker {
  settled = 0;
  onLeased: () => void = () => {};
  readonly #socket: RawSocket;
  readonly #seen: Seen;

  private constructor(socket: RawSocket, seen: Seen) {
    this.#socket = socket;
    this.#seen = seen;
  }

  static async start(url: string, id: string, options: WorkerOptions, seen: Seen): Promise<Worker> {
    const socket = await RawSocket.open(url, jsonSubprotocol);
    const worker = new Worker(socket, seen);
    socket.onMessage = (payload) => worker.#message(payload);
    socket.send(
      JSON.stringify([
        { is: "hello", protocol: 1 },
        { is: "work", member: 1, id, ...options },
      ]),
    );
    return worker;
  }

  close(): void {
    this.#socket.close();
  }

  #message(payload: Buffer): void {
    if (!payload.toString("latin1", 0, 16).startsWith('{"is":"leased"')) return this.#control(payload);
    const messages = payload.indexOf('"messages":[');
    const fences = numbersAfter(payload.subarray(0, messages), fenceField);
    // Payloads of the benchmark hold no such text, so that nothing has to be parsed.
    for (const offset of numbersAfter(payload.subarray(messages), offsetField)) {
      if (this.#seen.has(offset)) throw new Error(`Message ${offset} was leased twice.`);
      this.#seen.add(offset);
    }
    this.#socket.send(`{"is":"settle","member":1,"outcome":"ack","fences":[${fences.join(",")}]}`);
    this.onLeased();
  }

  #control(payload: Buffer): void {
    const parsed = JSON.parse(payload.toString()) as HubEnvelope | HubEnvelope[];
    for (const envelope of Array.isArray(parsed) ? parsed : [parsed]) {
      if (envelope.is === "settled") this.settled += envelope.fences.length;
      else if (envelope.is === "ping") this.#socket.send('{"is":"pong"}');
      else if (envelope.is === "error" || envelope.is === "left") throw new Error(JSON.stringify(envelope));
    }
  }
}

/** The numbers that follow each occurrence of a field. */
function numbersAfter(bytes: Buffer, field: Buffer): number[] {
  const numbers: number[] = [];
  for (let at = bytes.indexOf(field); at >= 0; at = bytes.indexOf(field, at + 1)) {
    let number = 0;
    for (let i = at + field.length; isDigit(bytes[i]); i++) number = number * 10 + (bytes[i] as number) - zero;
    numbers.push(number);
  }
  return numbers;
}

const zero = 0x30;

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zero && byte <= zero + 9;
}
