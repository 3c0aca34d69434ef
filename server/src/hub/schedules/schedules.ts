/** The schedules of a hub: drafts that wait in the logs of its namespaces until they are due (P-47 to P-49). */
import { type Channel, dogearError, namespaceOf, type Offset } from "@dogear/shared";
import type { Peers, State } from "../../engine/engine.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Colleagues } from "../colleagues.ts";
import { LedgerLostError } from "../ledger.ts";
import type { Namespace } from "../namespace.ts";
import type { Ownership } from "../ownership.ts";
import type { Unnumbered } from "../sequencer.ts";
import { readDues } from "./due.ts";
import { loadSchedules } from "./record.ts";
import { isOf, parseScheduleId, scheduleIdOf } from "./schedule-id.ts";
import { Scheduler } from "./scheduler.ts";
import { slipChannel, slipOf, type Wait } from "./slip.ts";

export interface SchedulesParts {
  readonly state: State;
  readonly peers: Peers;
  readonly ownership: Ownership;
  readonly colleagues: Colleagues;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly scheduledMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A slip that was appended, or was found to have been before. */
export interface Stored {
  readonly offset: Offset;
  readonly duplicate: boolean;
  /** When its draft was to be due, as it came now. */
  readonly due: number;
}

/** What is said of a draft that waits. */
export interface Schedule {
  readonly id: string;
  readonly due: number;
}

/** What hubs tell and ask each other. */
type Word =
  /** Slips were stored. */
  | { readonly say: "stored"; readonly namespace: string }
  /** How many wait, and whether there is no room for more. */
  | { readonly say: "counted"; readonly namespace: string; readonly pending: number; readonly full: boolean }
  | { readonly say: "channel"; readonly namespace: string; readonly first: Offset }
  | { readonly say: "cancel"; readonly namespace: string; readonly first: Offset; readonly channel: Channel };

const topic = "schedules";

/** Pause before what could not be taken over is tried again. */
const retryMs = 1_000;

/** One namespace's schedules, whoever sees to them. */
interface Desk {
  readonly namespace: Namespace;
  readonly what: string;
  /** What delivers them, where that is this hub. */
  scheduler: Scheduler | undefined;
  /** What the hub said that does. */
  there: { readonly pending: number; readonly full: boolean };
  /** Drafts handed in here that have a place and were not answered, while another hub sees to them. */
  places: number;
  taking: Promise<void> | undefined;
  /** Those who wait until it is this hub's. */
  readonly waiting: Set<PromiseWithResolvers>;
}

interface PromiseWithResolvers {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Schedules {
  readonly #parts: SchedulesParts;
  readonly #desks: ReadonlyMap<Namespace, Desk>;
  #closed = false;
  #cancelRetry: () => void = () => {};

