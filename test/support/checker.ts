/**
 * Holds what processes saw to what the log holds in the end. Faults are welcome; a broken promise is a violation, said
 * in a sentence that begins with the promise's number in DESIGN.
 *
 *     histories ──┐
 *                 ├──► check ──► violations, none if all promises were kept
 *     log ────────┘
 */
import { beginning, type Epoch, matcher, namespaceOf, type Offset, type Pattern } from "@dogear/shared";
import type { Content, HistoryEvent } from "./history.ts";

/** A message of the final, full read. */
export interface LoggedMessage extends Content {
  readonly epoch: Epoch;
  readonly offset: Offset;
}

export interface Run {
  /** The configured namespaces. */
  readonly namespaces: readonly string[];
  /** In the order in which they happened. */
  readonly events: readonly HistoryEvent[];
  /** All that every namespace's log held in the end, in order within each. */
  readonly log: readonly LoggedMessage[];
  /** Processes that ran until everything had arrived (G13). */
  readonly finishers: readonly string[];
}

type EventOf<Op, Kind> = Extract<HistoryEvent, { op: Op; kind: Kind }>;
type Confirmed = EventOf<"subscribe", "ok">;
type Delivered = EventOf<"deliver", "invoke">;

export function check(run: Run): string[] {
  const log = new FinalLog(run);
  const subscriptions = subscriptionsIn(run.events);
  return [
    ...checkAcknowledged(run.events, log),
    ...checkPublished(run),
    ...checkScheduled(run),
    ...checkOrder(run, log),
    ...checkReaders(run.events, log),
    ...subscriptions.flatMap((subscription) => [...checkSubscription(subscription, run, log)]),
    ...cursorsOf(subscriptions).flatMap((lives) => [...checkCursor(lives, log)]),
  ];
}

class FinalLog {
  readonly #namespaces: ReadonlySet<string>;
  readonly #byPlace = new Map<string, LoggedMessage>();
  readonly #byNamespace = new Map<string, LoggedMessage[]>();

  constructor({ namespaces, log }: Run) {
    this.#namespaces = new Set(namespaces);
    for (const message of log) {
      this.#byPlace.set(this.placeOf(message), message);
      const name = this.namespaceOf(message.channel);
      const messages = this.#byNamespace.get(name);
      if (messages) messages.push(message);
      else this.#byNamespace.set(name, [message]);
    }
  }

  namespaceOf(name: Content["channel"] | Pattern): string {
    return namespaceOf(name, this.#namespaces);
  }

  placeOf({ channel, epoch, offset }: Pick<LoggedMessage, "channel" | "epoch" | "offset">): string {
    return place(this.namespaceOf(channel), { epoch, offset });
  }

  at(name: string): LoggedMessage | undefined {
    return this.#byPlace.get(name);
  }

  matching(pattern: Pattern): readonly LoggedMessage[] {
    const matches = matcher(pattern);
    return this.#of(pattern).filter(({ channel }) => matches(channel));
  }

  newest(pattern: Pattern): number {
    return this.#of(pattern).at(-1)?.offset ?? 0;
  }

  #of(pattern: Pattern): readonly LoggedMessage[] {
    return this.#byNamespace.get(this.namespaceOf(pattern)) ?? [];
  }
}

/** One life of a subscription: all that happened to it in one process. */
interface Subscription {
  readonly name: string;
  readonly process: string;
  readonly pattern: Pattern;
  readonly subscriber: string | undefined;
  readonly fromEarliest: boolean;
  readonly events: HistoryEvent[];
}

function subscriptionsIn(events: readonly HistoryEvent[]): Subscription[] {
  const found = new Map<string, Subscription>();
  for (const event of events) {
    if (event.op !== "subscribe" && event.op !== "deliver" && event.op !== "gap") continue;
    const name = `${event.process}/${event.subscription}`;
    if (event.op === "subscribe" && event.kind === "invoke") {
      const { process, pattern, subscriber, fromEarliest } = event;
      found.set(name, { name, process, pattern, subscriber, fromEarliest, events: [] });
    } else {
      found.get(name)?.events.push(event);
    }
  }
  return [...found.values()];
}

