/**
 * The envelopes of protocol 1, as schemas. PROTOCOL.md says in words what each one means; this file is where
 * their shapes are decided. Only the hub and the tests load it: a client needs the types, never zod.
 *
 * Schemas are strict. An unknown field is a mistake that is told, not a wish that is ignored.
 */
import { z } from "zod";
import { action } from "./administration.ts";
import type { ErrorCode } from "./errors.ts";
import { channel, epoch, from, milliseconds, offset, pattern, position } from "./fields.ts";
import { declaredPolicy, type GroupPolicy, groupName, groupPolicy } from "./group.ts";
import type { Limits } from "./limits.ts";
import {
  errorLengthMax,
  headerLengthMax,
  headersMax,
  heartbeatMsBounds,
  leaseMsBounds,
  leasesMax,
  nameLengthMax,
  refusedMax,
  retryMsMax,
  tokenLengthMax,
} from "./limits.ts";
import type { Durability, GapReason, Offset } from "./position.ts";

export {
  action,
  browsed,
  channelList,
  cursorList,
  cursorReport,
  groupList,
  groupReport,
  namespaceList,
  revoked,
  sessionList,
} from "./administration.ts";
export { milliseconds, pattern } from "./fields.ts";

/** The version a client names in `hello`. */
export const protocolVersion = 1;

const subscription = z.number().int().positive();
const number = z.number().int().positive();
const name = z.string().min(1).max(nameLengthMax);
/** Half a surrogate pair has no UTF-8, so that two names made of them would be stored as one. */
const identity = name.regex(/^\P{Surrogate}+$/u);
const count = z.number().int().positive();
const member = z.number().int().positive();
const request = z.number().int().positive();
const fence = z.number().int().positive();
const fences = z.array(fence).min(1).max(leasesMax) as z.ZodType<readonly number[]>;

/** Whatever the hub is configured to accept: a JWT, or an API key. */
const token = z.string().min(1).max(tokenLengthMax);

const hello = z.strictObject({
  is: z.literal("hello"),
  protocol: z.number().int(),
  token: token.optional(),
  subscriber: identity.optional(),
  producer: z
    .strictObject({
      id: identity,
      /** Every number up to here has been settled: the client needs no answer for it any more. */
      settled: z.number().int().nonnegative(),
      /** Numbers above `settled` whose drafts were refused for good: they do not come again. */
      refused: z.array(number).max(refusedMax).optional(),
      /** The `time` of the last welcome this producer got, so that the hub can tell new from forgotten. */
      seen: milliseconds.optional(),
    })
    .optional(),
  /** Which of this producer's connections it is: a number that grows with each, for as long as its id is used (P-41). */
  connection: number.optional(),
  heartbeatMs: z.number().int().min(heartbeatMsBounds.min).max(heartbeatMsBounds.max).optional(),
});

/** A new token in place of the session's, for the same user. */
const refresh = z.strictObject({ is: z.literal("refresh"), token });

const subscribe = z.strictObject({
  is: z.literal("subscribe"),
  subscription,
  pattern,
  cursor: z.boolean().optional(),
  reset: z.boolean().optional(),
  from: from.optional(),
  window: z.strictObject({ messages: count, bytes: count }).optional(),
});

const unsubscribe = z.strictObject({ is: z.literal("unsubscribe"), subscription });

const ack = z.strictObject({ is: z.literal("ack"), subscription, offset });

const draftFields = {
  channel,
  type: z.string().min(1).max(nameLengthMax).optional(),
  key: name.optional(),
  headers: z
    .record(z.string().min(1).max(nameLengthMax), z.string().max(headerLengthMax))
    .refine((headers) => Object.keys(headers).length <= headersMax)
    .optional(),
  id: name.optional(),
  /** Deliver it so long after the hub took it … */
  delayMs: milliseconds.optional(),
  /** … or at this time. */
  deliverAt: milliseconds.optional(),
  /** It expires so long after it was published, or after it was due. */
  ttlMs: count.optional(),
  data: z.unknown(),
} as const;

const publish = z.strictObject({ is: z.literal("publish"), number, ...draftFields });

