/**
 * The life of a client's connection, as a pure state machine: what happened goes in, the next state and what to do
 * about it come out. Time is an argument; a delay that needs jitter says how much, and the driver draws it.
 *
 *     start ──► connecting ───────── welcomed ─────────► open
 *                 │     ▲                                 │
 *        dropped, │     │ elapsed (unless hidden)         │ dropped, silent too long,
 *      timed out, │     │                                 │ offline, restart
 *        offline  ▼     │                                 │
 *               waiting ◄─────────────────────────────────┘
 *
 *     any of them ── close, or dropped with a code of 4500–4999, or with a token that stays expired ──► closed
 *
 * Each state has at most one timer; `arm` replaces it, and when it fires that is `elapsed`.
 */
import { type ErrorCode, isClosing, mayReconnect } from "@dogear/shared";
import { type Backoff, ceilingMs } from "./backoff.ts";

/** From opening a socket to being welcomed. */
export const attemptMs = 10_000;

/** How long after a missed heartbeat a connection is taken for dead. */
export const graceMs = 10_000;

/** A connection that held this long was a good one: the next failure is the first in a row again. */
export const stableMs = 5_000;

/** Jitter of a retry when the page wakes: every client of a building comes online at once. */
export const wakeJitterMs = 200;

/** Why a connection is not there: the name of an error, or a WebSocket close code that has none. */
export interface Cause {
  readonly code?: ErrorCode | number | undefined;
  readonly reason?: string | undefined;
}

/** What the states with a socket share. */
interface Connected {
  /** Failures in a row before this attempt. */
  readonly failures: number;
  /** When it is given up. */
  readonly until: number;
  /** The hub is stopping, and said after what time to come back. */
  readonly drainMs?: number;
}

export type State =
  /** A socket is being opened, or said hello. */
  | ({ readonly name: "connecting" } & Connected)
  /** Welcomed. With everything heard, `until` moves to as far ahead as the heartbeat allows. */
  | ({ readonly name: "open"; readonly since: number; readonly patienceMs: number } & Connected)
  /** Until the next attempt. */
  | ({ readonly name: "waiting"; readonly failures: number } & Cause)
  | ({ readonly name: "closed" } & Cause);

export type Event =
  | { readonly is: "opened" }
  | { readonly is: "welcome"; readonly heartbeatMs: number }
  | { readonly is: "heard" }
  | { readonly is: "draining"; readonly reconnectAfterMs: number }
  | { readonly is: "dropped"; readonly closeCode: number; readonly reason: string }
  | { readonly is: "elapsed" }
  | { readonly is: "woke" }
  | { readonly is: "offline" }
  /** The session must begin anew, for a reason of the client's. */
  | { readonly is: "restart"; readonly code: ErrorCode; readonly reason?: string | undefined }
  | { readonly is: "close" };

export type Effect =
  | { readonly do: "open" }
  /** Say hello, and everything that goes with it. */
  | { readonly do: "greet" }
  /** Close the socket, listen to it no more, and stop the timer. The session, if there was one, is over. */
  | { readonly do: "hang-up" }
  | { readonly do: "arm"; readonly afterMs: number; readonly jitterMs: number };

export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** What a step depends on besides the state and the event. */
export interface Surroundings {
  readonly now: number;
  /** The page is in the background: no retries are made, since coming back to the front is `woke`. */
  readonly hidden: boolean;
  readonly backoff: Backoff;
  /** There is no other token than the one that was sent, if there was one. */
  readonly fixedToken: boolean;
}

export function connectingFrom(failures: number, { now }: Surroundings): Step {
  return to({ name: "connecting", failures, until: now + attemptMs }, { do: "open" }, arm(attemptMs));
}

export function step(state: State, event: Event, at: Surroundings): Step {
  if (state.name === "closed") return to(state);
  if (event.is === "close") return close({ code: "closed" });
  if (state.name === "waiting") {
    if (event.is === "woke") return to({ ...state, failures: 0 }, arm(0, wakeJitterMs));
    return event.is === "elapsed" && !at.hidden ? connectingFrom(state.failures, at) : to(state);
  }
  const open = state.name === "open";
  switch (event.is) {
    case "opened":
      return open ? to(state) : to(state, { do: "greet" });
    case "welcome": {
      const patienceMs = event.heartbeatMs + graceMs;
      const { failures } = state;
      return to({ name: "open", failures, until: at.now + patienceMs, since: at.now, patienceMs }, arm(patienceMs));
    }
    case "heard":
      return to(open ? { ...state, until: at.now + state.patienceMs } : state);
    case "draining":
      return to({ ...state, drainMs: event.reconnectAfterMs });
    case "elapsed":
    case "woke": {
      const leftMs = state.until - at.now;
      return leftMs > 0 ? to(state, arm(leftMs)) : fall(state, { code: "heartbeat-timeout" }, at);
    }
    case "dropped": {
      const { closeCode, reason } = event;
      // A hub gives the name of its error as the reason.
      const cause = isClosing(reason) ? { code: reason } : { code: closeCode, reason };
      const again = mayReconnect(closeCode) && !(at.fixedToken && cause.code === "token-expired");
      return again ? fall(state, cause, at) : close(cause);
    }
    case "restart":
      return fall(state, event, at);
    case "offline":
      // Not until `woke` alone: browsers are known to say offline when they are not.
      return wait(0, { reason: "offline" }, arm(at.backoff.capMs));
  }
}

/** The connection is lost; wait, the longer the more often it happened. */
function fall(state: Extract<State, Connected>, cause: Cause, { now, backoff }: Surroundings): Step {
  const failures = state.name === "open" && now - state.since >= stableMs ? 0 : state.failures;
  // The time the hub gave is already a different one for each session (P-16).
  const timer = state.drainMs === undefined ? arm(0, ceilingMs(backoff, failures)) : arm(state.drainMs);
  return wait(failures + 1, cause, timer);
}

function wait(failures: number, { code, reason }: Cause, timer: Effect): Step {
  return to({ name: "waiting", failures, code, reason }, { do: "hang-up" }, timer);
}

function close({ code, reason }: Cause): Step {
  return to({ name: "closed", code, reason }, { do: "hang-up" });
}

/** The next state, which may be the same, and what to do. */
function to(state: State, ...effects: readonly Effect[]): Step {
  return { state, effects };
}

function arm(afterMs: number, jitterMs = 0): Effect {
  return { do: "arm", afterMs, jitterMs };
}
