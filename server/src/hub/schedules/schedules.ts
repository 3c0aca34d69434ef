/** The schedules of a hub: drafts that wait in the logs of its namespaces until they are due (P-47 to P-49). */
import { type Channel, dogearError, namespaceOf, type Offset } from "@dogear/shared";
import type { State } from "../../engine/engine.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Namespace } from "../namespace.ts";
import type { Unnumbered } from "../sequencer.ts";
import { loadSchedules } from "./record.ts";
import { isOf, parseScheduleId } from "./schedule-id.ts";
import { Scheduler } from "./scheduler.ts";
import { slipChannel, slipOf, type Wait } from "./slip.ts";

export interface SchedulesParts {
  readonly state: State;
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

export class Schedules {
  readonly #logger: Logger;
  readonly #schedulers: ReadonlyMap<Namespace, Scheduler>;

  /** Opens the schedules of every namespace that keeps what it is given. */
  static async open({ state, namespaces, ...parts }: SchedulesParts): Promise<Schedules> {
    const schedulers = new Map<Namespace, Scheduler>();
    const logOf = (channel: Channel) => (namespaces.get(namespaceOf(channel, namespaces)) as Namespace).log;
    for (const [name, namespace] of namespaces) {
      if (namespace.log.durability === "memory") continue;
      const { ledger, lost } = await loadSchedules(state, namespace);
      if (lost > 0) parts.logger.error("schedules.lost", { namespace: name, count: lost, reason: "epoch" });
      schedulers.set(namespace, await Scheduler.open({ ...parts, namespace, ledger, logOf }));
    }
    return new Schedules(parts.logger, schedulers);
  }

  private constructor(logger: Logger, schedulers: ReadonlyMap<Namespace, Scheduler>) {
    this.#logger = logger;
    this.#schedulers = schedulers;
  }

  /** Whether drafts can wait in a namespace at all: one that is kept in memory would forget them. */
  admits(namespace: Namespace): boolean {
    return this.#schedulers.has(namespace);
  }

  /** Keeps a place for a draft, until it was `answered`. False where there is none now. */
  reserve(namespace: Namespace): boolean {
    return this.#of(namespace).reserve();
  }

  /** The draft that is to be published in the place of one that waits. */
  slip({ policy }: Namespace, draft: Unnumbered, wait: Wait): Unnumbered {
    return slipOf(draft, wait, slipChannel(policy.namespace).channel);
  }

  /** So many drafts that had places were published, or were not. */
  answered(namespace: Namespace, places: number): void {
    this.#of(namespace).answered(places);
  }

  /** What is said of slips that were published, by their offsets. Of one that was before it is what was said then. */
  async schedulesOf(namespace: Namespace, stored: readonly Stored[]): Promise<ReadonlyMap<Offset, Schedule>> {
    const scheduler = this.#of(namespace);
    const repeated = stored.filter(({ duplicate }) => duplicate).map(({ offset }) => offset);
    let dues: ReadonlyMap<Offset, number> = new Map();
    try {
      if (repeated.length > 0) dues = await scheduler.duesOf(repeated);
    } catch (error) {
      // They are scheduled whatever can be read of them now.
      this.#logger.warn("schedules.not-read", { namespace: namespace.policy.namespace, error });
    }
    return new Map(
      stored.map(({ offset, due }) => [offset, { id: scheduler.idOf(offset), due: dues.get(offset) ?? due }]),
    );
  }

  /**
   * Takes back what is scheduled for a channel of which `may` holds; resolves once that is durable.
   *
   * @throws DogearError `not-scheduled`, also where it may not be taken back; `disk-full`
   */
  async cancel(id: string, may: (channel: Channel) => boolean): Promise<void> {
    const parsed = parseScheduleId(id);
    for (const [{ policy, log }, scheduler] of this.#schedulers) {
      if (parsed?.namespace === policy.namespace && isOf(log.lineage, parsed))
        return scheduler.cancel(parsed.first, may);
    }
    throw dogearError("not-scheduled");
  }

  /** Everything up to an offset is about to be removed: what waits there is stored again before this resolves. */
  async retire(namespace: Namespace, through: Offset): Promise<void> {
    await this.#schedulers.get(namespace)?.retire(through);
  }

  /** How many drafts wait in a namespace. */
  pending(namespace: Namespace): number {
    return this.#schedulers.get(namespace)?.pending ?? 0;
  }

  /** Stores what it knows and stops. What waits goes on waiting when it is opened again. */
  async close(): Promise<void> {
    await Promise.all([...this.#schedulers.values()].map((scheduler) => scheduler.close()));
  }

  #of(namespace: Namespace): Scheduler {
    const scheduler = this.#schedulers.get(namespace);
    if (scheduler === undefined) throw dogearError("memory-namespace");
    return scheduler;
  }
}
