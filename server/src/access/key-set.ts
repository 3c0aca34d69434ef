/**
 * The public keys of an issuer, fetched from its address (RFC 7517): when first needed, again now and then, and when a
 * token names one that is missing. However many such tokens come, the issuer is not asked more often than it should be; and
 * while it cannot be reached, the keys it had go on being used, for a day.
 */
import { createRemoteJWKSet, errors, type JWTVerifyGetKey } from "jose";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";

/** How old keys are when they are fetched again, in the background. */
const refreshMs = 10 * 60_000;

/** How old they may be at most, where that keeps failing. */
const staleMsMax = 24 * 60 * 60_000;

/** Between two fetches because of missing keys. */
const cooldownMs = 30_000;

/** Between two tries to fetch keys that are needed. */
const retryMs = 1_000;

const timeoutMs = 5_000;

/** The keys cannot be fetched now, and none of those that may still be used will do. */
export class KeySetUnreachable extends Error {}

export class KeySet {
  readonly #url: URL;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Fetches only when told to. */
  readonly #keys: ReturnType<typeof createRemoteJWKSet>;
  #fetched: number | undefined;
  /** When it was last tried. */
  #asked = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined;

  constructor(url: string, { clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#url = new URL(url);
    this.#clock = clock;
    this.#logger = logger;
    const never = Number.POSITIVE_INFINITY;
    this.#keys = createRemoteJWKSet(this.#url, {
      cacheMaxAge: never,
      cooldownDuration: never,
      timeoutDuration: timeoutMs,
    });
  }

  /** The key that verifies a token. Throws KeySetUnreachable, or what `jose` says of the token. */
  readonly key: JWTVerifyGetKey = async (header, token) => {
    if (this.#fetched === undefined || this.#age(this.#fetched) > staleMsMax) await this.#fetch(retryMs);
    else if (this.#age(this.#asked) > refreshMs) void this.#fetch(0).catch(() => {});
    try {
      return await this.#keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      // The issuer may have made the key a moment ago: whoever has it is not turned away for good.
      await this.#fetch(cooldownMs);
      return this.#keys(header, token);
    }
  };

  /** Fetches the keys, unless that was tried within so long. */
  #fetch(pauseMs: number): Promise<void> {
    if (this.#fetching === undefined) {
      if (this.#age(this.#asked) < pauseMs) throw new KeySetUnreachable("The issuer was asked a moment ago.");
      this.#asked = this.#clock.monotonic();
      this.#fetching = this.#load().finally(() => {
        this.#fetching = undefined;
      });
    }
    return this.#fetching;
  }

  async #load(): Promise<void> {
    try {
      await this.#keys.reload();
      this.#fetched = this.#clock.monotonic();
    } catch (error) {
      this.#logger.warn("access.keys-not-fetched", { url: this.#url.origin + this.#url.pathname, error });
      throw new KeySetUnreachable("The issuer's keys cannot be fetched.", { cause: error });
    }
  }

  #age(then: number): number {
    return this.#clock.monotonic() - then;
  }
}
