/** Tokens as a service of its own signs them, after RFC 7519, and what a hub is told to accept them. */
import { createHmac } from "node:crypto";

const secret = "a secret of tests, which is long enough";

/** Of a hub that accepts what {@link signed} makes. */
export const tokenConfig = { access: { tokens: { secrets: [secret] } } };

export interface Claims {
  readonly sub: string;
  readonly capabilities?: Readonly<Record<string, readonly string[]>>;
  readonly jti?: string;
}

/** A token of whoever may do everything, unless told otherwise; good for an hour, or so long. */
export function signed(claims: Claims, lifeMs = 3_600_000): string {
  const seconds = Date.now() / 1_000;
  const everything = { ">": ["publish", "subscribe", "work", "admin"] };
  const payload = { capabilities: everything, iat: seconds, exp: seconds + lifeMs / 1_000, ...claims };
  const content = [{ alg: "HS256", typ: "JWT" }, payload].map(encoded).join(".");
  return `${content}.${createHmac("sha256", secret).update(content).digest("base64url")}`;
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}
