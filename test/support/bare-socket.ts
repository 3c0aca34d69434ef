/** A WebSocket that speaks raw envelopes, for tests of what is really on the wire. */
import { type HubEnvelope, jsonSubprotocol } from "@dogear/shared";
import { WebSocket } from "ws";
import { eachAnswer } from "./answers.ts";
import { whenDone } from "./temp.ts";

type Kind = HubEnvelope["is"];
type EnvelopeOf<K extends Kind> = Extract<HubEnvelope, { is: K }>;

export interface OpenOptions {
  readonly subprotocol?: string;
  /** The page that it is of. */
  readonly origin?: string;
}

/** How long an envelope may keep a test waiting. */
const envelopeTimeoutMs = 5_000;

/** Opens a connection and says nothing. Fails as the handshake does. */
export function open(
  url: string,
  { subprotocol = jsonSubprotocol, ...options }: OpenOptions = {},
): Promise<BareSocket> {
  const socket = new WebSocket(url, subprotocol, options);
  const bare = new BareSocket(socket);
  whenDone(() => socket.terminate());
  return new Promise((resolve, reject) => {
    socket.once("open", () => resolve(bare));
    socket.once("error", reject);
  });
}

export class BareSocket {
  /** Every WebSocket message as it came, for tests that hold the hub to its bytes. */
  readonly frames: string[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;

  readonly #socket: WebSocket;
  readonly #untaken: HubEnvelope[] = [];
  #ended: string | undefined;
  #look: () => void = () => {};

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data) => {
      const frame = String(data);
      const parsed = JSON.parse(frame) as HubEnvelope | HubEnvelope[];
      this.frames.push(frame);
      this.#untaken.push(...[parsed].flat().flatMap(eachAnswer));
      this.#look();
    });
    this.closed = new Promise((resolve) => {
      socket.once("close", (code, reason) => {
        this.#ended = `the connection was closed with ${code} ${reason}`;
        this.#look();
        resolve({ code, reason: String(reason) });
      });
    });
  }

  /** Sends text or bytes as they are, and anything else as JSON: an envelope, or an array of them. */
  send(message: string | Uint8Array | object): void {
    const raw = typeof message === "string" || message instanceof Uint8Array;
    this.#socket.send(raw ? message : JSON.stringify(message));
  }

  /**
   * The next envelope, or the next of one kind; the others stay for later calls, in order. One call at a time.
   * Fails when none can come any more or none came in time, and says what did.
   */
  next(): Promise<HubEnvelope>;
  next<K extends Kind>(is: K): Promise<EnvelopeOf<K>>;
  next(is?: Kind): Promise<HubEnvelope> {
    // Made here, so that its stack leads to the test that waits.
    const failure = new Error();
    return new Promise((resolve, reject) => {
      const fail = (why: string) => {
        const received = this.frames.map((frame) => `\n  ${frame}`).join("") || " nothing";
        failure.message = `No ${is ?? "envelope"}: ${why}. Received:${received}`;
        settle(() => reject(failure));
      };
      const timer = setTimeout(fail, envelopeTimeoutMs, `none within ${envelopeTimeoutMs} ms`);
      const settle = (result: () => void) => {
        clearTimeout(timer);
        this.#look = () => {};
        result();
      };
      this.#look = () => {
        const index = this.#untaken.findIndex((envelope) => is === undefined || envelope.is === is);
        const [envelope] = index < 0 ? [] : this.#untaken.splice(index, 1);
        if (envelope !== undefined) settle(() => resolve(envelope));
        else if (this.#ended !== undefined) fail(this.#ended);
      };
      this.#look();
    });
  }

  /** Stops reading, as a slow client does; the hub's writes then back up. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Closes in good order. */
  close(): void {
    this.#socket.close();
  }

  /** Drops the connection without a word, as a lost network does. */
  terminate(): void {
    this.#socket.terminate();
  }
}
