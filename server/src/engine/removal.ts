/**
 * Lets someone know before retention removes anything. What is wanted gone stays until the listener has let go of it:
 *
 *     ├── removed ──┼── released ──┼── wanted, the listener was asked ──┼── kept
 */
import type { Offset } from "@dogear/shared";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";

export interface RemovalParts {
  readonly namespace: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when more may be removed than before. */
  readonly released: () => void;
}

/** How long a listener that failed is left alone. */
const retryMs = 500;

export class Removal {
  readonly #parts: RemovalParts;
  #listener: ((through: Offset) => Promise<void>) | undefined;
  /** The listener has let go of everything up to and including this. */
  #released = 0 as Offset;
  #asking: Promise<void> | undefined;
  #askFrom = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(parts: RemovalParts) {
    this.#parts = parts;
  }

  listen(listener: (through: Offset) => Promise<void>): void {
    if (this.#listener !== undefined) throw new Error("Somebody is told of removals already.");
    this.#listener = listener;
  }

  /** How far of what is wanted gone may be removed now. The listener is asked for the rest, and nobody waits for it. */
  allowed(wanted: Offset): Offset {
    if (this.#listener === undefined) return wanted;
    if (wanted > this.#released && this.#mayAsk()) this.#asking = this.#ask(this.#listener, wanted);
    return Math.min(wanted, this.#released) as Offset;
  }

  /** Asks no more, and resolves when the listener is done with what it was asked. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#asking;
  }

  #mayAsk(): boolean {
    return !this.#closed && this.#asking === undefined && this.#parts.clock.monotonic() >= this.#askFrom;
  }

  async #ask(listener: (through: Offset) => Promise<void>, through: Offset): Promise<void> {
    const { namespace, clock, logger, released } = this.#parts;
    try {
      // The one who wants it gone finishes first: the listener uses the same log.
      await Promise.resolve();
      await listener(through);
      this.#released = through;
    } catch (error) {
      this.#askFrom = clock.monotonic() + retryMs;
      logger.warn("log.removal-put-off", { namespace, through, error });
    }
    this.#asking = undefined;
    if (this.#released === through) released();
  }
}
