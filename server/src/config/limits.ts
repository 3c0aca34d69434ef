/** The limits a configuration may change: what each bounds, and which of them hang together. */
import { defaultLimits, type Limits } from "@dogear/shared";
import { z } from "zod";
import type { UserLimits } from "../access/policy.ts";
import { whole } from "./values.ts";

const says: Readonly<Record<keyof Limits, string>> = {
  messageBytesMax: "Largest message as stored, in bytes: payload, key and headers.",
  frameBytesMax: "Largest WebSocket message, in bytes; a larger one closes the connection.",
  frameEnvelopesMax: "Most envelopes of one WebSocket message.",
  payloadDepthMax: "Deepest nesting of a JSON payload.",
  subscriptionsMax: "Most subscriptions of one session.",
  windowMessagesMax: "Largest window a subscription may ask for, in messages.",
  windowBytesMax: "Largest window a subscription may ask for, in bytes.",
  outboxBytesMax:
    "Bytes that may wait for a slow connection before its subscriptions fall back to reading from the log.",
  draftBytesMax: "Bytes of drafts that one session may have waiting for the log before the hub stops reading from it.",
  helloBytesMax: "Bytes that a connection may send before its hello has arrived, the hello included.",
  helloTimeoutMs: "Time a connection has to say hello, in milliseconds.",
  heartbeatMs: "How often the hub pings, in milliseconds.",
  heartbeatGraceMs: "Time the other side has to answer a ping, in milliseconds.",
  errorsMax: "Mistakes a session may make before it is closed.",
  producerMemoryMs: "How long a producer not heard of is remembered, in milliseconds.",
  deduplicationWindowMs: "How long an explicit id is remembered, in milliseconds.",
  deduplicationIdsMax: "Most explicit ids that one namespace remembers.",
  groupUnsettledMax: "Most messages that a group has not settled before it reads on.",
  scheduledMax: "Most messages that wait in one namespace for the time they are due.",
  connectionsMax: "Connections that the hub takes, over WebSocket and HTTP.",
  addressConnectionsMax: "Connections of one address.",
  addressHandshakesPerSecondMax: "Connections of one address that may begin in a second.",
  userConnectionsMax: "Sessions of one user.",
  userSubscriptionsMax: "Subscriptions and members of all sessions of one user.",
  userPublishesPerSecondMax: "Drafts of one user in a second.",
  userPublishBytesPerSecondMax: "Bytes of the drafts of one user in a second.",
  userReplayBytesPerSecondMax: "Bytes that one user's subscriptions read from the log in a second to catch up.",
  pollMsMax: "How long a request over HTTP may wait for messages, in milliseconds.",
  ticketMs: "How long a ticket is good for, in milliseconds.",
  drainMs: "How long a hub that was told to stop may take to finish what is under way, in milliseconds.",
};

const userLimitNames = [
  "userConnectionsMax",
  "userSubscriptionsMax",
  "userPublishesPerSecondMax",
  "userPublishBytesPerSecondMax",
  "userReplayBytesPerSecondMax",
] as const satisfies readonly (keyof UserLimits)[];

type Shape<K extends keyof Limits, S extends z.ZodType> = { readonly [name in K]: S };

/** Those of the hub, each with its default. */
export const limits: z.ZodType<Limits> = z.strictObject(
  shapeOf(Object.keys(defaultLimits) as (keyof Limits)[], (name) =>
    whole(1).default(defaultLimits[name]).describe(says[name]),
  ),
);

/** Those of one key, where they are others than most users'. */
export const userLimits: z.ZodType<Partial<UserLimits>> = z.strictObject(
  shapeOf(userLimitNames, (name) => whole(1).exactOptional().describe(says[name])),
);

function shapeOf<K extends keyof Limits, S extends z.ZodType>(
  names: readonly K[],
  schemaOf: (name: K) => S,
): Shape<K, S> {
  return Object.fromEntries(names.map((name) => [name, schemaOf(name)])) as Shape<K, S>;
}

/** Below this a connection takes everything at once and never says that it has room again. */
const outboxBytesMin = 64 * 1_024;

/** WebSocket messages of more than this cannot be told apart from those without a limit. */
const frameBytesBound = 256 * 1_024 * 1_024;

/** Below this there is no room for a hello with the longest token. */
const helloBytesMin = 16 * 1_024;

/** A ticket travels in a URL, and URLs are written down in many places. */
const ticketMsBound = 60_000;

/** What is wrong with limits each of which could be as it is: the path, and a sentence about it. */
export function mistakesIn(limits: Limits): [path: readonly string[], sentence: string][] {
  const wrong: [boolean, keyof Limits, string][] = [
    [limits.outboxBytesMax < outboxBytesMin, "outboxBytesMax", `is at least ${outboxBytesMin}`],
    [limits.frameBytesMax > frameBytesBound, "frameBytesMax", `is at most ${frameBytesBound}`],
    [
      limits.messageBytesMax > limits.frameBytesMax,
      "messageBytesMax",
      "cannot be larger than limits.frameBytesMax: no such message could be sent",
    ],
    [
      limits.helloBytesMax < helloBytesMin,
      "helloBytesMax",
      `is at least ${helloBytesMin}, to have room for the longest token`,
    ],
    [limits.ticketMs > ticketMsBound, "ticketMs", `is at most ${ticketMsBound}, because a ticket travels in a URL`],
  ];
  return wrong.filter(([is]) => is).map(([, name, what]) => [["limits", name], `limits.${name} ${what}.`]);
}
