/** Drafts that are due: when, out of their slips, and into the logs of their channels. */
import type { Channel, Offset } from "@dogear/shared";
import type { Draft, Log } from "../../engine/engine.ts";
import type { Namespace } from "../namespace.ts";
import type { Unnumbered } from "../sequencer.ts";
import { readTexts } from "../texts.ts";
import { readSlip, slipChannel } from "./slip.ts";

/** When drafts are due, by where their slips are. Of slips that the log no longer has nothing is said. */
export async function readDues(
  { log, policy }: Namespace,
  firsts: readonly Offset[],
): Promise<ReadonlyMap<Offset, number>> {
  const sorted = [...firsts].sort((a, b) => a - b);
  const texts = await readTexts(log, slipChannel(policy.namespace).pattern, sorted);
  return new Map([...texts].map(([first, text]) => [first, readSlip(text).due]));
}

export interface Destinations {
  /** The log that the slips are in. */
  readonly home: Log;
  /** The log that holds a channel. */
  readonly logOf: (channel: Channel) => Log;
  /** Whether another hub may be doing the same. */
  readonly isShared: boolean;
}

/** Appends drafts to the logs of their channels; settles only when nothing is on its way any more. */
export async function appendDue(drafts: readonly Unnumbered[], { home, logOf, isShared }: Destinations): Promise<void> {
  const drafted = new Map<Log, Draft[]>();
  for (const draft of drafts) {
    const log = logOf(draft.channel);
    const together = drafted.get(log) ?? [];
    // Another log is not looked into after a crash, and a hub that took over may not see what is still on its way: there
    // the id must do, for as long as it is remembered.
    const id = log === home && !isShared ? undefined : draft.id;
    together.push({ ...draft, id, origin: { by: "nobody" } });
    drafted.set(log, together);
  }
  const appended = await Promise.allSettled([...drafted].map(([log, together]) => log.append(together)));
  for (const one of appended) if (one.status === "rejected") throw one.reason;
}
