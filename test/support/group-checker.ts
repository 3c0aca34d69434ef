/**
 * Holds what the members of groups saw to G10 and G13. A lease is known by its message's offset and its count of
 * deliveries, which no two leases of a message share.
 */
import type { Offset } from "@dogear/shared";
import type { HistoryEvent } from "./history.ts";

/** A dead letter of the final read: which message it is about, and why. */
export interface DeadLetter {
  readonly group: string;
  /** The offset of the message. */
  readonly about: Offset;
  readonly reason: string;
}

export interface GroupRun {
  readonly events: readonly HistoryEvent[];
  readonly deadLetters: readonly DeadLetter[];
  /** For each group the messages that it had to settle. */
  readonly work: ReadonlyMap<string, readonly Offset[]>;
}

type LeaseEvent = Extract<HistoryEvent, { op: "lease" }>;
type SettleEvent = Extract<HistoryEvent, { op: "settle" }>;

/** One lease, and what its holder said and heard of it. */
interface Lease {
  readonly given: LeaseEvent;
  said: SettleEvent | undefined;
  heard: SettleEvent | undefined;
}

export function checkGroups({ events, deadLetters, work }: GroupRun): string[] {
  const violations: string[] = [];
  for (const [group, offsets] of work) {
    const leases = leasesOf(group, events, violations);
    for (const offset of offsets) {
      const dead = deadLetters.filter((letter) => letter.group === group && letter.about === offset);
      const own = (leases.get(offset) ?? []).sort((a, b) => a.given.deliveries - b.given.deliveries);
      violations.push(...checkMessage(`${group}/${offset}`, own, dead));
    }
  }
  return violations;
}

function leasesOf(group: string, events: readonly HistoryEvent[], violations: string[]): Map<Offset, Lease[]> {
  const leases = new Map<Offset, Lease[]>();
  const find = ({ offset, deliveries }: LeaseEvent | SettleEvent) =>
    leases.get(offset)?.find(({ given }) => given.deliveries === deliveries);
  for (const event of events) {
    if ((event.op !== "lease" && event.op !== "settle") || event.group !== group) continue;
    const lease = find(event);
    if (event.op === "lease") {
      const name = `${group}/${event.offset}, delivery ${event.deliveries},`;
      if (lease !== undefined) violations.push(`G10: ${name} went to ${lease.given.process} and to ${event.process}.`);
      leases.set(event.offset, [
        ...(leases.get(event.offset) ?? []),
        { given: event, said: undefined, heard: undefined },
      ]);
    } else if (lease !== undefined) {
      if (event.kind === "invoke") lease.said = event;
      else lease.heard = event;
    }
  }
  return leases;
}

function* checkMessage(name: string, leases: readonly Lease[], dead: readonly DeadLetter[]): Generator<string> {
  const confirmed = leases.filter(({ heard }) => heard?.kind === "ok");
  const final = confirmed.filter(({ said }) => said?.outcome === "ack" || said?.outcome === "reject");
  if (final.length > 1) yield `G10: ${name} was settled for good ${final.length} times.`;
  if (dead.length > 1) yield `G10: ${name} has ${dead.length} dead letters.`;
  const [settled] = final;
  if (settled?.said?.outcome === "ack" && dead.length > 0) yield `G10: ${name} was acknowledged and is a dead letter.`;
  if (settled?.said?.outcome === "reject" && dead.length === 0)
    yield `G10: ${name} was rejected and is no dead letter.`;
  for (const [i, lease] of leases.entries()) yield* checkLease(name, lease, leases.slice(i + 1));
  const maybe = leases.some(({ said, heard }) => said?.outcome === "ack" && heard?.kind !== "fail");
  if (!maybe && settled === undefined && dead.length === 0) yield `G13: ${name} was never settled.`;
}

/** One lease against those that came after it. */
function* checkLease(name: string, { given, said, heard }: Lease, later: readonly Lease[]): Generator<string> {
  const [next] = later;
  const number = `${name}, delivery ${given.deliveries},`;
  for (const { given: other } of later) {
    if (other.failures < given.failures)
      yield `G10: ${number} had ${given.failures} failures, a later one ${other.failures}.`;
  }
  if (heard?.kind !== "ok" || said === undefined) return;
  const early = later.find((lease) => lease.given.at < said.at);
  if (early !== undefined)
    yield `G10: ${number} was settled after delivery ${early.given.deliveries} had gone to ${early.given.process}.`;
  const { outcome } = said;
  if ((outcome === "ack" || outcome === "reject") && next !== undefined)
    yield `G10: ${number} was settled by ${outcome}, and delivered again to ${next.given.process}.`;
  const counted = outcome === "retry" ? 1 : 0;
  const direct = next?.given.deliveries === given.deliveries + 1 ? next : undefined;
  if (direct !== undefined && outcome !== "ack" && direct.given.failures !== given.failures + counted)
    yield `G10: ${number} ended by ${outcome} with ${given.failures} failures; the next one had ${direct.given.failures}.`;
}
