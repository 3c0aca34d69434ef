/**
 * Publishing: drafts wait here until they are sent, and then until they are answered. They are numbered when first
 * sent, without holes, so that the hub can tell a retry from a second message and keep their order (P-23 to P-29).
 *
 *     publish() ──► #unsent ── numbered, at most inFlightMax ──► #sent ── published, or refused for good ──► settled
 */
import {
  type DogearError,
  type Durability,
  type Encoded,
  type Epoch,
  type ErrorEnvelope,
  type Hello,
  isChannel,
  isReserved,
  type Offset,
  type Published as PublishedEnvelope,
  refusedMax,
  type Scheduled as ScheduledEnvelope,
} from "@dogear/shared";
import type { Connection } from "./connection/driver.ts";
import { Deferred, unlessAborted } from "./deferred.ts";
import { errorFrom, failure } from "./failure.ts";
import { Retry } from "./retry.ts";

export interface QueueOptions {
  /** Most drafts that may be waiting for their answer, sent or not. Default 10,000. */
  readonly queueMax?: number;
  /**
   * What a full queue does with one more draft: `"reject"` it with `queue-full` (the default), or `"drop-oldest"`,
   * which rejects the oldest one that was never sent with `draft-dropped`.
   */
  readonly whenFull?: "reject" | "drop-oldest";
  /** Most drafts sent and not answered. Default 1,024. */
  readonly inFlightMax?: number;
}

interface DraftOptions {
  /** Media type of `data`. Default JSON, or `application/octet-stream` for a `Uint8Array`. */
  readonly type?: string;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An id of your own: a second draft with it, also from another client of yours, is not a second message. */
  readonly id?: string;
  /**
   * How long it may be delivered, in milliseconds from when it is in the log. Default: as long as its namespace says,
   * or for ever. The shorter of the two counts.
   */
  readonly ttlMs?: number;
  /** Takes the draft out of the queue. Once it was sent, only the waiting ends: whether it is published is unknown. */
  readonly signal?: AbortSignal;
}

/** How to publish a message now. */
export interface PublishOptions extends DraftOptions {
  readonly delayMs?: undefined;
  readonly deliverAt?: undefined;
}

/** How to publish a message later: by a delay in milliseconds, or at a time (a number is milliseconds since 1970). */
export type ScheduleOptions = DraftOptions &
  (
    | { readonly delayMs: number; readonly deliverAt?: undefined }
    | { readonly deliverAt: Date | number; readonly delayMs?: undefined }
  );

/** One of several messages to publish at once. */
export type Draft = (PublishOptions | ScheduleOptions) & { readonly channel: string; readonly data: unknown };

/** The hub's word that a message is in the log. */
export interface Published {
  readonly epoch: Epoch;
  readonly offset: Offset;
  /** Whether it already was: this was a retry, or its `id` was known. */
  readonly duplicate: boolean;
  /** What it survives, never more than is true. */
  readonly durability: Durability;
}

/** The hub's word that a message will be in the log when it is due. */
export interface Scheduled {
  /** By which it can be cancelled. */
  readonly id: string;
  /** When it is published, in milliseconds since 1970 by the hub's clock; never before. */
  readonly due: number;
  /** Whether it was scheduled already: this was a retry, or the draft's `id` was known. */
  readonly duplicate: boolean;
  /** What the schedule survives, never more than is true. */
  readonly durability: Durability;
}

interface Waiting {
  readonly encoded: Encoded;
  readonly answer: Deferred<Published | Scheduled>;
}

/**
 * What a draft's envelope may hold that does not count as its message: field names, channel, type and id. The size is
 * checked here to fail early; the hub has the last word.
 */
const envelopeBytesMax = 1_024;

export class Publisher {
  readonly #connection: Connection;
  readonly #options: QueueOptions;
  readonly #retry: Retry;

  readonly #unsent: Waiting[] = [];
  /** By number, in order. */
  readonly #sent = new Map<number, Waiting>();
  #sentLength = 0;
  #nextNumber = 1;
  /** Numbers whose drafts were refused for good, of which the hub must know while older ones have no answer (P-27). */
  #refused: number[] = [];

  #producer: string;
  /** The hub's time at the last welcome under this producer, and ours when that session was lost. */
  #seen: number | undefined;
  #lostAt = Infinity;

  #connected = false;
  #closed: DogearError | undefined;
  readonly #drained = new Deferred<void>();

  constructor(connection: Connection, options: QueueOptions = {}) {
    this.#connection = connection;
    this.#options = options;
    this.#retry = new Retry(connection, () => this.#resend());
    this.#producer = connection.runtime.newId();
  }

