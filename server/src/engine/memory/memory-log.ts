/**
 * A log in memory: what `durability: "memory"` namespaces are kept in, and the executable specification of `Log`.
 */
import { type Channel, type Durability, type Epoch, matcher, type Offset, type Pattern } from "@dogear/shared";
import type { Chance, Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { admit } from "../admission.ts";
import { listed } from "../channels.ts";
import { CommitQueue, payloadBytes, together } from "../commit-queue.ts";
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
} from "../engine.ts";
import { followedBytesMax, followTail } from "../follow.ts";
import type { Messages } from "../messages.ts";
import { collectPage, countMatching, remembering } from "../page.ts";
import { Producers, type Provenance } from "../producers.ts";
import { RecentIds } from "../recent-ids.ts";
import { Removal } from "../removal.ts";
import { Removed } from "../removed.ts";
import { Tail } from "../tail.ts";
import { writeTexts } from "../text.ts";

/** One commit. */
interface Stretch {
  readonly time: number;
  readonly messages: Messages;
  readonly through: Offset;
  readonly provenance: readonly (Provenance | undefined)[];
}

export interface MemoryLogParts {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
}

/** What a memory log holds where its policy names no size. */
const defaultBytesMax = 64 * 1_024 * 1_024;

export class MemoryLog implements Log {
  readonly lineage: readonly Era[];
  readonly durability: Durability = "memory";
  readonly #policy: NamespacePolicy;
  readonly #clock: Clock;
  readonly #commits: CommitQueue<readonly Draft[], readonly Appended[]>;
  readonly #producers: Producers;
  readonly #ids: RecentIds;
  readonly #removed = new Removed();
  readonly #removal: Removal;
  readonly #listeners: ((through: Offset) => Promise<void>)[] = [];
  readonly #tail: Tail;
  #stretches: Stretch[] = [];
  #bytes = 0;
  #newest = 0 as Offset;
  #time = 0;