/** What is published, without what only an envelope needs. */
export const draft = z.strictObject(draftFields);

const work = z.strictObject({
  is: z.literal("work"),
  member,
  /** Tells this member from every other, for as long as it lives, over any number of connections. */
  id: identity,
  group: groupName,
  pattern,
  /** Where the group starts, if there is none yet. */
  from: from.optional(),
  /** How many messages may be leased to this member at a time. */
  window: count.optional(),
  /** The offsets of messages that this member still works on. Other leases it had are given back. */
  holding: (z.array(offset).max(leasesMax) as z.ZodType<readonly Offset[]>).optional(),
  ...declaredPolicy,
});

const leave = z.strictObject({
  is: z.literal("leave"),
  member,
  /** The offsets of messages that it settles before it leaves. Other leases it has are given back. */
  holding: (z.array(offset).max(leasesMax) as z.ZodType<readonly Offset[]>).optional(),
});

const settle = z.strictObject({
  is: z.literal("settle"),
  member,
  fences,
  outcome: z.enum(["ack", "retry", "reject", "release", "extend"]),
  /** With `retry`: when to try again, instead of what the group's backoff says. */
  delayMs: milliseconds.max(retryMsMax).optional(),
  /** With `retry` and `reject`: what went wrong. */
  error: z.string().max(errorLengthMax).optional(),
  /** With `extend`: how long the lease is from now on, instead of the group's `leaseMs`. */
  leaseMs: z.number().int().min(leaseMsBounds.min).max(leaseMsBounds.max).optional(),
});

const ask = z.strictObject({ is: z.literal("ask"), request, action });

const pong = z.strictObject({ is: z.literal("pong") });

/** What a client says. */
export const clientEnvelope = z.discriminatedUnion("is", [
  hello,
  refresh,
  subscribe,
  unsubscribe,
  ack,
  publish,
  work,
  leave,
  settle,
  ask,
  pong,
]);

export const durability = z.enum(["memory", "process", "disk", "quorum"]) satisfies z.ZodType<Durability>;
const code = z.string() as unknown as z.ZodType<ErrorCode>;

const welcome = z.strictObject({
  is: z.literal("welcome"),
  protocol: z.literal(protocolVersion),
  hub: z.string(),
  session: z.string(),
  /** Who the token names. */
  user: z.string(),
  /** When the token expires, by the hub's clock; never, where it is left out. */
  expires: milliseconds.optional(),
  time: milliseconds,
  heartbeatMs: milliseconds,
  limits: z.record(z.string(), z.number()) as unknown as z.ZodType<Limits>,
});

const refreshed = z.strictObject({
  is: z.literal("refreshed"),
  /** When the new token expires, and the hub's time. */
  expires: milliseconds.optional(),
  time: milliseconds,
});

const subscribed = z.strictObject({
  is: z.literal("subscribed"),
  subscription,
  epoch,
  position: offset,
  head: offset,
});

const unsubscribed = z.strictObject({
  is: z.literal("unsubscribed"),
  subscription,
  code: code.optional(),
  message: z.string().optional(),
});

/** A message as it is stored and sent. */
export const message = z.strictObject({
  offset,
  channel,
  time: milliseconds,
  /** When it expires: nobody is given it after that. */
  expires: milliseconds.optional(),
  type: z.string().optional(),
  key: z.string().optional(),
  headers: z.record(z.string(), z.string()).optional(),
  data: z.unknown(),
});

const messages = z.strictObject({
  is: z.literal("messages"),
  /** A live envelope names the pattern … */
  pattern: pattern.optional(),
  /** … and a private one the subscription. */
  subscription: subscription.optional(),
  after: offset,
  through: offset,
  messages: z.array(message),
});

const caughtUp = z.strictObject({ is: z.literal("caught-up"), subscription });
const behind = z.strictObject({ is: z.literal("behind"), subscription });

const gap = z.strictObject({
  is: z.literal("gap"),
  subscription,
  from: offset,
  to: offset.nullable(),
  reason: z.enum(["retention", "corruption", "epoch"]) satisfies z.ZodType<GapReason>,
  /** Where the subscription goes on. */
  position,
});

