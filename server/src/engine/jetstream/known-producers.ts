/**
 * What this hub knows of those who number their drafts. The truth is the log: the number of a producer's last message in
 * it. Beside it stands a record where the log does not say it all: the last message was removed, the last number has no
 * message of its own, or the producer asked and published nothing.
 */
import type { Epoch, Offset } from "@dogear/shared";
import type { Clock } from "../../runtime/clock.ts";
import type { Appended, Era, NamespacePolicy, State } from "../engine.ts";
import { epochOf, isOfToday } from "../lineage.ts";
import { timeOfBody } from "../text.ts";
import { changeRecord, parsed, readRecord } from "./log-records.ts";
import type { LeaderMessage, LogStream } from "./log-stream.ts";
import { tokenOf } from "./names.ts";

/** The record of a producer. One of an epoch that is gone says nothing of today's log. */
interface ProducerRecord extends LastNumber {
  readonly epoch: Epoch;
}

export interface LastNumber {
  readonly number: number;
  /** Where its message is; 0 where it has none of its own. */
  readonly offset: Offset;
  /** When it was last heard of. */
  readonly heard: number;
}

interface Known extends LastNumber {
  /** Its last message in the log, 0 where there is none. */
  readonly last: Offset;
}

/** Producers whose numbers are kept in memory: as many at most, and as many once some were dropped. */
const [knownMax, knownKept] = [100_000, 90_000];
/** How many records are looked at together. */
const forgottenAtOnce = 500;
/** A hearing is stored where what is stored is older than this share of the memory. */
const hearingShare = 8;

const nothing: Known = { number: 0, offset: 0 as Offset, heard: Number.NEGATIVE_INFINITY, last: 0 as Offset };

export interface KnownProducersParts {
  readonly stream: LogStream;
  readonly state: State;
  readonly lineage: readonly Era[];
  readonly policy: NamespacePolicy;
  readonly clock: Clock;
}

function producerKey(namespace: string, token: string): string {
  return `producer/${namespace}/${token}`;
}

export class KnownProducers {
  readonly #parts: KnownProducersParts;
  readonly #known = new Map<string, Known>();
  /** The result found last: who repeats one number repeats the next as well. */
  #found: { readonly producer: string; readonly number: number; readonly offset: Offset } | undefined;

  constructor(parts: KnownProducersParts) {
    this.#parts = parts;
  }

