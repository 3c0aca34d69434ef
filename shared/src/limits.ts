/**
 * Every limit of a session, with its unit in its name. The hub tells them in `welcome`; a configuration file can
 * change them.
 */

export interface Limits {
  /** Largest message as stored: payload, key and headers in their wire form. */
  readonly messageBytesMax: number;
  /** Largest WebSocket message; a larger one closes the connection with 1009, because it is never read. */
  readonly frameBytesMax: number;
  /** Most envelopes of one WebSocket message; more are malformed, and nobody looks at them. */
  readonly frameEnvelopesMax: number;
  /** Deepest nesting of a JSON payload. */
  readonly payloadDepthMax: number;
  /** Most subscriptions of one session. */
  readonly subscriptionsMax: number;
  /** Largest window a subscription may ask for. */
  readonly windowMessagesMax: number;
  readonly windowBytesMax: number;
  /** Bytes that may wait for a slow connection before its subscriptions fall back to reading from the log. */
  readonly outboxBytesMax: number;
  /** Bytes of drafts that one session may have waiting for the log before the hub stops reading from it. */
  readonly draftBytesMax: number;
  /** Bytes that a connection may send before its hello has arrived, the hello included. */
  readonly helloBytesMax: number;
  /** Time a connection has to say hello. */
  readonly helloTimeoutMs: number;
  /** How often the hub pings; a client may ask for another in its hello, between 1 s and 15 minutes. */
  readonly heartbeatMs: number;
  /** Time the other side has to answer a ping. */
  readonly heartbeatGraceMs: number;
  /** Mistakes a session may make before it is closed. */
  readonly errorsMax: number;
  /** How long a producer not heard of is remembered. */
  readonly producerMemoryMs: number;
  /** How long an explicit id is remembered, and how many at most in one namespace. */
  readonly deduplicationWindowMs: number;
  readonly deduplicationIdsMax: number;
  /** Most messages that a group has not settled before it reads on: leased, delayed or waiting in order. */
  readonly groupUnsettledMax: number;
  /** Most messages that wait in one namespace for the time they are due. */
  readonly scheduledMax: number;
  /** Connections that the hub takes, over WebSocket and HTTP. */
  readonly connectionsMax: number;
  /**
   * Connections of one address, and how many of them may begin in a second. The hub's own machine is not limited, unless
   * it says in a trusted proxy's header for whom it comes.
   */
  readonly addressConnectionsMax: number;
  readonly addressHandshakesPerSecondMax: number;
  /** Sessions of one user. Limits per user do not bind the one user of a hub that has no tokens. */
  readonly userConnectionsMax: number;
  /** Subscriptions and members of all sessions of one user. */
  readonly userSubscriptionsMax: number;
  /** Drafts of one user in a second, and their bytes; up to a second's worth may come at once. */
  readonly userPublishesPerSecondMax: number;
  readonly userPublishBytesPerSecondMax: number;
  /** Bytes that one user's subscriptions read from the log in a second to catch up. They wait; nothing is refused. */
  readonly userReplayBytesPerSecondMax: number;
  /** How long a request over HTTP may wait for messages. */
  readonly pollMsMax: number;
  /** How long a ticket is good for. */
  readonly ticketMs: number;
  /** How long a hub that was told to stop may take to finish what is under way. */
  readonly drainMs: number;
}

/** Those that a client goes by are always known to it. */
export type ClientLimits = Partial<Limits> & { readonly [L in keyof typeof clientLimits]: number };

const second = 1_000;
const minute = 60 * second;
const day = 24 * 60 * minute;
const KiB = 1_024;
const MiB = 1_024 * KiB;

const messageBytesMax = 256 * KiB;
const windowMessagesMax = 10_000;
const windowBytesMax = 16 * MiB;
const draftBytesMax = 8 * MiB;
const producerMemoryMs = 7 * day;

export const defaultLimits: Limits = {
  messageBytesMax,
  frameBytesMax: 1 * MiB,
  frameEnvelopesMax: 10_000,
  payloadDepthMax: 64,
  subscriptionsMax: 1_000,
  windowMessagesMax,
  windowBytesMax,
  outboxBytesMax: 1 * MiB,
  draftBytesMax,
  helloBytesMax: 64 * KiB,
  helloTimeoutMs: 10 * second,
  heartbeatMs: 25 * second,
  heartbeatGraceMs: 10 * second,
  errorsMax: 100,
  producerMemoryMs,
  deduplicationWindowMs: 5 * minute,
  deduplicationIdsMax: 1_000_000,
  groupUnsettledMax: 100_000,
  scheduledMax: 1_000_000,
  connectionsMax: 50_000,
  addressConnectionsMax: 1_000,
  addressHandshakesPerSecondMax: 100,
  userConnectionsMax: 1_000,
  userSubscriptionsMax: 10_000,
  userPublishesPerSecondMax: 10_000,
  userPublishBytesPerSecondMax: 16 * MiB,
  userReplayBytesPerSecondMax: 64 * MiB,
  pollMsMax: 60 * second,
  ticketMs: 30 * second,
  drainMs: 10 * second,
};

/** What a client goes by before a hub has told it: only these, so that it need not carry the others. */
export const clientLimits = {
  messageBytesMax,
  windowMessagesMax,
  windowBytesMax,
  draftBytesMax,
  producerMemoryMs,
} as const satisfies Partial<Limits>;

/** What a client may ask for as its heartbeat: up to 15 minutes. */
export const heartbeatMsBounds = { min: 1_000, max: 900_000 } as const;

/** The window of a subscription that asks for none. */
export const defaultWindow = { messages: 1_000, bytes: 1 * MiB } as const;

/** The window of a member that asks for none, in messages. */
export const defaultMemberWindow = 100;

/** How long a lease may be: at most 12 hours. */
export const leaseMsBounds = { min: 100, max: 43_200_000 } as const;

/** The longest that a failed message can be kept from its next try: 7 days. */
export const retryMsMax = 604_800_000;

/** Most leases that one envelope names. */
export const leasesMax = 10_000;

/** Longest text that says what went wrong with a message, in characters. */
export const errorLengthMax = 1_024;

/** Most entries of one answer to an operator. */
export const listMax = 1_000;
export const browseMax = 1_000;

/** Longest `key`, `id`, `producer` and `subscriber`, in characters. */
export const nameLengthMax = 128;

/** Longest token, in characters. */
export const tokenLengthMax = 8_192;

/** Most numbers that `hello` can name as refused: as long as numbers get, they fit into `helloBytesMax`. */
export const refusedMax = 3_000;

/** Most headers of one message, and the longest value of one. */
export const headersMax = 32;
export const headerLengthMax = 1_024;

/** Headers that start with this are the hub's own. */
export const hubHeaderPrefix = "dogear-";
