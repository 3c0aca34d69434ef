/** A member of a group of Dogear's, over a raw socket. */
import { type HubEnvelope, jsonSubprotocol } from "@dogear/shared";
import { digitsAt, eachMark, eachNumber } from "../message.ts";
import { RawSocket } from "../raw-socket.ts";
import type { Worker, WorkerOptions } from "../system.ts";

const fenceMark = Buffer.from('"fence":');
const dataMark = Buffer.from('"data":"');

export async function worker(url: string, options: WorkerOptions): Promise<Worker> {
  return new DogearWorker(await RawSocket.open(url, jsonSubprotocol), options);
}

class DogearWorker implements Worker {
  settled = 0;
  fault: string | undefined;
  onTaken: () => void = () => {};
  readonly #socket: RawSocket;
  readonly #options: WorkerOptions;

  constructor(socket: RawSocket, options: WorkerOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.onMessage = (payload) => this.#message(payload);
    socket.onClose = () => {
      this.fault ??= "a worker's connection was lost";
    };
    const { name, group, channel, window } = options;
    const work = { is: "work", member: 1, id: name, group, pattern: channel, window };
    socket.send(JSON.stringify([{ is: "hello", protocol: 1 }, work]));
  }

  close(): void {
    this.#socket.onClose = () => {};
    this.#socket.close();
  }

  #message(payload: Buffer): void {
    if (!payload.toString("latin1", 0, 16).startsWith('{"is":"leased"')) return this.#control(payload);
    const fences: number[] = [];
    eachMark(payload, fenceMark, (at) => fences.push(digitsAt(payload, at)));
    eachNumber(payload, dataMark, (number) => this.#options.once.take(number));
    this.#socket.send(`{"is":"settle","member":1,"outcome":"ack","fences":[${fences.join(",")}]}`);
    this.onTaken();
  }

  #control(payload: Buffer): void {
    const parsed = JSON.parse(payload.toString()) as HubEnvelope | HubEnvelope[];
    for (const envelope of Array.isArray(parsed) ? parsed : [parsed]) {
      if (envelope.is === "settled") this.settled += envelope.fences.length;
      else if (envelope.is === "ping") this.#socket.send('{"is":"pong"}');
      else if (envelope.is === "error" || envelope.is === "left") this.fault ??= JSON.stringify(envelope);
    }
  }
}
