/** Watches records of a state store for as long as somebody wants it: where that fails it is begun anew. */
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import type { Changed, State } from "./engine.ts";

/** Pause before a watch that failed is begun anew. */
const rewatchMs = 1_000;

export async function keepWatching(
  prefix: string,
  { state, clock, logger }: { readonly state: State; readonly clock: Clock; readonly logger: Logger },
  signal: AbortSignal,
  learn: (change: Changed) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const change of state.watch(prefix, signal)) learn(change);
    } catch (error) {
      if (signal.aborted) return;
      logger.warn("state.watch-failed", { prefix, error });
      await new Promise<void>((resolve) => void clock.after(rewatchMs, resolve));
    }
  }
}
