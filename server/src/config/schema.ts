/**
 * The configuration file: strict, so that a misspelt key is an error and not a default. What each key is, and what it is
 * where it is left out, is said here alone; editors, `dogear config print` and the environment's variables go by it.
 */
import { type Limits, nameLengthMax } from "@dogear/shared";
import { z } from "zod";
import { type Capabilities, capabilities } from "../access/capabilities.ts";
import { type KeyAlgorithm, keyAlgorithms, type UserLimits } from "../access/policy.ts";
import type { JetStreamSettings } from "../engine/jetstream/cluster.ts";
import { type LogLevel, logLevels } from "../runtime/logger.ts";
import { limits, userLimits } from "./limits.ts";
import {
  fileName,
  hostName,
  keySetUrl,
  monitorUrl,
  natsUrl,
  natsUrls,
  network,
  origin,
  text,
  whole,
} from "./values.ts";

/** All that a configuration says, its defaults included. */
export interface Settings {
  readonly data: string;
  /** `lmdb`, or where NATS listens: URLs in a list, or with commas between. */
  readonly engine: string | readonly string[];
  readonly jetstream: JetStreamOptions;
  readonly listen: ListenSettings;
  readonly access: AccessSettings;
  readonly log: { readonly level: LogLevel };
  readonly limits: Limits;
  readonly namespaces: Readonly<Record<string, NamespaceSettings>>;
}

export interface JetStreamOptions {
  readonly prefix: string;
  readonly replicas?: number | undefined;
  readonly monitors: readonly string[];
  readonly credentialsFile?: string | undefined;
  readonly tls?: JetStreamSettings["tls"];
}

export interface ListenSettings {
  readonly host: string;
  readonly port: number;
  /** Pages from elsewhere that browsers may come from; `*` is everywhere. */
  readonly origins: readonly string[];
  /** Names, besides loopback ones, that a hub without access control is called by. */
  readonly hosts: readonly string[];
  /** Addresses and ranges whose `X-Forwarded-…` headers are believed. */
  readonly trustedProxies: readonly string[];
  readonly tls?: TlsFiles | undefined;
}

export interface TlsFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export interface AccessSettings {
  readonly tokens?: TokenSettings | undefined;
  readonly keys: Readonly<Record<string, KeySettings>>;
  readonly cookie: string;
}

export interface TokenSettings {
  readonly secrets: readonly string[];
  readonly secretFile?: string | undefined;
  readonly keySetFile?: string | undefined;
  readonly keySetUrl?: string | undefined;
  readonly algorithms: readonly KeyAlgorithm[];
  readonly audience?: string | undefined;
  readonly issuer?: string | undefined;
  readonly userClaim: string;
  readonly capabilitiesClaim: string;
  readonly lifetimeMsMax?: number | undefined;
  readonly capabilities: Capabilities;
}

export interface KeySettings {
  readonly hash: string;
  readonly capabilities: Capabilities;
  readonly limits: Partial<UserLimits>;
}

export interface NamespaceSettings {
  readonly durability: "disk" | "memory";
  readonly retention: { readonly ageMs: number | null; readonly bytes: number | null };
  readonly ttlMs?: number | undefined;
}

const day = 24 * 60 * 60 * 1_000;

const tls = z.strictObject({
  certificateFile: fileName.describe("The certificate and those it is signed with, in PEM."),
  keyFile: fileName.describe("The certificate's private key, in PEM."),
});

const listen = z.strictObject({
  host: text("a name or an address of this machine")
    .default("127.0.0.1")
    .describe("The address to listen on. Any but a loopback address needs access.tokens or access.keys."),
  port: whole(0, 65_535).default(7_600).describe("The port to listen on; 0 is any free one."),
  origins: z
    .array(origin)
    .refine((origins) => !origins.includes("*") || origins.length === 1, '"*" stands alone: it is every origin')
    .default([])
    .describe(
      'Origins whose pages may connect and ask over HTTP: "https://app.example.com", or "*" alone for all. ' +
        "Pages that this address serves always may.",
    ),
  hosts: z
    .array(hostName)
    .default([])
    .describe("Names, besides localhost, that a hub without tokens and keys may be called by in the Host header."),
  trustedProxies: z
    .array(network)
    .default([])
    .describe("Addresses, and ranges of them, of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."),
  tls: tls.optional().describe("Speaks TLS itself; by default it does not, and a proxy in front may."),
});

const tokens = z
  .strictObject({
    secrets: z
      .array(text())
      .default([])
      .describe(
        "Secrets of HS256, of at least 32 bytes. The first signs what `dogear token create` makes; any is accepted.",
      ),
    secretFile: fileName.optional().describe("A file that holds one more secret, after those in `secrets`."),
    keySetFile: fileName.optional().describe("A file of public keys: a JSON Web Key Set."),
    keySetUrl: keySetUrl.optional().describe("Where the public keys are fetched from, and again when they change."),
    algorithms: z
      .array(z.enum(keyAlgorithms))
      .min(1)
      .default([...keyAlgorithms])
      .describe("What tokens may be signed with that are verified by a public key."),
    audience: text().optional().describe("Whom tokens must be for: their `aud`."),
    issuer: text().optional().describe("Whom tokens must be from: their `iss`."),
    userClaim: text().default("sub").describe("The claim that names the user."),
    capabilitiesClaim: text().default("capabilities").describe("The claim that holds the capabilities."),
    lifetimeMsMax: whole(1)
      .optional()
      .describe("Tokens that live longer than this, in milliseconds, are refused; by default none are for that."),
    capabilities: capabilities.default({}).describe("The capabilities of tokens that bring none: by default, nothing."),
  })
  .refine(
    ({ secrets, secretFile, keySetFile, keySetUrl }) =>
      secrets.length > 0 || (secretFile ?? keySetFile ?? keySetUrl) !== undefined,
    "tokens are verified by one of secrets, secretFile, keySetFile and keySetUrl",
  );