  async publish(
    channel: string,
    data: unknown,
    { signal, ...options }: PublishOptions | ScheduleOptions,
  ): Promise<Published | Scheduled> {
    signal?.throwIfAborted();
    if (this.#closed) throw this.#closed;
    const encoded = this.#encode(channel, data, options);
    this.#makeRoom();
    const draft: Waiting = { encoded, answer: new Deferred() };
    this.#unsent.push(draft);
    this.#pump();
    try {
      return await unlessAborted(draft.answer.promise, signal);
    } catch (error) {
      const index = this.#unsent.indexOf(draft);
      if (index >= 0) this.#unsent.splice(index, 1);
      throw error;
    }
  }

  /** The producer as the next hello names it. A new one, if the hub must have forgotten this one (P-28). */
  hello(): Hello["producer"] {
    const { runtime, limits } = this.#connection;
    if (runtime.now() - this.#lostAt > limits.producerMemoryMs) this.#renew();
    const [lowest = this.#nextNumber] = this.#sent.keys();
    this.#refused = this.#refused.filter((number) => number > lowest);
    const refused = this.#refused[0] ? this.#refused : undefined;
    return { id: this.#producer, settled: lowest - 1, refused, seen: this.#seen };
  }

  /** A session has begun: everything without an answer goes again, in order, before anything new (P-25). */
  resume(): void {
    this.#connected = true;
    this.#resend();
  }

  welcomed(time: number): void {
    this.#seen = time;
  }

  lost(): void {
    if (this.#connected) this.#lostAt = this.#connection.runtime.now();
    this.#connected = false;
    this.#retry.stop();
  }

  /** Takes in what the hub says of a draft: that it is in the log, that it will be, or that it is refused. */
  received(envelope: PublishedEnvelope | ScheduledEnvelope | ErrorEnvelope): void {
    let { is, number = 0, count = 1, ...answer } = envelope as PublishedEnvelope;
    if (envelope.is === "error") return this.#refuse(number, errorFrom(envelope));
    this.#retry.reset();
    // As far as they are on their way, whatever a hub says.
    for (count += number; number < count && this.#sent.has(number); answer.offset++) {
      this.#settle(number++)?.resolve({ ...answer });
    }
    // An answer is the word for everything before it.
    this.#refused = this.#refused.filter((refused) => refused >= number);
    this.#pump();
  }

  /** Refuses what was never sent, and what comes. Resolves when the rest has been answered. */
  close(error: DogearError): Promise<void> {
    this.#closed = error;
    for (const { answer } of this.#unsent.splice(0)) answer.reject(error);
    if (this.#sent.size === 0) this.#drained.resolve();
    return this.#drained.promise;
  }

  /** Gives up on what was sent. */
  end(error: DogearError): void {
    for (const number of this.#sent.keys()) this.#settle(number)?.reject(error);
  }

  #refuse(number: number, error: DogearError): void {
    if (!this.#sent.has(number)) return;
    if (error.code === "producer-forgotten") {
      this.#renew();
      this.#connection.restart(error.code);
    } else if (error.retry === "no" && error.code !== "out-of-order") {
      this.#settle(number)?.reject(error);
      this.#refused.push(number);
      this.#pump();
    } else {
      // It did not use up its number, and what follows it is or will be out of order (P-26).
      this.#retry.later();
    }
  }

  #encode(channel: string, data: unknown, { deliverAt, ...options }: PublishOptions | ScheduleOptions): Encoded {
    if (!isChannel(channel)) throw failure("invalid-channel", channel);
    if (isReserved(channel)) throw failure("reserved-channel", channel);
    const { codec, limits } = this.#connection;
    const type = options.type ?? (data instanceof Uint8Array ? "application/octet-stream" : undefined);
    let encoded: Encoded;
    try {
      encoded = codec.draft({ ...options, channel, type, deliverAt: deliverAt && Number(deliverAt), data });
    } catch (cause) {
      throw failure("invalid-payload", String(cause), { cause });
    }
    // A character is at most three bytes, so that few drafts need to be measured.
    const bytesMax = limits.messageBytesMax + envelopeBytesMax;
    if (encoded.length * 3 > bytesMax && new Blob([encoded]).size > bytesMax) throw failure("message-too-large");
    return encoded;
  }

  #makeRoom(): void {
    const { queueMax = 10_000, whenFull } = this.#options;
    if (this.#unsent.length + this.#sent.size < queueMax) return;
    const oldest = whenFull === "drop-oldest" && this.#unsent.shift();
    if (!oldest) throw failure("queue-full");
    oldest.answer.reject(failure("draft-dropped"));
  }

  #pump(): void {
    const { inFlightMax = 1_024 } = this.#options;
    while (
      this.#connected &&
      !this.#retry.isWaiting &&
      this.#sent.size < inFlightMax &&
      this.#refused.length < refusedMax &&
      // Past this the hub stops reading, and heartbeats would wait behind drafts (P-17).
      this.#sentLength < this.#connection.limits.draftBytesMax
    ) {
      const draft = this.#unsent.shift();
      if (!draft) return;
      this.#sent.set(this.#nextNumber, draft);
      this.#sentLength += draft.encoded.length;
      this.#send(this.#nextNumber++, draft);
    }
  }

  #send(number: number, { encoded }: Waiting): void {
    this.#connection.send(this.#connection.codec.publish(number, encoded));
  }

  /** The draft of this number has its answer. */
  #settle(number: number): Waiting["answer"] | undefined {
    const draft = this.#sent.get(number);
    if (!draft) return undefined;
    this.#sent.delete(number);
    this.#sentLength -= draft.encoded.length;
    if (this.#closed && this.#sent.size === 0) this.#drained.resolve();
    return draft.answer;
  }

  #resend(): void {
    this.#retry.stop();
    for (const [number, draft] of this.#sent) this.#send(number, draft);
    this.#pump();
  }

  /** Becomes another producer. What was sent under the old name may have been published; nobody can tell any more. */
  #renew(): void {
    this.end(failure("producer-forgotten"));
    this.#producer = this.#connection.runtime.newId();
    this.#nextNumber = 1;
    this.#refused = [];
    this.#seen = undefined;
  }
}