  /** Looks up those of whom nothing is known yet. */
  async learn(producers: Iterable<string>): Promise<void> {
    await Promise.all([...producers].filter((producer) => !this.#known.has(producer)).map((one) => this.#lookUp(one)));
  }

  /** The last number of a producer that was learned of, and where that went; 0 for one that was forgotten. */
  last(producer: string): { readonly number: number; readonly offset: Offset } {
    const known = this.#known.get(producer) ?? nothing;
    return this.#isForgotten(known) ? nothing : known;
  }

  /** The last message of a producer, whether it is forgotten or not: what a draft of it must come after. */
  lastMessage(producer: string): Offset {
    return (this.#known.get(producer) ?? nothing).last;
  }

  /** A number was used. It has a message of its own where `offset` is greater than the last one. */
  record(producer: string, number: number, offset: Offset, heard: number): void {
    const { last } = this.#known.get(producer) ?? nothing;
    const own = (offset > last ? offset : 0) as Offset;
    this.#remember(producer, { number, offset: own, heard, last: Math.max(last, offset) as Offset });
  }

  /** What is known may be wrong now. */
  forget(producers: Iterable<string>): void {
    for (const producer of producers) this.#known.delete(producer);
  }

  /** The last number of a producer who asks for it, which counts as hearing of it. */
  async lastNumber(producer: string): Promise<number> {
    // Another hub may know better than this one remembers.
    const known = await this.#lookUp(producer);
    if (known.number === 0 || this.#isForgotten(known)) return 0;
    const { clock, policy } = this.#parts;
    if (known.heard <= clock.now() - policy.producerMemoryMs / hearingShare) await this.store(producer, clock.now());
    return known.number;
  }

  /** Stores what the log does not say of a producer. */
  async store(producer: string, heard: number): Promise<void> {
    const { number, offset } = this.last(producer);
    await this.storeRecord(tokenOf(producer), { number, offset, heard });
    const known = this.#known.get(producer);
    if (known !== undefined) this.#remember(producer, { ...known, heard: Math.max(known.heard, heard) });
  }

  async storeRecord(token: string, last: LastNumber): Promise<void> {
    const { state, policy, lineage } = this.#parts;
    await changeRecord<ProducerRecord>(state, producerKey(policy.namespace, token), (record) => {
      const stored = this.#valid(record);
      if (stored !== undefined && stored.number >= last.number && stored.heard >= last.heard) return undefined;
      const { number, offset } = stored !== undefined && stored.number > last.number ? stored : last;
      return { epoch: epochOf(lineage), number, offset, heard: Math.max(last.heard, stored?.heard ?? 0) };
    });
  }

  /** Removes the records of producers that were not heard of for so long that they are forgotten. */
  async forgetOld(): Promise<void> {
    const { state, policy, clock } = this.#parts;
    const prefix = producerKey(policy.namespace, "");
    const since = clock.now() - policy.producerMemoryMs;
    for (let after = ""; ; ) {
      const page = await state.list(prefix, after, forgottenAtOnce);
      const last = page.at(-1);
      if (last === undefined) return;
      after = last.key;
      const old = page.filter(({ value }) => parsed<ProducerRecord>(value).heard < since);
      await Promise.all(old.map(({ key, version }) => state.putAll([{ key, value: undefined, version }])));
    }
  }

  /** What became of a number that a producer, who was learned of, used before. */
  async settled(producer: string, number: number): Promise<Appended> {
    const offset = await this.#find(producer, number);
    return offset === undefined ? { refused: "outcome-unknown" } : { offset, duplicate: true };
  }

  async #lookUp(producer: string): Promise<Known> {
    const { stream, state, policy } = this.#parts;
    const token = tokenOf(producer);
    const [message, { value: record }] = await Promise.all([
      stream.lastOf(stream.subjects.by(token)),
      readRecord<ProducerRecord>(state, producerKey(policy.namespace, token)),
    ]);
    const known = combined(message, this.#valid(record));
    this.#remember(producer, known);
    return known;
  }

  async #find(producer: string, number: number): Promise<Offset | undefined> {
    const last = this.last(producer);
    if (number > last.number || number <= 0) return undefined;
    if (number === last.number && last.offset > 0) return last.offset;
    const subject = this.#parts.stream.subjects.by(tokenOf(producer));
    const found = this.#found;
    const isNext = found?.producer === producer && found.number === number - 1;
    const message = await (isNext
      ? this.#parts.stream.nextFrom(found.offset + 1, subject)
      : this.#firstFrom(number, subject, this.lastMessage(producer)));
    if (message?.number !== number) return undefined;
    this.#found = { producer, number, offset: message.offset };
    return message.offset;
  }

  /** The first message under a producer's subject that has a number or a greater one. Numbers rise with offsets. */
  async #firstFrom(number: number, subject: string, last: Offset): Promise<LeaderMessage | undefined> {
    let low = 1;
    let high: number = last;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const message = await this.#parts.stream.nextFrom(middle, subject);
      if (message === undefined || message.number >= number) high = middle;
      else low = message.offset + 1;
    }
    return this.#parts.stream.nextFrom(low, subject);
  }

  #valid(record: ProducerRecord | undefined): ProducerRecord | undefined {
    return record !== undefined && isOfToday(this.#parts.lineage, record) ? record : undefined;
  }

  #isForgotten({ heard }: Known): boolean {
    const { clock, policy } = this.#parts;
    return heard < clock.now() - policy.producerMemoryMs;
  }

  #remember(producer: string, known: Known): void {
    // Deleted first so that the map stays ordered by use.
    this.#known.delete(producer);
    this.#known.set(producer, known);
    if (this.#known.size <= knownMax) return;
    // Many at once, because the way to the first entry of a map is as long as the number of those deleted before it.
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= knownKept) break;
      this.#known.delete(oldest);
    }
  }
}

function combined(message: LeaderMessage | undefined, record: LastNumber | undefined): Known {
  const inLog: Known =
    message === undefined
      ? nothing
      : { number: message.number, offset: message.offset, heard: timeOfBody(message.body), last: message.offset };
  if (record === undefined) return inLog;
  const { number, offset } = record.number > inLog.number ? record : inLog;
  return { number, offset, heard: Math.max(inLog.heard, record.heard), last: inLog.last };
}
