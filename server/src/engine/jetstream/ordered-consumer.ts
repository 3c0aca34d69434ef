/**
 * Reads a stream in order, without end: a consumer of JetStream's that acknowledges nothing, asked for as much as is wanted.
 * Where messages are missing, or nothing is heard of it, another one begins behind the last message: the server that had it
 * may never come back.
 *
 *     take() ◀── arrived ◀── one pull under way: batch, bytes, until it ends or expires
 */
import { type DogearError, dogearError, type Offset } from "@dogear/shared";
import { AckPolicy, type ConsumerConfig, DeliverPolicy, jetstreamManager, ReplayPolicy } from "@nats-io/jetstream";
import { createInbox, type Msg, nanos, type Subscription } from "@nats-io/transport-node";
import type { Chance, Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Cluster } from "./cluster.ts";
import { codeOf, codes, translated } from "./failures.ts";

export interface OrderedConsumerParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly stream: string;
  /** The offset after which it begins, or with the last message of each subject, which leaves out those superseded since. */
  readonly after: Offset | "last-of-each";
  /** What it selects; all, where it is left out. */
  readonly subject?: string;
  /** Whether bodies are left out. */
  readonly headersOnly?: boolean;
  /**
   * Resolves with why the stream is not the one it was any more, or has lost its end; rejects where that is not known now.
   * Called after each beginning, before anything is given, with the last offset that was.
   */
  readonly check: (reached: Offset | undefined) => Promise<DogearError | undefined>;
}

/** A message as a consumer gives it. Its data and headers are read when they are asked for. */
export interface Delivered {
  readonly offset: Offset;
  readonly message: Msg;
}

const pullMessages = 4_096;
const pullBytes = 4 * 1_024 * 1_024;
const pullMs = 20_000;
/** How often a server says that there is nothing. */
const heartbeatMs = 1_000;
/** Where nothing is heard for so long, the consumer is given up. */
const silenceMsMax = 2.5 * heartbeatMs;
/** It is asked for more once less than this is waiting to be taken. */
const waitingMax = 4_096;
const waitingBytesMax = pullBytes;
/** How long a server keeps a consumer that nobody asks. */
const inactiveMs = 30_000;
/**
 * How long the servers may take to make a consumer: at first not long, since one may be given to a server that is not there
 * any more, which the others notice late. Another attempt may meet another server.
 */
const makeMsMin = 1_000;
const makeMsMax = 4_000;
const restartMs = 250;
/** How long the first of several waits for those that follow, and how much comes together at most. */
const togetherMs = 5;
const togetherMax = 1_024;
const togetherBytesMax = 256 * 1_024;
/** How long it may fail to begin before that is worth a word. */
const toldAfterMs = 10_000;

export class OrderedConsumer {
  readonly #parts: OrderedConsumerParts;
  readonly #inbox = createInbox();
  readonly #subscription: Subscription;
  readonly #endReconnect: () => void;
  #name = "";
  /** Behind what it begins; of the message that came last. `undefined`: nothing came yet of what begins with the last ones. */
  #offset: Offset | undefined;
  /** How many came from this consumer. */
  #sequence = 0;
  #arrived: Delivered[] = [];
  #arrivedBytes = 0;
  /** When the last message was sent there were more to send. */
  #moreFollows = false;
  #wake: () => void = () => {};
  /** How much is still to come of the pull that is under way; 0: none is. */
  #wanted = 0;
  /** Counts pulls: what is said of one before is of no interest. */
  #pull = 0;
  #lastHeard = 0;
  #watching = false;
  #cancelWatch: () => void = () => {};
  #starting = false;
  /** When the last attempt to begin was made. */
  #triedAt = Number.NEGATIVE_INFINITY;
  #failure: DogearError | undefined;
  #closed = false;

