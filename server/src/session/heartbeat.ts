/**
 * When to ping one session, and when to give it up. Pure: the time is an argument.
 *
 * Before it was greeted a session has one deadline, for its hello. Afterwards it is pinged every interval, and whatever
 * arrives counts as an answer.
 */
export type Beat = "nothing" | "ping" | "hello-timeout" | "heartbeat-timeout";

export class Heartbeat {
  readonly #graceMs: number;
  #intervalMs: number | undefined;
  /** When to ping next, or, while an answer is awaited, when to give up. */
  #due: number;
  #awaiting = false;
  #heard = false;

  constructor(now: number, helloTimeoutMs: number, graceMs: number) {
    this.#due = now + helloTimeoutMs;
    this.#graceMs = graceMs;
  }

  greeted(now: number, intervalMs: number): void {
    this.#intervalMs = intervalMs;
    this.#due = now + intervalMs;
  }

  /** Something arrived. */
  heard(): void {
    this.#heard = true;
  }

  /** Whether `beat` may find anything to do. Most of the time it does not, and nobody need look whether something arrived. */
  isDue(now: number): boolean {
    return now >= this.#due || (this.#awaiting && now >= this.#nextPing);
  }

  beat(now: number): Beat {
    if (this.#intervalMs === undefined) return now < this.#due ? "nothing" : "hello-timeout";
    if (this.#awaiting && this.#heard) {
      this.#awaiting = false;
      this.#due = this.#nextPing;
    }
    if (now < this.#due) return "nothing";
    if (this.#awaiting) return "heartbeat-timeout";
    this.#awaiting = true;
    this.#heard = false;
    this.#due = now + this.#graceMs;
    return "ping";
  }

  /** While an answer is awaited. */
  get #nextPing(): number {
    return this.#due - this.#graceMs + (this.#intervalMs ?? 0);
  }
}
