/** The subscriptions of a session, or its members, each under the number that its client gave it. */

/** Holds the number of one until it is confirmed or refused. */
export interface Opening {
  readonly opening: true;
}

/** Numbers of what the hub ended that are remembered. */
const endedMax = 1_000;

export class Numbered<T extends object> implements Iterable<T> {
  /** From when one is asked for. */
  readonly #all = new Map<number, T | Opening>();
  /** Numbers of what the hub ended, until they are used again. */
  readonly #ended = new Set<number>();

  get size(): number {
    return this.#all.size;
  }

  has(number: number): boolean {
    return this.#all.has(number);
  }

  get(number: number): T | Opening | undefined {
    return this.#all.get(number);
  }

  open(number: number): Opening {
    const opening: Opening = { opening: true };
    this.#all.set(number, opening);
    this.#ended.delete(number);
    return opening;
  }

  set(number: number, one: T): void {
    this.#all.set(number, one);
  }

  delete(number: number): boolean {
    return this.#all.delete(number);
  }

  /** The hub ended the one of this number, which its client may not know yet. */
  ended(number: number): void {
    this.#ended.add(number);
    // A client hears of it long before this many others.
    if (this.#ended.size > endedMax) this.#ended.delete(this.#ended.values().next().value as number);
  }

  hasEnded(number: number): boolean {
    return this.#ended.has(number);
  }

  numbers(): readonly number[] {
    return [...this.#all.keys()];
  }

  /** Those that are not just being opened. Each may end while the others have their turn. */
  *[Symbol.iterator](): Generator<T> {
    for (const one of [...this.#all.values()]) if (!("opening" in one)) yield one;
  }
}
