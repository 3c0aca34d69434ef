/** What a user hears after a reconnect: how long it was, and that nothing is missing. */
import type { Gap } from "@dogear/shared";

export interface Resumed {
  /** From the loss of the connection to the next welcome, in milliseconds. */
  readonly awayMs: number;
  /** How many messages were published meanwhile and have been delivered since. */
  readonly missed: number;
  /** The first of what can no longer be delivered, if there is such. */
  readonly gap?: Gap | undefined;
}

/** Complete when every subscription that was there at the loss is live again, or has ended. */
export class Resumption<S> {
  readonly #done: (resumed: Resumed) => void;
  readonly #pending = new Set<S>();
  #connected = false;
  #lostAt: number | undefined;
  #awayMs = 0;
  #missed = 0;
  #gap: Gap | undefined;

  constructor(done: (resumed: Resumed) => void) {
    this.#done = done;
  }

  /** The connection is lost, with these subscriptions; perhaps again, before all were back. */
  lost(now: number, subscriptions: Iterable<S>): void {
    if (this.#connected) this.#lostAt ??= now;
    this.#connected = false;
    if (this.#lostAt !== undefined) for (const subscription of subscriptions) this.#pending.add(subscription);
  }

  welcomed(now: number): void {
    this.#connected = true;
    this.#awayMs = now - (this.#lostAt ?? now);
    this.#check();
  }

  /** A subscription was given messages, or a gap instead. */
  received(subscription: S, messages: number, gap?: Gap | undefined): void {
    if (!this.#pending.has(subscription)) return;
    this.#missed += messages;
    this.#gap ??= gap;
  }

  /** This one is live again, or has ended. */
  back(subscription: S): void {
    if (this.#pending.delete(subscription)) this.#check();
  }

  #check(): void {
    if (!this.#connected || this.#lostAt === undefined || this.#pending.size > 0) return;
    const resumed = { awayMs: this.#awayMs, missed: this.#missed, gap: this.#gap };
    this.#lostAt = undefined;
    this.#missed = 0;
    this.#gap = undefined;
    this.#done(resumed);
  }
}
