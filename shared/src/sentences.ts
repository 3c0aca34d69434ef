/**
 * What each error means, in one sentence.
 *
 * In two tables, because a client brings along only the sentences of errors that it raises itself: with every error
 * that a hub raises, the hub sends its sentence.
 */
import { DogearError, type ErrorCode } from "./errors.ts";

/** Errors that a client raises without asking the hub. */
export const clientSentences = {
  "invalid-channel": "A channel is 1 to 16 levels of letters, digits, _ and -, joined by dots, at most 255 bytes.",
  "invalid-pattern": "A pattern is a channel name in which * may stand for one level and a final > for one or more.",
  "reserved-channel": "Levels that start with $ belong to the hub; only it publishes there.",
  "invalid-payload": "The payload is not what its type says.",
  "message-too-large": "The message is larger than the hub accepts; `limits` in welcome says how large it may be.",
  "producer-forgotten": "The hub no longer remembers this producer, so it cannot tell whether the draft was published.",
  "subscriber-required": "A durable cursor needs a subscriber name in hello.",
  closed: "The client is closed.",
  "queue-full": "The publish queue is full.",
  "draft-dropped": "The draft was dropped from a full publish queue to make room for a newer one.",
  gap: "Messages were removed before this subscriber saw them.",
  "token-failed": "The function that fetches the token failed.",
} as const satisfies Partial<Record<ErrorCode, string>>;

/** Errors that only a hub raises. */
const hubSentences = {
  draining: "The hub is stopping. Reconnect after the time it gave.",
  "hello-timeout": "No hello arrived in time after connecting.",
  "heartbeat-timeout": "The other side did not answer a ping in time.",
  internal: "The hub failed in a way it did not foresee; its log has the cause.",
  malformed: "A frame must be JSON text: one envelope or an array of envelopes.",
  "unsupported-protocol": "The hub does not speak this version of the protocol.",
  "hello-expected": "The first envelope must be a hello, and there must be only one.",
  "too-many-errors": "The session made too many mistakes.",
  "token-expired": "The token has expired. Come back with a new one.",
  disconnected: "An operator ended this session.",
  "too-many-connections": "As many connections are open as may be, or they come too fast. Come back later.",
  "access-unavailable": "The hub cannot check the token now. Come back later.",
  unauthorized: "The hub needs a token or key that it accepts.",
  revoked: "The token was revoked. Sign in again.",
  "hello-too-large": "More came than a connection may send before the hub knows who it is.",
  forbidden: "The token does not allow this.",
  "rate-limited": "More is asked for than this user may have in a second. Ask again later.",
  "origin-refused": "Pages of this origin may not use this hub.",
  "invalid-request": "The request is not one that this address takes.",
  "not-found": "There is nothing at this address.",
  "unknown-session": "There is no such session.",
  "invalid-envelope": "The envelope does not match its schema.",
  "payload-too-deep": "The payload nests arrays and objects deeper than the hub accepts.",
  "out-of-order": "The draft's number is not the producer's next; the drafts before it are missing.",
  "outcome-unknown": "This number was settled before and its result is no longer kept.",
  "disk-full": "The hub's disk is full. Reading goes on; publish again later.",
  unavailable: "The log cannot be reached now.",
  "memory-namespace": "This namespace is kept in memory only, so it has no durable cursors, groups or schedules.",
  "subscription-in-use": "The session already has a subscription of this number.",
  "unknown-subscription": "The session has no subscription of this number.",
  "too-many-subscriptions": "The session, or its user, has as many subscriptions as may be.",
  "ack-beyond-sent": "The offset acknowledged is beyond what was sent; the cursor did not move.",
  "too-many-scheduled":
    "As many messages wait for their time in this namespace as may; schedule it when some were delivered.",
  "not-scheduled": "Nothing is scheduled under this id: it was delivered, cancelled, or never scheduled.",
  "member-in-use": "The session already has a member of this number.",
  "unknown-member": "The session has no member of this number.",
  "invalid-group":
    "A group's name is letters, digits, _ and -, and leaves room for the channel of its dead letters: 255 bytes, 16 levels.",
  "group-differs": "The group was declared otherwise. Join it as it is, or under another name.",
  "group-deleted": "The group was deleted.",
  "lease-lost": "The lease is not held any more: it ran out, was settled, or is another member's. Nothing changed.",
  "unknown-group": "There is no such group.",
  "unknown-cursor": "There is no such cursor.",
  "cursor-reset": "The cursor was reset; a new subscription goes on from where it is now.",
  "taken-over": "Another session took over: of this subscriber in this pattern, or of this member.",
} as const satisfies Partial<Record<ErrorCode, string>>;

/** Every error's sentence. */
export const sentences: Readonly<Record<ErrorCode, string>> = /* @__PURE__ */ Object.assign(
  {},
  clientSentences,
  hubSentences,
);

/** An error with its sentence, and what it is about this time. */
export function dogearError(code: ErrorCode, detail?: string, options?: ErrorOptions): DogearError {
  return new DogearError(code, detail === undefined ? sentences[code] : `${sentences[code]} ${detail}`, options);
}
