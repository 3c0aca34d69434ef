/**
 * The registry of errors: every error a user can meet and what to do about it. What each one means is a sentence in
 * `sentences.ts`.
 *
 * An error that closes the connection has a close code whose range says what to do, so that even a client that
 * never heard of the code obeys it: 4000–4499 mean reconnect, 4500–4999 mean do not.
 */

/** Errors that close the connection, with the code it is closed with. */
export const closeCodes = {
  draining: 4001,
  "hello-timeout": 4002,
  "heartbeat-timeout": 4003,
  internal: 4004,
  "token-expired": 4005,
  disconnected: 4006,
  "too-many-connections": 4007,
  "access-unavailable": 4008,

  malformed: 4500,
  "unsupported-protocol": 4501,
  "hello-expected": 4502,
  "too-many-errors": 4503,
  unauthorized: 4504,
  revoked: 4505,
  "hello-too-large": 4506,
} as const;

/** Errors that pass: the same request may succeed later, as it stands. */
const passing = ["rate-limited", "disk-full", "unavailable", "queue-full", "draft-dropped", "token-failed"] as const;

/** Errors that stay until something else changes. A client takes them at the hub's word, and need not carry their names. */
const lasting = [
  "forbidden",
  "origin-refused",
  "invalid-request",
  "not-found",
  "unknown-session",

  "invalid-envelope",
  "invalid-channel",
  "invalid-pattern",
  "invalid-payload",
  "reserved-channel",
  "message-too-large",
  "payload-too-deep",

  "out-of-order",
  "producer-forgotten",
  "outcome-unknown",

  "subscriber-required",
  "memory-namespace",
  "subscription-in-use",
  "unknown-subscription",
  "too-many-subscriptions",
  "ack-beyond-sent",
  "taken-over",

  "too-many-scheduled",
  "not-scheduled",
  "member-in-use",
  "unknown-member",
  "invalid-group",
  "group-differs",
  "group-deleted",
  "lease-lost",
  "unknown-group",
  "unknown-cursor",
  "cursor-reset",

  "closed",
  "gap",
] as const;

/** The errors that close a connection. */
export type ClosingErrorCode = keyof typeof closeCodes;

/** A name in the registry. */
export type ErrorCode = ClosingErrorCode | (typeof passing)[number] | (typeof lasting)[number];

interface ErrorSpec {
  /** Whether the same request can succeed: `no`, `later` as it stands, or after `reconnect`ing. */
  readonly retry: "no" | "later" | "reconnect";
  /** The WebSocket close code, for errors that close the connection. */
  readonly closeCode?: number;
}

/** The whole registry. */
export const errors: Readonly<Record<ErrorCode, ErrorSpec>> = /* @__PURE__ */ registry();

/**
 * The one error class: `code` is its name in the registry and is stable; the message is for people. A newer hub may send
 * a name that is not in this registry yet; trying again is no use then.
 */
export class DogearError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DogearError";
    this.code = code;
  }

  /** Whether the same request may succeed if made again: `no`, `later`, or after a `reconnect`. */
  get retry(): ErrorSpec["retry"] {
    return retryOf(this.code);
  }
}

/** Whether a WebSocket close code asks the client to come back. Codes outside 4500–4999 do. */
export function mayReconnect(closeCode: number): boolean {
  return closeCode < 4500 || closeCode > 4999;
}

/** Whether an error closes the connection it happens on. */
export function isClosing(code: string): code is ClosingErrorCode {
  return Object.hasOwn(closeCodes, code);
}

function retryOf(code: ErrorCode): ErrorSpec["retry"] {
  if (isClosing(code)) return mayReconnect(closeCodes[code]) ? "reconnect" : "no";
  return (passing as readonly ErrorCode[]).includes(code) ? "later" : "no";
}

function registry(): typeof errors {
  const specs: Partial<Record<ErrorCode, ErrorSpec>> = {};
  for (const code of [...(Object.keys(closeCodes) as ClosingErrorCode[]), ...passing, ...lasting])
    specs[code] = { retry: retryOf(code), ...(isClosing(code) && { closeCode: closeCodes[code] }) };
  return specs as typeof errors;
}
