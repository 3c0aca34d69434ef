/** The configuration file: strict, so that a misspelt key is an error and not a default. */
import { readFileSync } from "node:fs";
import { defaultLimits, isChannel, type Limits } from "@dogear/shared";
import { z } from "zod";
import type { HubPolicy } from "./hub/namespace.ts";

const positive = z.number().int().positive();

const namespaceName = z
  .string()
  .refine(
    (name) => isChannel(name) && !name.includes(".") && !name.startsWith("$"),
    "a namespace is one level of a name",
  );

const namespace = z.strictObject({
  /** `disk`, the default, is flushed before it is acknowledged; `memory` does not survive a restart. */
  durability: z.enum(["disk", "memory"]).default("disk"),
  retention: z
    .strictObject({
      /** Messages older than this may be removed; 7 days by default, never where it is null. */
      ageMs: positive.nullable().optional(),
      /** The oldest messages may be removed while the log is larger than this; no bound by default. */
      bytes: positive.min(1_000_000).nullable().optional(),
    })
    .default({}),
  /** Messages expire so long after they were published, if not earlier; never, where it is left out. */
  ttlMs: positive.optional(),
});

const limitNames = Object.keys(defaultLimits) as (keyof Limits)[];
const limits = z.strictObject(Object.fromEntries(limitNames.map((name) => [name, positive.optional()])));

const file = z.strictObject({
  namespaces: z.record(namespaceName, namespace).default({}),
  limits: limits.default({}),
});

export interface Config {
  readonly limits: Limits;
  readonly policies: readonly HubPolicy[];
}

/** A configuration that cannot be used; the message says where and why. */
export class ConfigError extends Error {}

const defaultAgeMs = 7 * 24 * 60 * 60 * 1_000;

/** WebSocket messages of more than this cannot be told apart from those without a limit. */
const frameBytesBound = 256 * 1_024 * 1_024;

export function readConfig(path: string): Config {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(`The configuration ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(`The configuration ${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  return parseConfig(parsed, path);
}

/** Checks a configuration; `{}` is the default one. `source` names it in errors. */
export function parseConfig(parsed: unknown, source = "the configuration"): Config {
  const result = file.safeParse(parsed);
  if (!result.success) throw new ConfigError(`${source}: ${result.error.issues.map(describe).join("; ")}`);
  const merged: Limits = { ...defaultLimits, ...(result.data.limits as Partial<Limits>) };
  checkLimits(merged, source);
  const named = { default: namespace.parse({}), ...result.data.namespaces };
  const policies = Object.entries(named).map(([name, { durability, retention, ttlMs }]) => ({
    namespace: name,
    durability,
    retention: {
      ageMs: retention.ageMs === undefined ? defaultAgeMs : (retention.ageMs ?? undefined),
      bytes: retention.bytes ?? undefined,
    },
    deduplicationWindowMs: merged.deduplicationWindowMs,
    deduplicationIdsMax: merged.deduplicationIdsMax,
    producerMemoryMs: merged.producerMemoryMs,
    ttlMs,
  }));
  return { limits: merged, policies };
}

function describe(issue: z.core.$ZodIssue): string {
  const path = issue.path.join(".");
  if (issue.code === "unrecognized_keys") {
    const keys = issue.keys.map((key) => (path === "" ? key : `${path}.${key}`));
    return `unknown key ${keys.join(", ")}`;
  }
  return `${path === "" ? "the file" : path}: ${issue.message}`;
}

/** Below this a connection takes everything at once and never says that it has room again. */
const outboxBytesMin = 64 * 1_024;

function checkLimits({ frameBytesMax, messageBytesMax, outboxBytesMax }: Limits, source: string): void {
  if (outboxBytesMax < outboxBytesMin)
    throw new ConfigError(`${source}: limits.outboxBytesMax is at least ${outboxBytesMin}`);
  if (frameBytesMax > frameBytesBound)
    throw new ConfigError(`${source}: limits.frameBytesMax is at most ${frameBytesBound}`);
  if (messageBytesMax > frameBytesMax) {
    throw new ConfigError(`${source}: limits.messageBytesMax cannot be larger than limits.frameBytesMax`);
  }
}
