/** Makes what lets somebody in: tokens signed with a secret, and keys. */
import { SignJWT } from "jose";
import { type Capabilities, capabilities } from "./capabilities.ts";
import { sha256 } from "./keys.ts";
import type { TokenPolicy } from "./policy.ts";

export interface TokenClaims {
  readonly user: string;
  /** Where they are left out, those that the configuration gives to tokens without any. */
  readonly capabilities?: Capabilities | undefined;
  /** When it is made, in milliseconds since 1970, and for how long it is good. */
  readonly now: number;
  readonly lifetimeMs: number;
  /** By which it can be revoked. */
  readonly id: string;
}

/** What a hub's policy says of its tokens: a token that is made by it is accepted by that hub. */
export type TokenShape = Pick<TokenPolicy, "audience" | "issuer" | "userClaim" | "capabilitiesClaim">;

/** A token of HS256. */
export function issueToken(secret: string, claims: TokenClaims, shape: TokenShape): Promise<string> {
  const { user, capabilities: granted, now, lifetimeMs, id } = claims;
  const { audience, issuer, userClaim, capabilitiesClaim } = shape;
  const issued = Math.floor(now / 1_000);
  const token = new SignJWT({
    [userClaim]: user,
    ...(granted !== undefined && { [capabilitiesClaim]: granted }),
  });
  token.setProtectedHeader({ alg: "HS256", typ: "JWT" });
  token
    .setSubject(user)
    .setIssuedAt(issued)
    .setExpirationTime(issued + Math.ceil(lifetimeMs / 1_000))
    .setJti(id);
  if (audience !== undefined) token.setAudience(audience);
  if (issuer !== undefined) token.setIssuer(issuer);
  return token.sign(new TextEncoder().encode(secret));
}

/** Tells whoever finds a key, and programs that look for leaked ones, what it is. */
const keyPrefix = "dgr_";

/** A key made of random bytes, 32 of them, and the hash by which the configuration knows it. */
export function issueKey(random: Uint8Array): { readonly key: string; readonly hash: string } {
  const key = `${keyPrefix}${Buffer.from(random).toString("base64url")}`;
  return { key, hash: sha256(key).toString("hex") };
}

/** Whether something can be the capabilities of a token or a key. */
export function isCapabilities(value: unknown): value is Capabilities {
  return capabilities.safeParse(value).success;
}
