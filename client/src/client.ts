/** A client of a hub: wires connection, publisher, subscriptions and the annex together. */
import { type Action, type ClientLimits, type DogearError, type Hello, isClosing } from "@dogear/shared";
import type { Annex } from "./annex.ts";
import { Connection, type ConnectionState, type Said } from "./connection/driver.ts";
import { Deferred, unlessAborted } from "./deferred.ts";
import { emitter, TypedEventTarget } from "./events.ts";
import { errorFrom, failure } from "./failure.ts";
import {
  type Draft,
  type Published,
  Publisher,
  type PublishOptions,
  type QueueOptions,
  type Scheduled,
  type ScheduleOptions,
} from "./publisher.ts";
import type { Resumed } from "./resumption.ts";
import type { Runtime } from "./runtime.ts";
import type { Handler, SubscribeOptions, Subscription } from "./subscription.ts";
import { Subscriptions } from "./subscriptions.ts";
import type { FetchToken } from "./token.ts";
import type { WebSocketConstructor } from "./transport/websocket.ts";
import { OpenWorker } from "./work/open-worker.ts";
import type { Worker, WorkHandler, WorkOptions } from "./worker.ts";

export interface ConnectOptions {
  /**
   * Says who this client is: what the hub is configured to accept, a JWT or an API key. It is never part of the URL.
   *
   * A function is called before each connection, and again when most of a token's life is over: the new one takes its
   * place without interrupting anything. Connecting included, it has 10 seconds. If it fails, that is an `error` event
   * (`token-failed`), and it is called again later. A client whose token is a string ends with `token-expired` when it
   * has expired.
   */
  readonly token?: string | FetchToken;
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

/** Brings what only some clients need. */
export type LoadAnnex = () => Promise<{ readonly Annex: typeof Annex }>;

const emit = emitter<DogearEvents>();

/** How long `close` waits for the answers to drafts in flight. */
export const closeWithinMs = 2_000;

/** A connection to a hub that comes back by itself; made by {@link connect}. */
export class Dogear extends TypedEventTarget<DogearEvents> implements AsyncDisposable {
  /** @internal */
  readonly runtime: Runtime;
  readonly #options: ConnectOptions;
  readonly #connection: Connection;
  readonly #publisher: Publisher;
  readonly #subscriptions: Subscriptions;
  #loadAnnex: LoadAnnex | undefined;
  /** Resolves when the annex is there, and rejects when it will not be. */
  readonly #annexed = new Deferred<Annex>();
  #annex: Annex | undefined;
  #opened = new Deferred<void>();
  #closing: Promise<void> | undefined;
  /** What the hub said of an error over which it closes the connection. */
  #lastWords: string | undefined;
  /** Why nothing more is accepted. */
  #error: DogearError | undefined;
  readonly #report = (error: unknown): void => emit(this, "error", { error });

