/**
 * Extends leases while they are held, also those of messages that wait: at a third of their length, so that one
 * extension may be lost and one be late. A timer runs only while there is something to extend.
 */
import type { Clock } from "../runtime.ts";
import type { Held } from "./held.ts";

export class Renewal {
  readonly #clock: Clock;
  readonly #held: Held;
  #leaseMs: number | undefined;
  #disarm: (() => void) | undefined;

  constructor(clock: Clock, held: Held) {
    this.#clock = clock;
    this.#held = held;
  }

  /** A session has begun, in which every lease began anew. */
  begin(leaseMs: number): void {
    this.stop();
    this.#leaseMs = leaseMs;
    this.consider();
  }

  stop(): void {
    this.#disarm?.();
    this.#disarm = this.#leaseMs = undefined;
  }

  /** There may be something to extend. */
  consider(): void {
    if (this.#held.size === 0 || this.#leaseMs === undefined) return;
    this.#disarm ??= this.#clock.setTimer(this.#leaseMs / 3, () => {
      this.#disarm = undefined;
      for (const lease of this.#held.all()) lease.renew();
      this.consider();
    });
  }
}
