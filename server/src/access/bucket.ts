/**
 * A token bucket: how much there may be of something in a second, of which a second's worth may come at once. What is
 * larger than what is left is let through and owed, so that nothing is too large for ever.
 */
export class Bucket {
  readonly #perSecond: number;
  #level: number;
  /** The monotonic time at which the level was right. */
  #at: number;

  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond;
    this.#level = perSecond;
    this.#at = now;
  }

  /** Takes an amount, unless nothing is left. */
  take(amount: number, now: number): boolean {
    this.#refill(now);
    if (this.#level <= 0) return false;
    this.#level -= amount;
    return true;
  }

  /** Takes an amount that was used already. */
  owe(amount: number, now: number): void {
    this.#refill(now);
    this.#level -= amount;
  }

  /** Milliseconds until something is left; 0 where it is. */
  waitMs(now: number): number {
    this.#refill(now);
    return this.#level > 0 ? 0 : Math.ceil((-this.#level / this.#perSecond) * 1_000) + 1;
  }

  /** Whether nothing was taken lately. */
  isFull(now: number): boolean {
    this.#refill(now);
    return this.#level >= this.#perSecond;
  }

  #refill(now: number): void {
    this.#level = Math.min(this.#perSecond, this.#level + ((now - this.#at) / 1_000) * this.#perSecond);
    this.#at = now;
  }
}