  constructor(policy: NamespacePolicy, { clock, chance, logger }: MemoryLogParts) {
    this.#policy = policy;
    this.#clock = clock;
    this.lineage = [{ epoch: chance.id() as Epoch, first: 1 as Offset }];
    const commit = together((drafts: readonly Draft[]) => this.#commit(drafts));
    this.#commits = new CommitQueue(commit, payloadBytes, clock);
    this.#removal = new Removal({ namespace: policy.namespace, clock, logger, released: () => this.#retain() });
    this.#producers = new Producers((offset) => this.#provenanceAt(offset));
    this.#ids = new RecentIds(policy.deduplicationWindowMs, policy.deduplicationIdsMax);
    this.#tail = new Tail(0 as Offset, followedBytesMax);
  }

  append(drafts: readonly Draft[]): Promise<readonly Appended[]> {
    return this.#commits.submit(drafts);
  }

  async read(pattern: Pattern, after: Offset, budget: Budget): Promise<Page> {
    this.#retain();
    const removed = this.#removed.through(pattern, after);
    return collectPage(this.#after(removed ?? after), remembering(matcher(pattern)), after, budget, removed);
  }

  follow(after: Offset, signal: AbortSignal): AsyncIterable<Batch> {
    const everything = () => true;
    const readAll = async (from: Offset, budget: Budget) => collectPage(this.#after(from), everything, from, budget);
    return followTail(readAll, this.#tail, after, signal);
  }

  async bounds(): Promise<Bounds> {
    this.#retain();
    return { oldest: this.#oldest(), newest: this.#newest };
  }

  async count(pattern: Pattern, after: Offset): Promise<number> {
    const matches = remembering(matcher(pattern));
    return this.#after(after).reduce((sum, { messages }) => sum + countMatching(messages, after, matches), 0);
  }

  async channels(after: string, limit: number): Promise<readonly ChannelCount[]> {
    this.#retain();
    const counts = new Map<Channel, number>();
    for (const { messages } of this.#stretches) {
      for (const channel of messages.channels) counts.set(channel, (counts.get(channel) ?? 0) + 1);
    }
    return listed(counts, after, limit);
  }

  async offsetAt(time: number): Promise<Offset> {
    const later = this.#stretches[firstWhere(this.#stretches, (stretch) => stretch.time >= time)];
    return ((later?.messages.offsets[0] ?? this.#newest + 1) - 1) as Offset;
  }

  async lastNumber(producer: string): Promise<number> {
    this.#producers.forgetBefore(this.#clock.now() - this.#policy.producerMemoryMs);
    this.#producers.touch(producer, this.#clock.now());
    return this.#producers.last(producer).number;
  }

  beforeRemoval(call: (through: Offset) => Promise<void>): void {
    // One for each hub that shares the log: it is enough that one has seen to it.
    const count = this.#listeners.push(call);
    if (count === 1) {
      this.#removal.listen(async (through) => Promise.any(this.#listeners.map((listener) => listener(through))));
    }
  }

  /** Resolves when every append has been answered. */
  async close(): Promise<void> {
    // Before the commits, because the listener may append.
    await this.#removal.close();
    await this.#commits.idle();
  }

  async #commit(drafts: readonly Draft[]): Promise<readonly Appended[]> {
    this.#time = Math.max(this.#time, this.#clock.now());
    this.#producers.forgetBefore(this.#time - this.#policy.producerMemoryMs);
    const first = (this.#newest + 1) as Offset;
    const { accepted, answers, settle } = admit(drafts, first, this.#time, {
      producers: this.#producers,
      ids: this.#ids,
    });
    settle();
    if (accepted.length > 0) {
      const messages = writeTexts(accepted, this.#time);
      const through = (first + accepted.length - 1) as Offset;
      const provenance = accepted.map((one) => one.provenance);
      this.#stretches.push({ time: this.#time, messages, through, provenance });
      this.#bytes += messages.byteLength;
      this.#newest = through;
      this.#retain();
      this.#tail.push(messages, through);
    }
    return answers;
  }

  /** The stretches that hold something after an offset. */
  #after(offset: Offset): readonly Stretch[] {
    return this.#stretches.slice(firstWhere(this.#stretches, ({ through }) => through > offset));
  }

  #oldest(): Offset {
    return this.#stretches[0]?.messages.offsets[0] ?? ((this.#newest + 1) as Offset);
  }

  #provenanceAt(offset: Offset): Provenance | undefined {
    const stretch = this.#stretches[firstWhere(this.#stretches, ({ through }) => through >= offset)];
    return stretch?.provenance[offset - (stretch.messages.offsets[0] as number)];
  }

  /** Removes what is too old or too much, as far as nobody needs it any more. */
  #retain(): void {
    const wanted = this.#excess();
    if (wanted === undefined) return;
    const through = this.#removal.allowed(wanted);
    const count = firstWhere(this.#stretches, (stretch) => stretch.through > through);
    for (const { messages } of this.#stretches.splice(0, count)) {
      this.#bytes -= messages.byteLength;
      for (let i = 0; i < messages.length; i++) {
        this.#removed.record(messages.channels[i] as Channel, messages.offsets[i] as Offset);
      }
    }
  }

  /** The last offset of what is too old or too much. */
  #excess(): Offset | undefined {
    const { ageMs = Infinity, bytes = defaultBytesMax } = this.#policy.retention;
    const oldest = this.#clock.now() - ageMs;
    let excess: Offset | undefined;
    let left = this.#bytes;
    for (const { time, messages, through } of this.#stretches) {
      if (left <= bytes && time >= oldest) break;
      excess = through;
      left -= messages.byteLength;
    }
    return excess;
  }
}

/** The index of the first item of a sorted array that passes, or its length. */
function firstWhere<T>(items: readonly T[], passes: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (passes(items[middle] as T)) high = middle;
    else low = middle + 1;
  }
  return low;
}
