/**
 * The incarnations of a log, for all hubs: a record beside the stream says which stream it was, and how far it had come.
 *
 * Where the stream is another one, the log was deleted and begins anew at 1. Where the stream is shorter than it was known
 * to be, it lost its end, and begins anew behind what is left.
 */
import type { Epoch, Offset } from "@dogear/shared";
import type { Chance } from "../../runtime/clock.ts";
import type { Era, State } from "../engine.ts";
import { changeRecord, readRecord } from "./log-records.ts";
import type { StreamFacts } from "./log-stream.ts";

interface StoredEra extends Era {
  /** The stream it is of. */
  readonly stream: string;
}

interface LineageRecord {
  readonly eras: readonly StoredEra[];
  /** An offset that the log has certainly reached. */
  readonly newest: Offset;
}

/** Whoever comes from an era that is not among the last ones is told that everything is lost, which it is. */
const erasMax = 100;

function keyOf(namespace: string): string {
  return `lineage/${namespace}`;
}

/** The lineage of a log whose stream is found like this; a new era is stored before anybody learns of it. */
export async function openLineage(
  state: State,
  namespace: string,
  { id, newest }: StreamFacts,
  chance: Chance,
): Promise<readonly Era[]> {
  const record = await changeRecord<LineageRecord>(state, keyOf(namespace), (stored) => {
    const eras = stored?.eras ?? [];
    const last = eras.at(-1);
    if (last?.stream !== id)
      return { eras: appended(eras, { epoch: id as Epoch, first: 1 as Offset, stream: id }), newest };
    if (newest >= (stored?.newest ?? 0)) return undefined;
    const first = (newest + 1) as Offset;
    return { eras: appended(eras, { epoch: chance.id() as Epoch, first, stream: id }), newest };
  });
  return (record?.eras ?? []).map(({ epoch, first }) => ({ epoch, first }));
}

/** How far a stream had certainly come. */
export async function reachedBy(state: State, namespace: string, stream: string): Promise<Offset> {
  const { value } = await readRecord<LineageRecord>(state, keyOf(namespace));
  return value?.eras.at(-1)?.stream === stream ? value.newest : (0 as Offset);
}

/** Remembers how far the log has come, where it is still the same one. */
export async function storeReached(state: State, namespace: string, epoch: Epoch, newest: Offset): Promise<void> {
  await changeRecord<LineageRecord>(state, keyOf(namespace), (stored) =>
    stored === undefined || stored.eras.at(-1)?.epoch !== epoch || stored.newest >= newest
      ? undefined
      : { ...stored, newest },
  );
}

function appended(eras: readonly StoredEra[], era: StoredEra): readonly StoredEra[] {
  return [...eras, era].slice(-erasMax);
}