  /** Opens the schedules of every namespace that keeps what it is given, and that no other hub sees to. */
  static async open(parts: SchedulesParts): Promise<Schedules> {
    const schedules = new Schedules(parts);
    await Promise.all([...schedules.#desks.values()].map((desk) => schedules.#take(desk).catch(throwUnlessLost)));
    schedules.#takeLater();
    return schedules;
  }

  private constructor(parts: SchedulesParts) {
    this.#parts = parts;
    const kept = [...parts.namespaces.values()].filter(({ log }) => log.durability !== "memory");
    this.#desks = new Map(kept.map((namespace) => [namespace, deskOf(namespace)]));
    parts.colleagues.serve<Word>(topic, (word) => this.#answer(word));
    parts.peers.onGone(() => this.#takeAll());
    parts.ownership.onLost((what) => {
      for (const desk of this.#desks.values()) if (desk.what === what) void this.#lose(desk);
    });
  }

  /** Whether drafts can wait in a namespace at all: one that is kept in memory would forget them. */
  admits(namespace: Namespace): boolean {
    return this.#desks.has(namespace);
  }

  /** Keeps a place for a draft, until it was `answered`. False where there is none now. */
  reserve(namespace: Namespace): boolean {
    const desk = this.#of(namespace);
    if (desk.scheduler !== undefined) return desk.scheduler.reserve();
    const { pending, full } = desk.there;
    if (full || pending + desk.places >= this.#parts.scheduledMax) return false;
    desk.places++;
    return true;
  }

  /** The draft that is to be published in the place of one that waits. */
  slip({ policy }: Namespace, draft: Unnumbered, wait: Wait): Unnumbered {
    return slipOf(draft, wait, slipChannel(policy.namespace).channel);
  }

  /** So many drafts that had places were published, or were not. */
  answered(namespace: Namespace, places: number): void {
    const desk = this.#of(namespace);
    // Some may have got their places from the other hub's word, before or after this one took over.
    const there = Math.min(places, desk.places);
    desk.places -= there;
    if (desk.scheduler !== undefined) desk.scheduler.answered(places - there);
    else this.#parts.colleagues.tellAll(topic, { say: "stored", namespace: namespace.policy.namespace } satisfies Word);
  }

  /** What is said of slips that were published, by their offsets. Of one that was before it is what was said then. */
  async schedulesOf(namespace: Namespace, stored: readonly Stored[]): Promise<ReadonlyMap<Offset, Schedule>> {
    const { scheduler } = this.#of(namespace);
    const repeated = stored.filter(({ duplicate }) => duplicate).map(({ offset }) => offset);
    let dues: ReadonlyMap<Offset, number> = new Map();
    try {
      if (repeated.length > 0) dues = await (scheduler?.duesOf(repeated) ?? readDues(namespace, repeated));
    } catch (error) {
      // They are scheduled whatever can be read of them now.
      this.#parts.logger.warn("schedules.not-read", { namespace: namespace.policy.namespace, error });
    }
    return new Map(
      stored.map(({ offset, due }) => [offset, { id: scheduleIdOf(namespace, offset), due: dues.get(offset) ?? due }]),
    );
  }

  /**
   * Takes back what is scheduled for a channel of which `may` holds; resolves once that is durable.
   *
   * @throws DogearError `not-scheduled`, also where it may not be taken back; `disk-full`, `unavailable`
   */
  async cancel(id: string, may: (channel: Channel) => boolean): Promise<void> {
    const parsed = parseScheduleId(id);
    for (const desk of this.#desks.values()) {
      const { policy, log } = desk.namespace;
      if (parsed?.namespace !== policy.namespace || !isOf(log.lineage, parsed)) continue;
      return this.#cancel(desk, parsed.first, may);
    }
    throw dogearError("not-scheduled");
  }

  /**
   * Everything up to an offset is about to be removed: what waits there is stored again before this resolves.
   *
   * @throws DogearError `unavailable` another hub sees to it by now, and knows what waits
   */
  async retire(namespace: Namespace, through: Offset): Promise<void> {
    const desk = this.#desks.get(namespace);
    if (desk === undefined) return;
    if (desk.scheduler === undefined) throw dogearError("unavailable", "Another hub sees to the schedules.");
    await desk.scheduler.retire(through);
  }

  /** Resolves when this hub is the one that sees to a namespace; rejects when it is closed. */
  async owning(namespace: Namespace): Promise<void> {
    const desk = this.#desks.get(namespace);
    if (desk === undefined || desk.scheduler !== undefined) return;
    if (this.#closed) throw dogearError("unavailable", "The hub is stopping.");
    await new Promise<void>((resolve, reject) => {
      desk.waiting.add({ resolve, reject });
    });
  }

  /** How many drafts wait in a namespace. */
  pending(namespace: Namespace): number {
    const desk = this.#desks.get(namespace);
    return desk?.scheduler?.pending ?? desk?.there.pending ?? 0;
  }

  /** Stores what it knows and stops. What waits goes on waiting when it is opened again, here or by another hub. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRetry();
    await Promise.all([...this.#desks.values()].map((desk) => this.#leave(desk)));
  }

  async #cancel(
    { namespace, what, scheduler }: Desk,
    first: Offset,
    may: (channel: Channel) => boolean,
  ): Promise<void> {
    if (scheduler !== undefined) return scheduler.cancel(first, may);
    const { ownership, colleagues } = this.#parts;
    const hub = (await ownership.find(what))?.hub;
    // Nobody, or this hub in a moment.
    if (hub === undefined || hub === colleagues.self) throw dogearError("unavailable");
    const which = { namespace: namespace.policy.namespace, first };
    const channel = await colleagues.ask<Channel>(hub, topic, { say: "channel", ...which } satisfies Word);
    if (!may(channel)) throw dogearError("not-scheduled");
    await colleagues.ask(hub, topic, { say: "cancel", ...which, channel } satisfies Word);
  }

  async #answer(word: Word): Promise<unknown> {
    const namespace = this.#parts.namespaces.get(word.namespace);
    const desk = namespace && this.#desks.get(namespace);
    if (desk === undefined) return undefined;
    if (word.say === "counted") {
      desk.there = word;
      return undefined;
    }
    const { scheduler } = desk;
    if (word.say === "stored") return scheduler?.answered(0);
    if (scheduler === undefined) throw dogearError("unavailable");
    if (word.say === "channel") return scheduler.channelOf(word.first);
    return scheduler.cancel(word.first, (channel) => channel === word.channel);
  }

  #takeAll(): void {
    for (const desk of this.#desks.values()) void this.#tryToTake(desk);
  }

  async #tryToTake(desk: Desk): Promise<void> {
    try {
      await this.#take(desk);
    } catch (error) {
      this.#parts.logger.warn("schedules.not-taken", { namespace: desk.namespace.policy.namespace, error });
    }
    this.#takeLater();
  }

  /** While another hub sees to some of them, it is looked now and then whether it is still there. */
  #takeLater(): void {
    this.#cancelRetry();
    if (this.#closed || [...this.#desks.values()].every(({ scheduler }) => scheduler !== undefined)) return;
    this.#cancelRetry = this.#parts.clock.after(retryMs, () => this.#takeAll());
  }

  #take(desk: Desk): Promise<void> {
    if (desk.scheduler !== undefined || this.#closed) return Promise.resolve();
    desk.taking ??= this.#open(desk).finally(() => {
      desk.taking = undefined;
    });
    return desk.taking;
  }

  /** Takes over, if no other hub that is there sees to it. */
  async #open(desk: Desk): Promise<void> {
    const { ownership, peers, state, namespaces, colleagues, ...parts } = this.#parts;
    const { namespace, what } = desk;
    const name = namespace.policy.namespace;
    if ((await ownership.claim(what)) !== peers.self) return;
    const { ledger, lost } = await loadSchedules(state, namespace);
    if (lost > 0) parts.logger.error("schedules.lost", { namespace: name, count: lost, reason: "epoch" });
    desk.scheduler = await Scheduler.open({
      ...parts,
      namespace,
      ledger,
      logOf: (channel) => (namespaces.get(namespaceOf(channel, namespaces)) as Namespace).log,
      isShared: peers.canBe,
      counted: (pending, full) => colleagues.tellAll(topic, { say: "counted", namespace: name, pending, full }),
      lost: () => void this.#lose(desk),
    });
    for (const { resolve } of desk.waiting) resolve();
    desk.waiting.clear();
  }

  async #lose(desk: Desk): Promise<void> {
    const { scheduler } = desk;
    desk.scheduler = undefined;
    await scheduler?.lose();
    this.#takeLater();
  }

  async #leave(desk: Desk): Promise<void> {
    await desk.taking?.catch(() => {});
    for (const { reject } of desk.waiting) reject(dogearError("unavailable", "The hub is stopping."));
    if (desk.scheduler === undefined) return;
    await desk.scheduler.close();
    await this.#parts.ownership.release(desk.what).catch(() => {});
  }

  #of(namespace: Namespace): Desk {
    const desk = this.#desks.get(namespace);
    if (desk === undefined) throw dogearError("memory-namespace");
    return desk;
  }
}

/** Where the owner before, who stood still, has stored something in this moment, it is tried again. */
function throwUnlessLost(error: unknown): void {
  if (!(error instanceof LedgerLostError)) throw error;
}

function deskOf(namespace: Namespace): Desk {
  return {
    namespace,
    what: `schedules/${namespace.policy.namespace}`,
    scheduler: undefined,
    there: { pending: 0, full: false },
    places: 0,
    taking: undefined,
    waiting: new Set(),
  };
}
