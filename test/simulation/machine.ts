/**
 * A process on a machine, for one life: what happens to it happens only while it lives, and waits while it is frozen. Its
 * wall clock may be wrong.
 */
import type { Chance, Clock } from "../../server/src/runtime/clock.ts";
import type { Timeline } from "./timeline.ts";

/** When simulations take place. */
export const startedAt: number = Date.UTC(2026, 0, 1);

export class Machine {
  readonly name: string;
  readonly timeline: Timeline;
  alive = true;
  /** By how much its wall clock is ahead, in milliseconds. */
  skewMs = 0;
  readonly #deaths: (() => void)[] = [];
  /** What is to happen when it thaws; undefined while it runs. */
  #frozen: (() => void)[] | undefined;

  constructor(name: string, timeline: Timeline) {
    this.name = name;
    this.timeline = timeline;
  }

  get frozen(): boolean {
    return this.#frozen !== undefined;
  }

  now(): number {
    return Math.floor(startedAt + this.timeline.now + this.skewMs);
  }

  /** Something happens to it, after so many milliseconds. */
  after(ms: number, run: () => void): () => void {
    let cancelled = false;
    const happen = (): void => {
      if (!this.alive || cancelled) return;
      if (this.#frozen === undefined) run();
      else this.#frozen.push(happen);
    };
    const cancel = this.timeline.after(ms, happen);
    return () => {
      cancelled = true;
      cancel();
    };
  }

  /** What another part of the world answers reaches it after so many milliseconds; never, if it does not live to see it. */
  hear<T>(answer: Promise<T>, ms = 0): Promise<T> {
    return new Promise((resolve, reject) => {
      answer.then(
        (value) => this.after(ms, () => resolve(value)),
        (error) => this.after(ms, () => reject(error)),
      );
    });
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  freeze(): void {
    this.#frozen ??= [];
  }

  /** What was to happen meanwhile happens now, in order. */
  thaw(): void {
    const waiting = this.#frozen ?? [];
    this.#frozen = undefined;
    for (const run of waiting) this.after(0, run);
  }

  /** It is gone, from one moment to the next. */
  die(): void {
    if (!this.alive) return;
    this.alive = false;
    for (const died of this.#deaths) died();
  }

  onDeath(died: () => void): void {
    this.#deaths.push(died);
  }

  /** The clock of a hub that runs on it. */
  get clock(): Clock {
    return {
      now: () => this.now(),
      monotonic: () => this.timeline.now,
      after: (ms, call) => this.after(ms, call),
      soon: (call) => void this.after(0, call),
    };
  }

  get chance(): Chance {
    return { random: () => this.timeline.random(), id: () => this.timeline.id() };
  }
}
