/**
 * The hub: namespaces, producers and cursors put together. It knows no sockets and no envelopes.
 */
import {
  type Channel,
  type Durability,
  dogearError,
  type Epoch,
  type Gap,
  namespaceOf,
  type Offset,
  type Pattern,
  type Position,
} from "@dogear/shared";
import type { Appended, Engine, NamespacePolicy } from "../engine/engine.ts";
import { epochOf, locate } from "../engine/lineage.ts";
import type { Chance, Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import { type Cursor, Cursors } from "./cursors.ts";
import { Namespace } from "./namespace.ts";
import { Sequencer, type Unnumbered } from "./sequencer.ts";
import { Turns } from "./turns.ts";

export interface HubParts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly policies: readonly NamespacePolicy[];
  readonly producerMemoryMs: number;
}

/** Where a subscription wants to start. */
export type From = "latest" | "earliest" | Position | { readonly time: number };

/** A place in a namespace's log today, and what is lost for whoever comes there. */
export interface Start {
  readonly epoch: Epoch;
  readonly offset: Offset;
  readonly gap: Gap | undefined;
}

/** Drafts that were answered. */
export interface Outcome {
  /** One for each draft. */
  readonly answers: readonly Appended[];
  readonly epoch: Epoch;
  readonly durability: Durability;
}

/** Who publishes, with what memory of it. */
export interface ProducerHello {
  readonly id: string;
  readonly settled: number;
  /** Numbers above `settled` that were refused. */
  readonly refused?: readonly number[] | undefined;
  readonly seen?: number | undefined;
}

/** A configured namespace would split a name: its channels already have messages in `default`. */
export class SplitNamespaceError extends Error {}

export class Hub {
  readonly turns: Turns;
  readonly #parts: HubParts;
  readonly #namespaces: ReadonlyMap<string, Namespace>;
  readonly #cursors: Cursors;
  #cancelKeeping: () => void = () => {};
  /** Producers that sessions use, counted: a second session of a producer shares its sequence. */
  readonly #producers = new Map<string, { readonly sequencer: Promise<Sequencer | undefined>; uses: number }>();

  /** Opens the log of every namespace. */
  static async open(parts: HubParts): Promise<Hub> {
    const namespaces = new Map<string, Namespace>();
    for (const policy of parts.policies) {
      namespaces.set(policy.namespace, new Namespace(policy, await parts.engine.open(policy), parts));
    }
    const hub = new Hub(parts, namespaces);
    await hub.#refuseSplitNames();
    return hub;
  }

  private constructor(parts: HubParts, namespaces: ReadonlyMap<string, Namespace>) {
    this.#parts = parts;
    this.#namespaces = namespaces;
    this.#cursors = new Cursors(parts.engine.state, parts);
    this.turns = new Turns(parts.clock);
    this.#keepProducers();
  }

  namespace(name: Channel | Pattern): Namespace {
    return this.#namespaces.get(namespaceOf(name, this.#namespaces)) as Namespace;
  }

