/** Access for tests: its parts under a clock that is moved by hand, and tokens of every kind. */
import { defaultLimits, type Limits } from "@dogear/shared";
import { type JWTPayload, type KeyInput, SignJWT } from "jose";
import { Access, type AccessParts } from "../../server/src/access/access.ts";
import type { KeyPolicy, TokenPolicy } from "../../server/src/access/policy.ts";
import type { State } from "../../server/src/engine/engine.ts";
import { MemoryState } from "../../server/src/engine/memory/memory-state.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { VirtualClock } from "../hub/support.ts";
import { chance } from "../support/clock.ts";
import { Collected } from "../support/waiting.ts";

export const secret = "a secret of the tests, long enough for HS256";

/** Tokens signed with `secret`, and nothing else said of them. */
export function tokenPolicy(policy: Partial<TokenPolicy> = {}): TokenPolicy {
  return {
    secrets: [],
    keySet: undefined,
    keySetUrl: undefined,
    algorithms: ["RS256", "ES256", "EdDSA"],
    audience: undefined,
    issuer: undefined,
    userClaim: "sub",
    capabilitiesClaim: "capabilities",
    capabilities: {},
    lifetimeMsMax: undefined,
    ...policy,
  };
}

type Signer = KeyInput | string;

export interface Signed {
  readonly key?: Signer;
  readonly header?: { readonly alg?: string } & Readonly<Record<string, unknown>>;
}

/** A token of `ann` that lives an hour of a clock, unless the claims say otherwise. */
export function tokenAt(now: number, claims: object = {}, { key = secret, header = {} }: Signed = {}) {
  const signer = typeof key === "string" ? new TextEncoder().encode(key) : key;
  const seconds = Math.floor(now / 1_000);
  return new SignJWT({ sub: "ann", iat: seconds, exp: seconds + 3_600, ...claims } as JWTPayload)
    .setProtectedHeader({ alg: "HS256", ...header })
    .sign(signer);
}

export interface TestAccess {
  readonly access: Access;
  readonly clock: VirtualClock;
  readonly hits: Collected<keyof Limits>;
  readonly logged: Collected<readonly [event: string, facts: Readonly<Record<string, unknown>>]>;
  /** Lets somebody in with a token. */
  enter(token: string | undefined): ReturnType<Access["authenticate"]>;
}

export interface AccessOptions extends Partial<Pick<AccessParts, "authenticate" | "authorize">> {
  readonly tokens?: Partial<TokenPolicy>;
  readonly keys?: readonly KeyPolicy[];
  readonly limits?: Partial<Limits>;
  readonly state?: State;
  readonly clock?: VirtualClock;
}

export async function openAccess(options: AccessOptions = {}): Promise<TestAccess> {
  const { tokens, keys = [], authenticate, authorize, state = new MemoryState(), clock = new VirtualClock() } = options;
  const hits: TestAccess["hits"] = new Collected();
  const logged: TestAccess["logged"] = new Collected();
  const note = (event: string, facts: object = {}) => logged.add([event, { ...facts }]);
  const access = await Access.open({
    policy: { tokens: tokens && tokenPolicy(tokens), keys, cookie: "dogear" },
    authenticate,
    authorize,
    limits: { ...defaultLimits, ...options.limits },
    state,
    clock,
    chance,
    logger: { ...silentLogger, warn: note, error: note },
    hit: hits.add,
  });
  return {
    access,
    clock,
    hits,
    logged,
    enter: (token) => access.authenticate({ token, address: "203.0.113.7" }),
  };
}
