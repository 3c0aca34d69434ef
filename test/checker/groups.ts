/**
 * What the members of groups saw: G10 and G13. A lease is known by its message's offset and its count of deliveries, which
 * no two leases of a message share.
 */
import { type Channel, matcher, type Pattern } from "@dogear/shared";
import type { GroupSetup } from "./checker.ts";
import type { FinalLog, Logged } from "./final-log.ts";
import { type EventOf, type HistoryEvent, placeIn } from "./history.ts";
import { Violation } from "./violation.ts";

type LeaseEvent = EventOf<"lease", "invoke">;
type SettleEvent = Extract<HistoryEvent, { op: "settle" }>;
type DeadLetter = EventOf<"read-dead", "ok">;

/** One lease, and what its holder said and heard of it. */
interface Lease {
  readonly given: LeaseEvent;
  said: SettleEvent | undefined;
  heard: SettleEvent | undefined;
}

/** One message of a group's, and all that became of it there. */
interface Course {
  readonly name: string;
  readonly message: Logged;
  /** By their count of deliveries. */
  readonly leases: readonly Lease[];
  readonly dead: readonly DeadLetter[];
}

export function checkGroups(
  history: readonly HistoryEvent[],
  log: FinalLog,
  groups: Readonly<Record<string, GroupSetup>>,
): Violation[] {
  return Object.entries(groups).flatMap(([group, { pattern, order, finished, lost = 0 }]) => {
    const violations: Violation[] = [];
    const leases = leasesOf(group, history, violations);
    const dead = history.filter((event) => event.op === "read-dead" && event.group === group) as DeadLetter[];
    const courses = log.matching(pattern).map((message) => ({
      name: `${group}/${message.offset}`,
      message,
      leases: (leases.get(placeIn(message)) ?? []).sort((a, b) => a.given.deliveries - b.given.deliveries),
      dead: dead.filter(({ about }) => about === message.offset),
    }));
    // Of what retention took before a member saw it, the final read may have seen some: it was quicker than the removal.
    const unseen = courses.filter((course) => course.leases.length === 0 && course.dead.length === 0);
    const excused = unseen.slice(0, Math.max(0, lost - removedUnseen(history, log, pattern, leases)));
    for (const course of courses) {
      const isOwed = finished && !excused.includes(course) && !log.isRemoved(pattern, course.message.offset);
      violations.push(...checkCourse(course, isOwed));
    }
    if (order === "key") violations.push(...checkKeys(courses));
    return violations;
  });
}

/** How many messages the final read came too late for that no member was ever given. */
function removedUnseen(
  history: readonly HistoryEvent[],
  log: FinalLog,
  pattern: Pattern,
  leases: ReadonlyMap<string, readonly Lease[]>,
): number {
  const matches = matcher(pattern);
  const channels = new Map<string, Channel>();
  let removed = 0;
  for (const event of history) {
    if (event.op !== "publish") continue;
    if (event.kind === "invoke") channels.set(event.draft, event.channel);
    if (event.kind !== "ok") continue;
    const { epoch, offset } = event;
    const channel = channels.get(event.draft);
    if (channel === undefined || !matches(channel) || leases.has(placeIn(event))) continue;
    if (log.at(log.placeOf({ channel, epoch, offset })) === undefined) removed++;
  }
  return removed;
}

function leasesOf(group: string, history: readonly HistoryEvent[], violations: Violation[]): Map<string, Lease[]> {
  const leases = new Map<string, Lease[]>();
  for (const event of history) {
    if ((event.op !== "lease" && event.op !== "settle") || event.group !== group) continue;
    const lease = leases.get(placeIn(event))?.find(({ given }) => given.deliveries === event.deliveries);
    if (event.op === "lease") {
      const name = `${group}/${event.offset}, delivery ${event.deliveries},`;
      if (lease !== undefined) {
        const says = `${name} went to ${lease.given.process} and to ${event.process}.`;
        violations.push(new Violation("G10", says, [lease.given, event]));
      }
      const others = leases.get(placeIn(event)) ?? [];
      leases.set(placeIn(event), [...others, { given: event, said: undefined, heard: undefined }]);
    } else if (lease !== undefined) {
      if (event.kind === "invoke") lease.said = event;
      else lease.heard = event;
    }
  }
  return leases;
}

