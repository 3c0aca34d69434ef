/** Publishers and subscribers that speak Dogear's protocol over raw sockets, and count what they see. */
import type { ErrorEnvelope, HubEnvelope, Limits } from "@dogear/shared";
import { jsonSubprotocol } from "@dogear/shared";
import { RawSocket } from "./raw-socket.ts";

/** Keeps a number of drafts unanswered and counts the answers. */
export class Publisher {
  acknowledged = 0;
  onAcknowledged: () => void = () => {};
  readonly #socket: RawSocket;
  readonly #inFlight: number;
  readonly #draft: (number: number) => string;
  #number = 0;
  #stopped = false;

  private constructor(socket: RawSocket, inFlight: number, draft: (number: number) => string) {
    this.#socket = socket;
    this.#inFlight = inFlight;
    this.#draft = draft;
  }

  static async start(
    url: string,
    name: string,
    inFlight: number,
    draft: (number: number) => string,
  ): Promise<Publisher> {
    const socket = await RawSocket.open(url, jsonSubprotocol);
    const publisher = new Publisher(socket, inFlight, draft);
    socket.onMessage = (payload) => publisher.#answered(payload);
    socket.send(JSON.stringify({ is: "hello", protocol: 1, producer: { id: name, settled: 0 } }));
    return publisher;
  }

  get sent(): number {
    return this.#number;
  }

  stop(): void {
    this.#stopped = true;
  }

  close(): void {
    this.#socket.close();
  }

  #answered(payload: Buffer): void {
    let answers = 0;
    const parsed = JSON.parse(payload.toString("latin1")) as HubEnvelope | HubEnvelope[];
    for (const envelope of Array.isArray(parsed) ? parsed : [parsed]) {
      if (envelope.is === "published") answers++;
      if (envelope.is === "welcome") this.#send(this.#inFlight);
      if (envelope.is === "error") throw new Error(`A publish was refused: ${(envelope as ErrorEnvelope).message}`);
    }
    this.acknowledged += answers;
    if (answers > 0) this.onAcknowledged();
    // One that is paced by hand has no number to keep.
    if (answers > 0 && this.#inFlight > 0) this.#send(answers);
  }

  /** Sends more than it keeps unanswered. */
  sendMore(count: number): void {
    this.#send(count);
  }

  #send(count: number): void {
    if (this.#stopped) return;
    const drafts: string[] = [];
    for (let i = 0; i < count; i++) {
      this.#number++;
      drafts.push(`{"is":"publish","number":${this.#number},${this.#draft(this.#number)}}`);
      // As the SDK does, frames stay small enough that the hub starts while the rest is on its way.
      if (drafts.length === 256) this.#socket.send(`[${drafts.splice(0).join(",")}]`);
    }
    if (drafts.length > 0) this.#socket.send(`[${drafts.join(",")}]`);
  }
}

/** How many messages a stretch of the log holds, parsed once for all connections that are sent it. */
const counts = new Map<string, number>();

const messageStart = Buffer.from('{"offset":');

/** How many messages a frame holds, found by how each begins: parsing them all would measure this process instead. */
function messagesIn(payload: Buffer): number {
  let count = 0;
  for (let at = payload.indexOf(messageStart); at >= 0; at = payload.indexOf(messageStart, at + 1)) count++;
  return count;
}

/** Subscribes to one pattern, acknowledges as the SDK does, and notices what is missing or repeated. */
export class Subscriber {
  received = 0;
  through = 0;
  caughtUp = false;
  behind = 0;
  onSubscribed: () => void = () => {};
  onProgress: () => void = () => {};
  readonly #socket: RawSocket;
  readonly #halfWindow: number;
  #unacknowledged = 0;

  private constructor(socket: RawSocket, halfWindow: number) {
    this.#socket = socket;
    this.#halfWindow = halfWindow;
  }

  static async start(
    url: string,
    options: {
      pattern: string;
      from: unknown;
      window: Pick<Limits, "windowBytesMax" | "windowMessagesMax">;
      localAddress?: string;
      /** Names a durable cursor's subscriber. */
      subscriber?: string;
      /** Messages after which it acknowledges; half the window by default. */
      halfWindow?: number;
    },
  ): Promise<Subscriber> {
    const { pattern, from, window, localAddress, subscriber: name } = options;
    const socket = await RawSocket.open(url, jsonSubprotocol, localAddress);
    const subscriber = new Subscriber(socket, options.halfWindow ?? window.windowMessagesMax / 2);
    const ready = new Promise<void>((resolve) => {
      subscriber.onSubscribed = resolve;
    });
    socket.onMessage = (payload) => subscriber.#message(payload);
    const size = { messages: window.windowMessagesMax, bytes: window.windowBytesMax };
    socket.send(
      JSON.stringify([
        { is: "hello", protocol: 1, subscriber: name },
        { is: "subscribe", subscription: 1, pattern, from, window: size, cursor: name !== undefined },
      ]),
    );
    await ready;
    return subscriber;
  }

  close(): void {
    this.#socket.close();
  }

  #message(payload: Buffer): void {
    const head = payload.toString("latin1", 0, Math.min(payload.length, 160));
    if (!head.startsWith('{"is":"messages"')) return this.#control(payload);
    const [, after, through] = /"after":(\d+),"through":(\d+)/.exec(head) as RegExpExecArray;
    if (Number(after) !== this.through) {
      throw new Error(`A subscriber at ${this.through} was sent what follows ${after}.`);
    }
    const key = `${after}-${through}`;
    let count = counts.get(key);
    if (count === undefined) {
      count = messagesIn(payload);
      if (counts.size > 1_000) counts.clear();
      counts.set(key, count);
    }
    this.through = Number(through);
    this.received += count;
    this.#unacknowledged += count;
    if (this.#unacknowledged >= this.#halfWindow) {
      this.#unacknowledged = 0;
      this.#socket.send(`{"is":"ack","subscription":1,"offset":${this.through}}`);
    }
    this.onProgress();
  }

  #control(payload: Buffer): void {
    const parsed = JSON.parse(payload.toString()) as HubEnvelope | HubEnvelope[];
    for (const envelope of Array.isArray(parsed) ? parsed : [parsed]) {
      if (envelope.is === "subscribed") {
        this.through = envelope.position;
        this.onSubscribed();
      } else if (envelope.is === "caught-up") this.caughtUp = true;
      else if (envelope.is === "behind") this.behind++;
      else if (envelope.is === "ping") this.#socket.send('{"is":"pong"}');
      else if (envelope.is === "gap") throw new Error("There was a gap.");
    }
    this.onProgress();
  }
}
