/** Virtual time, in which everything of a simulation happens: one event after the other, in an order that a seed decides. */
import TinyQueue from "tinyqueue";
import { seeded } from "../support/seeded.ts";

/** Told what happens, for those who look for the reason of something; what is not wanted is not put into words. */
export type Watch = (say: () => string) => void;

interface Planned {
  readonly at: number;
  /** Of two at the same time, which was planned first. */
  readonly order: number;
  run: (() => void) | undefined;
}

export class Timeline {
  /** Milliseconds of the machine's monotonic clock. */
  now = 0;
  /** Numbers from 0 up to 1. */
  readonly random: () => number;
  readonly #planned = new TinyQueue<Planned>([], (a, b) => a.at - b.at || a.order - b.order);
  #order = 0;
  #ids = 0;

  constructor(seed: number) {
    this.random = seeded(seed);
  }

  /** Runs once after so many milliseconds, unless the function it returns is called before. */
  after(ms: number, run: () => void): () => void {
    const planned: Planned = { at: this.now + Math.max(0, ms), order: this.#order++, run };
    this.#planned.push(planned);
    return () => {
      planned.run = undefined;
    };
  }

  /** Lets everything happen until a time. What follows from an event at once happens before the next. */
  async runUntil(end: number): Promise<void> {
    for (let next = this.#planned.peek(); next !== undefined && next.at <= end; next = this.#planned.peek()) {
      this.#planned.pop();
      if (next.run === undefined) continue;
      this.now = next.at;
      next.run();
      await settled();
    }
    this.now = end;
  }

  below(bound: number): number {
    return Math.floor(this.random() * bound);
  }

  between(min: number, max: number): number {
    return min + this.random() * (max - min);
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** A name nobody else has. */
  id(prefix = "id"): string {
    return `${prefix}${++this.#ids}`;
  }
}

/** Resolves when every promise that can go on has: a turn of the real event loop comes after all of them. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
