/** A group's policy: declared once, and not to be contradicted (P-51). */
import { type DeclaredPolicy, type GroupPolicy, isWildcard, type Pattern } from "@dogear/shared";

/** What a group's policy is where its first member says nothing. */
export const defaultPolicy: GroupPolicy = {
  order: "none",
  onFailure: "block",
  maxFailures: 10,
  leaseMs: 30_000,
  backoff: { type: "exponential", minMs: 1_000, maxMs: 300_000, jitter: 0.5 },
};

/** What a group is about and how it works: everything its first member declares. */
export interface Declaration {
  readonly pattern: Pattern;
  readonly policy: DeclaredPolicy;
}

export function complete({ backoff, ...declared }: DeclaredPolicy): GroupPolicy {
  return {
    ...defaultPolicy,
    ...defined(declared),
    backoff: { ...defaultPolicy.backoff, ...defined(backoff ?? {}) },
  };
}

/** Where a declaration contradicts a group as it is, in words; empty where it does not. */
export function differences(
  stored: { readonly pattern: Pattern; readonly policy: GroupPolicy },
  { pattern, policy: { backoff, ...declared } }: Declaration,
): readonly string[] {
  const is: Readonly<Record<string, unknown>> = {
    pattern: stored.pattern,
    ...stored.policy,
    ...prefixed(stored.policy.backoff),
  };
  const said: Readonly<Record<string, unknown>> = {
    pattern,
    ...defined(declared),
    ...prefixed(defined(backoff ?? {})),
  };
  return Object.keys(said)
    .filter((field) => said[field] !== is[field])
    .map((field) => `\`${field}\` is ${JSON.stringify(is[field])}, not ${JSON.stringify(said[field])}`);
}

/**
 * The channel of a group's dead letters (P-61). It must still be a valid channel: a long pattern and a long name can
 * be too much together.
 */
export function deadChannelOf(namespace: string, pattern: Pattern, group: string): string {
  const levels = pattern.split(".");
  const wild = levels.findIndex((level) => level === "*" || level === ">");
  const prefix = isWildcard(pattern) ? levels.slice(0, wild) : levels;
  return [...(prefix.length === 0 ? [namespace] : prefix), "$dead", group].join(".");
}

type Defined<T> = { readonly [K in keyof T]: Exclude<T[K], undefined> };

function defined<T extends object>(fields: T): Partial<Defined<T>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<Defined<T>>;
}

function prefixed(backoff: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(backoff).map(([field, value]) => [`backoff.${field}`, value]));
}
