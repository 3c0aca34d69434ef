/**
 * A group's policy: how messages are shared among its members. The first member declares it, the hub stores it, and
 * whoever joins later must not contradict it.
 *
 * Loads zod, as the envelopes do; a client needs the types alone.
 */
import { z } from "zod";
import { leaseMsBounds, nameLengthMax, retryMsMax } from "./limits.ts";

/** A group's name is one level of a channel, because its dead letters have a channel named after it. */
export const groupName = z
  .string()
  .regex(/^[A-Za-z0-9_-]+$/)
  .max(nameLengthMax);

const delayMs = z.number().int().nonnegative().max(retryMsMax);

const backoff = z.strictObject({
  /** `fixed`: always `minMs`. `exponential`: twice as long after each failure, from `minMs` up to `maxMs`. */
  type: z.enum(["fixed", "exponential"]).optional(),
  minMs: delayMs.optional(),
  maxMs: delayMs.optional(),
  /** Which share of the delay is left to chance, 0 to 1: with 0.5, from half of it to all of it. */
  jitter: z.number().min(0).max(1).optional(),
});

/** What a member may say of its group's policy. What it leaves out is as it was declared, or the default. */
export const declaredPolicy = {
  /** `none`: no order. `key`: one unsettled message of a key at a time. `all`: one message at a time. */
  order: z.enum(["none", "key", "all"]).optional(),
  /** What a failed message does with those behind it in order: `block` them until it is settled, or let them `skip` it. */
  onFailure: z.enum(["block", "skip"]).optional(),
  /** After so many failures a message is a dead letter. */
  maxFailures: z.number().int().positive().optional(),
  /** How long a member may keep a message without extending its lease. */
  leaseMs: z.number().int().min(leaseMsBounds.min).max(leaseMsBounds.max).optional(),
  /** How long a failed message waits before it is leased again. */
  backoff: backoff.optional(),
} as const;

const policy = z.strictObject(declaredPolicy);

/** A policy as a member declares it: any part of it. */
export type DeclaredPolicy = z.infer<typeof policy>;

/** A policy with nothing left open. */
export interface GroupPolicy {
  readonly order: NonNullable<DeclaredPolicy["order"]>;
  readonly onFailure: NonNullable<DeclaredPolicy["onFailure"]>;
  readonly maxFailures: number;
  readonly leaseMs: number;
  readonly backoff: Backoff;
}

export interface Backoff {
  readonly type: "fixed" | "exponential";
  readonly minMs: number;
  readonly maxMs: number;
  readonly jitter: number;
}

/** {@link GroupPolicy}, all of it. */
export const groupPolicy = z.strictObject({
  order: declaredPolicy.order.unwrap(),
  onFailure: declaredPolicy.onFailure.unwrap(),
  maxFailures: declaredPolicy.maxFailures.unwrap(),
  leaseMs: declaredPolicy.leaseMs.unwrap(),
  backoff: backoff.required(),
}) satisfies z.ZodType<GroupPolicy>;
