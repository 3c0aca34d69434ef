/** How a group is written down: its head, and its pages of messages. */
import { type Channel, type Epoch, type GroupPolicy, type Offset, type Pattern, retryMsMax } from "@dogear/shared";
import type { Clock } from "../../runtime/clock.ts";
import type { LedgerFormat, LedgerKeys } from "../ledger.ts";
import type { DeathReason, Item, Stage } from "./item.ts";

/** What is remembered of a group besides its messages. */
export interface GroupHead {
  readonly pattern: Pattern;
  readonly policy: GroupPolicy;
  readonly deadChannel: Channel;
  /** Another one after each reset. */
  incarnation: string;
  epoch: Epoch;
  /** Everything that matches up to here is settled, or in a page. */
  position: Offset;
  /** The same for dead letters that were given to the group once more. */
  redriven: Offset;
  redrive: Redrive | undefined;
  /** Dead letters up to here are taken note of: what they are about is settled. */
  buried: Offset;
  fence: number;
  paused: boolean;
  /** Messages that were removed before any member saw them. */
  lost: number;
}

export interface Redrive {
  state: "running" | "done" | "cancelled";
  /** Up to here in the channel of dead letters. */
  readonly target: Offset;
  readonly total: number;
  moved: number;
}

export function keysOf(namespace: string, group: string): LedgerKeys {
  return { head: `${groupsPrefix}${namespace}/${group}`, pages: `group-page/${namespace}/${group}/` };
}

/** What the keys of all heads start with. */
export const groupsPrefix = "group/";

interface WrittenPage {
  /** The members that hold something, named once. */
  readonly holders: readonly string[];
  readonly items: readonly WrittenItem[];
}

type WrittenItem = readonly [
  offset: number,
  stage: number,
  /** Of a leased one the holder's index, of a delayed one the wall time it is due, of a dying one the reason. */
  detail: number | string,
  deliveries: number,
  failures: number,
  redriven: 0 | 1,
  key: string | null,
  error: string | null,
  expires: number | null,
];

/** What is assumed of a message whose length was not written down. */
const unknownBytes = 64 * 1_024;

const stages: readonly Stage[] = ["waiting", "leased", "delayed", "dying"];

export function groupFormat(clock: Clock): LedgerFormat<GroupHead, Item> {
  return {
    writeHead: (head) => head,
    readHead: (written) => written as GroupHead,
    writePage: (items): WrittenPage => {
      const holders = new Map<string, number>();
      return { items: items.map((item) => write(item, holders, clock)), holders: [...holders.keys()] };
    },
    readPage: (written, head) => {
      const { holders, items } = written as WrittenPage;
      return items.map((item) => read(item, holders, clock, head));
    },
  };
}

function write(item: Item, holders: Map<string, number>, clock: Clock): WrittenItem {
  const { offset, stage, deliveries, failures, redriven, key, error, expires } = item;
  const detail = detailOf(item, holders, clock);
  return [
    offset,
    stages.indexOf(stage),
    detail,
    deliveries,
    failures,
    redriven ? 1 : 0,
    key ?? null,
    error ?? null,
    expires ?? null,
  ];
}

function detailOf({ stage, lease, due, reason }: Item, holders: Map<string, number>, clock: Clock): number | string {
  switch (stage) {
    case "waiting":
      return 0;
    case "delayed":
      return Math.round(clock.now() + due - clock.monotonic());
    case "dying":
      return reason as DeathReason;
    case "leased": {
      const holder = lease?.holder ?? "";
      const index = holders.get(holder) ?? holders.size;
      holders.set(holder, index);
      return index;
    }
  }
}

function read(
  [offset, stage, detail, deliveries, failures, redriven, key, error, expires]: WrittenItem,
  holders: readonly string[],
  clock: Clock,
  head: GroupHead,
): Item {
  const item: Item = {
    offset: offset as Offset,
    key: key ?? undefined,
    bytes: unknownBytes,
    expires: expires ?? undefined,
    redriven: redriven === 1,
    stage: stages[stage] as Stage,
    deliveries,
    failures,
    error: error ?? undefined,
    lease: undefined,
    due: 0,
    reason: undefined,
  };
  if (item.stage === "leased") {
    // It starts anew, under a new fence (P-58).
    const { leaseMs } = head.policy;
    const holder = holders[detail as number] as string;
    head.fence++;
    item.lease = { fence: head.fence, holder, leaseMs, until: Number.POSITIVE_INFINITY, orphaned: true };
  } else if (item.stage === "delayed") {
    // The wall clock may have jumped while nobody looked: never longer than any delay can be.
    item.due = clock.monotonic() + Math.min(retryMsMax, Math.max(0, (detail as number) - clock.now()));
  } else if (item.stage === "dying") {
    item.reason = detail as DeathReason;
  }
  return item;
}
