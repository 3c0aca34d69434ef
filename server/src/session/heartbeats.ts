/** Pings every session in its own rhythm and ends those that have gone silent: one timer for all of them. */
import type { Clock } from "../runtime/clock.ts";

export interface Beating {
  /** Called several times a second with the monotonic time. */
  beat(now: number): void;
}

const tickMs = 100;

export class Heartbeats {
  readonly #clock: Clock;
  readonly #sessions = new Set<Beating>();
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(session: Beating): void {
    this.#sessions.add(session);
    this.#cancel ??= this.#clock.after(tickMs, () => this.#tick());
  }

  remove(session: Beating): void {
    this.#sessions.delete(session);
  }

  #tick(): void {
    this.#cancel = this.#sessions.size === 0 ? undefined : this.#clock.after(tickMs, () => this.#tick());
    const now = this.#clock.monotonic();
    for (const session of this.#sessions) session.beat(now);
  }
}
