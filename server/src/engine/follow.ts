/** Follows a log: from its tail where that reaches, from the log itself where it does not. */
import type { Offset } from "@dogear/shared";
import type { Batch, Budget } from "./engine.ts";
import type { Tail } from "./tail.ts";

/** The most one batch holds, so that fanning it out does not keep everything else waiting. */
export const batchBudget: Budget = { messages: 4_096, bytes: 1_024 * 1_024, scan: 4 * 1_024 * 1_024 };

/** What a log keeps in memory for its followers. */
export const followedBytesMax: number = 256 * 1_024;

export async function* followTail(
  readAll: (after: Offset, budget: Budget) => Promise<Omit<Batch, "after">>,
  tail: Tail,
  after: Offset,
  signal: AbortSignal,
): AsyncGenerator<Batch> {
  let at = after;
  while (!signal.aborted) {
    const batch = tail.since(at, batchBudget) ?? (await readAll(at, batchBudget));
    if (batch.through > at) {
      yield { after: at, through: batch.through, messages: batch.messages };
      at = batch.through;
    } else {
      await tail.grownPast(at, signal);
    }
  }
}
