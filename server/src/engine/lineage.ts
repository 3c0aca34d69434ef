/**
 * The incarnations of a log, and what a position of an older one means today.
 *
 *     k2 from 1          k7 from 501               the log was cut after 500 and began anew as k7
 *     ├──────────────────┼───────────────→
 *     k2/300 is valid    k2/700 is lost: the subscriber goes on from 500, after a gap
 */
import type { Epoch, Gap, Offset, Position } from "@dogear/shared";
import type { Bounds, Era } from "./engine.ts";

/** Today's epoch. */
export function epochOf(lineage: readonly Era[]): Epoch {
  return (lineage.at(-1) as Era).epoch;
}

/** Where in today's log a position lies, and what is lost for whoever comes from there. */
export function locate(
  lineage: readonly Era[],
  { oldest, newest }: Bounds,
  { epoch, offset }: Position,
): { readonly offset: Offset; readonly gap: Gap | undefined } {
  const index = lineage.findIndex((era) => era.epoch === epoch);
  if (index < 0) return lostAfter(Math.min(oldest - 1, newest) as Offset);
  // An era ends where any later one begins: a log can lose its end twice, the second time further back.
  const last = Math.min(newest, ...lineage.slice(index + 1).map(({ first }) => first - 1));
  return offset <= last ? { offset, gap: undefined } : lostAfter(last as Offset);
}

/** Whether what a position names is still the same in today's log, or was removed from it since. */
export function isOfToday(lineage: readonly Era[], position: Position): boolean {
  return (
    locate(lineage, { oldest: 1 as Offset, newest: Number.MAX_SAFE_INTEGER as Offset }, position).gap === undefined
  );
}

/** The last offset of an incarnation that today's log still has. */
export function endOf(lineage: readonly Era[], bounds: Bounds, epoch: Epoch): Offset {
  return locate(lineage, bounds, { epoch, offset: Number.MAX_SAFE_INTEGER as Offset }).offset;
}

function lostAfter(offset: Offset): { readonly offset: Offset; readonly gap: Gap } {
  return { offset, gap: { from: offset, to: null, reason: "epoch" } };
}