function* checkCourse({ name, message, leases, dead }: Course, isOwed: boolean): Generator<Violation> {
  const final = leases.filter(({ said, heard }) => heard?.kind === "ok" && isFinal(said));
  const [settled] = final;
  const events = [...leases.flatMap(({ given, said, heard }) => [given, said, heard]), ...dead];
  const broken = (promise: "G10" | "G13", says: string) => new Violation(promise, `${name} ${says}`, events);
  if (final.length > 1) yield broken("G10", `was settled for good ${final.length} times.`);
  if (dead.length > 1) yield broken("G10", `has ${dead.length} dead letters.`);
  if (settled?.said?.outcome === "ack" && dead.length > 0)
    yield broken("G10", "was acknowledged and is a dead letter.");
  if (settled?.said?.outcome === "reject" && dead.length === 0 && isOwed)
    yield broken("G10", "was rejected and is no dead letter.");
  for (const [i, lease] of leases.entries()) yield* checkLease(name, lease, leases.slice(i + 1));
  const maybe = leases.some(({ said, heard }) => said?.outcome === "ack" && heard?.kind !== "fail");
  if (isOwed && !maybe && settled === undefined && dead.length === 0)
    yield new Violation("G13", `${name} was never settled.`, [message, ...events]);
}

/** One lease against those that came after it. */
function* checkLease(name: string, { given, said, heard }: Lease, later: readonly Lease[]): Generator<Violation> {
  const number = `${name}, delivery ${given.deliveries},`;
  for (const { given: other } of later) {
    if (other.failures < given.failures) {
      const says = `${number} had ${given.failures} failures, a later one ${other.failures}.`;
      yield new Violation("G10", says, [given, other]);
    }
  }
  if (heard?.kind !== "ok" || said === undefined) return;
  const early = later.find((lease) => lease.given.at < said.at);
  if (early !== undefined) {
    const says = `${number} was settled after delivery ${early.given.deliveries} had gone to ${early.given.process}.`;
    yield new Violation("G10", says, [given, early.given, said, heard]);
  }
  const [next] = later;
  if (isFinal(said) && next !== undefined) {
    const says = `${number} was settled by ${said.outcome}, and delivered again to ${next.given.process}.`;
    yield new Violation("G10", says, [given, said, heard, next.given]);
  }
  const counted = said.outcome === "retry" ? 1 : 0;
  const direct = next?.given.deliveries === given.deliveries + 1 ? next : undefined;
  if (direct !== undefined && said.outcome !== "ack" && direct.given.failures !== given.failures + counted) {
    const says = `${number} ended by ${said.outcome} with ${given.failures} failures; the next one had ${direct.given.failures}.`;
    yield new Violation("G10", says, [given, said, heard, direct.given]);
  }
}

/** A message is not given to anyone before those of its key that come first are done with, however often they are given. */
function* checkKeys(courses: readonly Course[]): Generator<Violation> {
  const byKey = new Map<string, Course[]>();
  for (const course of courses) {
    const { key } = course.message;
    if (key === undefined) continue;
    byKey.set(key, [...(byKey.get(key) ?? []), course]);
  }
  for (const [key, line] of byKey) {
    for (const [i, later] of line.entries()) {
      const [first] = later.leases;
      const earlier = line[i - 1];
      if (first === undefined || earlier === undefined || wasDone(earlier, first.given)) continue;
      const says = `${later.name} was given to ${first.given.process} before ${earlier.name}, of the same key ${key}, was done.`;
      yield new Violation("G10", says, [...earlier.leases.flatMap(({ given, said }) => [given, said]), first.given]);
    }
  }
}

/** Whether somebody may have settled it before, or it was given up. */
function wasDone({ leases, dead }: Course, before: LeaseEvent): boolean {
  return dead.length > 0 || leases.some(({ said }) => isFinal(said) && (said?.at ?? Infinity) <= before.at);
}

function isFinal(said: SettleEvent | undefined): boolean {
  return said?.outcome === "ack" || said?.outcome === "reject";
}
