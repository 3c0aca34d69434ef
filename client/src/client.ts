/** A client of a hub: wires connection, publisher and subscriptions together. */
import { type DogearError, errors, type HubEnvelope, isErrorCode, type Limits } from "@dogear/shared";
import { Connection, type ConnectionState } from "./connection/driver.ts";
import { Deferred, unlessAborted } from "./deferred.ts";
import { emitter, TypedEventTarget } from "./events.ts";
import { errorFrom, failure } from "./failure.ts";
import { type Published, Publisher, type PublishOptions, type QueueOptions } from "./publisher.ts";
import type { Resumed } from "./resumption.ts";
import type { Runtime } from "./runtime.ts";
import type { Handler, SubscribeOptions, Subscription } from "./subscription.ts";
import { Subscriptions } from "./subscriptions.ts";
import type { WebSocketConstructor } from "./transport/websocket.ts";

export interface ConnectOptions {
  /** Names this client as a durable place-holder of its user: a device, an app, a service. Cursors need it. */
  readonly subscriber?: string;
  /** How often the hub should ping, 1 second to 15 minutes. Default: as the hub likes, 25 seconds. */
  readonly heartbeatMs?: number;
  readonly publish?: QueueOptions;
  /** How long to wait between attempts to connect: a random time below `baseMs` (500), doubling up to `capMs` (20,000). */
  readonly backoff?: { readonly baseMs?: number; readonly capMs?: number };
  /** The WebSocket to use. Default: the global one; in Node without one, that of `ws`. */
  readonly WebSocket?: WebSocketConstructor;
}

export interface DogearEvents {
  /** The connection's state changed; this is the new one. */
  state: ConnectionState;
  /** After a reconnect: everything that was missed has arrived. */
  resumed: Resumed;
  /** An error that belongs to no call: nobody else will hear of it. */
  error: { readonly error: unknown };
}

const emit = emitter<DogearEvents>();

/** How long `close` waits for the answers to drafts in flight. */
export const closeWithinMs = 2_000;

/** A connection to a hub that comes back by itself; made by {@link connect}. */
export class Dogear extends TypedEventTarget<DogearEvents> implements AsyncDisposable {
  readonly #options: ConnectOptions;
  readonly #runtime: Runtime;
  readonly #connection: Connection;
  readonly #publisher: Publisher;
  readonly #subscriptions: Subscriptions;
  #opened = new Deferred<void>();
  #closing: Promise<void> | undefined;
  /** What the hub said of an error over which it closes the connection. */
  #lastWords: string | undefined;
  /** Why nothing more is accepted. */
  #error: DogearError | undefined;