/** The lives that share a durable cursor, in order. */
function cursorsOf(subscriptions: readonly Subscription[]): Subscription[][] {
  const found = new Map<string, Subscription[]>();
  for (const subscription of subscriptions) {
    if (subscription.subscriber === undefined) continue;
    const name = `${subscription.subscriber} in ${subscription.pattern}`;
    found.set(name, [...(found.get(name) ?? []), subscription]);
  }
  return [...found.values()];
}

/** Every acknowledged message is where the acknowledgement said, as it was published. */
function* checkAcknowledged(events: readonly HistoryEvent[], log: FinalLog): Generator<string> {
  const drafts = new Map<string, Content>();
  for (const event of events) {
    if (event.op !== "publish") continue;
    if (event.kind === "invoke") drafts.set(event.draft, event);
    if (event.kind !== "ok") continue;
    const { draft, epoch, offset } = event;
    const { channel } = drafts.get(draft) as Content;
    const where = log.placeOf({ channel, epoch, offset });
    const found = log.at(where);
    if (found === undefined) yield `G1: draft ${draft} was acknowledged at ${where}, where the log holds nothing.`;
    else if (found.draft !== draft)
      yield `G2: draft ${draft} was acknowledged at ${where}, where the log holds draft ${found.draft}.`;
  }
}

/** Every message was published, as it is, once, and by somebody who was not told that it was not. */
function* checkPublished({ events, log }: Run): Generator<string> {
  const drafts = new Map<string, Content>();
  const failed = new Map<string, string>();
  for (const event of events) {
    if (event.op !== "publish" && event.op !== "schedule") continue;
    if (event.kind === "invoke") drafts.set(event.draft, event);
    if (event.kind === "fail") failed.set(event.draft, event.error);
  }
  const seen = new Map<string, Offset>();
  for (const message of log) {
    const { draft, offset } = message;
    const published = drafts.get(draft);
    if (published === undefined) yield `G4: the message at ${offset} is draft ${draft}, which nobody published.`;
    else if (!isSame(published, message)) yield `G4: draft ${draft} is not in the log as it was published.`;
    if (failed.has(draft)) yield `G4: draft ${draft} failed with ${failed.get(draft)} and is in the log at ${offset}.`;
    if (seen.has(draft)) yield `G7: draft ${draft} is in the log twice, at ${seen.get(draft)} and ${offset}.`;
    seen.set(draft, offset);
  }
}

/** Every scheduled draft was published in the end. */
function* checkScheduled({ events, log }: Run): Generator<string> {
  const published = new Set(log.map(({ draft }) => draft));
  for (const event of events) {
    if (event.op === "schedule" && event.kind === "ok" && !published.has(event.draft))
      yield `G1: draft ${event.draft} was scheduled, and is not in the log.`;
  }
}

/** What one process published is in each log in the order in which it was invoked. */
function* checkOrder({ events, log: messages }: Run, log: FinalLog): Generator<string> {
  const invoked = new Map<string, { readonly process: string; readonly at: number }>();
  for (const event of events) {
    if (event.op === "publish" && event.kind === "invoke")
      invoked.set(event.draft, { process: event.process, at: invoked.size });
  }
  const last = new Map<string, { readonly draft: string; readonly at: number }>();
  for (const { draft, channel } of messages) {
    const publish = invoked.get(draft);
    if (publish === undefined) continue;
    const sequence = `${publish.process} in ${log.namespaceOf(channel)}`;
    const before = last.get(sequence);
    if (before !== undefined && before.at > publish.at)
      yield `G6: ${publish.process} published draft ${draft} before draft ${before.draft}, which comes first in the log.`;
    last.set(sequence, { draft, at: publish.at });
  }
}

/** One place names one message for every reader, and what anyone was given is in the log. */
function* checkReaders(events: readonly HistoryEvent[], log: FinalLog): Generator<string> {
  const given = new Map<string, Delivered>();
  for (const event of events) {
    if (event.op !== "deliver" || event.kind !== "invoke") continue;
    const where = log.placeOf(event);
    const logged = log.at(where);
    const first = given.get(where);
    if (logged === undefined) yield `G3: ${event.process} was given ${where}, where the log holds nothing.`;
    else if (!isSame(logged, event))
      yield `G2: ${event.process} was given draft ${event.draft} at ${where}, where the log holds draft ${logged.draft}.`;
    if (first === undefined) given.set(where, event);
    else if (!isSame(first, event))
      yield `G2: ${first.process} and ${event.process} were given different messages at ${where}.`;
  }
}

