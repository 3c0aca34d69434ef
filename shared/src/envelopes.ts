/**
 * The envelopes of protocol 1, as schemas. PROTOCOL.md says in words what each one means; this file is where
 * their shapes are decided. Only the hub and the tests load it: a client needs the types, never zod.
 *
 * Schemas are strict. An unknown field is a mistake that is told, not a wish that is ignored.
 */
import { z } from "zod";
import type { ErrorCode } from "./errors.ts";
import type { Limits } from "./limits.ts";
import { headerLengthMax, headersMax, heartbeatMsBounds, nameLengthMax, refusedMax } from "./limits.ts";
import type { Channel, Pattern } from "./names.ts";
import { isChannel, isPattern } from "./names.ts";
import type { Durability, Epoch, GapReason, Offset } from "./position.ts";

/** The version a client names in `hello`. */
export const protocolVersion = 1;

const channel = z.string().refine(isChannel) as unknown as z.ZodType<Channel>;
const pattern = z.string().refine(isPattern) as unknown as z.ZodType<Pattern>;
const offset = z.number().int().nonnegative() as unknown as z.ZodType<Offset>;
const epoch = z.string().min(1).max(nameLengthMax) as unknown as z.ZodType<Epoch>;
const subscription = z.number().int().positive();
const number = z.number().int().positive();
const name = z.string().min(1).max(nameLengthMax);
/** Half a surrogate pair has no UTF-8, so that two names made of them would be stored as one. */
const identity = name.regex(/^\P{Surrogate}+$/u);
const count = z.number().int().positive();
const milliseconds = z.number().int().nonnegative();
const position = z.strictObject({ epoch, offset });

const hello = z.strictObject({
  is: z.literal("hello"),
  protocol: z.number().int(),
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
  heartbeatMs: z.number().int().min(heartbeatMsBounds.min).max(heartbeatMsBounds.max).optional(),
});

const subscribe = z.strictObject({
  is: z.literal("subscribe"),
  subscription,
  pattern,
  cursor: z.boolean().optional(),
  reset: z.boolean().optional(),
  from: z
    .union([z.literal("latest"), z.literal("earliest"), position, z.strictObject({ time: milliseconds })])
    .optional(),
  window: z.strictObject({ messages: count, bytes: count }).optional(),
});

const unsubscribe = z.strictObject({ is: z.literal("unsubscribe"), subscription });

const ack = z.strictObject({ is: z.literal("ack"), subscription, offset });

const publish = z.strictObject({
  is: z.literal("publish"),
  number,
  channel,
  type: z.string().min(1).max(nameLengthMax).optional(),
  key: name.optional(),
  headers: z
    .record(z.string().min(1).max(nameLengthMax), z.string().max(headerLengthMax))
    .refine((headers) => Object.keys(headers).length <= headersMax)
    .optional(),
  id: name.optional(),
  data: z.unknown(),
});

const pong = z.strictObject({ is: z.literal("pong") });

/** What a client says. */
export const clientEnvelope = z.discriminatedUnion("is", [hello, subscribe, unsubscribe, ack, publish, pong]);

const code = z.string() as unknown as z.ZodType<ErrorCode>;

const welcome = z.strictObject({
  is: z.literal("welcome"),
  protocol: z.literal(protocolVersion),
  hub: z.string(),
  session: z.string(),
  time: milliseconds,
  heartbeatMs: milliseconds,
  limits: z.record(z.string(), z.number()) as unknown as z.ZodType<Limits>,
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

const message = z.strictObject({
  offset,
  channel,
  time: milliseconds,
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
  epoch,
  offset,
  duplicate: z.boolean(),
  durability: z.enum(["memory", "process", "disk", "quorum"]) satisfies z.ZodType<Durability>,
});

const error = z.strictObject({
  is: z.literal("error"),
  code,
  message: z.string(),
  /** The publish it answers … */
  number: number.optional(),
  /** … or the subscription. */
  subscription: subscription.optional(),
});

const draining = z.strictObject({ is: z.literal("draining"), reconnectAfterMs: milliseconds });
const ping = z.strictObject({ is: z.literal("ping") });

/** What a hub says. */
export const hubEnvelope = z.discriminatedUnion("is", [
  welcome,
  subscribed,
  unsubscribed,
  messages,
  caughtUp,
  behind,
  gap,
  published,
  error,
  draining,
  ping,
]);

export type Hello = z.infer<typeof hello>;
export type Subscribe = z.infer<typeof subscribe>;
export type Unsubscribe = z.infer<typeof unsubscribe>;
export type Ack = z.infer<typeof ack>;
export type Publish = z.infer<typeof publish>;
export type ClientEnvelope = z.infer<typeof clientEnvelope>;

export type Welcome = z.infer<typeof welcome>;
export type Subscribed = z.infer<typeof subscribed>;
export type Unsubscribed = z.infer<typeof unsubscribed>;
export type WireMessage = z.infer<typeof message>;
export type Messages = z.infer<typeof messages>;
export type GapEnvelope = z.infer<typeof gap>;
export type Published = z.infer<typeof published>;
export type ErrorEnvelope = z.infer<typeof error>;
export type HubEnvelope = z.infer<typeof hubEnvelope>;
