/** The lives of subscriptions, picked out of a history. */
import type { EventOf, HistoryEvent } from "./history.ts";

/** One life of a subscription: all that happened to it in one process. */
export interface Subscription {
  readonly name: string;
  readonly invoked: EventOf<"subscribe", "invoke">;
  readonly events: EventOf<"subscribe" | "deliver" | "gap", "invoke" | "ok" | "fail" | "info">[];
}

export function subscriptionsIn(history: readonly HistoryEvent[]): Subscription[] {
  const found = new Map<string, Subscription>();
  for (const event of history) {
    if (event.op !== "subscribe" && event.op !== "deliver" && event.op !== "gap") continue;
    const name = `${event.process}/${event.subscription}`;
    if (event.op === "subscribe" && event.kind === "invoke") found.set(name, { name, invoked: event, events: [] });
    else found.get(name)?.events.push(event);
  }
  return [...found.values()];
}