const key = z.strictObject({
  hash: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, {
      error: "the SHA-256 of the key in 64 hexadecimal digits, as `dogear key create` says it",
    })
    .describe("SHA-256 of the key, in hexadecimal. `dogear key create` makes a key and its hash."),
  capabilities: capabilities.default({}).describe("What the key may do: by default, nothing."),
  limits: userLimits.prefault({}).describe("Limits of this key, where they are others than most users'."),
});

const keyName = text().regex(new RegExp(`^[A-Za-z0-9_-]{1,${nameLengthMax}}$`), {
  error: `a key's name is at most ${nameLengthMax} letters, digits, "_" and "-"`,
});

const access = z.strictObject({
  tokens: tokens.optional().describe("How tokens are verified; by default none are accepted."),
  keys: z
    .record(keyName, key)
    .default({})
    .describe(
      "API keys of services, by name. A key is the user of that name. Without tokens and keys there is no access control.",
    ),
  cookie: z
    .string()
    .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, { error: "the name of a cookie" })
    .default("dogear")
    .describe("The cookie that may hold the token of a browser that reads over HTTP."),
});

const natsServers = '"lmdb", or where NATS listens: nats://a:4222,b:4222';

const engine = z.union(
  [
    z.literal("lmdb"),
    z.string().regex(natsUrls, { error: natsServers }),
    z.array(z.string().regex(natsUrl, { error: "where NATS listens, such as nats://a:4222" })).min(1),
  ],
  { error: natsServers },
);

const jetstream = z.strictObject({
  prefix: text()
    .regex(/^[A-Za-z0-9_-]{1,32}$/, { error: 'at most 32 letters, digits, "_" and "-"' })
    .default("dogear")
    .describe("What the names of streams and subjects begin with. Hubs of one prefix share logs and state."),
  replicas: z
    .literal([1, 3, 5])
    .optional()
    .describe("How many servers keep each log and the state; by default 3 where several servers are named, else 1."),
  monitors: z
    .array(monitorUrl)
    .default([])
    .describe(
      "Where every server is monitored (http://a:8222). With one replica, messages count as on disk where all of them " +
        "say sync_interval: always.",
    ),
  credentialsFile: fileName.optional().describe("A .creds file of NATS that says who the hub is."),
  tls: z
    .strictObject({
      caFile: fileName.optional().describe("Those whose certificates are trusted, in PEM; by default the system's."),
      certificateFile: fileName.optional().describe("The hub's own certificate, in PEM."),
      keyFile: fileName.optional().describe("The certificate's private key, in PEM."),
    })
    .optional()
    .describe("TLS to NATS, where it needs more than a URL that begins with tls://."),
});

const namespaceName = z.string().regex(/^[A-Za-z0-9_-]{1,255}$/, { error: "a namespace is one level of a name" });

const namespace = z.strictObject({
  durability: z
    .enum(["disk", "memory"])
    .default("disk")
    .describe("`disk` is flushed before it is acknowledged; `memory` does not survive a restart."),
  retention: z
    .strictObject({
      ageMs: whole(1)
        .nullable()
        .default(7 * day)
        .describe("Messages older than this, in milliseconds, may be removed; null: never."),
      bytes: whole(1_000_000)
        .nullable()
        .default(null)
        .describe("The oldest messages may be removed while the log is larger than this; null: there is no bound."),
    })
    .prefault({})
    .describe("What may be removed."),
  ttlMs: whole(1)
    .optional()
    .describe("Messages expire so many milliseconds after they were published, if not earlier; by default never."),
});

/** What holds for a namespace of which nothing is said. */
export const defaultNamespace: NamespaceSettings = namespace.parse({});

export const schema: z.ZodType<Settings> = z
  .strictObject({
    $schema: z.string().optional().describe("The schema of this file, for editors: `dogear config schema` writes it."),
    data: text("the name of a folder")
      .default("./data")
      .describe("The folder of the data, created where it is missing. With NATS there is none."),
    engine: engine
      .default("lmdb")
      .describe(
        'Where logs are kept: "lmdb", in the folder of the data; or by NATS JetStream, for several hubs: the URLs of its ' +
          "servers, in a list or with commas between (nats://a:4222,b:4222).",
      ),
    jetstream: jetstream.prefault({}).describe("How NATS is used, where `engine` names it."),
    listen: listen.prefault({}).describe("Where to listen, and who may connect to it from where."),
    access: access.prefault({}).describe("Who is let in, and what they may do."),
    log: z
      .strictObject({
        level: z
          .enum(logLevels)
          .default("info")
          .describe("What is logged: events of this level and above; nothing, where it is `silent`."),
      })
      .prefault({})
      .describe("The log on standard error."),
    limits: limits.prefault({}).describe("Bounds of what clients may ask for."),
    namespaces: z
      .record(namespaceName, namespace)
      .default({})
      .describe("Channels that are kept together, by the first level of their names; `default` is all others."),
  })
  .describe("The configuration of a Dogear hub.");

/** As JSON Schema, for editors. */
export function jsonSchema(): object {
  return z.toJSONSchema(schema, { io: "input" });
}
