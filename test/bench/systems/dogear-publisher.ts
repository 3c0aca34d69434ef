/** A publisher that speaks Dogear's protocol over a raw socket, and looks at its answers without parsing them. */
import { jsonSubprotocol } from "@dogear/shared";
import { digitsAt, eachMark, isAt, message } from "../message.ts";
import { RawSocket } from "../raw-socket.ts";
import type { Publisher, PublisherOptions } from "../system.ts";

const publishedMark = Buffer.from('{"is":"published","number":');
/** Follows where it is the answer to several. */
const countMark = Buffer.from(',"count":');
const errorMark = Buffer.from('{"is":"error"');
const pingMark = Buffer.from('{"is":"ping"');

/** As the SDK does, frames stay small enough that the hub starts while the rest is on its way. */
const draftsPerFrame = 256;

export async function publisher(url: string, options: PublisherOptions): Promise<Publisher> {
  const socket = await RawSocket.open(url, jsonSubprotocol);
  const publisher = new DogearPublisher(socket, options);
  await publisher.ready;
  return publisher;
}

class DogearPublisher implements Publisher {
  sent = 0;
  acknowledged = 0;
  fault: string | undefined;
  onAcknowledged: () => void = () => {};
  readonly ready: Promise<void>;
  readonly #socket: RawSocket;
  readonly #options: PublisherOptions;
  #stopped = false;

  constructor(socket: RawSocket, options: PublisherOptions) {
    this.#socket = socket;
    this.#options = options;
    this.ready = new Promise((resolve) => {
      socket.onMessage = () => {
        socket.onMessage = (payload) => this.#answered(payload);
        this.sendMore(options.inFlight);
        resolve();
      };
    });
    socket.onClose = () => {
      this.fault ??= "a publisher's connection was lost";
    };
    socket.send(JSON.stringify({ is: "hello", protocol: 1, producer: { id: options.name, settled: 0 } }));
  }

  stop(): void {
    this.#stopped = true;
  }

  close(): void {
    this.#socket.onClose = () => {};
    this.#socket.close();
  }

  sendMore(count: number): void {
    if (this.#stopped) return;
    const { name, channel, bytes, ids = false } = this.#options;
    let drafts: string[] = [];
    for (let i = 0; i < count; i++) {
      const number = ++this.sent;
      const data = message(number, bytes);
      const id = ids ? `,"id":"${name}-${number}"` : "";
      drafts.push(`{"is":"publish","number":${number},"channel":"${channel(number)}"${id},"data":${data}}`);
      if (drafts.length < draftsPerFrame && i < count - 1) continue;
      this.#socket.send(`[${drafts.join(",")}]`);
      drafts = [];
    }
  }

  #answered(payload: Buffer): void {
    const before = this.acknowledged;
    eachMark(payload, publishedMark, (at) => {
      const number = digitsAt(payload, at);
      const mark = at + `${number}`.length;
      if (number !== this.acknowledged + 1) this.fault ??= `number ${number} was acknowledged out of turn`;
      this.acknowledged += isAt(payload, countMark, mark) ? digitsAt(payload, mark + countMark.length) : 1;
    });
    const answers = this.acknowledged - before;
    if (payload.includes(errorMark)) this.fault ??= `a publish was refused: ${payload.toString("latin1", 0, 300)}`;
    if (payload.includes(pingMark)) this.#socket.send('{"is":"pong"}');
    if (answers === 0) return;
    this.onAcknowledged();
    // One that is paced from outside has no number to keep.
    if (this.#options.inFlight > 0) this.sendMore(answers);
  }
}