  constructor(parts: OrderedConsumerParts) {
    this.#parts = parts;
    this.#offset = parts.after === "last-of-each" ? undefined : parts.after;
    this.#subscription = parts.cluster.connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#hear(message);
      },
    });
    void this.#subscription.closed.then(() => this.#fail(dogearError("unavailable", "The connection is closed.")));
    this.#endReconnect = parts.cluster.onReconnect(() => this.#restart());
    this.#restart();
  }

  /** What has come since, in order: at least one, or nothing once the signal has aborted. Rejects where it cannot go on. */
  async take(signal?: AbortSignal): Promise<readonly Delivered[]> {
    const stop = () => this.#wake();
    signal?.addEventListener("abort", stop);
    while (this.#arrived.length === 0 && this.#failure === undefined && !signal?.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    await this.#together(signal);
    signal?.removeEventListener("abort", stop);
    if (signal?.aborted) return [];
    if (this.#arrived.length === 0) throw this.#failure as DogearError;
    const taken = this.#arrived;
    this.#arrived = [];
    this.#arrivedBytes = 0;
    this.#pullMore();
    return taken;
  }

  /** What follows at once comes with the first: NATS writes in small pieces, and each piece costs everyone it is sent to. */
  async #together(signal: AbortSignal | undefined): Promise<void> {
    let over = !this.#moreFollows;
    if (over) return;
    const cancel = this.#parts.clock.after(togetherMs, () => {
      over = true;
      this.#wake();
    });
    const isWaiting = () => !over && this.#moreFollows && this.#failure === undefined && !signal?.aborted;
    while (isWaiting() && this.#arrived.length < togetherMax && this.#arrivedBytes < togetherBytesMax) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    cancel();
  }

  close(): void {
    this.#closed = true;
    this.#cancelWatch();
    this.#endReconnect();
    if (!this.#subscription.isClosed()) this.#subscription.unsubscribe();
    this.#forgetConsumer();
    this.#fail(dogearError("unavailable", "The consumer was closed."));
  }

  #hear(message: Msg): void {
    if (this.#closed || this.#starting) return;
    if (!message.subject.startsWith(this.#inbox)) return this.#take(message);
    // What is said of the pull itself: it ended, or lives.
    const code = message.headers?.code ?? 0;
    if (message.subject !== `${this.#inbox}.${this.#pull}`) return;
    this.#watch();
    if (code < 400) return;
    this.#wanted = 0;
    if (code === 404 || code === 408 || /max ?bytes|batch completed/i.test(message.headers?.description ?? "")) {
      this.#pullMore();
    } else {
      this.#restart();
    }
  }

  #take(message: Msg): void {
    const { consumerSequence, offset, consumer, pending } = origin(message.reply ?? "");
    if (consumer !== this.#name) return;
    if (consumerSequence !== this.#sequence + 1 || offset <= (this.#offset ?? 0)) return this.#restart();
    this.#sequence = consumerSequence;
    this.#offset = offset;
    this.#arrived.push({ offset, message });
    this.#arrivedBytes += message.data.length;
    this.#moreFollows = pending > 0;
    this.#wanted--;
    if (this.#wanted === 0) this.#pullMore();
    this.#watch();
    this.#wake();
  }

  #pullMore(): void {
    if (this.#wanted > 0 || this.#closed || this.#starting) return;
    if (this.#arrived.length >= waitingMax || this.#arrivedBytes >= waitingBytesMax) return;
    const { cluster, stream } = this.#parts;
    this.#wanted = pullMessages;
    this.#pull++;
    const largest = cluster.connection.info?.max_payload ?? 0;
    const ask = {
      batch: pullMessages,
      max_bytes: Math.max(pullBytes, 2 * largest),
      expires: nanos(pullMs),
      idle_heartbeat: nanos(heartbeatMs),
    };
    this.#watch();
    try {
      cluster.connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${this.#name}`, JSON.stringify(ask), {
        reply: `${this.#inbox}.${this.#pull}`,
      });
    } catch (cause) {
      this.#fail(dogearError("unavailable", undefined, { cause }));
    }
  }

  /** Begins anew where nothing is heard for too long while a pull is under way. */
  #watch(): void {
    this.#lastHeard = this.#parts.clock.monotonic();
    if (this.#watching) return;
    this.#watching = true;
    this.#watchLater();
  }

  #watchLater(): void {
    this.#cancelWatch = this.#parts.clock.after(heartbeatMs, () => {
      const silentMs = this.#parts.clock.monotonic() - this.#lastHeard;
      if (this.#wanted > 0 && !this.#starting && silentMs > silenceMsMax) this.#restart();
      this.#watchLater();
    });
  }

  #restart(): void {
    if (this.#closed || this.#starting) return;
    this.#starting = true;
    this.#wanted = 0;
    void this.#start();
  }

  async #start(): Promise<void> {
    const { cluster, clock, logger, stream } = this.#parts;
    let since = clock.monotonic();
    for (
      let makeMs = makeMsMin;
      !this.#closed && this.#failure === undefined;
      makeMs = Math.min(2 * makeMs, makeMsMax)
    ) {
      const restMs = this.#triedAt + restartMs - clock.monotonic();
      if (restMs > 0) await new Promise<void>((resolve) => void clock.after(restMs, resolve));
      this.#triedAt = clock.monotonic();
      try {
        return await this.#begin(makeMs);
      } catch (error) {
        // Without a connection that is no wonder, and has been said.
        if (!cluster.connected) since = clock.monotonic();
        if (clock.monotonic() - since < toldAfterMs) continue;
        logger.warn("nats.stream-not-read", { stream, error });
        since = clock.monotonic();
      }
    }
  }

  async #begin(makeMs: number): Promise<void> {
    const { cluster, chance, stream, check } = this.#parts;
    this.#forgetConsumer();
    const name = `dogear-${chance.id()}`;
    const jsm = await jetstreamManager(cluster.connection, { timeout: makeMs, checkAPI: false });
    const made = await jsm.consumers.add(stream, this.#config(name)).catch((error: unknown) => {
      if (codeOf(error) !== codes.streamNotFound) throw translated(error);
    });
    // A consumer belongs to one incarnation of a stream: where this is still the same one now, so is what it gives.
    const ended = await check(this.#offset);
    if (ended !== undefined) return this.#fail(ended);
    if (made === undefined) throw dogearError("unavailable", `The stream ${stream} is not there.`);
    if (this.#closed) return;
    this.#name = name;
    this.#sequence = 0;
    this.#starting = false;
    this.#pullMore();
  }

  #config(name: string): Partial<ConsumerConfig> {
    const { subject, headersOnly } = this.#parts;
    return {
      name,
      ...(this.#offset === undefined
        ? { deliver_policy: DeliverPolicy.LastPerSubject }
        : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: this.#offset + 1 }),
      ack_policy: AckPolicy.None,
      replay_policy: ReplayPolicy.Instant,
      max_deliver: 1,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: nanos(inactiveMs),
      ...(subject !== undefined && { filter_subject: subject }),
      ...(headersOnly === true && { headers_only: true }),
    };
  }

  /** It would go away by itself, later. */
  #forgetConsumer(): void {
    const { cluster, stream } = this.#parts;
    if (this.#name !== "" && cluster.connected) {
      cluster.jsm.consumers.delete(stream, this.#name).catch(() => {});
    }
    this.#name = "";
  }

  #fail(failure: DogearError): void {
    this.#failure ??= failure;
    this.#wake();
  }
}

/** What the reply subject of a message says of it; see ADR-15 of NATS. */
function origin(reply: string): {
  readonly consumer: string | undefined;
  readonly offset: Offset;
  readonly consumerSequence: number;
  readonly pending: number;
} {
  // $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<deliveries>.<offset>.<consumer sequence>.<time>.<pending>[.<token>]
  const parts = reply.split(".");
  const at = parts.length >= 11 ? 5 : 3;
  const [offset, consumerSequence, , pending] = parts.slice(at + 2).map(Number);
  return {
    consumer: parts[at],
    offset: offset as Offset,
    consumerSequence: consumerSequence as number,
    pending: pending as number,
  };
}
