/**
 * Verifies JSON Web Tokens (RFC 7519), after RFC 8725: the algorithms are those that were configured, a secret is never used
 * for any but HS256 and a public key never for HS256, and keys are never taken from the token itself.
 */
import { dogearError } from "@dogear/shared";
import {
  type CryptoKey,
  createLocalJWKSet,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
  type KeyObject,
} from "jose";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import { type Capabilities, capabilities, permissionsOf } from "./capabilities.ts";
import { KeySet, KeySetUnreachable } from "./key-set.ts";
import type { TokenPolicy } from "./policy.ts";
import { isText, isUser, type Principal } from "./principal.ts";

/** How far the clocks of hub and issuer may be apart where a token is said to be too new. */
const skewMs = 30_000;

interface TokensParts {
  readonly clock: Clock;
  readonly logger: Logger;
}

export class Tokens {
  readonly #policy: TokenPolicy;
  readonly #clock: Clock;
  readonly #secrets: readonly Uint8Array[];
  readonly #keySets: readonly JWTVerifyGetKey[];
  readonly #keyAlgorithms: readonly string[];

  constructor(policy: TokenPolicy, parts: TokensParts) {
    const { secrets, keySet, keySetUrl, algorithms } = policy;
    this.#policy = policy;
    this.#clock = parts.clock;
    this.#secrets = secrets.map((secret) => new TextEncoder().encode(secret));
    this.#keySets = [
      ...(keySet === undefined ? [] : [createLocalJWKSet(keySet)]),
      ...(keySetUrl === undefined ? [] : [new KeySet(keySetUrl, parts).key]),
    ];
    // RFC 9864 gives the algorithm that everybody calls EdDSA a name of its own.
    this.#keyAlgorithms = algorithms.flatMap((name) => (name === "EdDSA" ? [name, "Ed25519"] : [name]));
  }

  /** @throws DogearError `unauthorized`, `token-expired`, `access-unavailable` */
  async verify(token: string): Promise<Principal> {
    try {
      return this.#principalOf(await this.#payloadOf(token));
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw dogearError("token-expired", undefined, { cause: error });
      if (error instanceof KeySetUnreachable) throw dogearError("access-unavailable", undefined, { cause: error });
      if (error instanceof errors.JOSEError) throw dogearError("unauthorized", reasonOf(error), { cause: error });
      throw error;
    }
  }

  async #payloadOf(token: string): Promise<JWTPayload> {
    const { alg } = decodeHeader(token);
    const isSecret = alg === "HS256";
    const keys = isSecret ? this.#secrets : this.#keySets;
    let failure: unknown = new errors.JOSEAlgNotAllowed(`No key verifies ${isSecret ? alg : "its algorithm"} here`);
    for (const key of keys) {
      try {
        return await this.#verifyWith(token, key, isSecret ? ["HS256"] : this.#keyAlgorithms);
      } catch (error) {
        failure = error;
        const isOtherKey =
          error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey;
        if (!isOtherKey) throw error;
      }
    }
    throw failure;
  }

  async #verifyWith(
    token: string,
    key: Uint8Array | JWTVerifyGetKey,
    algorithms: readonly string[],
  ): Promise<JWTPayload> {
    const options = this.#optionsFor(algorithms);
    if (typeof key !== "function") return (await jwtVerify(token, key, options)).payload;
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      return verifyWithAny(token, error, options);
    }
  }

  #optionsFor(algorithms: readonly string[]): JWTVerifyOptions {
    const { audience, issuer } = this.#policy;
    return {
      algorithms: [...algorithms],
      requiredClaims: ["exp"],
      currentDate: new Date(this.#clock.now()),
      clockTolerance: skewMs / 1_000,
      ...(audience !== undefined && { audience }),
      ...(issuer !== undefined && { issuer }),
    };
  }

  #principalOf(payload: JWTPayload): Principal {
    const { userClaim, audience, lifetimeMsMax } = this.#policy;
    const { exp = 0, iat, jti, aud } = payload;
    const user = payload[userClaim];
    const expires = timeOf("exp", exp);
    const issued = iat === undefined ? undefined : timeOf("iat", iat);
    // The tolerance is for tokens that are too new: to let one in that has expired would only be to end it at once.
    if (expires <= this.#clock.now()) throw new errors.JWTExpired("It has expired", payload, "exp");
    if (!isUser(user)) throw dogearError("unauthorized", `Its ${userClaim} names no user.`);
    // RFC 7519, section 4.1.3: who is not named as the audience must not accept it.
    if (audience === undefined && aud !== undefined) throw dogearError("unauthorized", "It is for somebody else.");
    // One from the future would outlive its lifetime, and whatever is revoked until then.
    if (issued !== undefined && issued > this.#clock.now() + skewMs) {
      throw dogearError("unauthorized", "It was not issued yet.");
    }
    if (jti !== undefined && !isText(jti)) throw dogearError("unauthorized", "Its jti is no text.");
    if (lifetimeMsMax !== undefined && !(expires - (issued ?? 0) <= lifetimeMsMax)) {
      throw dogearError("unauthorized", "It lives longer than this hub allows.");
    }
    return {
      user,
      permissions: permissionsOf(this.#capabilitiesOf(payload), user),
      expires,
      issued,
      tokenId: jti,
      revocable: true,
      limits: {},
    };
  }

  #capabilitiesOf(payload: JWTPayload): Capabilities {
    const claim = payload[this.#policy.capabilitiesClaim];
    if (claim === undefined) return this.#policy.capabilities;
    const parsed = capabilities.safeParse(claim);
    if (!parsed.success) throw dogearError("unauthorized", `Its ${this.#policy.capabilitiesClaim} are none.`);
    return parsed.data;
  }
}

/** The time that a claim names, in milliseconds since 1970. JSON has numbers that are no time. */
function timeOf(claim: string, seconds: number): number {
  const time = seconds * 1_000;
  if (Math.abs(time) > Number.MAX_SAFE_INTEGER) throw dogearError("unauthorized", `Its ${claim} is no time.`);
  return time;
}

function decodeHeader(token: string): { readonly alg?: string | undefined } {
  try {
    return decodeProtectedHeader(token);
  } catch (error) {
    throw dogearError("unauthorized", "It is no token.", { cause: error });
  }
}

/** Several keys of a set fit a token that names none of them. */
async function verifyWithAny(
  token: string,
  candidates: AsyncIterable<CryptoKey | KeyObject>,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  for await (const key of candidates) {
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  throw new errors.JWSSignatureVerificationFailed();
}

/** Why a token is refused, for whoever made it: which claim, but not what was expected of it. */
function reasonOf(error: errors.JOSEError): string {
  if (error instanceof errors.JWTClaimValidationFailed) return `Its ${error.claim} is not right.`;
  if (error instanceof errors.JOSEAlgNotAllowed) return "Its algorithm is not accepted.";
  return "It cannot be verified.";
}
