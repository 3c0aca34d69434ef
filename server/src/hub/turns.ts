/**
 * Lets many catch-ups share the hub: each takes one step, a page, and goes to the back of its user's queue; the users take
 * turns, and after a slice of steps everything else has its turn. So a backlog of millions delays nobody who is live, and a
 * user with a thousand backlogs delays another no more than one with one. Whoever has read as much as may be in a second
 * waits; the log is still there afterwards.
 */
import type { Clock } from "../runtime/clock.ts";

export interface Steps {
  /** Takes one step; whether there is another to take now. Never rejects. */
  step(): Promise<boolean>;
}

/** Those who share a turn. */
export interface Lane {
  /** Milliseconds until they may read again; 0 where they may. */
  replayWaitMs(): number;
}

/** Those who wait in a lane, in order; asking twice is asking once. */
class Queue {
  readonly #waiting = new Set<Steps>();
  /** A set is walked by one iterator all along: each new one would have to pass over those that have gone. */
  #walk = this.#waiting.values();

  get size(): number {
    return this.#waiting.size;
  }

  add(steps: Steps): void {
    this.#waiting.add(steps);
  }

  take(): Steps | undefined {
    let next = this.#walk.next();
    // One that has come to the end finds nothing that is added after that.
    if (next.done) {
      this.#walk = this.#waiting.values();
      next = this.#walk.next();
    }
    if (next.done) return undefined;
    this.#waiting.delete(next.value);
    return next.value;
  }
}

/** What a slice is at most: most steps find little or nothing to send, and each turn of the event loop costs as much as one. */
const sliceMax = { ms: 1, steps: 16 } as const;

/** The steps of one turn of the event loop. */
class Slice {
  readonly #clock: Clock;
  #steps = 0;
  #begun = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isSpent(): boolean {
    if (this.#steps === 0) return false;
    return this.#steps >= sliceMax.steps || this.#clock.monotonic() - this.#begun >= sliceMax.ms;
  }

  /** One more step is taken; the first begins a slice. */
  take(): void {
    if (this.#steps++ > 0) return;
    this.#begun = this.#clock.monotonic();
    this.#clock.soon(() => {
      this.#steps = 0;
    });
  }
}

export class Turns {
  readonly #clock: Clock;
  readonly #slice: Slice;
  readonly #queues = new Map<Lane, Queue>();
  /** The lanes that may take a step, in the order in which they do. */
  readonly #ready = new Set<Lane>();
  readonly #resting = new Set<Lane>();
  #running = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#slice = new Slice(clock);
  }

  /** How many wait for their turn. */
  get waiting(): number {
    let waiting = 0;
    for (const queue of this.#queues.values()) waiting += queue.size;
    return waiting;
  }

  /** Gives whoever asks a turn; asking twice is asking once. */
  ask(steps: Steps, lane: Lane): void {
    let queue = this.#queues.get(lane);
    if (queue === undefined) {
      queue = new Queue();
      this.#queues.set(lane, queue);
    }
    queue.add(steps);
    if (!this.#resting.has(lane)) this.#enter(lane);
  }

  #enter(lane: Lane): void {
    this.#ready.add(lane);
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    // A Set gives what is added while it is walked its turn at the end.
    for (const lane of this.#ready) {
      if (this.#slice.isSpent) await new Promise<void>((resolve) => this.#clock.soon(resolve));
      this.#ready.delete(lane);
      const restMs = lane.replayWaitMs();
      if (restMs > 0) {
        this.#rest(lane, restMs);
        continue;
      }
      this.#slice.take();
      await this.#step(lane);
    }
    this.#running = false;
  }

  /** One step of whoever is first in a lane. */
  async #step(lane: Lane): Promise<void> {
    const queue = this.#queues.get(lane) as Queue;
    const steps = queue.take();
    if (steps !== undefined && (await steps.step())) queue.add(steps);
    if (queue.size === 0) this.#queues.delete(lane);
    else this.#ready.add(lane);
  }

  #rest(lane: Lane, restMs: number): void {
    this.#resting.add(lane);
    this.#clock.after(restMs, () => {
      this.#resting.delete(lane);
      this.#enter(lane);
    });
  }
}
