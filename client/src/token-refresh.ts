/**
 * Replaces a session's token before it expires, so that nothing is interrupted. Where that fails, the hub closes the
 * session when the token has expired, and the next one begins with a new token in any case.
 */
import type { Refreshed } from "@dogear/shared";
import type { Connection } from "./connection/driver.ts";
import type { Page } from "./connection/page.ts";
import { Retry } from "./retry.ts";

/** A token is replaced when this much of its life is over, or up to a tenth less: a building's clients not all at once. */
const share = 0.9;
const shareJitter = 0.1;

/** However short the life of a token, the next one is not fetched before. */
export const refreshMsMin = 1_000;

/** Longer than this, almost 25 days, a timer does not run. */
export const refreshMsMax: number = 2 ** 31 - 1;

export class TokenRefresh {
  readonly #connection: Connection;
  readonly #report: (error: unknown) => void;
  readonly #retry: Retry;
  /** When, by this machine's clock, which goes on where timers stand still. */
  #dueAt = Number.POSITIVE_INFINITY;
  #disarm: (() => void) | undefined;
  /** Tells the token that is waited for from those that come too late. */
  #attempt = 0;
  #page: Page | undefined;

  /** @param report Is told of an error that nobody waits for. */
  constructor(connection: Connection, report: (error: unknown) => void) {
    this.#connection = connection;
    this.#report = report;
    this.#retry = new Retry(connection, () => void this.#refresh());
  }

  /** A session has begun, whose token expires. */
  begin(token: Expiry): void {
    this.#page ??= this.#connection.runtime.watchPage({
      woke: () => {
        if (this.#retry.isWaiting || this.#connection.runtime.now() >= this.#dueAt) void this.#refresh();
      },
      offline() {},
      leaving() {},
    });
    this.refreshed(token);
  }

  /** The hub has taken the new token. */
  refreshed({ expires, time }: Expiry): void {
    this.stop();
    this.#retry.reset();
    if (expires === undefined) return;
    const { runtime } = this.#connection;
    const afterMs = (expires - time) * (share - shareJitter * runtime.random());
    const delayMs = Math.min(Math.max(afterMs, refreshMsMin), refreshMsMax);
    this.#dueAt = runtime.now() + delayMs;
    this.#disarm = runtime.setTimer(delayMs, () => void this.#refresh());
  }

  /** The session, if there was one, is over. */
  stop(): void {
    this.#attempt++;
    this.#disarm?.();
    this.#disarm = undefined;
    this.#retry.stop();
    this.#dueAt = Number.POSITIVE_INFINITY;
  }

  /** The client is closed. */
  end(): void {
    this.stop();
    this.#page?.stop();
  }

  async #refresh(): Promise<void> {
    this.stop();
    const attempt = this.#attempt;
    try {
      const token = await this.#connection.fetchToken?.();
      if (attempt === this.#attempt && token !== undefined) this.#connection.say({ is: "refresh", token });
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#report(error);
      this.#retry.later();
    }
  }
}

/** When a token expires, and what time it was then, both by the hub's clock. */
type Expiry = Pick<Refreshed, "expires" | "time">;
