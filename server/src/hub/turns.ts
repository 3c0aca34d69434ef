/**
 * Lets many catch-ups share the hub: each takes one step, a page, and goes to the back of the queue, and between two
 * steps everything else has its turn. A backlog of millions therefore delays nobody who is live.
 */
import type { Clock } from "../runtime/clock.ts";

export interface Steps {
  /** Takes one step; whether there is another to take now. Never rejects. */
  step(): Promise<boolean>;
}

export class Turns {
  readonly #clock: Clock;
  readonly #queue = new Set<Steps>();
  #running = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Gives whoever asks a turn; asking twice is asking once. */
  ask(steps: Steps): void {
    this.#queue.add(steps);
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (const steps of this.#queue) {
      this.#queue.delete(steps);
      // A Set gives what is added while it is walked its turn at the end.
      if (await steps.step()) this.#queue.add(steps);
      await new Promise<void>((resolve) => this.#clock.soon(resolve));
    }
    this.#running = false;
  }
}
