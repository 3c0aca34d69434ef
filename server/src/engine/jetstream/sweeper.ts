/**
 * Removes what is too old or too much. JetStream could do it by itself, but would ask nobody before: here the listener is
 * asked, and what was removed is stored, before it goes. Every hub sweeps; who stores first removes.
 */
import { type Channel, dogearError, type Offset } from "@dogear/shared";
import type { Chance, Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { NamespacePolicy } from "../engine.ts";
import type { Removal } from "../removal.ts";
import { timeOfBody } from "../text.ts";
import { type Cluster, requestTimeoutMs } from "./cluster.ts";
import type { Incarnation } from "./incarnation.ts";
import type { KnownProducers } from "./known-producers.ts";
import { type LogStream, numberHeader, type StreamFacts } from "./log-stream.ts";
import { type Delivered, OrderedConsumer } from "./ordered-consumer.ts";
import type { Removals } from "./removals.ts";

export interface SweeperParts {
  readonly cluster: Cluster;
  readonly stream: LogStream;
  readonly policy: NamespacePolicy;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly removal: Removal;
  readonly removals: Removals;
  readonly producers: KnownProducers;
  readonly incarnation: Incarnation;
  readonly offsetAt: (time: number) => Promise<Offset>;
}

/** At least this share of a limit is removed at once. */
const share = 16;
/** The most messages that are removed at once. */
const messagesMax = 100_000;
/** What a message takes in a file besides its subject, its headers and its body. */
const frameBytes = 34;
/** How many producers are asked for at once. */
const producersAtOnce = 64;

export class Sweeper {
  readonly #parts: SweeperParts;
  #sweeping: Promise<void> | undefined;
  /** What is too much, as far as it was looked at, while the log begins here. */
  #excess: { readonly oldest: Offset; readonly through: Offset } | undefined;
  /** When the oldest message was appended. */
  #first: { readonly offset: Offset; readonly time: number } | undefined;

  constructor(parts: SweeperParts) {
    this.#parts = parts;
  }

  /** Whether there may be something to remove, as far as is known without asking. */
  isDue({ oldest, newest, bytes }: StreamFacts): boolean {
    const { retention } = this.#parts.policy;
    if (newest < oldest) return false;
    if (this.#parts.removals.through >= oldest || bytes > (retention.bytes ?? Number.POSITIVE_INFINITY)) return true;
    if (retention.ageMs === undefined) return false;
    return this.#first?.offset !== oldest || this.#first.time < this.#keptSince(retention.ageMs);
  }

  /** Removes what may be removed now. One sweep at a time. */
  async sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep().finally(() => {
      this.#sweeping = undefined;
    });
    await this.#sweeping;
  }

  async idle(): Promise<void> {
    await this.#sweeping?.catch(() => {});
  }

  async #sweep(): Promise<void> {
    const { removal, removals, stream, incarnation } = this.#parts;
    const now = await incarnation.facts();
    if (removals.through >= now.oldest) {
      // It was stored and not done.
      await stream.removeThrough(removals.through);
      return;
    }
    const wanted = await this.#wanted(now);
    if (wanted === undefined) return;
    const through = removal.allowed(wanted);
    if (through >= now.oldest) await this.#remove(now.oldest, through);
  }

  /** The last offset of what is too old or too much. */
  async #wanted(now: StreamFacts): Promise<Offset | undefined> {
    if (now.newest < now.oldest) return undefined;
    const old = await this.#tooOld(now);
    const much = await this.#tooMuch(now);
    const wanted = Math.max(old ?? 0, much ?? 0) as Offset;
    return wanted < now.oldest ? undefined : wanted;
  }

  async #tooOld({ oldest }: StreamFacts): Promise<Offset | undefined> {
    const { policy, clock, stream, offsetAt } = this.#parts;
    const { ageMs } = policy.retention;
    if (ageMs === undefined) return undefined;
    if (this.#first?.offset !== oldest) {
      const first = await stream.nextFrom(oldest, stream.subjects.all);
      if (first === undefined) return undefined;
      this.#first = { offset: oldest, time: timeOfBody(first.body) };
    }
    if (this.#first.time >= this.#keptSince(ageMs)) return undefined;
    return Math.min(await offsetAt(clock.now() - ageMs), oldest + messagesMax) as Offset;
  }

  /** What is older is removed, and with it what has become too old since. */
  #keptSince(ageMs: number): number {
    return this.#parts.clock.now() - ageMs - ageMs / share;
  }

  async #tooMuch({ oldest, newest, bytes }: StreamFacts): Promise<Offset | undefined> {
    const limit = this.#parts.policy.retention.bytes;
    if (limit === undefined || bytes <= limit) {
      this.#excess = undefined;
      return undefined;
    }
    if (this.#excess?.oldest !== oldest) {
      const through = await this.#through(oldest, newest, Math.max(bytes - limit, limit / share));
      this.#excess = { oldest, through };
    }
    return this.#excess.through;
  }

  /** How far from the oldest on so many bytes reach. */
  async #through(oldest: Offset, newest: Offset, bytes: number): Promise<Offset> {
    let left = bytes;
    let through = (oldest - 1) as Offset;
    await this.#eachFrom(oldest, (one) => {
      left -= sizeOf(one);
      through = one.offset;
      return left > 0 && through < newest && through - oldest < messagesMax;
    });
    return through;
  }

  /** Looks at messages from an offset on, without their bodies, while `look` wants more. There must be enough of them. */
  async #eachFrom(oldest: Offset, look: (one: Delivered) => boolean): Promise<void> {
    const { stream, incarnation } = this.#parts;
    const consumer = new OrderedConsumer({
      ...this.#parts,
      stream: stream.name,
      after: (oldest - 1) as Offset,
      headersOnly: true,
      check: incarnation.ended,
    });
    try {
      for (;;) for (const one of await this.#taken(consumer)) if (!look(one)) return;
    } finally {
      consumer.close();
    }
  }

  /** What comes next. Where nothing does, another hub has removed what was to be looked at. */
  async #taken(consumer: OrderedConsumer): Promise<readonly Delivered[]> {
    const stop = new AbortController();
    const cancel = this.#parts.clock.after(requestTimeoutMs, () => stop.abort());
    const taken = await consumer.take(stop.signal).finally(cancel);
    if (taken.length === 0) throw dogearError("unavailable", "There is nothing left to remove.");
    return taken;
  }

  async #remove(oldest: Offset, through: Offset): Promise<void> {
    const { stream, removals, policy, logger } = this.#parts;
    const channels = new Map<Channel, Offset>();
    const producers = new Map<string, { readonly number: number; readonly offset: Offset }>();
    await this.#eachFrom(oldest, ({ offset, message }) => {
      if (offset > through) return false;
      channels.set(stream.subjects.channelOf(message.subject), offset);
      const producer = stream.subjects.producerOf(message.subject);
      if (producer !== undefined) {
        producers.set(producer, { number: Number(message.headers?.get(numberHeader)), offset });
      }
      return offset < through;
    });
    await this.#keepNumbers(producers, through);
    if (!(await removals.store(through, channels))) return;
    await stream.removeThrough(through);
    logger.info("log.removed", { namespace: policy.namespace, through });
  }

  /** Stores the last numbers of producers whose last message goes. */
  async #keepNumbers(
    lasts: ReadonlyMap<string, { readonly number: number; readonly offset: Offset }>,
    through: Offset,
  ): Promise<void> {
    const { stream, producers } = this.#parts;
    const tokens = [...lasts.keys()];
    for (let from = 0; from < tokens.length; from += producersAtOnce) {
      await Promise.all(
        tokens.slice(from, from + producersAtOnce).map(async (token) => {
          const last = await stream.lastOf(stream.subjects.by(token));
          if (last === undefined || last.offset > through) return;
          await producers.storeRecord(token, {
            number: last.number,
            offset: last.offset,
            heard: timeOfBody(last.body),
          });
        }),
      );
    }
  }
}

function sizeOf({ message }: Delivered): number {
  return frameBytes + message.subject.length + Number(message.headers?.get("Nats-Msg-Size") ?? 0);
}