  /** Finds or begins a producer's sequence; `undefined` where it was forgotten. Give it back with `leaveProducer`. */
  async produce(user: string, { id, settled, refused, seen }: ProducerHello): Promise<Sequencer | undefined> {
    const name = `${user}/${id}`;
    let used = this.#producers.get(name);
    if (used === undefined) {
      used = { sequencer: this.#sequencer(name, seen), uses: 0 };
      this.#producers.set(name, used);
    }
    used.uses++;
    try {
      const sequencer = await used.sequencer;
      sequencer?.settled(settled, refused);
      return sequencer;
    } catch (error) {
      // Whoever comes next asks the logs again.
      this.leaveProducer(user, id);
      throw error;
    }
  }

  leaveProducer(user: string, id: string): void {
    const name = `${user}/${id}`;
    const used = this.#producers.get(name);
    if (used !== undefined && --used.uses === 0) this.#producers.delete(name);
  }

  /** Appends drafts to a namespace's log, in order; resolves once they are as durable as the outcome says. */
  async publish(namespace: Namespace, drafts: readonly Unnumbered[], by?: Publisher): Promise<Outcome> {
    const { log } = namespace;
    const answers =
      by === undefined
        ? await log.append(drafts.map((draft) => ({ ...draft, origin: { by: "nobody" } })))
        : await by.sequencer.append(by.first, namespace, drafts);
    return { answers, epoch: epochOf(log.lineage), durability: log.durability };
  }

  /** Where in a namespace's log a subscription starts. */
  async start({ log }: Namespace, from: From): Promise<Start> {
    const bounds = await log.bounds();
    const epoch = epochOf(log.lineage);
    if (from === "latest") return { epoch, offset: bounds.newest, gap: undefined };
    if (from === "earliest") return { epoch, offset: (bounds.oldest - 1) as Offset, gap: undefined };
    if ("time" in from) return { epoch, offset: await log.offsetAt(from.time), gap: undefined };
    return { epoch, ...locate(log.lineage, bounds, from) };
  }

  /** Claims a durable cursor; resolves once it is durable, with where it stands in today's log. */
  async claim(
    name: { readonly user: string; readonly subscriber: string; readonly pattern: Pattern },
    claim: { readonly from: From; readonly reset: boolean; readonly takenOver: () => void },
  ): Promise<{ readonly cursor: Cursor; readonly start: Start }> {
    const namespace = this.namespace(name.pattern);
    if (namespace.log.durability === "memory") throw dogearError("memory-namespace");
    const cursor = await this.#cursors.claim(name, {
      reset: claim.reset,
      takenOver: claim.takenOver,
      start: async () => {
        // Stored as it was asked for: what is lost from there on must be told until it is acknowledged.
        if (typeof claim.from === "object" && "epoch" in claim.from) return claim.from;
        const { epoch, offset } = await this.start(namespace, claim.from);
        return { epoch, offset };
      },
    });
    return { cursor, start: await this.start(namespace, cursor.start) };
  }

  /** Stores what was acknowledged and stops following. The engine stays open. */
  async close(): Promise<void> {
    this.#cancelKeeping();
    for (const namespace of this.#namespaces.values()) namespace.stop();
    await this.#cursors.flush();
  }

  async #sequencer(name: string, seen: number | undefined): Promise<Sequencer | undefined> {
    const found = await Sequencer.find(name, this.#namespaces.values());
    if (found !== undefined) return found;
    const forgotten = seen !== undefined && seen < this.#parts.clock.now() - this.#parts.producerMemoryMs;
    return forgotten ? undefined : Sequencer.begin(name);
  }

  /** A producer whose session lives is heard of, however rarely it publishes. */
  #keepProducers(): void {
    const { clock, producerMemoryMs } = this.#parts;
    this.#cancelKeeping = clock.after(producerMemoryMs / 4, () => {
      for (const name of this.#producers.keys()) {
        for (const { log } of this.#namespaces.values()) void log.lastNumber(name).catch(() => {});
      }
      this.#keepProducers();
    });
  }

  /** A namespace must not split a name: its channels must not already live in `default`. */
  async #refuseSplitNames(): Promise<void> {
    const { log } = this.#namespaces.get("default") as Namespace;
    const { newest } = await log.bounds();
    for (const name of this.#namespaces.keys()) {
      if (name === "default") continue;
      for (const pattern of [name, `${name}.>`] as Pattern[]) {
        let at = 0 as Offset;
        while (at < newest) {
          const page = await log.read(pattern, at, { messages: 1, bytes: 1, scan: splitScanBytes });
          if (page.messages.length > 0) {
            throw new SplitNamespaceError(
              `The namespace ${name} cannot be configured: ${page.messages.channels[0]} already has messages in the namespace default.`,
            );
          }
          at = page.through;
        }
      }
    }
  }
}

/** A producer, and the number of the first of its drafts. */
export interface Publisher {
  readonly sequencer: Sequencer;
  readonly first: number;
}

const splitScanBytes = 64 * 1_024 * 1_024;
