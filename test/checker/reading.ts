/** What subscribers were given, held to what the log holds: G2, G3, G5, G8, G11, G13. */
import { beginning, type Epoch, matcher, type Offset } from "@dogear/shared";
import { type FinalLog, isSame, type Logged } from "./final-log.ts";
import { type EventOf, type HistoryEvent, type Place, placeIn } from "./history.ts";
import type { Subscription } from "./subscriptions.ts";
import { Violation } from "./violation.ts";

type Delivered = EventOf<"deliver", "invoke">;

/** One place names one message for every reader, and what anyone was given is in the log, or was until it was removed. */
export function* checkReaders(history: readonly HistoryEvent[], log: FinalLog): Generator<Violation> {
  const given = new Map<string, Delivered>();
  for (const event of history) {
    if (event.op !== "deliver" || event.kind !== "invoke") continue;
    const where = log.placeOf(event);
    const logged = log.at(where);
    const first = given.get(where);
    if (logged === undefined && !log.isRemoved(event.channel, event.offset))
      yield new Violation("G3", `${event.process} was given ${where}, where the log holds nothing.`, [event]);
    if (logged !== undefined && !isSame(logged, event)) {
      const says = `${event.process} was given draft ${event.draft} at ${where}, where the log holds draft ${logged.draft}.`;
      yield new Violation("G2", says, [event, logged]);
    }
    if (first === undefined) given.set(where, event);
    else if (!isSame(first, event)) {
      const says = `${first.process} and ${event.process} were given different messages at ${where}.`;
      yield new Violation("G2", says, [first, event]);
    }
  }
}

export function checkSubscriptions(
  subscriptions: readonly Subscription[],
  log: FinalLog,
  finishers: readonly string[],
): Violation[] {
  return subscriptions.flatMap((subscription) => {
    const ended = subscription.events.some(({ op, kind }) => op === "subscribe" && kind === "fail");
    const finished = finishers.includes(subscription.invoked.process) && !ended;
    const course = new Course(subscription);
    return [...course.violations, ...checkMissed(course, log, finished), ...checkGaps(course, log)];
  });
}

/** How far a subscription came in each epoch, and what is wrong with it already without the log. */
class Course {
  readonly subscription: Subscription;
  readonly violations: Violation[] = [];
  readonly seen = new Set<string>();
  readonly gaps: EventOf<"gap", "info">[] = [];
  /** What a durable cursor had moved past when it was confirmed again: others with the same cursor have seen to that. */
  readonly #passed: { readonly epoch: Epoch; readonly from: Offset; readonly to: Offset }[] = [];
  readonly begins = new Map<Epoch, Offset>();
  readonly lasts = new Map<Epoch, Delivered>();

  constructor(subscription: Subscription) {
    this.subscription = subscription;
    const matches = matcher(subscription.invoked.pattern);
    for (const event of subscription.events) {
      if (event.op === "gap") this.#begin(event, this.gaps.push(event) > 0);
      else if (event.op === "subscribe" && event.kind === "ok") this.#confirm(event);
      else if (event.op === "deliver" && event.kind === "invoke") this.#deliver(event, matches(event.channel));
    }
  }

  /** How far it came in an epoch; undefined where it never began there. */
  last(epoch: Epoch): Offset | undefined {
    return this.lasts.get(epoch)?.offset ?? this.begins.get(epoch);
  }

  isPassed({ epoch, offset }: Place): boolean {
    return this.#passed.some((range) => range.epoch === epoch && offset > range.from && offset <= range.to);
  }

  #confirm(place: Place): void {
    const { epoch, offset: to } = place;
    const from = this.last(epoch);
    if (from !== undefined && this.subscription.invoked.subscriber !== undefined)
      this.#passed.push({ epoch, from, to });
    this.#begin(place, false);
  }

  #begin({ epoch, offset }: Place, afterGap: boolean): void {
    if (this.begins.has(epoch)) return;
    const { fromEarliest, subscriber } = this.subscription.invoked;
    const isFirst = this.begins.size === 0 && fromEarliest && subscriber === undefined;
    this.begins.set(epoch, isFirst && !afterGap ? beginning : offset);
  }

  #deliver(event: Delivered, matches: boolean): void {
    const { name, invoked } = this.subscription;
    const { epoch, offset, channel } = event;
    const last = this.last(epoch) ?? 0;
    const place = placeIn(event);
    const broken = (promise: "G5" | "G8", says: string) =>
      this.violations.push(new Violation(promise, `${name} ${says}`, [invoked, this.lasts.get(epoch), event]));
    if (!matches) broken("G5", `was given ${channel}, which ${invoked.pattern} does not select.`);
    if (this.seen.has(place)) broken("G8", `was given offset ${offset} twice.`);
    else if (offset <= last) broken("G5", `was given offset ${offset} after ${last}.`);
    this.seen.add(place);
    this.lasts.set(epoch, event);
  }
}

/** A subscription passes over nothing that matches, from where it begins on, and in the end has got everything. */
function* checkMissed(course: Course, log: FinalLog, finished: boolean): Generator<Violation> {
  const { name, invoked } = course.subscription;
  if (finished && course.begins.size === 0) yield new Violation("G13", `${name} was never confirmed.`, [invoked]);
  for (const message of log.matching(invoked.pattern)) {
    const { epoch, offset } = message;
    const begin = course.begins.get(epoch);
    if (begin === undefined || offset <= begin || course.seen.has(placeIn(message))) continue;
    if (course.isPassed(message)) continue;
    const gap = course.gaps.find((gap) => covers(gap, message));
    const last = course.last(epoch) ?? begin;
    if (gap !== undefined) {
      if (gap.to === null || gap.reason === "epoch" || log.isRemoved(message.channel, offset)) continue;
      const says = `${name} was told a gap from ${gap.from} to ${gap.to}; the log holds ${offset}.`;
      yield new Violation("G5", says, [gap, message]);
    } else if (offset < last) {
      const says = `${name} was given offset ${last} and never offset ${offset}.`;
      yield new Violation(["G5", "G11"], says, [course.lasts.get(epoch), message]);
    } else if (finished) {
      yield new Violation("G13", `${name} never got as far as offset ${offset}.`, [invoked, message]);
    }
  }
}

function covers({ from, to, epoch }: EventOf<"gap", "info">, message: Logged): boolean {
  if (to === null) return epoch !== message.epoch && message.offset > from;
  return epoch === message.epoch && message.offset > from && message.offset <= to;
}

/** A gap that retention made is told only where it took something that matches, as far as the final read still knows. */
function* checkGaps(course: Course, log: FinalLog): Generator<Violation> {
  const { name, invoked } = course.subscription;
  const known = log.matching(invoked.pattern);
  const knowsRemoved = log.messages.some(({ channel, offset }) => log.isRemoved(channel, offset));
  for (const gap of course.gaps) {
    if (!knowsRemoved || gap.to === null || gap.reason !== "retention") continue;
    if (!log.reachesBack(invoked.pattern, gap)) continue;
    if (!known.some((message) => covers(gap, message) && log.isRemoved(message.channel, message.offset))) {
      const says = `${name} was told a gap from ${gap.from} to ${gap.to}, where nothing was removed that it selects.`;
      yield new Violation("G5", says, [gap]);
    }
  }
}
