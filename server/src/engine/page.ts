/** Puts a page together from stretches of a log, oldest first, within a budget: what matches after an offset. */
import type { Channel, Offset } from "@dogear/shared";
import type { Budget, Page } from "./engine.ts";
import { type Messages, MessagesBuilder } from "./messages.ts";
import { fitting } from "./tail.ts";

/** A stretch of the log: messages, or a hole where they cannot be read any more. */
export type Stretch =
  | { readonly messages: Messages; readonly through: Offset }
  | { readonly messages: undefined; readonly through: Offset };

/** So many holes are looked at before somebody is told of them. */
const holesJoinedMax = 1_000;

/** Makes one hole of those that follow each other. */
export function* joinHoles(stretches: Iterable<Stretch>): Generator<Stretch> {
  let hole: Stretch | undefined;
  let joined = 0;
  for (const stretch of stretches) {
    const isHole = stretch.messages === undefined;
    if (hole !== undefined && (!isHole || joined === holesJoinedMax)) {
      yield hole;
      joined = 0;
    }
    hole = isHole ? stretch : undefined;
    if (isHole) joined++;
    else yield stretch;
  }
  if (hole !== undefined) yield hole;
}

export function collectPage(
  stretches: Iterable<Stretch>,
  matches: (channel: Channel) => boolean,
  after: Offset,
  budget: Budget,
  removedThrough?: Offset,
): Page {
  const builder = new MessagesBuilder();
  let gap: Page["gap"] =
    removedThrough === undefined ? undefined : { from: after, to: removedThrough, reason: "retention" };
  let through = removedThrough ?? after;
  let scanned = 0;
  const page = () => ({ gap, messages: builder.build(), through });
  for (const stretch of stretches) {
    if (stretch.messages === undefined) {
      // A hole is told before what follows it, so a page that already holds something ends here.
      if (builder.length > 0 || gap !== undefined) return page();
      gap = { from: through, to: stretch.through, reason: "corruption" };
      through = stretch.through;
      continue;
    }
    const stop = addMatching(builder, stretch.messages, stretch.messages.indexAfter(through), matches, budget);
    if (stop !== undefined) {
      through = Math.max(through, (stretch.messages.offsets[stop] as number) - 1) as Offset;
      return page();
    }
    through = Math.max(through, stretch.through) as Offset;
    scanned += stretch.messages.byteLength;
    if (scanned >= budget.scan || builder.length >= budget.messages) return page();
  }
  return page();
}

/** Adds what matches from `from` on; the index of the first message that did not fit, if one did not. */
function addMatching(
  builder: MessagesBuilder,
  messages: Messages,
  from: number,
  matches: (channel: Channel) => boolean,
  budget: Budget,
): number | undefined {
  let i = from;
  while (i < messages.length) {
    if (!matches(messages.channels[i] as Channel)) {
      i++;
      continue;
    }
    let end = i + 1;
    while (end < messages.length && matches(messages.channels[end] as Channel)) end++;
    const fits = Math.min(end, fitting(messages, i, budget, builder));
    builder.add(messages, i, fits);
    if (fits < end) return fits;
    i = end;
  }
  return undefined;
}

/** How many messages of a run come after an offset and match. */
export function countMatching(messages: Messages, after: Offset, matches: (channel: Channel) => boolean): number {
  let count = 0;
  for (let i = messages.indexAfter(after); i < messages.length; i++) {
    if (matches(messages.channels[i] as Channel)) count++;
  }
  return count;
}

/** The same test, which asks once for each channel. */
export function remembering(matches: (channel: Channel) => boolean): (channel: Channel) => boolean {
  const known = new Map<Channel, boolean>();
  let last: Channel | undefined;
  let lastAnswer = false;
  return (channel) => {
    if (channel === last) return lastAnswer;
    let answer = known.get(channel);
    if (answer === undefined) {
      answer = matches(channel);
      known.set(channel, answer);
    }
    last = channel;
    lastAnswer = answer;
    return answer;
  };
}
