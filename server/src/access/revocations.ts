/**
 * Tokens that are good no more: by their id (`jti`), or all of a user that were issued before a time. Stored before
 * anyone hears of it, so that a restart forgets none.
 */
import type { State } from "../engine/engine.ts";
import { keepWatching } from "../engine/keep-watching.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import type { Principal } from "./principal.ts";

export type Revocation =
  | { readonly token: string }
  /** Its tokens that were issued before this, in milliseconds since 1970. One without `iat` counts as issued before. */
  | { readonly user: string; readonly before: number };

interface Stored {
  /** Of a user: tokens issued before this are revoked. */
  readonly before?: number;
  /** When no such token can be alive any more, and this may be forgotten. */
  readonly until: number;
}

const prefix = "revoked/";

/** Where nothing says how long tokens live, a revocation is kept this long: 400 days. */
const defaultLifetimeMs = 400 * 24 * 60 * 60_000;

export interface RevocationsParts {
  readonly state: State;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly lifetimeMsMax: number | undefined;
}

/** Tries to store what another hub stores at the same time. */
const triesMax = 10;

export class Revocations {
  readonly #parts: RevocationsParts;
  readonly #revoked = new Map<string, Stored>();
  readonly #listeners: (() => void)[] = [];
  readonly #stop = new AbortController();

  static async open(parts: RevocationsParts): Promise<Revocations> {
    const revocations = new Revocations(parts);
    await revocations.learn();
    void keepWatching(prefix, parts, revocations.#stop.signal, ({ key, value }) => {
      if (value === undefined) return;
      revocations.#revoked.set(key, decode(value));
      for (const listener of revocations.#listeners) listener();
    });
    return revocations;
  }

  private constructor(parts: RevocationsParts) {
    this.#parts = parts;
  }

  /** Takes note of what is stored, and forgets what may be forgotten. */
  async learn(): Promise<void> {
    const { state, clock } = this.#parts;
    for (const { key, value, version } of await state.list(prefix)) {
      const stored = decode(value);
      if (stored.until > clock.now()) this.#revoked.set(key, stored);
      else await state.putAll([{ key, value: undefined, version }]);
    }
  }

  /** Adds one who is told when something was revoked, by whichever hub. */
  onRevoked(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Learns of nothing any more. */
  close(): void {
    this.#stop.abort();
  }

  isRevoked({ user, tokenId, issued, revocable }: Principal): boolean {
    if (!revocable || this.#revoked.size === 0) return false;
    if (tokenId !== undefined && this.#revoked.has(tokenKey(tokenId))) return true;
    const before = this.#revoked.get(userKey(user))?.before;
    return before !== undefined && (issued === undefined || issued < before);
  }

  /** Revokes; resolves once that is durable. */
  async revoke(revocation: Revocation): Promise<void> {
    const key = "token" in revocation ? tokenKey(revocation.token) : userKey(revocation.user);
    for (let tries = 0; tries < triesMax; tries++) {
      const entry = await this.#parts.state.get(key);
      const stored = this.#after(revocation, entry && decode(entry.value));
      if ((await this.#parts.state.put(key, encode(stored), entry?.version ?? 0)) !== undefined) {
        this.#revoked.set(key, stored);
        return;
      }
    }
    throw new Error(`The revocation ${key} is stored by others all the time.`);
  }

  /** What is to be stored: a revocation is never taken back by an older one. */
  #after(revocation: Revocation, stored: Stored | undefined): Stored {
    const { clock, lifetimeMsMax = defaultLifetimeMs } = this.#parts;
    const now = clock.now();
    if ("token" in revocation) return { until: now + lifetimeMsMax };
    const before = Math.max(revocation.before, stored?.before ?? 0);
    return { before, until: Math.max(before, now) + lifetimeMsMax };
  }
}

function tokenKey(id: string): string {
  return `${prefix}token/${encodeURIComponent(id)}`;
}

function userKey(user: string): string {
  return `${prefix}user/${encodeURIComponent(user)}`;
}

function encode(stored: Stored): Uint8Array {
  return Buffer.from(JSON.stringify(stored));
}

function decode(value: Uint8Array): Stored {
  return JSON.parse(Buffer.from(value).toString()) as Stored;
}
