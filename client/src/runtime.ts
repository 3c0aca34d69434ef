/** Time, randomness, sockets and the page: everything the SDK takes from outside, so that tests can bring their own. */
import { type WatchPage, watchPage } from "./connection/page.ts";
import type { OpenTransport } from "./transport/transport.ts";
import { openWebSocket, type WebSocketConstructor } from "./transport/websocket.ts";

export interface Clock {
  /** Milliseconds since 1970. Wall time, because a monotonic clock may stop while the machine sleeps. */
  now(): number;
  /** Runs once after a delay, unless the function it returns is called before. */
  setTimer(delayMs: number, run: () => void): () => void;
}

export interface Runtime extends Clock {
  /** Uniform in [0, 1). */
  random(): number;
  newId(): string;
  connect: OpenTransport;
  watchPage: WatchPage;
}

/** The longest that a timer of the platform can be; a longer one would fire at once. */
export const timerMsMax: number = 2 ** 31 - 1;

export function systemRuntime(WebSocket: WebSocketConstructor): Runtime {
  return {
    now: Date.now,
    setTimer(delayMs, run) {
      const timer = setTimeout(run, Math.min(delayMs, timerMsMax));
      return () => clearTimeout(timer);
    },
    random: Math.random,
    newId: () => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(15)))),
    connect: openWebSocket(WebSocket),
    watchPage,
  };
}
