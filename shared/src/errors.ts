/**
 * The registry of errors: every error a user can meet and what to do about it. What each one means is a sentence in
 * `sentences.ts`.
 *
 * An error that closes the connection has a close code whose range says what to do, so that even a client that
 * never heard of the code obeys it: 4000–4499 mean reconnect, 4500–4999 mean do not.
 */

interface ErrorSpec {
  /** Whether the same request can succeed: `no`, `later` as it stands, or after `reconnect`ing. */
  readonly retry: "no" | "later" | "reconnect";
  /** The WebSocket close code, for errors that close the connection. */
  readonly closeCode?: number;
}

export const errors = {
  draining: { retry: "reconnect", closeCode: 4001 },
  "hello-timeout": { retry: "reconnect", closeCode: 4002 },
  "heartbeat-timeout": { retry: "reconnect", closeCode: 4003 },
  internal: { retry: "reconnect", closeCode: 4004 },
  "token-expired": { retry: "reconnect", closeCode: 4005 },
  disconnected: { retry: "reconnect", closeCode: 4006 },
  "too-many-connections": { retry: "reconnect", closeCode: 4007 },
  "access-unavailable": { retry: "reconnect", closeCode: 4008 },
  malformed: { retry: "no", closeCode: 4500 },
  "unsupported-protocol": { retry: "no", closeCode: 4501 },
  "hello-expected": { retry: "no", closeCode: 4502 },
  "too-many-errors": { retry: "no", closeCode: 4503 },
  unauthorized: { retry: "no", closeCode: 4504 },
  revoked: { retry: "no", closeCode: 4505 },
  "hello-too-large": { retry: "no", closeCode: 4506 },

  forbidden: { retry: "no" },
  "rate-limited": { retry: "later" },
  "origin-refused": { retry: "no" },
  "invalid-request": { retry: "no" },
  "not-found": { retry: "no" },
  "unknown-session": { retry: "no" },

  "invalid-envelope": { retry: "no" },
  "invalid-channel": { retry: "no" },
  "invalid-pattern": { retry: "no" },
  "invalid-payload": { retry: "no" },
  "reserved-channel": { retry: "no" },
  "message-too-large": { retry: "no" },
  "payload-too-deep": { retry: "no" },

  "out-of-order": { retry: "no" },
  "producer-forgotten": { retry: "no" },
  "outcome-unknown": { retry: "no" },
  "disk-full": { retry: "later" },
  unavailable: { retry: "later" },

  "subscriber-required": { retry: "no" },
  "memory-namespace": { retry: "no" },
  "subscription-in-use": { retry: "no" },
  "unknown-subscription": { retry: "no" },
  "too-many-subscriptions": { retry: "no" },
  "ack-beyond-sent": { retry: "no" },
  "taken-over": { retry: "no" },

  "too-many-scheduled": { retry: "no" },
  "not-scheduled": { retry: "no" },
  "member-in-use": { retry: "no" },
  "unknown-member": { retry: "no" },
  "invalid-group": { retry: "no" },
  "group-differs": { retry: "no" },
  "group-deleted": { retry: "no" },
  "lease-lost": { retry: "no" },
  "unknown-group": { retry: "no" },
  "unknown-cursor": { retry: "no" },
  "cursor-reset": { retry: "no" },

  closed: { retry: "no" },
  "queue-full": { retry: "later" },
  "draft-dropped": { retry: "later" },
  gap: { retry: "no" },
  "token-failed": { retry: "later" },
} as const satisfies Record<string, ErrorSpec>;

/** A name in the registry. */
export type ErrorCode = keyof typeof errors;

/** The errors that close a connection. */
export type ClosingErrorCode = {
  [C in ErrorCode]: (typeof errors)[C] extends { closeCode: number } ? C : never;
}[ErrorCode];

/** Whether an error closes the connection it happens on. */
export function isClosing(code: ErrorCode): code is ClosingErrorCode {
  return "closeCode" in errors[code];
}

/** The one error class: `code` is its name in the registry and is stable; the message is for people. */
export class DogearError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DogearError";
    this.code = code;
  }

  /** Whether the same request may succeed if made again: `no`, `later`, or after a `reconnect`. */
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
