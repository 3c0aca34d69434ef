/** Requests that stay until there is something for them: when the hub stops they are asked to leave, and so is who comes later. */

export interface Stay {
  /** The hub is about to stop: whoever asked is to come back in a while. */
  leave(reconnectAfterMs: number): void;
}

export class Staying {
  readonly #stays = new Set<Stay>();
  #afterMs: (() => number) | undefined;

  get size(): number {
    return this.#stays.size;
  }

  add(stay: Stay): void {
    if (this.#afterMs === undefined) this.#stays.add(stay);
    else stay.leave(this.#afterMs());
  }

  delete(stay: Stay): void {
    this.#stays.delete(stay);
  }

  /** Asks everyone to leave, each for as long as it says. */
  leave(afterMs: () => number): void {
    this.#afterMs = afterMs;
    for (const stay of [...this.#stays]) stay.leave(afterMs());
  }
}
