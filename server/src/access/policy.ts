/** Who is let in, as the configuration says it. */
import type { Limits } from "@dogear/shared";
import type { JSONWebKeySet } from "jose";
import type { Capabilities } from "./capabilities.ts";

export interface AccessPolicy {
  /** How tokens are verified; none are accepted where it is left out. */
  readonly tokens: TokenPolicy | undefined;
  readonly keys: readonly KeyPolicy[];
  /** The cookie that may hold the token of who reads over HTTP. */
  readonly cookie: string;
}

/** The algorithms of tokens that are signed with a secret, and with a private key. No others are ever accepted. */
export const secretAlgorithms = ["HS256"] as const;
export const keyAlgorithms = ["RS256", "ES256", "EdDSA"] as const;
export type KeyAlgorithm = (typeof keyAlgorithms)[number];

export interface TokenPolicy {
  /** Secrets of HS256, any of which may have signed: a new and an old one, while they are being changed. */
  readonly secrets: readonly string[];
  /** Public keys that are known from the start … */
  readonly keySet: JSONWebKeySet | undefined;
  /** … or fetched from here, and again when a token names a key that is not among them. */
  readonly keySetUrl: string | undefined;
  /** Which of `keyAlgorithms` tokens signed with a private key may use. */
  readonly algorithms: readonly KeyAlgorithm[];
  /** Whom tokens must be for. Where it is left out, a token that is for somebody in particular is refused. */
  readonly audience: string | undefined;
  readonly issuer: string | undefined;
  /** The claim that names the user: `sub`, unless it says otherwise. */
  readonly userClaim: string;
  /** The claim that holds the capabilities: `capabilities`, unless it says otherwise. */
  readonly capabilitiesClaim: string;
  /** Those of a token that brings none. */
  readonly capabilities: Capabilities;
  /** Tokens that live longer than this, from `iat` to `exp`, are refused. */
  readonly lifetimeMsMax: number | undefined;
}

/** A key of a service. It is the user whose name the key has. */
export interface KeyPolicy {
  readonly name: string;
  /** SHA-256 of the key, in hexadecimal: a key is random, so nothing slower is needed. */
  readonly hash: string;
  readonly capabilities: Capabilities;
  /** Limits that are others than most users'. */
  readonly limits: Partial<UserLimits>;
}

/** The limits that one user has, over all its sessions and requests. */
export type UserLimits = Pick<
  Limits,
  | "userConnectionsMax"
  | "userSubscriptionsMax"
  | "userPublishesPerSecondMax"
  | "userPublishBytesPerSecondMax"
  | "userReplayBytesPerSecondMax"
>;