  /** @internal */
  constructor(
    url: string,
    options: ConnectOptions,
    runtime: Runtime,
    loadAnnex: LoadAnnex = () => import("./annex.ts"),
  ) {
    super();
    this.runtime = runtime;
    this.#options = options;
    this.#loadAnnex = loadAnnex;
    const backoff = { baseMs: 500, capMs: 20_000, ...options.backoff };
    this.#connection = new Connection(url.replace(/^http/, "ws"), options.token, runtime, backoff, {
      hello: (token, connection) => this.#hello(token, connection),
      greeted: () => {
        this.#subscriptions.resume();
        this.#publisher.resume();
        this.#annex?.resume();
      },
      received: (envelope, bytes) => this.#received(envelope, bytes),
      lost: () => {
        this.#publisher.lost();
        this.#subscriptions.lost();
        this.#annex?.lost();
      },
      changed: (state) => this.#changed(state),
      flush: () => this.#subscriptions.flush(),
      report: this.#report,
    });
    this.#publisher = new Publisher(this.#connection, options.publish);
    this.#subscriptions = new Subscriptions(this.#connection, {
      resumed: (resumed) => emit(this, "resumed", resumed),
      report: this.#report,
    });
  }

  /** What the connection is doing, and why. */
  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** Who this is, as the last welcome told it: who the token names. Undefined before the first. */
  get user(): string | undefined {
    return this.#connection.user;
  }

  /** The hub's limits, as the last welcome told them; before the first, the usual ones of those that a client needs. */
  get limits(): ClientLimits {
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
   * With `delayMs` or `deliverAt` it is published later: resolves once it is scheduled, as durably.
   *
   * @param data Any JSON value; or a `Uint8Array`, of `options.type`. Serialised at once.
   * @throws DogearError (as a rejection) `invalid-channel`, `reserved-channel`, `invalid-payload`,
   *   `message-too-large`, `payload-too-deep`: as it is, it can never be published. `memory-namespace`: nothing can be
   *   scheduled there. `queue-full`, `draft-dropped`, `closed`: it was not published, or, if it had been sent by then,
   *   nobody knows. `producer-forgotten`, `outcome-unknown`: the client was away too long to know. Or the signal's reason.
   * @example
   * await dogear.publish("sensors.kitchen.temperature", { celsius: 21.4 });
   * @example
   * const { id } = await dogear.publish("orders.reminders", { order: 81 }, { delayMs: 3_600_000 });
   * await dogear.cancel(id);
   */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<Published>;
  publish(channel: string, data: unknown, options: ScheduleOptions): Promise<Scheduled>;
  publish(channel: string, data: unknown, options?: PublishOptions | ScheduleOptions): Promise<Published | Scheduled>;
  publish(
    channel: string,
    data: unknown,
    options: PublishOptions | ScheduleOptions = {},
  ): Promise<Published | Scheduled> {
    return this.#publisher.publish(channel, data, options);
  }

  /**
   * Publishes several drafts, in their order. Resolves when each has its result: never rejects, since what is refused
   * of one says nothing of the others. Results are in the order of the drafts.
   */
  publishAll(drafts: readonly Draft[]): Promise<PromiseSettledResult<Published | Scheduled>[]> {
    return Promise.allSettled(drafts.map((draft) => this.publish(draft.channel, draft.data, draft)));
  }

  /**
   * Takes back what was scheduled. Waits for the connection, and asks again if it breaks before the answer.
   *
   * @param id Of {@link Scheduled}.
   * @throws DogearError (as a rejection) `not-scheduled`: it was delivered, cancelled or never scheduled. If the
   *   connection broke meanwhile, it may be this very call that cancelled it. `closed`. Or the signal's reason.
   */
  async cancel(id: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.ask({ do: "cancel", id }, signal);
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
   * Shares the messages of a pattern with the other members of a group: each message is leased to one of them at a
   * time. With a handler, what it returns is `ack` and what it throws is `retry`; without one, take the messages with
   * `for await` and settle each.
   *
   * Returns at once, also offline. The code that does the work is loaded with the first worker; if that fails, the
   * worker ends with the error.
   *
   * @throws DogearError `invalid-pattern`; `closed`. What the hub refuses ends the worker: see {@link Worker.ended}.
   * @example
   * dogear.work("orders.>", { group: "billing", concurrency: 10 }, async (message) => {
   *   if (!isOrder(message.data)) return message.reject("not an order");
   *   await charge(message.data);
   * });
   * @example
   * for await (const message of dogear.work("orders.>", { group: "billing" })) {
   *   await charge(message.data);
   *   await message.ack();
   * }
   */
  work<T = unknown>(pattern: string, options: WorkOptions, handler?: WorkHandler<T>): Worker<T> {
    if (this.#error) throw this.#error;
    const worker = new OpenWorker(pattern, options.group, this.#report);
    void this.#load().then(
      (annex) => annex.work(worker, options, handler as WorkHandler | undefined),
      (error) => worker.end(this.#closing ? undefined : error),
    );
    return worker as Worker as Worker<T>;
  }

  /**
   * Waits for the workers, as their `leave` does: for 30 seconds, or, with a signal, until it aborts; their handlers
   * may still publish. Then says the last acknowledgements, waits up to 2 seconds for drafts that were sent, refuses
   * those that were not, and hangs up. Calling it again waits for the same.
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

  /**
   * Asks the hub for what `admin` offers by name; see `asking.ts`.
   *
   * @internal
   */
  async ask(action: Action, signal?: AbortSignal): Promise<unknown> {
    const annex = await unlessAborted(this.#load(), signal);
    return annex.ask(action, signal);
  }

  #hello(token: string | undefined, connection: number): Hello {
    const { subscriber, heartbeatMs } = this.#options;
    const producer = this.#publisher.hello();
    return { is: "hello", protocol: 1, token, subscriber, heartbeatMs, producer, connection };
  }

  #received(envelope: Said, bytes: number): void {
    if (envelope.is === "welcome") {
      this.#publisher.welcomed(envelope.time);
      this.#subscriptions.welcomed();
      // Where this fails, the hub ends the session in time, and the next one begins with a new token.
      if (this.#connection.fetchToken && envelope.expires !== undefined)
        this.#load().then(
          (annex) => annex.welcomed(envelope),
          (error) => this.#error ?? this.#report(error),
        );
    } else if ("number" in envelope) {
      this.#publisher.received(envelope);
    } else if ("member" in envelope || "request" in envelope || envelope.is === "refreshed") {
      this.#annex?.receive(envelope);
    } else if (envelope.is === "error" && isClosing(envelope.code)) {
      this.#lastWords = envelope.message;
    } else {
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
      this.#annex?.end(error);
      this.#annexed.reject(error);
      this.#opened.reject(error);
    }
    emit(this, "state", state);
  }

  async #close(signal: AbortSignal | undefined): Promise<void> {
    this.#error ??= failure("closed");
    const error = this.#error;
    this.#subscriptions.end();
    if (this.#annex) await this.#annex.leave(signal);
    const drained = this.#publisher.close(error);
    const giveUp = (): void => this.#publisher.end(error);
    const cancel = this.runtime.setTimer(this.state.name === "open" ? closeWithinMs : 0, giveUp);
    await unlessAborted(drained, signal).catch(() => {});
    cancel();
    this.#connection.close();
  }

  #load(): Promise<Annex> {
    this.#loadAnnex?.().then(({ Annex }) => {
      this.#annex = new Annex(this.#connection, errorFrom, this.#report);
      this.#annexed.resolve(this.#annex);
    }, this.#annexed.reject);
    this.#loadAnnex = undefined;
    return this.#annexed.promise;
  }
}
