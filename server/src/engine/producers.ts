/**
 * What a log remembers of those who number their drafts, so that a retry is never a second message.
 *
 * Memory per producer is constant: its last number and where that went. Each stored message points back to its
 * producer's message before it, so the result of an older number is found by walking back through the log.
 */
import type { Offset } from "@dogear/shared";
import type { Appended } from "./engine.ts";

/** What a stored message says of the producer it came from. */
export interface Provenance {
  readonly producer: string;
  readonly number: number;
  /** Where the producer's message before this one is; 0 where there is none. */
  readonly previousOffset: Offset;
}

interface Last {
  readonly number: number;
  readonly offset: Offset;
  readonly time: number;
}

/** One producer of a snapshot: name, last number, its offset, the time it was heard of. */
export type ProducerRecord = readonly [producer: string, number: number, offset: number, time: number];

export class Producers {
  readonly #last = new Map<string, Last>();
  /** Results found by walking back, kept while one producer repeats itself. */
  readonly #trail = { producer: "", offsets: new Map<number, Offset>(), nextOffset: 0 as Offset };
  readonly #provenanceAt: (offset: Offset) => Provenance | undefined;

  constructor(provenanceAt: (offset: Offset) => Provenance | undefined) {
    this.#provenanceAt = provenanceAt;
  }

  last(producer: string): { readonly number: number; readonly offset: Offset } {
    return this.#last.get(producer) ?? { number: 0, offset: 0 as Offset };
  }

  record(producer: string, number: number, offset: Offset, time: number): void {
    this.#put(producer, { number, offset, time });
    if (this.#trail.producer === producer) this.#trail.producer = "";
  }

  /** The producer was heard of. */
  touch(producer: string, time: number): void {
    const last = this.#last.get(producer);
    if (last !== undefined) this.#put(producer, { ...last, time });
  }

  /** What became of a number that was used before. */
  settled(producer: string, number: number): Appended {
    const offset = this.#find(producer, number);
    return offset === undefined ? { refused: "outcome-unknown" } : { offset, duplicate: true };
  }

  forgetBefore(time: number): void {
    for (const [producer, last] of this.#last) {
      if (last.time >= time) return;
      this.#last.delete(producer);
    }
  }

  snapshot(): readonly ProducerRecord[] {
    return [...this.#last].map(([producer, { number, offset, time }]) => [producer, number, offset, time]);
  }

  restore(records: readonly ProducerRecord[]): void {
    for (const [producer, number, offset, time] of records) this.record(producer, number, offset as Offset, time);
  }

  #put(producer: string, last: Last): void {
    // Deleted first so that the map stays ordered by when each was last heard of.
    this.#last.delete(producer);
    this.#last.set(producer, last);
  }

  #find(producer: string, number: number): Offset | undefined {
    const trail = this.#trail;
    if (trail.producer !== producer) {
      trail.producer = producer;
      trail.offsets.clear();
      trail.nextOffset = this.last(producer).offset;
    }
    while (!trail.offsets.has(number) && trail.nextOffset > 0) {
      const found = this.#provenanceAt(trail.nextOffset);
      if (found?.producer !== producer) break;
      trail.offsets.set(found.number, trail.nextOffset);
      trail.nextOffset = found.previousOffset;
      if (found.number < number) break;
    }
    return trail.offsets.get(number);
  }
}
