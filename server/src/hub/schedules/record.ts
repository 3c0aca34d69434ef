/** How a namespace's schedules are written down: how far its slips were taken in, and pages of those that wait. */
import type { Epoch, Offset } from "@dogear/shared";
import type { State } from "../../engine/engine.ts";
import { endOf, epochOf } from "../../engine/lineage.ts";
import { Ledger, type LedgerEntry, type LedgerFormat, type LedgerKeys } from "../ledger.ts";
import type { Namespace } from "../namespace.ts";

export interface SchedulesHead {
  epoch: Epoch;
  /** Every slip up to here is done, or in a page. */
  position: Offset;
  /** While messages that are due are being appended: after which offset. */
  intent: Offset | undefined;
}

/** A draft that waits. */
export interface Pending extends LedgerEntry {
  /** Where its slip is now. */
  readonly offset: Offset;
  /** Where its slip was first, which is what names it. */
  readonly first: Offset;
  readonly due: number;
  /** How long its slip is. */
  readonly bytes: number;
}

type WrittenPending = readonly [offset: number, due: number, bytes: number, first?: number];

const format: LedgerFormat<SchedulesHead, Pending> = {
  writeHead: (head) => head,
  readHead: (written) => {
    const { epoch, position, intent } = written as Partial<SchedulesHead> & Omit<SchedulesHead, "intent">;
    return { epoch, position, intent };
  },
  writePage: (entries): readonly WrittenPending[] =>
    entries.map(({ offset, first, due, bytes }) =>
      first === offset ? [offset, due, bytes] : [offset, due, bytes, first],
    ),
  readPage: (written) =>
    (written as readonly WrittenPending[]).map(([offset, due, bytes, first = offset]) => ({
      offset: offset as Offset,
      first: first as Offset,
      due,
      bytes,
    })),
};

/**
 * What is stored of a namespace's schedules. Where its log has lost its end, so have they: `lost` says how many, and
 * what was stored since is read again.
 */
export async function loadSchedules(
  state: State,
  { policy, log }: Namespace,
): Promise<{ readonly ledger: Ledger<SchedulesHead, Pending>; readonly lost: number }> {
  const keys = keysOf(policy.namespace);
  const epoch = epochOf(log.lineage);
  const ledger = await Ledger.load(state, keys, format);
  if (ledger === undefined) {
    const head = { epoch, position: 0 as Offset, intent: undefined };
    return { ledger: Ledger.begin(state, keys, format, head), lost: 0 };
  }
  const { head } = ledger;
  if (head.epoch === epoch) return { ledger, lost: 0 };
  const last = endOf(log.lineage, await log.bounds(), head.epoch);
  const gone = [...ledger.entries()].filter(({ offset }) => offset > last);
  for (const { offset } of gone) ledger.remove(offset);
  head.epoch = epoch;
  head.position = Math.min(head.position, last) as Offset;
  if (head.intent !== undefined) head.intent = Math.min(head.intent, last) as Offset;
  ledger.touch();
  return { ledger, lost: gone.length };
}

function keysOf(namespace: string): LedgerKeys {
  return { head: `schedules/${namespace}`, pages: `schedules-page/${namespace}/` };
}
