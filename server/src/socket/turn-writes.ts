/**
 * What is written to a connection in one turn, in as few system calls as can be. The first frame leaves at once, as most
 * have no second; those that follow it leave together when the turn ends.
 */
import type { Writable } from "node:stream";

export class TurnWrites {
  #turn = 0;
  #isUnderWay = false;
  #held: Writable[] = [];

  /** The number of the turn that is under way; one begins where there is none. */
  enter(): number {
    if (!this.#isUnderWay) {
      this.#isUnderWay = true;
      process.nextTick(() => this.#end());
    }
    return this.#turn;
  }

  /** Holds what is written to a stream until the turn ends. */
  hold(stream: Writable): void {
    stream.cork();
    this.#held.push(stream);
  }

  #end(): void {
    this.#isUnderWay = false;
    this.#turn++;
    const held = this.#held;
    this.#held = [];
    for (const stream of held) stream.uncork();
  }
}
