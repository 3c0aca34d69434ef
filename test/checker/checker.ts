/**
 * Holds what processes saw to what the log holds in the end. Faults are welcome; a broken promise is a violation.
 *
 *     publishers ──┐
 *     subscribers ─┤
 *     workers ─────┼──► history ──► check ──► violations, none if all promises were kept
 *     faults ──────┤
 *     final read ──┘
 *
 * A publish whose answer was never heard is unknown: it may be in the log or not, but not twice.
 */
import type { Durability, Pattern } from "@dogear/shared";
import { checkCursors } from "./cursors.ts";
import { FinalLog } from "./final-log.ts";
import { checkGroups } from "./groups.ts";
import type { HistoryEvent } from "./history.ts";
import { checkBuffers, checkPublishing } from "./publishing.ts";
import { checkReaders, checkSubscriptions } from "./reading.ts";
import { subscriptionsIn } from "./subscriptions.ts";
import type { Violation } from "./violation.ts";

export { explain, Violation } from "./violation.ts";

/** What is known of a run beside its history. */
export interface Setup {
  /** The configured namespaces. */
  readonly namespaces: readonly string[];
  /** Processes that ran until everything had arrived (G13). */
  readonly finishers: readonly string[];
  /** What was scheduled may still come, because the run was cut short; by default it must have come. */
  readonly cutShort?: boolean;
  /** The most that an acknowledgement may claim in a namespace; anything, where it is not said. */
  readonly durability?: Readonly<Record<string, Durability>>;
  readonly groups?: Readonly<Record<string, GroupSetup>>;
}

export interface GroupSetup {
  readonly pattern: Pattern;
  /** Messages of one key are given one after the other; by default they are not. */
  readonly order?: "key" | undefined;
  /** Whether it had to settle everything (G13). */
  readonly finished: boolean;
  /** How many messages it says that retention took before any member saw them; by default none. */
  readonly lost?: number | undefined;
}

/** @param history In the order in which it happened, the final read last. */
export function check(history: readonly HistoryEvent[], setup: Setup): Violation[] {
  const log = new FinalLog(history, setup.namespaces);
  const subscriptions = subscriptionsIn(history);
  return [
    ...checkPublishing(history, log, setup),
    ...checkReaders(history, log),
    ...checkSubscriptions(subscriptions, log, setup.finishers),
    ...checkCursors(subscriptions, log),
    ...checkGroups(history, log, setup.groups ?? {}),
    ...checkBuffers(history),
  ];
}
