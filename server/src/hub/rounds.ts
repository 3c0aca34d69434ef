/**
 * Work done in rounds: whatever comes up during a round is seen to in the next one, together. A round also comes by
 * itself when its time has come.
 */
import type { Clock } from "../runtime/clock.ts";

export interface RoundsParts {
  readonly clock: Clock;
  round(): Promise<void>;
  /** When something happens by itself, by the monotonic clock; infinity for never. */
  next(): number;
  /** A round failed; the next one comes a little later. */
  failed(error: unknown): void;
}

/** Pause after a round that failed. */
const retryMs = 1_000;

export class Rounds {
  readonly #parts: RoundsParts;
  #running: Promise<void> | undefined;
  #again = false;
  /** After a failure: when to try again. */
  #retryAt = Number.POSITIVE_INFINITY;
  #cancelTimer: () => void = () => {};
  #stopped = false;

  constructor(parts: RoundsParts) {
    this.#parts = parts;
  }

  /** There is something to do. */
  wake(): void {
    this.#again = true;
    if (this.#stopped) return;
    this.#running ??= this.#run();
  }

  /** Something failed outside a round: another one comes a little later. Returns when, by the monotonic clock. */
  retry(): number {
    this.#retryAt = this.#parts.clock.monotonic() + retryMs;
    this.#schedule();
    return this.#retryAt;
  }

  /** Ends the rounds; resolves when the last one has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, round, failed } = this.#parts;
    while (this.#again && !this.#stopped) {
      this.#again = false;
      // Everything that the sockets hold ready now shares the round.
      await new Promise<void>((resolve) => clock.soon(resolve));
      if (this.#retryAt <= clock.monotonic()) this.#retryAt = Number.POSITIVE_INFINITY;
      try {
        await round();
      } catch (error) {
        this.#retryAt = clock.monotonic() + retryMs;
        failed(error);
      }
    }
    this.#running = undefined;
    this.#schedule();
  }

  #schedule(): void {
    this.#cancelTimer();
    const next = Math.min(this.#parts.next(), this.#retryAt);
    if (this.#stopped || next === Number.POSITIVE_INFINITY) return;
    const { clock } = this.#parts;
    this.#cancelTimer = clock.after(Math.max(0, next - clock.monotonic()), () => this.wake());
  }
}
