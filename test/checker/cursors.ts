/** Where the hub puts durable subscriptions, held to what was finished: G9. */
import { beginning } from "@dogear/shared";
import type { FinalLog } from "./final-log.ts";
import { type EventOf, type HistoryEvent, placeIn } from "./history.ts";
import type { Subscription } from "./subscriptions.ts";
import { Violation } from "./violation.ts";

type Confirmed = EventOf<"subscribe", "ok">;

export function checkCursors(subscriptions: readonly Subscription[], log: FinalLog): Violation[] {
  return livesByCursor(subscriptions).flatMap((lives) => [...checkCursor(lives, log)]);
}

/** The lives that share a durable cursor, in order. */
function livesByCursor(subscriptions: readonly Subscription[]): Subscription[][] {
  const found = new Map<string, Subscription[]>();
  for (const subscription of subscriptions) {
    const { subscriber, pattern } = subscription.invoked;
    if (subscriber === undefined) continue;
    const name = `${subscriber} in ${pattern}`;
    found.set(name, [...(found.get(name) ?? []), subscription]);
  }
  return [...found.values()];
}

/**
 * A cursor never moves back, skips nothing and stays within the log. Lives may overlap, and then what one of them hears
 * late may be older than what another has heard: each is compared with its own past, and with what was heard before it began.
 */
function* checkCursor(lives: readonly Subscription[], log: FinalLog): Generator<Violation> {
  const { subscriber, pattern, fromEarliest } = (lives[0] as Subscription).invoked;
  const cursor = `the cursor of ${subscriber} in ${pattern}`;
  const events = lives.flatMap((life) => life.events).sort((a, b) => a.at - b.at);
  const begun = new Map(lives.map(({ name, invoked }) => [name, furthest(events, invoked)]));
  const done = new Set<string>();
  let isNew = true;
  for (const event of events) {
    if (event.op === "deliver" && event.kind === "ok") done.add(placeIn(event));
    if (!isConfirmed(event)) continue;
    const { epoch, offset } = event;
    const life = `${event.process}/${event.subscription}`;
    const before = begun.get(life);
    if (offset > log.newest(pattern))
      yield new Violation("G9", `${cursor} was at ${offset}, beyond the end of the log.`, [event]);
    const first = fromEarliest && isNew ? beginning : offset;
    const from = before?.epoch === epoch ? before.offset : first;
    if (offset < from) yield new Violation("G9", `${cursor} moved back from ${from} to ${offset}.`, [before, event]);
    for (const message of log.matching(pattern)) {
      if (message.offset <= from || message.offset > offset) continue;
      // By retention or by the end of its epoch, which another check has an eye on.
      if (message.epoch !== epoch || log.isRemoved(message.channel, message.offset)) continue;
      if (done.has(placeIn(message))) continue;
      const says = `${cursor} moved to ${offset}, past offset ${message.offset}, which nobody had finished.`;
      yield new Violation("G9", says, [before, event, message]);
    }
    begun.set(life, event);
    isNew = false;
  }
}

/** The furthest that was heard before a life began. */
function furthest(events: readonly HistoryEvent[], invoked: HistoryEvent): Confirmed | undefined {
  let found: Confirmed | undefined;
  for (const event of events) {
    if (!isConfirmed(event) || event.at >= invoked.at) continue;
    if (found === undefined || found.epoch !== event.epoch || event.offset >= found.offset) found = event;
  }
  return found;
}

function isConfirmed(event: HistoryEvent): event is Confirmed {
  return event.op === "subscribe" && event.kind === "ok";
}
