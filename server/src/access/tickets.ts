/**
 * Tickets: what a page that cannot send a header puts into a URL instead of its token. Each is good once and for a few
 * seconds, so that one that ends up in a log or a history is worth nothing.
 */
import { dogearError, type Limits } from "@dogear/shared";
import type { Chance, Clock } from "../runtime/clock.ts";

interface Issued {
  readonly token: string | undefined;
  readonly until: number;
}

/** Tickets that were not used yet. */
const issuedMax = 100_000;

export class Tickets {
  readonly #ticketMs: number;
  readonly #clock: Clock;
  readonly #chance: Chance;
  /** Oldest first. */
  readonly #issued = new Map<string, Issued>();

  constructor({ ticketMs }: Pick<Limits, "ticketMs">, clock: Clock, chance: Chance) {
    this.#ticketMs = ticketMs;
    this.#clock = clock;
    this.#chance = chance;
  }

  /** A ticket in place of a token that was found good. */
  issue(token: string | undefined): { readonly ticket: string; readonly expiresInMs: number } {
    const now = this.#clock.monotonic();
    for (const [ticket, { until }] of this.#issued) {
      if (until > now && this.#issued.size < issuedMax) break;
      this.#issued.delete(ticket);
    }
    const ticket = this.#chance.id();
    this.#issued.set(ticket, { token, until: now + this.#ticketMs });
    return { ticket, expiresInMs: this.#ticketMs };
  }

  /**
   * The token that a ticket stands for, which is then used up.
   *
   * @throws DogearError `unauthorized`
   */
  redeem(ticket: string): string | undefined {
    const issued = this.#issued.get(ticket);
    this.#issued.delete(ticket);
    if (issued === undefined || issued.until <= this.#clock.monotonic()) {
      throw dogearError("unauthorized", "The ticket was used before, or is too old.");
    }
    return issued.token;
  }
}
