/** From what the configuration says about access to the policy: files are read, and what they hold is checked. */
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { AccessPolicy, TokenPolicy } from "../access/policy.ts";
import type { Given } from "./given.ts";
import type { Mistakes } from "./mistakes.ts";
import type { AccessSettings, TlsFiles, TokenSettings } from "./schema.ts";
import { weakness } from "./secrets.ts";

type KeySet = NonNullable<TokenPolicy["keySet"]>;

/** Whose configuration it is, and where what is wrong with it is noted. */
export interface Reading {
  readonly given: Given;
  readonly mistakes: Mistakes;
}

export function accessOf({ tokens, keys, cookie }: AccessSettings, reading: Reading): AccessPolicy {
  const names = new Map<string, string>();
  for (const [name, { hash }] of Object.entries(keys)) {
    const other = names.get(hash.toLowerCase());
    names.set(hash.toLowerCase(), name);
    if (other === undefined) continue;
    const path = ["access", "keys", name, "hash"];
    reading.mistakes.add(
      reading.given.origin(path),
      `${path.join(".")} is that of access.keys.${other}: a key is one user.`,
    );
  }
  return {
    tokens: tokens && tokenPolicy(tokens, reading),
    keys: Object.entries(keys).map(([name, key]) => ({ name, ...key, hash: key.hash.toLowerCase() })),
    cookie,
  };
}

function tokenPolicy(tokens: TokenSettings, reading: Reading): TokenPolicy {
  const { secretFile, keySetFile, keySetUrl, algorithms, audience, issuer, lifetimeMsMax } = tokens;
  const { userClaim, capabilitiesClaim, capabilities } = tokens;
  const path = ["access", "tokens"];
  return {
    secrets: [
      ...tokens.secrets.map((secret, index) => checkedSecret(secret, [...path, "secrets", `${index}`], reading)),
      ...(secretFile === undefined ? [] : [secretIn(secretFile, [...path, "secretFile"], reading)]),
    ],
    keySet: keySetFile === undefined ? undefined : keySetIn(keySetFile, [...path, "keySetFile"], reading),
    keySetUrl,
    algorithms,
    audience,
    issuer,
    userClaim,
    capabilitiesClaim,
    capabilities,
    lifetimeMsMax,
  };
}

function checkedSecret(secret: string, path: readonly string[], { given, mistakes }: Reading): string {
  const wrong = weakness(secret);
  if (wrong !== undefined) mistakes.add(given.origin(path), `${path.join(".")} ${wrong}.`);
  return secret;
}

/** The secret that a file holds: what editors put at its end is not part of it. */
function secretIn(file: string, path: readonly string[], reading: Reading): string {
  const text = textOf(file, path, reading);
  return text === undefined ? "" : checkedSecret(text.replace(/[\r\n]+$/, ""), path, reading);
}

function keySetIn(file: string, path: readonly string[], reading: Reading): KeySet {
  const text = textOf(file, path, reading);
  const none: KeySet = { keys: [] };
  if (text === undefined) return none;
  const wrong = (what: string): KeySet => {
    reading.mistakes.add(reading.given.origin(path), `${path.join(".")} names ${file}, ${what}.`);
    return none;
  };
  let keySet: Partial<KeySet> | null;
  try {
    keySet = JSON.parse(text) as Partial<KeySet> | null;
  } catch {
    return wrong("which is not JSON");
  }
  const keys: unknown = keySet?.keys;
  if (!Array.isArray(keys) || keys.length === 0 || !keys.every(isKey)) return wrong("which is not a set of keys");
  // Whoever can read this file could sign with such a key; and a secret in it is no public key at all.
  if (keys.some((key) => "d" in key || "k" in key)) return wrong("which holds keys that are not public");
  return { keys };
}

function isKey(key: unknown): key is KeySet["keys"][number] {
  return typeof key === "object" && key !== null && "kty" in key && typeof key.kty === "string";
}

/** Checks that the certificate and the key are there and belong together; the listener reads them. */
export function checkTls({ certificateFile, keyFile }: TlsFiles, reading: Reading): void {
  const path = ["listen", "tls"];
  const cert = textOf(certificateFile, [...path, "certificateFile"], reading);
  const key = textOf(keyFile, [...path, "keyFile"], reading);
  if (cert === undefined || key === undefined) return;
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const why = `${path.join(".")} has no certificate and key that belong together: ${(error as Error).message}.`;
    reading.mistakes.add(reading.given.origin(path), why);
  }
}

/** What a file holds that the configuration names. */
export function textOf(file: string, path: readonly string[], { given, mistakes }: Reading): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === "ENOENT" ? "is not there" : "cannot be read";
    mistakes.add(given.origin(path), `${path.join(".")} names ${file}, which ${why}.`);
    return undefined;
  }
}
