/** Whether what arrives is what was sent. What is not makes the row void. */

/**
 * The numbers that one subscriber is sent: each once and in order. A publisher that takes turns over several channels
 * sends number `n` to channel `n % channels`; so in each channel numbers rise by as many as there are channels.
 */
export class Sequence {
  /** How many messages it took. */
  received = 0;
  /** The first thing that was wrong. */
  fault: string | undefined;
  readonly channels: number;
  readonly #late: boolean;
  /** The number to come next, by channel; undefined where any will do. */
  readonly #next: (number | undefined)[] = [];

  /** Begins with the first message there is, unless it is `late`. */
  constructor({ channels = 1, late = false }: { readonly channels?: number; readonly late?: boolean } = {}) {
    this.channels = channels;
    this.#late = late;
  }

  take(number: number): void {
    this.received++;
    const channel = this.channels === 1 ? 0 : number % this.channels;
    const next = this.#next[channel] ?? (this.#late ? number : channel || this.channels);
    // Also if it is no number at all.
    if (number !== next) this.#wrong(number, next);
    this.#next[channel] = number + this.channels;
  }

  /** A run of one channel that was looked at before, for another subscriber that was sent the same bytes. */
  takeRun(first: number, count: number): void {
    if (count === 0) return;
    this.take(first);
    this.received += count - 1;
    this.#next[this.channels === 1 ? 0 : first % this.channels] = first + count * this.channels;
  }

  #wrong(number: number, next: number): void {
    this.fault ??= `where number ${next} was due, ${number} came`;
  }
}

/** The numbers that the members of a group were given: each once, in any order. */
export class Once {
  received = 0;
  fault: string | undefined;
  readonly #seen = new Set<number>();

  take(number: number): void {
    this.received++;
    if (this.#seen.has(number)) this.fault ??= `number ${number} was given twice`;
    this.#seen.add(number);
  }

  has(number: number): boolean {
    return this.#seen.has(number);
  }
}