  /** @internal */
  constructor(url: string, options: ConnectOptions, runtime: Runtime) {
    super();
    this.#options = options;
    this.#runtime = runtime;
    const backoff = { baseMs: 500, capMs: 20_000, ...options.backoff };
    const report = (error: unknown): void => emit(this, "error", { error });
    this.#connection = new Connection(url.replace(/^http/, "ws"), runtime, backoff, {
      greet: () => this.#greet(),
      received: (envelope, bytes) => this.#received(envelope, bytes),
      lost: () => {
        this.#publisher.lost();
        this.#subscriptions.lost();
      },
      changed: (state) => this.#changed(state),
      flush: () => this.#subscriptions.flush(),
    });
    this.#publisher = new Publisher(this.#connection, options.publish);
    this.#subscriptions = new Subscriptions(this.#connection, {
      resumed: (resumed) => emit(this, "resumed", resumed),
      report,
    });
  }

  /** What the connection is doing, and why. */
  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** The hub's limits, as the last welcome told them; the usual ones before the first. */
  get limits(): Limits {
    return this.#connection.limits;
  }

  /** Resolves once connected, which nothing else needs to wait for. Rejects if the hub refuses for good, or on close. */
  ready({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const opened = this.state.name === "open" ? Promise.resolve() : this.#opened.promise;
    return unlessAborted(opened, signal);
  }

  /**
   * Publishes, in order with all else this client publishes. Resolves once the message is in the log, as durable as
   * the answer says. Sent again over as many connections as it takes, and never a second message.
   *
   * @param data Any JSON value; or a `Uint8Array`, of `options.type`. Serialised at once.
   * @throws DogearError (as a rejection) `invalid-channel`, `reserved-channel`, `invalid-payload`,
   *   `message-too-large`, `payload-too-deep`: as it is, it can never be published. `queue-full`, `draft-dropped`,
   *   `closed`: it was not published, or, if it had been sent by then, nobody knows. `producer-forgotten`,
   *   `outcome-unknown`: the client was away too long to know. Or the signal's reason.
   * @example
   * await dogear.publish("sensors.kitchen.temperature", { celsius: 21.4 });
   */
  publish(channel: string, data: unknown, options: PublishOptions = {}): Promise<Published> {
    return this.#publisher.publish(channel, data, options);
  }

  /**
   * Subscribes to a channel, or to all that match a pattern: `*` is one level, a final `>` one or more.
   *
   * @throws DogearError `invalid-pattern`; `subscriber-required` for a cursor without a `subscriber`; `closed`.
   * @example
   * for await (const message of dogear.subscribe("sensors.*.temperature", { cursor: true, from: "earliest" })) {
   *   render(message.data);
   * }
   */
  subscribe<T = unknown>(pattern: string, options: SubscribeOptions = {}, handler?: Handler<T>): Subscription<T> {
    if (this.#error) throw this.#error;
    if (options.cursor && this.#options.subscriber === undefined) throw failure("subscriber-required");
    return this.#subscriptions.add(pattern, options, handler as Handler | undefined) as Subscription<T>;
  }

  /**
   * Says the last acknowledgements, waits up to 2 seconds for drafts that were sent, refuses those that were not,
   * and hangs up. Calling it again waits for the same.
   *
   * @param options.signal Ends the waiting, not the closing.
   */
  close(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#closing ??= this.#close(options.signal);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #greet(): void {
    const { subscriber, heartbeatMs } = this.#options;
    const producer = this.#publisher.introduce();
    this.#connection.say({ is: "hello", protocol: 1, subscriber, heartbeatMs, producer });
    this.#subscriptions.resume();
    this.#publisher.resume();
  }

  #received(envelope: HubEnvelope, bytes: number): void {
    if (envelope.is === "error" && isErrorCode(envelope.code) && "closeCode" in errors[envelope.code]) {
      this.#lastWords = envelope.message;
    } else if (envelope.is === "welcome") {
      this.#publisher.welcomed(envelope.time);
      this.#subscriptions.welcomed();
    } else if (envelope.is === "published") {
      this.#publisher.published(envelope);
    } else if (envelope.is === "error" && envelope.number !== undefined) {
      this.#publisher.refused(envelope.number, envelope);
    } else if (envelope.is !== "ping" && envelope.is !== "draining") {
      this.#subscriptions.receive(envelope, bytes);
    }
  }

  #changed(state: ConnectionState): void {
    if (state.name === "open") {
      this.#opened.resolve();
      this.#opened = new Deferred();
    } else if (state.name === "closed") {
      const { code, reason } = state;
      const error = errorFrom({ code: typeof code === "string" ? code : "closed", message: this.#lastWords ?? reason });
      this.#error ??= error;
      void this.#publisher.close(error);
      this.#publisher.end(error);
      this.#subscriptions.end(error);
      this.#opened.reject(error);
    }
    emit(this, "state", state);
  }

  async #close(signal: AbortSignal | undefined): Promise<void> {
    this.#error ??= failure("closed");
    const error = this.#error;
    this.#subscriptions.end();
    const drained = this.#publisher.close(error);
    const giveUp = (): void => this.#publisher.end(error);
    const cancel = this.#runtime.setTimer(this.state.name === "open" ? closeWithinMs : 0, giveUp);
    await unlessAborted(drained, signal).catch(() => {});
    cancel();
    this.#connection.close();
  }
}
