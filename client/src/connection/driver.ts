/**
 * Runs the state machine over a transport, a clock and the page: carries out its effects, tells it what happened, and
 * gathers what is to be sent into as few WebSocket messages as may be.
 */
import {
  type ClientCodec,
  type ClientEnvelope,
  type ClientLimits,
  clientLimits,
  type Encoded,
  type ErrorCode,
  type Hello,
  type HubEnvelope,
  jsonCodec,
  type Publish,
} from "@dogear/shared";
import type { Runtime } from "../runtime.ts";
import { type FetchToken, fetchToken } from "../token.ts";
import type { Transport } from "../transport/transport.ts";
import type { Backoff } from "./backoff.ts";
import type { Page } from "./page.ts";
import { type Cause, connectingFrom, type Event, type State, type Step, type Surroundings, step } from "./state.ts";

/** Where a connection is in its life, as users see it. */
export interface ConnectionState extends Cause {
  readonly name: State["name"];
  /** While waiting: from when the wait began to the next attempt, in milliseconds. */
  readonly retryInMs?: number | undefined;
}

/** What a hub says that is not about the connection alone. */
export type Said = Exclude<HubEnvelope, { readonly is: "ping" | "draining" }>;

export interface ConnectionListener {
  /** What a session begins with. */
  hello(token: string | undefined, connection: number): Hello;
  /** Hello is said: send everything that goes with it. From now on `send` sends. */
  greeted(): void;
  /** `bytes` is about what one of its messages takes of the WebSocket message, and never less. */
  received(envelope: Said, bytes: number): void;
  /** The session, if there was one, is over; nothing can be sent until the next one is `greeted`. */
  lost(): void;
  changed(state: ConnectionState): void;
  /** The page may not run again: say now what would be said soon. */
  flush(): void;
  /** An error that nobody waits for. */
  report(error: unknown): void;
}

/** Envelopes are joined up to this length; a longer one goes alone. */
export const frameLengthMax: number = 256 * 1_024;

export class Connection {
  readonly runtime: Runtime;
  readonly backoff: Backoff;
  readonly codec: ClientCodec = jsonCodec;
  /** As the last welcome told them. */
  limits: ClientLimits = clientLimits;
  /** As the last welcome told it. */
  declare user: string | undefined;
  /** Gets a new token, where there is a function for that. Rejects with `token-failed`. */
  declare readonly fetchToken: (() => Promise<string>) | undefined;
  readonly #url: string;
  /** The token of every attempt, or of this one. */
  #token: string | undefined;
  readonly #listener: ConnectionListener;
  readonly #page: Page;
  #state: State;
  #retryInMs = 0;
  #transport: Transport | undefined;
  /** Tells the transport in use from those given up, whose last words may still come; and so with tokens. */
  #attempt = 0;
  #greeted = false;
  #outbox: Encoded[] = [];
  #disarm: (() => void) | undefined;

