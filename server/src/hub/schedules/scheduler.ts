/**
 * The schedules of one namespace: drafts that are in its log already, as slips, and are appended to their channels when
 * they are due.
 *
 *     slips ──take in──► waiting ──due──► intent ──► append ──► done
 *                           ↑ ↓
 *                          ledger
 *
 * The log is the truth. The ledger says how far slips were taken in and which of them wait; it is stored a few times a
 * second, and before anything is appended. With it goes the intent: after which offset the messages are that are being
 * appended. They name their schedules, so that whatever happens between appending and storing, the log says what is
 * done, and each message is appended once.
 *
 * Everything that changes what waits is done alone, one thing after the other.
 */
import { type Channel, dogearError, type Offset, type Pattern } from "@dogear/shared";
import type { Draft, Log } from "../../engine/engine.ts";
import type { Messages } from "../../engine/messages.ts";
import { textOf } from "../../engine/text.ts";
import type { Clock } from "../../runtime/clock.ts";
import { type Logger, weightOf } from "../../runtime/logger.ts";
import { type Ledger, LedgerLostError } from "../ledger.ts";
import type { Namespace } from "../namespace.ts";
import { Rounds } from "../rounds.ts";
import type { Unnumbered } from "../sequencer.ts";
import { readTexts } from "../texts.ts";
import { appendDue, readDues } from "./due.ts";
import type { Pending, SchedulesHead } from "./record.ts";
import { isOf, parseScheduleId, scheduleIdOf } from "./schedule-id.ts";
import { carriedSlip, dueDraft, patternsOf, readSlip, scheduledBy, slipChannel } from "./slip.ts";
import { batches, Waiting } from "./waiting.ts";

export interface SchedulerParts {
  readonly namespace: Namespace;
  readonly ledger: Ledger<SchedulesHead, Pending>;
  /** The log that holds a channel today. It is another one if its namespace was configured since. */
  readonly logOf: (channel: Channel) => Log;
  readonly scheduledMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether other hubs may have stored slips without a word about it arriving, or have done what this one does. */
  readonly isShared: boolean;
  /** Told after each round how many wait, and whether there is no room for more. */
  readonly counted: (pending: number, full: boolean) => void;
  /** Told when another hub has taken over. */
  readonly lost: () => void;
}

const page = { messages: 1_024, bytes: 1_024 * 1_024, scan: 4 * 1_024 * 1_024 } as const;

/** What is appended together. */
const batchMax = { messages: 1_024, bytes: 4 * 1_024 * 1_024 } as const;

/** How long what was taken in, or is done, may wait to be stored. */
const flushMs = 250;

/** The wall clock may jump: it is looked at this often while something waits. */
const lookMs = 10_000;

/** Pause after the log or the store failed. */
const retryMs = 1_000;

/** The share of a log of limited size that may be slips: more would be carried forward for ever. */
const retainedShare = 0.5;

export class Scheduler {
  readonly #parts: SchedulerParts;
  readonly #log: Log;
  readonly #name: string;
  readonly #slips: Pattern;
  readonly #ledger: Ledger<SchedulesHead, Pending>;
  readonly #waiting: Waiting;
  readonly #rounds: Rounds;
  /** Drafts that have a place and are not among those that wait yet, and how many of them were answered. */
  #places = 0;
  #answered = 0;
  /** By the monotonic clock: when to store what changed, and until when to rest after a failure. */
  #flushAt = Number.POSITIVE_INFINITY;
  #restUntil = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** Takes up what was stored, and what the log says became of it since. */
  static async open(parts: SchedulerParts): Promise<Scheduler> {
    const scheduler = new Scheduler(parts);
    await scheduler.#alone(() => scheduler.#catchUp());
    scheduler.#rounds.wake();
    return scheduler;
  }

