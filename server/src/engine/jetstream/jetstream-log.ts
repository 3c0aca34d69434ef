/**
 * The log of a namespace in a JetStream stream. An offset is a sequence of the stream.
 *
 *     append      Appender ── Publisher ──▶ leader
 *     follow      OrderedConsumer ◀── a replica
 *     read        PageReader ── DirectReader ◀── any replica; what it does not show, the leader is asked
 *     retention   Sweeper: asks the listener, stores what goes, removes it
 */
import { type Channel, type Durability, type Epoch, matcher, type Offset, type Pattern } from "@dogear/shared";
import type { Chance, Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { listed } from "../channels.ts";
import { payloadBytes } from "../commit-queue.ts";
import type {
  Appended,
  Batch,
  Bounds,
  Budget,
  ChannelCount,
  Draft,
  Era,
  Log,
  NamespacePolicy,
  Page,
  State,
} from "../engine.ts";
import { epochOf } from "../lineage.ts";
import { Removal } from "../removal.ts";
import { timeOfBody } from "../text.ts";
import { Appender } from "./appender.ts";
import type { Cluster } from "./cluster.ts";
import { DirectReader } from "./direct-reader.ts";
import { fileDurability } from "./durability.ts";
import { followConsumer } from "./follow-consumer.ts";
import { doubtMs, Incarnation } from "./incarnation.ts";
import { KnownProducers } from "./known-producers.ts";
import { openLineage, reachedBy, storeReached } from "./lineage-record.ts";
import { LogStream, type StreamFacts } from "./log-stream.ts";
import { selectsExactly } from "./names.ts";
import { OrderedConsumer } from "./ordered-consumer.ts";
import { PageReader } from "./page-reader.ts";
import { Removals } from "./removals.ts";
import { SharedPages } from "./shared-pages.ts";
import { Sweeper } from "./sweeper.ts";

export interface JetStreamLogParts {
  readonly cluster: Cluster;
  readonly state: State;
  readonly policy: NamespacePolicy;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  /** Whether the log is to be begun anew, which one in memory is where no other hub has it open. */
  readonly anew: boolean;
  readonly renewed: () => void;
}

/** What a log in memory holds where its policy names no size. */
const memoryBytesMax = 64 * 1_024 * 1_024;
/** How often it is looked at how the stream is. */
const lookMs = 1_000;
/** How often it is looked at while as much is appended as the log may hold. */
const looksPerLimit = 16;
/** How often records are removed of producers that were not heard of for long. */
const forgetMs = 6 * 60 * 60 * 1_000;
/** What a page holds that is read to be counted. */
const countedBudget: Budget = { messages: 4_096, bytes: 4 * 1_024 * 1_024, scan: 4 * 1_024 * 1_024 };

/** What is known of a log once it is opened. */
interface Opened {
  readonly stream: LogStream;
  readonly facts: StreamFacts;
  readonly lineage: readonly Era[];
  readonly durability: Durability;
  readonly removals: Removals;
}

export class JetStreamLog implements Log {
  readonly lineage: readonly Era[];
  readonly durability: Durability;
  readonly #parts: JetStreamLogParts;
  readonly #stream: LogStream;
  readonly #incarnation: Incarnation;
  readonly #producers: KnownProducers;
  readonly #appender: Appender;
  readonly #direct: DirectReader;
  readonly #pages: PageReader;
  readonly #shared: SharedPages;
  readonly #removal: Removal;
  readonly #sweeper: Sweeper;
  /** How far the log is known to have come, as it is stored. */
  #stored: Offset;
  readonly #endReconnect: () => void;
  #cancelLook = () => {};
  #looking: Promise<void> | undefined;
  #closed = false;
  /** Bytes that were appended since it was looked at for that reason. */
  #grown = 0;
  /** When records of producers not heard of for long are removed next. */
  #forgetFrom = Number.NEGATIVE_INFINITY;

  static async open(parts: JetStreamLogParts): Promise<JetStreamLog> {
    const { cluster, policy, state, logger } = parts;
    let stream = await LogStream.open(parts);
    if (parts.anew) {
      await stream.delete();
      stream = await LogStream.open(parts);
    }
    const { facts, lineage } = await lineageOf(parts, stream);
    const inMemory = { durability: "memory", because: "It is kept in memory." } as const;
    const { durability, because } =
      policy.durability === "memory" ? inMemory : await fileDurability({ ...parts, settings: cluster.settings });
    // The policy asked for a disk: whoever runs the hub should know that it is less.
    const level = durability === "process" ? "warn" : "info";
    logger[level]("log.durability", { namespace: policy.namespace, durability, because });
    const removals = await Removals.open(state, policy.namespace, lineage);
    const last = await stream.lastOf(stream.subjects.all);
    const log = new JetStreamLog(parts, { stream, facts, lineage, durability, removals });
    if (last !== undefined) log.#appender.reach(timeOfBody(last.body));
    return log;
  }

  private constructor(parts: JetStreamLogParts, { stream, facts, lineage, durability, removals }: Opened) {
    const { cluster, clock, policy, logger, renewed } = parts;
    const { namespace } = policy;
    this.#parts = parts;
    this.#stream = stream;
    this.lineage = lineage;
    this.durability = durability;
    this.#stored = facts.newest;
    const { replicas } = cluster.settings;
    const incarnation = new Incarnation({
      stream,
      opened: facts,
      namespace,
      replicas,
      clock,
      logger,
      storeReached: (newest) => this.#storeReached(newest),
      renewed,
    });
    this.#incarnation = incarnation;
    this.#producers = new KnownProducers({ ...parts, stream, lineage });
    this.#appender = new Appender({
      ...parts,
      stream,
      producers: this.#producers,
      check: () => incarnation.check(),
      stored: (newest) => incarnation.reach(newest),
    });
    this.#direct = new DirectReader(cluster, clock, stream);
    this.#shared = new SharedPages(clock);
    this.#pages = new PageReader({ stream, direct: this.#direct, removals, incarnation });
    this.#removal = new Removal({ namespace, clock, logger, released: () => void this.#sweep() });
    this.#sweeper = new Sweeper({
      ...parts,
      policy: limited(policy),
      stream,
      removals,
      removal: this.#removal,
      producers: this.#producers,
      incarnation,
      offsetAt: (time) => this.offsetAt(time),
    });
    this.#endReconnect = cluster.onReconnect(() => void incarnation.facts().catch(() => {}));
    this.#lookLater();
  }

  async append(drafts: readonly Draft[]): Promise<readonly Appended[]> {
    const answers = await this.#appender.append(drafts);
    this.#grew(payloadBytes(drafts));
    return answers;
  }

  async read(pattern: Pattern, after: Offset, budget: Budget): Promise<Page> {
    this.#incarnation.check();
    const shared = this.#shared.find(pattern, after, budget);
    if (shared !== undefined) return shared;
    const page = await this.#pages.read(pattern, after, budget);
    this.#shared.add(pattern, after, page);
    return page;
  }

  async *follow(after: Offset, signal: AbortSignal): AsyncGenerator<Batch> {
    const consumer = new OrderedConsumer({
      ...this.#parts,
      stream: this.#stream.name,
      after,
      check: this.#incarnation.ended,
    });
    try {
      for await (const batch of followConsumer(consumer, this.#stream, after, signal)) {
        this.#incarnation.check();
        this.#appender.reach(batch.time);
        yield batch;
      }
    } finally {
      consumer.close();
    }
  }

  async bounds(): Promise<Bounds> {
    let facts = await this.#incarnation.facts();
    if (this.#sweeper.isDue(facts)) {
      await this.#sweep();
      facts = await this.#incarnation.facts();
    }
    return { oldest: facts.oldest, newest: facts.newest };
  }

  async count(pattern: Pattern, after: Offset): Promise<number> {
    const { newest } = await this.#incarnation.facts();
    if (newest <= after) return 0;
    if (!selectsExactly(pattern)) return this.#countRead(pattern, after, newest);
    const subject = this.#stream.subjects.matching(pattern);
    const [from, beyond] = await Promise.all([after, newest].map((offset) => this.#pending(subject, offset as Offset)));
    return Math.max(0, (from as number) - (beyond as number));
  }

  async channels(after: string, limit: number): Promise<readonly ChannelCount[]> {
    this.#incarnation.check();
    const counts = new Map<Channel, number>();
    for (const [subject, count] of Object.entries(await this.#stream.subjectCounts())) {
      const channel = this.#stream.subjects.channelOf(subject);
      counts.set(channel, (counts.get(channel) ?? 0) + count);
    }
    return listed(counts, after, limit);
  }

  async offsetAt(time: number): Promise<Offset> {
    const { oldest, newest } = await this.#incarnation.facts();
    let low: number = oldest;
    let high = newest + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const message = await this.#stream.nextFrom(middle, this.#stream.subjects.all);
      if (message === undefined || timeOfBody(message.body) >= time) high = middle;
      else low = message.offset + 1;
    }
    return (low - 1) as Offset;
  }

  async lastNumber(producer: string): Promise<number> {
    this.#incarnation.check();
    return this.#producers.lastNumber(producer);
  }

  beforeRemoval(call: (through: Offset) => Promise<void>): void {
    this.#removal.listen(call);
  }

  /** Resolves when every append was answered, and nothing is removed any more. */
  async close(): Promise<void> {
    // Before the commits, because the listener may append.
    await this.#removal.close();
    this.#closed = true;
    this.#cancelLook();
    this.#endReconnect();
    await this.#looking;
    await this.#sweeper.idle();
    await this.#appender.idle();
    this.#direct.close();
  }

  /** How many messages are under a subject after an offset. */
  async #pending(subject: string, after: Offset): Promise<number> {
    const { messages, pending } = await this.#direct.read(after + 1, subject, 1, 1);
    return messages.length + pending;
  }

  /** Counts what a subject selects and more. */
  async #countRead(pattern: Pattern, after: Offset, newest: Offset): Promise<number> {
    const matches = matcher(pattern);
    let count = 0;
    for (let at = after; at < newest; ) {
      const { messages, through } = await this.read(pattern, at, countedBudget);
      const counted = messages.offsets.filter(
        (offset, i) => offset <= newest && matches(messages.channels[i] as Channel),
      );
      count += counted.length;
      if (through <= at) break;
      at = through;
    }
    return count;
  }

  #lookLater(): void {
    this.#cancelLook = this.#parts.clock.after(lookMs, async () => {
      this.#looking = this.#look();
      await this.#looking;
      if (!this.#closed) this.#lookLater();
    });
  }

  async #look(): Promise<void> {
    try {
      const facts = await this.#incarnation.facts();
      await this.#storeReached(this.#incarnation.newest);
      await this.#forgetProducers();
      if (this.#sweeper.isDue(facts)) await this.#sweep();
    } catch {
      // Whoever wants something of the log is told; here it is looked at again.
    }
  }

  /** Much was appended, and there may be too much now: that is not left until it is looked at the next time. */
  #grew(bytes: number): void {
    this.#grown += bytes;
    if (this.#grown * looksPerLimit < (limited(this.#parts.policy).retention.bytes ?? Number.POSITIVE_INFINITY)) return;
    this.#grown = 0;
    void this.#look();
  }

  async #storeReached(newest: Offset): Promise<void> {
    const { state, policy } = this.#parts;
    if (newest <= this.#stored || this.durability === "memory") return;
    await storeReached(state, policy.namespace, epochOf(this.lineage), newest);
    this.#stored = newest;
  }

  async #forgetProducers(): Promise<void> {
    const now = this.#parts.clock.monotonic();
    if (now < this.#forgetFrom) return;
    this.#forgetFrom = now + forgetMs;
    await this.#producers.forgetOld();
  }

  async #sweep(): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#sweeper.sweep();
      this.#shared.clear();
    } catch (error) {
      this.#parts.logger.warn("log.removal-failed", { namespace: this.#parts.policy.namespace, error });
    }
  }
}

async function lineageOf(
  { cluster, policy, state, clock, chance }: JetStreamLogParts,
  stream: LogStream,
): Promise<{ readonly facts: StreamFacts; readonly lineage: readonly Era[] }> {
  let facts = await stream.facts();
  if (policy.durability === "memory") return { facts, lineage: [{ epoch: facts.id as Epoch, first: 1 as Offset }] };
  const reached = await reachedBy(state, policy.namespace, facts.id);
  const since = clock.monotonic();
  while (facts.newest < reached && clock.monotonic() - since < doubtMs(cluster.settings.replicas)) {
    await new Promise<void>((resolve) => void clock.after(lookMs, resolve));
    facts = await stream.facts();
  }
  return { facts, lineage: await openLineage(state, policy.namespace, facts, chance) };
}

function limited(policy: NamespacePolicy): NamespacePolicy {
  const { durability, retention } = policy;
  if (durability !== "memory") return policy;
  return { ...policy, retention: { ...retention, bytes: retention.bytes ?? memoryBytesMax } };
}
