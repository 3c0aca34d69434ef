/**
 * The registry of errors: every error a user can meet, what it means and what to do about it.
 *
 * An error that closes the connection has a close code whose range says what to do, so that even a client that
 * never heard of the code obeys it: 4000–4499 mean reconnect, 4500–4999 mean do not.
 */

interface ErrorSpec {
  /** Whether the same request can succeed: `no`, `later` as it stands, or after `reconnect`ing. */
  readonly retry: "no" | "later" | "reconnect";
  /** The WebSocket close code, for errors that close the connection. */
  readonly closeCode?: number;
  readonly says: string;
}

export const errors = {
  draining: {
    retry: "reconnect",
    closeCode: 4001,
    says: "The hub is stopping. Reconnect after the time it gave.",
  },
  "hello-timeout": {
    retry: "reconnect",
    closeCode: 4002,
    says: "No hello arrived in time after connecting.",
  },
  "heartbeat-timeout": {
    retry: "reconnect",
    closeCode: 4003,
    says: "The other side did not answer a ping in time.",
  },
  internal: {
    retry: "reconnect",
    closeCode: 4004,
    says: "The hub failed in a way it did not foresee; its log has the cause.",
  },
  malformed: {
    retry: "no",
    closeCode: 4500,
    says: "A frame must be JSON text: one envelope or an array of envelopes.",
  },
  "unsupported-protocol": {
    retry: "no",
    closeCode: 4501,
    says: "The hub does not speak this version of the protocol.",
  },
  "hello-expected": {
    retry: "no",
    closeCode: 4502,
    says: "The first envelope must be a hello, and there must be only one.",
  },
  "too-many-errors": { retry: "no", closeCode: 4503, says: "The session made too many mistakes." },

  "invalid-envelope": { retry: "no", says: "The envelope does not match its schema." },
  "invalid-channel": {
    retry: "no",
    says: "A channel is 1 to 16 levels of letters, digits, _ and -, joined by dots, at most 255 bytes.",
  },
  "invalid-pattern": {
    retry: "no",
    says: "A pattern is a channel name in which * may stand for one level and a final > for one or more.",
  },
  "invalid-payload": { retry: "no", says: "The payload is not what its type says." },
  "reserved-channel": {
    retry: "no",
    says: "Levels that start with $ belong to the hub; only it publishes there.",
  },
  "message-too-large": {
    retry: "no",
    says: "The message is larger than the hub accepts; `limits` in welcome says how large it may be.",
  },
  "payload-too-deep": {
    retry: "no",
    says: "The payload nests arrays and objects deeper than the hub accepts.",
  },

  "out-of-order": {
    retry: "no",
    says: "The draft's number is not the producer's next; the drafts before it are missing.",
  },
  "producer-forgotten": {
    retry: "no",
    says: "The hub no longer remembers this producer, so it cannot tell whether the draft was published.",
  },
  "outcome-unknown": {
    retry: "no",
    says: "This number was settled before and its result is no longer kept.",
  },
  "disk-full": { retry: "later", says: "The hub's disk is full. Reading goes on; publish again later." },
  unavailable: { retry: "later", says: "The log cannot be reached now." },

  "subscriber-required": { retry: "no", says: "A durable cursor needs a subscriber name in hello." },
  "memory-namespace": {
    retry: "no",
    says: "This namespace is kept in memory only, so it cannot hold a durable cursor.",
  },
  "subscription-in-use": { retry: "no", says: "The session already has a subscription of this number." },
  "unknown-subscription": { retry: "no", says: "The session has no subscription of this number." },
  "too-many-subscriptions": { retry: "no", says: "The session has as many subscriptions as it may." },
  "ack-beyond-sent": {
    retry: "no",
    says: "The offset acknowledged is beyond what was sent; the cursor did not move.",
  },
  "taken-over": { retry: "no", says: "Another session of this subscriber took over the pattern." },

  closed: { retry: "no", says: "The client is closed." },
  "queue-full": { retry: "later", says: "The publish queue is full." },
  "draft-dropped": {
    retry: "later",
    says: "The draft was dropped from a full publish queue to make room for a newer one.",
  },
  gap: { retry: "no", says: "Messages were removed before this subscriber saw them." },
} as const satisfies Record<string, ErrorSpec>;

/** A name in the registry. */
export type ErrorCode = keyof typeof errors;

/** The errors that close a connection. */
export type ClosingErrorCode = {
  [C in ErrorCode]: (typeof errors)[C] extends { closeCode: number } ? C : never;
}[ErrorCode];

/** The one error class: `code` is its name in the registry and is stable; the message is for people. */
export class DogearError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, detail?: string, options?: ErrorOptions) {
    super(detail === undefined ? errors[code].says : `${errors[code].says} ${detail}`, options);
    this.name = "DogearError";
    this.code = code;
  }

  /** Whether the same request may succeed if made again: `no`, `later`, or after `reconnect`. */
  get retry(): ErrorSpec["retry"] {
    return errors[this.code].retry;
  }
}

/** Whether a WebSocket close code asks the client to come back. Codes outside 4500–4999 do. */
export function mayReconnect(closeCode: number): boolean {
  return closeCode < 4500 || closeCode > 4999;
}

export function isErrorCode(value: string): value is ErrorCode {
  return Object.hasOwn(errors, value);
}