  /** Begins to connect at once; the listener hears nothing before this returns. */
  constructor(
    url: string,
    token: string | FetchToken | undefined,
    runtime: Runtime,
    backoff: Backoff,
    listener: ConnectionListener,
  ) {
    this.#url = url;
    if (typeof token === "function") this.fetchToken = () => fetchToken(token);
    else this.#token = token;
    this.runtime = runtime;
    this.backoff = backoff;
    this.#listener = listener;
    this.#page = runtime.watchPage({
      woke: () => this.#happened({ is: "woke" }),
      offline: () => this.#happened({ is: "offline" }),
      leaving: () => {
        listener.flush();
        this.#flush();
      },
    });
    const first = connectingFrom(0, this.#surroundings);
    this.#state = first.state;
    this.#run(first);
  }

  get state(): ConnectionState {
    const { name, code, reason } = this.#state as ConnectionState;
    return { name, code, reason, retryInMs: name === "waiting" ? this.#retryInMs : undefined };
  }

  say(envelope: Exclude<ClientEnvelope, Publish>): boolean {
    return this.send(this.codec.encode(envelope));
  }

  /** Sends with everything else that is sent in this turn. Without a session it is not sent, and the answer is no. */
  send(envelope: Encoded): boolean {
    if (this.#greeted && this.#outbox.push(envelope) === 1) queueMicrotask(() => this.#flush());
    return this.#greeted;
  }

  /** Begins a new session, as if the connection had been lost. */
  restart(code: ErrorCode, reason?: string): void {
    this.#happened({ is: "restart", code, reason });
  }

  close(): void {
    this.#flush();
    this.#happened({ is: "close" });
  }

  #happened(event: Event): void {
    const before = this.#state;
    const next = step(before, event, this.#surroundings);
    this.#state = next.state;
    this.#run(next);
    // Unless an effect has already led on.
    if (before.name !== next.state.name && this.#state === next.state) {
      if (next.state.name === "closed") this.#page.stop();
      this.#listener.changed(this.state);
    }
  }

  get #surroundings(): Surroundings {
    return {
      now: this.runtime.now(),
      hidden: this.#page.hidden,
      backoff: this.backoff,
      fixedToken: !this.fetchToken,
    };
  }

  #run({ effects }: Step): void {
    for (const effect of effects) {
      switch (effect.do) {
        case "open":
          this.#open();
          break;
        case "greet":
          this.#greeted = true;
          // Alone, since so little is taken from a connection before the hub knows whose it is (P-7).
          this.#transport?.send(this.codec.encode(this.#listener.hello(this.#token, this.#attempt)));
          this.#listener.greeted();
          this.#flush();
          break;
        case "hang-up":
          this.#disarm?.();
          this.#attempt++;
          this.#transport?.close(1000);
          this.#greeted = false;
          this.#outbox = [];
          this.#listener.lost();
          break;
        case "arm":
          this.#disarm?.();
          this.#retryInMs = effect.afterMs + this.runtime.random() * effect.jitterMs;
          this.#disarm = this.runtime.setTimer(this.#retryInMs, () => this.#happened({ is: "elapsed" }));
      }
    }
  }

  /** First the token, however long it takes: with a socket, the hub's patience begins to run. */
  #open(): void {
    const attempt = ++this.#attempt;
    const unlessGivenUp =
      <A extends readonly unknown[]>(run: (...args: A) => void) =>
      (...args: A): void => {
        if (attempt === this.#attempt) run(...args);
      };
    const connect = (token: string | undefined): void => {
      this.#token = token;
      this.#transport = this.runtime.connect(this.#url, this.codec.subprotocol, {
        opened: unlessGivenUp(() => this.#happened({ is: "opened" })),
        received: unlessGivenUp((frame) => this.#received(frame)),
        closed: unlessGivenUp((closeCode, reason) => this.#happened({ is: "dropped", closeCode, reason })),
      });
    };
    if (!this.fetchToken) return connect(this.#token);
    const failed = (error: unknown): void => {
      this.#listener.report(error);
      this.restart("token-failed");
    };
    this.fetchToken().then(unlessGivenUp(connect), unlessGivenUp(failed));
  }

  #received(frame: string | ArrayBuffer): void {
    const attempt = this.#attempt;
    this.#happened({ is: "heard" });
    // What is not as the protocol says fails wherever it is first looked at. That ends the session, and not the process.
    try {
      const envelopes = this.codec.decode(frame);
      let messages = 0;
      for (const envelope of envelopes) if (envelope.is === "messages") messages += envelope.messages.length;
      // A character of text is at most three bytes, and counting them exactly would cost more than it is worth.
      const bytes = (typeof frame === "string" ? 3 * frame.length : frame.byteLength) / (messages || 1);
      for (const envelope of envelopes) if (attempt === this.#attempt) this.#dispatch(envelope, bytes);
    } catch (error) {
      if (attempt === this.#attempt) this.restart("malformed", String(error));
    }
  }

  #dispatch(envelope: HubEnvelope, bytes: number): void {
    switch (envelope.is) {
      case "ping":
        this.say({ is: "pong" });
        return;
      case "draining":
        this.#happened(envelope);
        return;
      case "welcome":
        this.limits = { ...clientLimits, ...envelope.limits };
        this.user = envelope.user;
        this.#happened(envelope);
    }
    this.#listener.received(envelope, bytes);
  }

  #flush(): void {
    if (!this.#outbox.length) return;
    // Timers are throttled in the background and stand still in sleep; a write must not go into a dead connection.
    if ("until" in this.#state && this.runtime.now() >= this.#state.until) this.#happened({ is: "elapsed" });
    let frame: Encoded[] = [];
    let length = 0;
    const send = (): void => {
      if (frame.length) this.#transport?.send(this.codec.join(frame));
      frame = [];
      length = 0;
    };
    for (const envelope of this.#outbox) {
      if (length + envelope.length > frameLengthMax) send();
      frame.push(envelope);
      length += envelope.length;
    }
    this.#outbox = [];
    send();
  }
}
