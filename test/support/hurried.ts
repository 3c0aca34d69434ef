/** The real world of a client, in which time goes by faster: what waits for seconds is over in a moment. */
import { WebSocket } from "ws";
import { type Runtime, systemRuntime } from "../../client/src/runtime.ts";

export function hurriedRuntime(times: number): Runtime {
  const real = systemRuntime(WebSocket);
  const begin = real.now();
  return {
    ...real,
    now: () => begin + (real.now() - begin) * times,
    setTimer: (delayMs, run) => real.setTimer(delayMs / times, run),
  };
}
