/**
 * Decides, for the drafts of one commit, which become messages and at which offsets, and which are answered with an
 * earlier result. Nothing is remembered until the commit is durable: `settle` is called then, or never.
 */
import type { Offset } from "@dogear/shared";
import type { Appended, Draft, Origin } from "./engine.ts";
import type { Producers, Provenance } from "./producers.ts";
import type { RecentIds } from "./recent-ids.ts";

/** What is remembered of the drafts before. */
export interface AdmissionMemory {
  readonly producers: Pick<Producers, "last" | "record" | "settled">;
  readonly ids: Pick<RecentIds, "find" | "record">;
}

/** A draft that becomes a message. */
export interface Accepted {
  readonly draft: Draft;
  readonly offset: Offset;
  /** For a draft of a producer. */
  readonly provenance: Provenance | undefined;
}

export interface Admitted {
  /** In order, with consecutive offsets. */
  readonly accepted: readonly Accepted[];
  /** One for each draft, true once the commit is durable. */
  readonly answers: readonly Appended[];
  settle(): void;
}

export function admit(drafts: readonly Draft[], first: Offset, time: number, memory: AdmissionMemory): Admitted {
  const commit = new Commit(first, time, memory);
  const answers = drafts.map((draft) => commit.answer(draft));
  return { accepted: commit.accepted, answers, settle: () => commit.settle() };
}

class Commit {
  readonly accepted: Accepted[] = [];
  readonly #first: Offset;
  readonly #time: number;
  readonly #producers: AdmissionMemory["producers"];
  readonly #ids: AdmissionMemory["ids"];
  /** What this commit adds to the memory of the log, by producer and by id. */
  readonly #stagedProducers = new Map<string, { number: number; offset: Offset }>();
  readonly #stagedIds = new Map<string, Offset>();

  constructor(first: Offset, time: number, { producers, ids }: AdmissionMemory) {
    this.#first = first;
    this.#time = time;
    this.#producers = producers;
    this.#ids = ids;
  }

  answer(draft: Draft): Appended {
    const { origin, id } = draft;
    if (origin.by === "producer") return this.#answerProducer(draft, origin);
    return this.#repeatedId(id) ?? this.#accept(draft, undefined);
  }

  settle(): void {
    for (const [producer, { number, offset }] of this.#stagedProducers) {
      this.#producers.record(producer, number, offset, this.#time);
    }
    for (const [id, offset] of this.#stagedIds) this.#ids.record(id, offset, this.#time);
  }

  #answerProducer(draft: Draft, { producer, number, previous }: Extract<Origin, { by: "producer" }>): Appended {
    const last = this.#stagedProducers.get(producer) ?? this.#producers.last(producer);
    if (previous === "repeat" || number <= last.number) {
      const settled = this.#repeated(producer, number);
      // A number whose draft was recognised by its id has no message of its own.
      return "refused" in settled ? (this.#repeatedId(draft.id) ?? settled) : settled;
    }
    if (previous !== last.number) return { refused: "out-of-order" };
    const appended =
      this.#repeatedId(draft.id) ?? this.#accept(draft, { producer, number, previousOffset: last.offset });
    const offset = appended.duplicate ? last.offset : appended.offset;
    this.#stagedProducers.set(producer, { number, offset });
    return appended;
  }

  /** Where a message with this id went. */
  #repeatedId(id: string | undefined): { offset: Offset; duplicate: true } | undefined {
    if (id === undefined) return undefined;
    const seen = this.#stagedIds.get(id) ?? this.#ids.find(id, this.#time);
    return seen === undefined ? undefined : { offset: seen, duplicate: true };
  }

  #repeated(producer: string, number: number): Appended {
    const here = this.accepted.find(
      ({ provenance }) => provenance?.producer === producer && provenance.number === number,
    );
    return here === undefined ? this.#producers.settled(producer, number) : { offset: here.offset, duplicate: true };
  }

  #accept(draft: Draft, provenance: Provenance | undefined): { offset: Offset; duplicate: false } {
    const offset = (this.#first + this.accepted.length) as Offset;
    this.accepted.push({ draft, offset, provenance });
    if (draft.id !== undefined) this.#stagedIds.set(draft.id, offset);
    return { offset, duplicate: false };
  }
}