/** One life of a subscription sees each message that matches, once and in order, from where it begins on. */
function* checkSubscription(subscription: Subscription, run: Run, log: FinalLog): Generator<string> {
  const { name, pattern, process, subscriber, fromEarliest, events } = subscription;
  const matches = matcher(pattern);
  const seen = new Set<string>();
  const gaps: EventOf<"gap", "info">[] = [];
  /** Of each epoch, where it began and how far it came. */
  const begins = new Map<Epoch, Offset>();
  const lasts = new Map<Epoch, Offset>();
  for (const event of events) {
    if (event.op === "gap") gaps.push(event);
    if (isConfirmed(event) && !begins.has(event.epoch)) {
      const fromFirst = fromEarliest && subscriber === undefined;
      begins.set(event.epoch, fromFirst ? beginning : event.offset);
    }
    if (event.op !== "deliver" || event.kind !== "invoke") continue;
    const { epoch, offset, channel } = event;
    const last = lasts.get(epoch) ?? begins.get(epoch) ?? 0;
    if (!matches(channel)) yield `G5: ${name} was given ${channel}, which ${pattern} does not select.`;
    if (seen.has(place("", event))) yield `G8: ${name} was given offset ${offset} twice.`;
    else if (offset <= last) yield `G5: ${name} was given offset ${offset} after ${last}.`;
    seen.add(place("", event));
    lasts.set(epoch, offset);
  }
  const finished = run.finishers.includes(process);
  if (finished && begins.size === 0) yield `G13: ${name} was never confirmed.`;
  for (const message of log.matching(pattern)) {
    const { epoch, offset } = message;
    const begin = begins.get(epoch);
    if (begin === undefined || offset <= begin || seen.has(place("", message))) continue;
    const last = lasts.get(epoch) ?? begin;
    const gap = gaps.find(({ from, to }) => to !== null && offset > from && offset <= to);
    if (gap !== undefined) yield `G5: ${name} was told a gap from ${gap.from} to ${gap.to}; the log holds ${offset}.`;
    else if (offset < last) yield `G5, G11: ${name} was given offset ${last} and never offset ${offset}.`;
    else if (finished) yield `G13: ${name} never got as far as offset ${offset}.`;
  }
}

/** Where the hub puts a durable subscription never moves back, skips nothing and stays within the log. */
function* checkCursor(lives: readonly Subscription[], log: FinalLog): Generator<string> {
  const { subscriber, pattern, fromEarliest } = lives[0] as Subscription;
  const cursor = `the cursor of ${subscriber} in ${pattern}`;
  const events = lives.flatMap((life) => life.events).sort((a, b) => a.at - b.at);
  const matching = log.matching(pattern);
  const done = new Set<string>();
  let before: Confirmed | undefined;
  for (const event of events) {
    if (event.op === "deliver" && event.kind === "ok") done.add(place("", event));
    if (!isConfirmed(event)) continue;
    const { epoch, offset } = event;
    if (offset > log.newest(pattern)) yield `G9: ${cursor} was at ${offset}, beyond the end of the log.`;
    const first = fromEarliest && before === undefined ? beginning : offset;
    const from = before?.epoch === epoch ? before.offset : first;
    if (offset < from) yield `G9: ${cursor} moved back from ${from} to ${offset}.`;
    for (const message of matching) {
      if (message.offset > from && message.offset <= offset && !done.has(place("", { ...message, epoch })))
        yield `G9: ${cursor} moved to ${offset}, past offset ${message.offset}, which nobody had finished.`;
    }
    before = event;
  }
}

function isConfirmed(event: HistoryEvent): event is Confirmed {
  return event.op === "subscribe" && event.kind === "ok";
}

function isSame(a: Content, b: Content): boolean {
  return a.draft === b.draft && a.payload === b.payload && a.channel === b.channel;
}

function place(namespace: string, { epoch, offset }: { readonly epoch: Epoch; readonly offset: Offset }): string {
  return `${namespace}@${epoch}/${offset}`;
}