const published = z.strictObject({
  is: z.literal("published"),
  number,
  /** It answers so many drafts, whose numbers and offsets follow one another; one where it is left out. */
  count: number.optional(),
  epoch,
  offset,
  duplicate: z.boolean(),
  durability,
});

const scheduled = z.strictObject({
  is: z.literal("scheduled"),
  number,
  /** By which it can be cancelled. */
  id: z.string(),
  due: milliseconds,
  duplicate: z.boolean(),
  durability,
});

interface Held {
  readonly offset: Offset;
  readonly fence: number;
  /** As when it was leased: where it is another than the member remembers, somebody else had the message meanwhile. */
  readonly deliveries: number;
}

const working = z.strictObject({
  is: z.literal("working"),
  member,
  epoch,
  policy: groupPolicy as z.ZodType<GroupPolicy>,
  window: count,
  /** What this member still holds of what it said it did, under new fences. */
  leases: z.array(z.strictObject({ offset, fence, deliveries: count })) as z.ZodType<readonly Held[]>,
});

const leased = z.strictObject({
  is: z.literal("leased"),
  member,
  /** One for each message. `deliveries` counts this one; `failures` those before it. */
  leases: z.array(
    z.strictObject({
      fence,
      deliveries: count,
      failures: z.number().int().nonnegative(),
    }),
  ),
  messages: z.array(message),
});

const settled = z.strictObject({ is: z.literal("settled"), member, fences });

const left = z.strictObject({
  is: z.literal("left"),
  member,
  code: code.optional(),
  message: z.string().optional(),
});

const answer = z.strictObject({ is: z.literal("answer"), request, result: z.unknown() });

const error = z.strictObject({
  is: z.literal("error"),
  code,
  message: z.string(),
  /** The publish it answers … */
  number: number.optional(),
  /** … or the subscription … */
  subscription: subscription.optional(),
  /** … or the member, and of which lease … */
  member: member.optional(),
  fence: fence.optional(),
  /** … or the request. */
  request: request.optional(),
});

const draining = z.strictObject({ is: z.literal("draining"), reconnectAfterMs: milliseconds });
const ping = z.strictObject({ is: z.literal("ping") });

/** What a hub says. */
export const hubEnvelope = z.discriminatedUnion("is", [
  welcome,
  refreshed,
  subscribed,
  unsubscribed,
  messages,
  caughtUp,
  behind,
  gap,
  published,
  scheduled,
  working,
  leased,
  settled,
  left,
  answer,
  error,
  draining,
  ping,
]);

export type Hello = z.infer<typeof hello>;
export type Refresh = z.infer<typeof refresh>;
export type Subscribe = z.infer<typeof subscribe>;
export type Unsubscribe = z.infer<typeof unsubscribe>;
export type Ack = z.infer<typeof ack>;
export type Publish = z.infer<typeof publish>;
export type Work = z.infer<typeof work>;
export type Leave = z.infer<typeof leave>;
export type Settle = z.infer<typeof settle>;
export type Ask = z.infer<typeof ask>;
export type ClientEnvelope = z.infer<typeof clientEnvelope>;

export type Welcome = z.infer<typeof welcome>;
export type Refreshed = z.infer<typeof refreshed>;
export type Subscribed = z.infer<typeof subscribed>;
export type Unsubscribed = z.infer<typeof unsubscribed>;
export type WireMessage = z.infer<typeof message>;
export type Messages = z.infer<typeof messages>;
export type GapEnvelope = z.infer<typeof gap>;
export type Published = z.infer<typeof published>;
export type Scheduled = z.infer<typeof scheduled>;
export type Working = z.infer<typeof working>;
export type Leased = z.infer<typeof leased>;
export type Settled = z.infer<typeof settled>;
export type Left = z.infer<typeof left>;
export type Answer = z.infer<typeof answer>;
export type ErrorEnvelope = z.infer<typeof error>;
export type HubEnvelope = z.infer<typeof hubEnvelope>;
