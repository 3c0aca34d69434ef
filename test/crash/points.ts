/** The points at which a hub is killed: how it gets there, and how it shows that it was there. */
import type { HistoryEvent } from "../checker/history.ts";
import type { Clients } from "../disk/clients.ts";
import type { TracedCall } from "../disk/shim.ts";

export interface Point {
  /** Reads after "killed". */
  readonly name: string;
  /** What `test/disk/shim.c` does at which call, counted from when everybody is served. */
  readonly fault: (where: { readonly oldestSegment: string; readonly misses: number }) => string;
  /** Leads the hub there, until it is dead. What it publishes is answered by a later life. */
  readonly provoke: (clients: Clients, dead: AbortSignal) => void | Promise<void>;
  readonly reached: (evidence: Evidence) => boolean;
}

export interface Evidence {
  /** What the hub did from then on, to its end. */
  readonly calls: readonly TracedCall[];
  /** What its clients did and saw from then on, also in the next life. */
  readonly events: readonly HistoryEvent[];
}

const log = "/logs/default/";
const state = "/state/";

/** LMDB flushes the pages of a commit, and then the page that makes them count. */
const flushesOfCommit = 2;

export const points: readonly Point[] = [
  {
    name: "when a part of an append is written",
    fault: () => `kill-amid:flush:1:${log}`,
    provoke: publishOne,
    reached: ({ calls }) => calls.some(isAppendBrokenOff) && !said(calls, "published"),
  },
  {
    name: "after an append, before the acknowledgement",
    fault: () => `kill-after:flush:1:${log}`,
    provoke: publishOne,
    reached: ({ calls }) => flushed(calls, log) === 1 && !said(calls, "published"),
  },
  {
    name: "when a new segment has just been made",
    fault: () => `kill-after:name:1:${log}`,
    provoke: publishMuch,
    reached: ({ calls }) => calls.some(({ name }) => name === "mkdir"),
  },
  {
    name: "when a removal is remembered, before the segment has gone",
    fault: ({ oldestSegment }) => `kill-before:name:1:${log}${oldestSegment}$`,
    provoke: publishMuch,
    reached: ({ calls }) => flushed(calls, state) >= flushesOfCommit,
  },
  {
    name: "when a segment is out of the way, before it is deleted",
    fault: () => `kill-before:name:1:${log}removed-`,
    provoke: publishMuch,
    reached: ({ calls }) => calls.some(({ name }) => name === "rename"),
  },
  {
    name: "when a part of a segment is deleted",
    // Whoever deletes a folder tries first whether it is empty.
    fault: () => `kill-after:name:2:${log}removed-`,
    provoke: publishMuch,
    reached: ({ calls }) => calls.some(({ name }) => name === "unlink") && !calls.some(isFolderDeleted),
  },
  {
    name: "before a cursor is flushed",
    fault: () => `kill-before:flush:1:${state}`,
    provoke: publishForReader,
    reached: ({ calls, events }) => flushed(calls, state) === 0 && cursorAfter(events) === "behind",
  },
  {
    name: "after a cursor was flushed",
    // Other records may be flushed first: a commit later with each miss.
    fault: ({ misses }) => `kill-after:flush:${flushesOfCommit * (1 + (misses % 3))}:${state}`,
    provoke: publishForReader,
    reached: ({ events }) => cursorAfter(events) === "moved",
  },
  {
    name: "at a lease grant, before its flush",
    fault: () => `kill-before:flush:1:${state}`,
    provoke: publishForWorker,
    reached: ({ calls, events }) => !said(calls, "leased") && deliveriesAfter(events) === 1,
  },
  {
    name: "after the flush of a lease grant, before anybody was told",
    fault: () => `kill-after:flush:${flushesOfCommit}:${state}`,
    provoke: publishForWorker,
    // Granted to somebody who never heard of it: that delivery counts.
    reached: ({ calls, events }) => !said(calls, "leased") && deliveriesAfter(events) === 2,
  },
];

function isFolderDeleted({ name, result }: TracedCall): boolean {
  return name === "rmdir" && result === 0;
}

function publishOne(clients: Clients): void {
  void clients.publish(1);
}

/**
 * As much as fills a segment, again and again, so that another begins and the oldest goes. The group has none of it: what
 * retention takes from a group that is slow is lost to it, and no promise is broken by that.
 */
async function publishMuch(clients: Clients, dead: AbortSignal): Promise<void> {
  while (!dead.aborted) await clients.publish(5, 50_000, "sensors.hall");
}

/** As many as it acknowledges at once. */
function publishForReader(clients: Clients): void {
  void clients.publish(8, 40, "sensors.hall");
}

function publishForWorker(clients: Clients): void {
  void clients.publish(1, 40, "orders.eu");
}

function isAppendBrokenOff({ call, path }: TracedCall): boolean {
  return call === "fault" && path.includes(log) && path.endsWith("/chunks");
}

function flushed(calls: readonly TracedCall[], where: string): number {
  return calls.filter(({ call, path }) => call === "flush" && path.includes(where)).length;
}

/** Whether an envelope of a kind was handed to a socket. */
function said(calls: readonly TracedCall[], kind: string): boolean {
  return calls.some(({ call, text }) => call === "socket" && text.includes(`"is":"${kind}"`));
}

/** Where the cursor was in the next life: still before what the reader had handled, or no longer. */
function cursorAfter(events: readonly HistoryEvent[]): "behind" | "moved" | undefined {
  const handled = events.find((event) => event.op === "deliver" && event.kind === "ok");
  const next = events.find((event) => event.op === "subscribe" && event.kind === "ok");
  if (handled?.op !== "deliver" || next?.op !== "subscribe" || next.kind !== "ok" || handled.at > next.at)
    return undefined;
  return next.offset < handled.offset ? "behind" : "moved";
}

/** As which delivery the worker was given the first message of this life. */
function deliveriesAfter(events: readonly HistoryEvent[]): number | undefined {
  const lease = events.find((event) => event.op === "lease");
  return lease?.op === "lease" ? lease.deliveries : undefined;
}
