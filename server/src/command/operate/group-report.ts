/** How a group's report reads. */
import type { GroupReport, Lag } from "@dogear/client/admin";
import { age, duration } from "../duration.ts";
import { amount, type Cell } from "./cell.ts";
import type { Column } from "./columns.ts";
import { printFacts } from "./listing.ts";
import type { Operator } from "./operator.ts";

export const groupColumns: readonly Column<GroupReport>[] = [
  { title: "namespace", of: ({ namespace }) => namespace },
  { title: "group", of: ({ group }) => group },
  { title: "pattern", of: ({ pattern }) => pattern, cut: true },
  { title: "order", of: ({ policy }) => policy.order },
  { title: "members", of: ({ members }) => members, right: true },
  { title: "lag", of: ({ lag }) => lag.messages, right: true },
  { title: "oldest", of: ({ lag }) => oldest(lag), right: true },
  { title: "in flight", of: ({ inFlight }) => inFlight, right: true },
  { title: "delayed", of: ({ delayed }) => delayed, right: true },
  { title: "dead", of: ({ dead }) => dead, right: true },
  { title: "paused", of: ({ paused }) => (paused ? "yes" : "no") },
];

/** The age of the oldest message beyond a place. */
export function oldest({ ageMs }: Lag): Cell {
  return ageMs === null ? null : age(ageMs);
}

export function lagText(lag: Lag, terminal: boolean): string {
  const messages = lag.messages === 1 ? "1 message" : `${amount(lag.messages, terminal)} messages`;
  return lag.ageMs === null ? messages : `${messages}, the oldest ${age(lag.ageMs)} old`;
}

export async function printGroup(report: GroupReport, { output, json }: Operator): Promise<void> {
  if (json) await output.write(`${JSON.stringify(report)}\n`);
  else await printFacts(factsOf(report, output.terminal), output);
}

function factsOf(report: GroupReport, terminal: boolean): [string, Cell][] {
  const { policy, position, redrive } = report;
  return [
    ["group", report.group],
    ["namespace", report.namespace],
    ["pattern", report.pattern],
    ["state", report.paused ? "paused" : "running"],
    ["members", report.members],
    ["position", `${position.epoch}:${position.offset}`],
    ["lag", lagText(report.lag, terminal)],
    ["in flight", report.inFlight],
    ["delayed", report.delayed],
    ["lost", report.lost],
    ["dead", report.dead],
    ["dead letters", report.deadChannel],
    ["redrive", redrive ? `${redrive.state}: ${movedOf(redrive, terminal)}` : null],
    ["order", policy.order],
    ["on failure", policy.onFailure],
    ["max failures", policy.maxFailures],
    ["lease", duration(policy.leaseMs)],
    ["backoff", backoffText(policy.backoff)],
  ];
}

/** How far a redrive is. */
export function movedOf({ moved, total }: NonNullable<GroupReport["redrive"]>, terminal: boolean): string {
  return `${amount(moved, terminal)} of ${amount(total, terminal)}`;
}

function backoffText({ type, minMs, maxMs, jitter }: GroupReport["policy"]["backoff"]): string {
  const delay = type === "fixed" ? duration(minMs) : `${duration(minMs)} to ${duration(maxMs)}`;
  return `${type}, ${delay}, jitter ${jitter}`;
}
