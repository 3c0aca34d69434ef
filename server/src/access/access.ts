/**
 * Who is let in. One of three: tokens and keys, as configured; a function of whoever embeds the hub; or nothing at all, on a
 * hub that listens to its own machine only, where everyone is the same user and may do everything.
 */
import { createHash } from "node:crypto";
import { type Channel, DogearError, dogearError, isClosing, type Limits, type Pattern } from "@dogear/shared";
import type { State } from "../engine/engine.ts";
import type { Chance, Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import type { LoginOutcome } from "../runtime/metrics.ts";
import { Addresses } from "./addresses.ts";
import {
  type Capabilities,
  capabilities,
  everything,
  type Permissions,
  permissionsOf,
  type Right,
} from "./capabilities.ts";
import { Keys } from "./keys.ts";
import type { AccessPolicy, UserLimits } from "./policy.ts";
import { type Credentials, isText, isUser, type Principal } from "./principal.ts";
import { type LimitHit, type Quota, Quotas } from "./quotas.ts";
import { type Revocation, Revocations } from "./revocations.ts";
import { Tickets } from "./tickets.ts";
import { Tokens } from "./tokens.ts";

/** Who somebody is, as an embedder's `authenticate` says it. */
export interface Authenticated {
  readonly user: string;
  /** What it may do; not looked at where there is an `authorize`. Nothing, where it is left out. */
  readonly capabilities?: Capabilities;
  /** When its session ends, in milliseconds since 1970, unless it refreshes its token before. */
  readonly expires?: number;
  /** By which it can be revoked, and from when it is. */
  readonly tokenId?: string;
  readonly issued?: number;
  readonly limits?: Partial<UserLimits>;
}

/**
 * Says who comes with a token; `undefined` refuses it as `unauthorized`. A DogearError that closes the connection is told to
 * the client; whatever else it throws is logged, and the client is told to come back later.
 */
export type Authenticate = (credentials: Credentials) => Promise<Authenticated | undefined>;

/** Whether somebody may do something with a channel or pattern. Decides at once, from what `authenticate` said. */
export type Authorize = (who: Authenticated, right: Right, name: Channel | Pattern) => boolean;

export interface AccessParts {
  readonly policy: AccessPolicy;
  readonly authenticate?: Authenticate | undefined;
  readonly authorize?: Authorize | undefined;
  readonly limits: Limits;
  readonly state: State;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly hit: LimitHit;
  /** Told what became of each attempt to be let in, where it takes a token or a key. */
  readonly login?: ((outcome: LoginOutcome) => void) | undefined;
}

/** The one user of a hub without access control. */
const anonymous: Principal = { user: "anonymous", permissions: everything, revocable: false, limits: "none" };

/** Tokens whose answer is remembered, so that a reconnect storm verifies each once. */
const rememberedMax = 100_000;

/** How long: an issuer's key that is taken back counts no longer than this. */
const rememberedMs = 5 * 60_000;

interface Remembered {
  readonly principal: Promise<Principal>;
  readonly until: number;
}

export class Access {
  readonly addresses: Addresses;
  readonly tickets: Tickets;
  readonly cookie: string;
  /** Whether everyone may do everything. */
  readonly isOpen: boolean;
  readonly #parts: AccessParts;
  readonly #keys: Keys;
  readonly #tokens: Tokens | undefined;
  readonly #quotas: Quotas;
  readonly #revocations: Revocations;
  /** By hash of the token. */
  readonly #remembered = new Map<string, Remembered>();

  static async open(parts: AccessParts): Promise<Access> {
    const { policy } = parts;
    return new Access(parts, await Revocations.open({ ...parts, lifetimeMsMax: policy.tokens?.lifetimeMsMax }));
  }

  private constructor(parts: AccessParts, revocations: Revocations) {
    const { policy, limits, clock, chance, hit } = parts;
    this.#parts = parts;
    this.#revocations = revocations;
    this.#keys = new Keys(policy.keys);
    this.#tokens = policy.tokens && new Tokens(policy.tokens, parts);
    this.#quotas = new Quotas(limits, clock, hit);
    this.addresses = new Addresses(limits, clock, hit);
    this.tickets = new Tickets(limits, clock, chance);
    this.cookie = policy.cookie;
    this.isOpen = isOpen(parts);
  }

  /**
   * Lets somebody in.
   *
   * @throws DogearError `unauthorized`, `token-expired`, `revoked`, `access-unavailable`
   */
  async authenticate(credentials: Credentials): Promise<Principal> {
    if (this.isOpen) return anonymous;
    const { login = () => {} } = this.#parts;
    try {
      const principal = await this.#letIn(credentials);
      login("accepted");
      return principal;
    } catch (error) {
      login(error instanceof DogearError ? error.code : "internal");
      throw error;
    }
  }

  async #letIn(credentials: Credentials): Promise<Principal> {
    const principal = await this.#identify(credentials);
    if (this.isRevoked(principal)) throw dogearError("revoked");
    if (this.hasExpired(principal)) throw dogearError("token-expired");
    return principal;
  }

  isRevoked(principal: Principal): boolean {
    return this.#revocations.isRevoked(principal);
  }

  hasExpired({ expires }: Principal): boolean {
    return expires !== undefined && expires <= this.#parts.clock.now();
  }

  /** Adds one who is told when tokens were revoked, by whichever hub. */
  onRevoked(listener: () => void): void {
    this.#revocations.onRevoked(listener);
  }

  /** Takes note of what other hubs have revoked so far. */
  learnRevocations(): Promise<void> {
    return this.#revocations.learn();
  }

  /** Learns of nothing any more. */
  close(): void {
    this.#revocations.close();
  }

  /** Revokes tokens; resolves once that is durable. Sessions that came with one are to be ended by whoever knows them. */
  revoke(revocation: Revocation): Promise<void> {
    return this.#revocations.revoke(revocation);
  }

  quotaOf(principal: Principal): Quota {
    return this.#quotas.of(principal);
  }

  async #identify(credentials: Credentials): Promise<Principal> {
    const { authenticate } = this.#parts;
    if (authenticate !== undefined) return this.#ask(authenticate, credentials);
    const { token } = credentials;
    if (token === undefined) throw dogearError("unauthorized");
    // Three parts joined by dots are a token (RFC 7515, section 3.1); a key has no dots.
    if (token.includes(".")) return this.#verified(token);
    const principal = this.#keys.find(token);
    if (principal === undefined) throw dogearError("unauthorized");
    return principal;
  }

  /** Who a token names; the same token is verified once, also for many who come with it at once. */
  #verified(token: string): Promise<Principal> {
    const tokens = this.#tokens;
    if (tokens === undefined) throw dogearError("unauthorized");
    const now = this.#parts.clock.monotonic();
    const hash = createHash("sha256").update(token).digest("base64");
    const remembered = this.#remembered.get(hash);
    if (remembered !== undefined && now < remembered.until) return remembered.principal;
    const principal = tokens.verify(token);
    this.#remembered.delete(hash);
    this.#forget(now);
    this.#remembered.set(hash, { principal, until: now + rememberedMs });
    principal.catch(() => this.#remembered.delete(hash));
    return principal;
  }

  /** Forgets what was remembered long enough, and makes room. */
  #forget(now: number): void {
    for (const [hash, { until }] of this.#remembered) {
      if (until > now && this.#remembered.size < rememberedMax) return;
      this.#remembered.delete(hash);
    }
  }

  async #ask(authenticate: Authenticate, credentials: Credentials): Promise<Principal> {
    const { logger } = this.#parts;
    try {
      const who = await authenticate(credentials);
      if (who === undefined) throw dogearError("unauthorized");
      const { user, expires, tokenId, issued, limits = {} } = checked(who);
      return { user, permissions: this.#permissionsOf(who), expires, tokenId, issued, limits, revocable: true };
    } catch (error) {
      if (error instanceof DogearError && isClosing(error.code)) throw error;
      logger.error("access.authenticate-failed", { error });
      throw dogearError("access-unavailable", undefined, { cause: error });
    }
  }

  #permissionsOf(who: Authenticated): Permissions {
    const { authorize, logger } = this.#parts;
    if (authorize === undefined) return permissionsOf(capabilities.parse(who.capabilities ?? {}), who.user);
    return {
      may: (right, name) => {
        try {
          return authorize(who, right, name) === true;
        } catch (error) {
          logger.error("access.authorize-failed", { right, name, error });
          return false;
        }
      },
      mayAnywhere: () => true,
    };
  }
}

/** What an embedder says of somebody, who could otherwise turn out never to expire, or not to be revocable. */
function checked(who: Authenticated): Authenticated {
  const { user, expires, tokenId, issued } = who;
  if (!isUser(user)) throw dogearError("unauthorized", "It names no user.");
  if (tokenId !== undefined && !isText(tokenId)) throw new TypeError("`tokenId` is not text.");
  for (const [name, time] of Object.entries({ expires, issued })) {
    if (time !== undefined && !Number.isFinite(time)) throw new TypeError(`\`${name}\` is not a time.`);
  }
  return who;
}

/** Whether nothing was configured that would keep anyone out. */
export function isOpen({ policy, authenticate }: Pick<AccessParts, "policy" | "authenticate">): boolean {
  return policy.tokens === undefined && policy.keys.length === 0 && authenticate === undefined;
}

/** The refusal of something that somebody may not do: says what was missing, and nothing of what exists. */
export function forbidden(right: Right, name?: string): DogearError {
  return dogearError("forbidden", missing(right, name));
}

export function missing(right: Right, name?: string): string {
  return `It needs \`${right}\`${name === undefined ? "" : ` on ${name}`}.`;
}
