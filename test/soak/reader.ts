/**
 * One of the many connections of a soak: it subscribes over a raw socket, acknowledges as the SDK does, and holds what it is
 * given to what it was given before. Each channel's messages are numbered by who publishes them, so that a message
 * that is missing, repeated or out of order is seen at once, and nothing has to be remembered but the last number (G5, G11).
 */
import { type HubEnvelope, jsonSubprotocol, type Messages, type WireMessage } from "@dogear/shared";
import { RawSocket } from "../bench/raw-socket.ts";

export interface ReaderOptions {
  readonly url: string;
  readonly pattern: string;
  /** Names a durable cursor's subscriber. */
  readonly subscriber?: string | undefined;
  readonly heartbeatMs?: number;
  readonly window: { readonly messages: number; readonly bytes: number };
  /** How long it takes to acknowledge half a window; by default no time. */
  readonly slowMs?: number;
  /** What a reader of the same subscriber was given before: it must go on there. */
  readonly seen?: ReadonlyMap<string, number>;
}

/** What all readers saw, together. */
export class Tally {
  messages = 0;
  gaps = 0;
  /** Promises that were broken. */
  readonly violations: string[] = [];
}

interface Numbered {
  readonly n: number;
}

export class Reader {
  /** Resolves when it is subscribed. */
  readonly subscribed: Promise<void>;
  onClose: () => void = () => {};
  readonly #options: ReaderOptions;
  readonly #socket: RawSocket;
  readonly #tally: Tally;
  /** Of each channel, the number of the last message. */
  readonly #seen = new Map<string, number>();
  /** What the reader before it had come to; what that had not acknowledged may come again. */
  readonly #resumed: Map<string, number>;
  #through = 0;
  #unacknowledged = 0;
  #onSubscribed: () => void = () => {};

  static async open(options: ReaderOptions, tally: Tally): Promise<Reader> {
    return new Reader(await RawSocket.open(options.url, jsonSubprotocol), options, tally);
  }

  private constructor(socket: RawSocket, options: ReaderOptions, tally: Tally) {
    this.#socket = socket;
    this.#options = options;
    this.#tally = tally;
    this.#resumed = new Map(options.seen);
    this.subscribed = new Promise((resolve) => {
      this.#onSubscribed = resolve;
    });
    socket.onMessage = (payload) => this.#message(payload);
    socket.onClose = () => this.onClose();
    const { pattern, subscriber, heartbeatMs, window } = options;
    socket.send(
      JSON.stringify([
        { is: "hello", protocol: 1, subscriber, heartbeatMs },
        { is: "subscribe", subscription: 1, pattern, from: "latest", window, cursor: subscriber !== undefined },
      ]),
    );
  }

  /** What whoever comes back under its name must go on from. */
  get lastSeen(): ReadonlyMap<string, number> {
    return new Map([...this.#resumed, ...this.#seen]);
  }

  /** Reads nothing more, and so answers no ping. */
  freeze(): void {
    this.#socket.pause();
  }

  thaw(): void {
    this.#socket.resume();
  }

  /** Drops the connection without a word. */
  close(): void {
    this.onClose = () => {};
    this.#socket.close();
  }

  #message(payload: Buffer): void {
    const parsed = JSON.parse(payload.toString()) as HubEnvelope | HubEnvelope[];
    for (const envelope of Array.isArray(parsed) ? parsed : [parsed]) {
      if (envelope.is === "messages") this.#given(envelope);
      else if (envelope.is === "gap") this.#missed(envelope.position.offset);
      else if (envelope.is === "ping") this.#socket.send('{"is":"pong"}');
      else if (envelope.is === "subscribed") {
        this.#through = envelope.position;
        this.#onSubscribed();
      } else if (envelope.is === "error" && envelope.code !== "heartbeat-timeout") {
        // That it was frozen for too long is its own doing, and all else is not.
        this.#violated(JSON.stringify(envelope));
      }
    }
  }

  #given({ after, through, messages }: Messages): void {
    if (after > this.#through) this.#violated(`G5: it was at ${this.#through} and was sent what follows ${after}`);
    this.#through = through;
    for (const message of messages) this.#check(message);
    this.#tally.messages += messages.length;
    this.#unacknowledged += messages.length;
    if (this.#unacknowledged >= this.#options.window.messages / 2) this.#acknowledge();
  }

  #check({ channel, data, offset }: WireMessage): void {
    const { n } = data as Numbered;
    const last = this.#seen.get(channel);
    const before = this.#resumed.get(channel);
    if (last !== undefined && n !== last + 1) this.#violated(`G5: ${channel} went from ${last} to ${n} at ${offset}`);
    if (last === undefined && before !== undefined && n > before + 1)
      this.#violated(`G9: ${channel} went on with ${n} at ${offset} where ${before} had been the last`);
    this.#seen.set(channel, n);
  }

  /** After a gap nobody knows which number is next. */
  #missed(position: number): void {
    this.#tally.gaps++;
    this.#through = position;
    this.#seen.clear();
    this.#resumed.clear();
  }

  #acknowledge(): void {
    this.#unacknowledged = 0;
    const acknowledge = () => this.#socket.send(`{"is":"ack","subscription":1,"offset":${through}}`);
    const through = this.#through;
    if (this.#options.slowMs === undefined) acknowledge();
    else setTimeout(acknowledge, this.#options.slowMs);
  }

  #violated(what: string): void {
    const { subscriber = "somebody", pattern } = this.#options;
    this.#tally.violations.push(`${what} (${subscriber} in ${pattern})`);
  }
}
