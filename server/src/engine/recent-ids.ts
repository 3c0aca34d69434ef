/** The explicit ids a log has seen lately, bounded in time and in number. */
import type { Offset } from "@dogear/shared";

interface Seen {
  readonly offset: Offset;
  readonly time: number;
}

export class RecentIds {
  readonly #seen = new Map<string, Seen>();
  readonly #windowMs: number;
  readonly #idsMax: number;

  constructor(windowMs: number, idsMax: number) {
    this.#windowMs = windowMs;
    this.#idsMax = idsMax;
  }

  /** Where a message with this id went, if it was within the window. */
  find(id: string, now: number): Offset | undefined {
    const seen = this.#seen.get(id);
    return seen !== undefined && seen.time > now - this.#windowMs ? seen.offset : undefined;
  }

  /** Whether an id that is not known, of a message at this offset, was forgotten because there are too many. */
  outgrown(offset: Offset): boolean {
    if (this.#seen.size < this.#idsMax) return false;
    const [oldest] = this.#seen.values();
    return oldest !== undefined && offset < oldest.offset;
  }

  record(id: string, offset: Offset, time: number): void {
    // Deleted first so that the map stays ordered by time, and forgetting stops at the first that is young enough.
    this.#seen.delete(id);
    this.#seen.set(id, { offset, time });
    for (const [old, { time: since }] of this.#seen) {
      if (since > time - this.#windowMs && this.#seen.size <= this.#idsMax) return;
      this.#seen.delete(old);
    }
  }
}