  private constructor(parts: SchedulerParts) {
    const { namespace, ledger, clock } = parts;
    this.#parts = parts;
    this.#log = namespace.log;
    this.#name = namespace.policy.namespace;
    this.#slips = slipChannel(this.#name).pattern;
    this.#ledger = ledger;
    this.#waiting = new Waiting(ledger);
    this.#rounds = new Rounds({
      clock,
      round: () => this.#round(),
      next: () => this.#next(),
      failed: (error) => this.#failed(error),
    });
  }

  /** How many wait. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** Keeps a place for a draft, until it was `answered`. False where there is none. */
  reserve(): boolean {
    if (this.#isFull()) return false;
    this.#places++;
    return true;
  }

  /** So many drafts with places were appended, or were not: those that were are taken in. */
  answered(places: number): void {
    this.#answered += places;
    this.#rounds.wake();
  }

  /** When drafts are due whose slips were stored before. One that the log no longer has is missing. */
  async duesOf(firsts: readonly Offset[]): Promise<ReadonlyMap<Offset, number>> {
    const dues = new Map<Offset, number>();
    const done: Offset[] = [];
    for (const first of firsts) {
      const one = this.#waiting.get(first);
      if (one === undefined) done.push(first);
      else dues.set(first, one.due);
    }
    for (const [first, due] of await readDues(this.#parts.namespace, done)) dues.set(first, due);
    return dues;
  }

  /**
   * The channel that a draft waits for.
   *
   * @throws DogearError `not-scheduled`
   */
  async channelOf(first: Offset): Promise<Channel> {
    return this.#alone(async () => this.#channelOf(await this.#find(first)));
  }

  /**
   * Takes a draft back that is for a channel of which `may` holds; resolves once that is durable.
   *
   * @throws DogearError `not-scheduled`, `disk-full`
   */
  async cancel(first: Offset, may: (channel: Channel) => boolean): Promise<void> {
    const cancelled = await this.#alone(async () => {
      const one = await this.#find(first);
      if (!may(await this.#channelOf(one))) throw dogearError("not-scheduled");
      this.#waiting.remove(one);
      return one;
    });
    try {
      await this.#ledger.flush();
    } catch (error) {
      await this.#alone(async () => this.#waiting.putBack(cancelled));
      this.#rounds.wake();
      throw error;
    }
  }

  /**
   * Everything up to an offset is about to be removed: slips of drafts that wait are stored again further on. Resolves
   * once none of them is there any more.
   */
  async retire(through: Offset): Promise<void> {
    const old = await this.#alone(async () => {
      await this.#catchUp();
      return this.#waiting.through(through);
    });
    for (const batch of batches(old, batchMax)) await this.#alone(() => this.#carry(batch));
    // Whoever was replaced meanwhile finds out.
    await this.#confirm();
  }

  /** Stores what it knows and stops. */
  async close(): Promise<void> {
    await this.lose();
    // What is not stored is read again.
    await this.#ledger.flush().catch((error: unknown) => this.#failed(error));
  }

  /** Another hub has taken over: what happened here and was not stored has not happened. */
  async lose(): Promise<void> {
    await this.#rounds.stop();
    await this.#alone(async () => {});
  }

  #isFull(): boolean {
    const { scheduledMax, namespace } = this.#parts;
    const bytesMax = (namespace.policy.retention.bytes ?? Number.POSITIVE_INFINITY) * retainedShare;
    return this.#waiting.size + this.#places >= scheduledMax || this.#waiting.bytes >= bytesMax;
  }

  /** One that waits. */
  async #find(first: Offset): Promise<Pending> {
    // Also what was carried forward without that being known: it must not wait once more after this one is taken back.
    await this.#catchUp();
    const one = this.#waiting.get(first);
    if (one === undefined) throw dogearError("not-scheduled");
    return one;
  }

  async #channelOf({ offset }: Pending): Promise<Channel> {
    const [[, text] = []] = await readTexts(this.#log, this.#slips, [offset]);
    if (text === undefined) throw dogearError("not-scheduled");
    return readSlip(text).channel;
  }

  /** Does what must see and leave everything as it is, after whatever was begun before. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  async #round(): Promise<void> {
    const more = await this.#alone(async () => {
      const answered = this.#answered;
      await this.#catchUp();
      this.#answered -= answered;
      this.#places -= answered;
      return this.#deliver();
    });
    await this.#flushInTime();
    this.#parts.counted(this.#waiting.size, this.#isFull());
    if (more) this.#rounds.wake();
  }

  /** When the next round is, if nothing happens before. */
  #next(): number {
    const { clock, isShared } = this.#parts;
    const { nextDue } = this.#waiting;
    const looks = nextDue < Number.POSITIVE_INFINITY || isShared;
    const wait = looks ? Math.min(lookMs, nextDue - clock.now()) : nextDue;
    return Math.max(this.#restUntil, Math.min(clock.monotonic() + wait, this.#flushAt));
  }

  #failed(error: unknown): void {
    const { clock, logger } = this.#parts;
    this.#restUntil = clock.monotonic() + retryMs;
    logger[weightOf(error)]("schedules.failed", { namespace: this.#name, error });
    if (error instanceof LedgerLostError) this.#parts.lost();
  }

  async #flushInTime(): Promise<void> {
    const now = this.#parts.clock.monotonic();
    if (this.#ledger.isDirty && now < this.#flushAt) {
      if (this.#flushAt === Number.POSITIVE_INFINITY) this.#flushAt = now + flushMs;
      return;
    }
    // Others may have stored it already.
    this.#flushAt = Number.POSITIVE_INFINITY;
    await this.#ledger.flush();
  }

  /** Brings what waits up to what the log says. */
  async #catchUp(): Promise<void> {
    await this.#takeIn();
    await this.#reconcile();
  }

  /** Takes in the slips that were stored since. */
  async #takeIn(): Promise<void> {
    const { head } = this.#ledger;
    const { newest } = await this.#log.bounds();
    while (head.position < newest) {
      const { gap, messages, through } = await this.#log.read(this.#slips, head.position, page);
      if (gap !== undefined) {
        await this.#confirm();
        this.#parts.logger.error("schedules.gap", { namespace: this.#name, ...gap });
      }
      for (let i = 0; i < messages.length; i++) this.#take(messages, i);
      head.position = through;
      this.#ledger.touch();
    }
  }

  #take(messages: Messages, i: number): void {
    const offset = messages.offsets[i] as Offset;
    const text = textOf(messages, i);
    try {
      this.#waiting.add({ offset, ...readSlip(text), bytes: text.length });
    } catch (error) {
      this.#lose(offset, error);
    }
  }

  /** Where a batch was cut short: whatever the log has of it is done. */
  async #reconcile(): Promise<void> {
    const { head } = this.#ledger;
    if (head.intent === undefined) return;
    const { newest } = await this.#log.bounds();
    for (const pattern of patternsOf(this.#name)) {
      let through = head.intent;
      while (through < newest) {
        const found = await this.#log.read(pattern, through, page);
        this.#settle(found.messages);
        through = found.through;
      }
    }
    head.intent = undefined;
    this.#ledger.touch();
  }

  #settle(messages: Messages): void {
    for (let i = 0; i < messages.length; i++) {
      const id = parseScheduleId(scheduledBy(textOf(messages, i)) ?? "");
      if (id?.namespace !== this.#name || !isOf(this.#log.lineage, id)) continue;
      const one = this.#waiting.get(id.first);
      if (one !== undefined) this.#waiting.remove(one);
    }
  }

  /** Appends what is due, as much as belongs together; returns whether anything was. */
  async #deliver(): Promise<boolean> {
    const batch = this.#waiting.take(this.#parts.clock.now(), batchMax);
    if (batch.length === 0) return false;
    try {
      await this.#append(batch);
    } catch (error) {
      this.#waiting.giveBack(batch);
      throw error;
    }
    return true;
  }

  async #append(batch: readonly Pending[]): Promise<void> {
    const { head } = this.#ledger;
    head.intent = (await this.#log.bounds()).newest;
    this.#ledger.touch();
    await this.#ledger.flush();
    const drafts = await this.#draftsOf(batch);
    await appendDue(drafts, { ...this.#parts, home: this.#log });
    for (const one of batch) this.#waiting.remove(one);
    head.intent = undefined;
    this.#ledger.touch();
  }

  async #draftsOf(batch: readonly Pending[]): Promise<readonly Unnumbered[]> {
    const texts = await this.#textsOf(batch);
    const now = this.#parts.clock.now();
    const { ttlMs } = this.#parts.namespace.policy;
    const drafts: Unnumbered[] = [];
    for (const { offset, first } of batch) {
      const text = texts.get(offset);
      try {
        if (text === undefined) throw new Error("It cannot be read.");
        drafts.push(dueDraft(text, { id: scheduleIdOf(this.#parts.namespace, first), now, ttlMs }));
      } catch (error) {
        // One that is damaged must not keep the others.
        this.#lose(offset, error);
      }
    }
    return drafts;
  }

  /** Stores slips again, so that they are not removed. Taken in, they take the places of the old ones. */
  async #carry(old: readonly Pending[]): Promise<void> {
    const waiting = old.filter((one) => this.#waiting.waits(one));
    const texts = await this.#textsOf(waiting);
    const slips: Draft[] = [];
    for (const one of waiting) {
      const text = texts.get(one.offset);
      if (text === undefined) {
        this.#lose(one.offset, "It cannot be read.");
        this.#waiting.remove(one);
      } else {
        slips.push({ ...carriedSlip(text), origin: { by: "nobody" } });
      }
    }
    if (slips.length > 0) await this.#log.append(slips);
    await this.#takeIn();
  }

  async #textsOf(pending: readonly Pending[]): Promise<ReadonlyMap<Offset, Buffer>> {
    const offsets = pending.map(({ offset }) => offset).sort((a, b) => a - b);
    const texts = await readTexts(this.#log, this.#slips, offsets);
    if (texts.size < offsets.length) await this.#confirm();
    return texts;
  }

  /** Makes sure that what is missing is lost: another hub that sees to it by now has stored it again further on. */
  async #confirm(): Promise<void> {
    this.#ledger.touch();
    await this.#ledger.flush();
  }

  #lose(offset: Offset, error: unknown): void {
    this.#parts.logger.error("schedules.lost", { namespace: this.#name, offset, error });
  }
}
