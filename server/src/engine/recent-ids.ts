/** The explicit ids a log has seen lately, bounded in time and in number. */
import type { Offset } from "@dogear/shared";

interface Seen {
  readonly id: string;
  readonly offset: Offset;
  readonly time: number;
  /** What was seen after it. */
  next: Seen | undefined;
}

export class RecentIds {
  /** By id, each as it was seen last. */
  readonly #seen = new Map<string, Seen>();
  /**
   * The ends of a chain of all of them, in the order in which they were seen. The map has the same order, but whoever asks
   * it for its first entry waits while it passes over all that were deleted before, as many as remain.
   */
  #oldest: Seen | undefined;
  #newest: Seen | undefined;
  #length = 0;
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
    return this.#length >= this.#idsMax && this.#oldest !== undefined && offset < this.#oldest.offset;
  }

  record(id: string, offset: Offset, time: number): void {
    const seen: Seen = { id, offset, time, next: undefined };
    this.#seen.set(id, seen);
    if (this.#newest === undefined) this.#oldest = seen;
    else this.#newest.next = seen;
    this.#newest = seen;
    this.#length++;
    while (this.#oldest !== undefined && (this.#oldest.time <= time - this.#windowMs || this.#length > this.#idsMax)) {
      this.#forgetOldest(this.#oldest);
    }
  }

  #forgetOldest(oldest: Seen): void {
    // It may have been seen again since.
    if (this.#seen.get(oldest.id) === oldest) this.#seen.delete(oldest.id);
    this.#oldest = oldest.next;
    if (this.#oldest === undefined) this.#newest = undefined;
    this.#length--;
  }
}
