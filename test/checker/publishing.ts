/** What publishers were told, held to what the log holds: G1, G2, G4, G6, G7, G13, G14; and G12, which needs no log. */
import { type Durability, namespaceOf } from "@dogear/shared";
import type { Setup } from "./checker.ts";
import { type FinalLog, isSame, type Logged } from "./final-log.ts";
import type { EventOf, HistoryEvent } from "./history.ts";
import { Violation } from "./violation.ts";

type Invoked = EventOf<"publish" | "schedule", "invoke">;

/** From what survives nothing to what survives most. */
const durabilities: readonly Durability[] = ["memory", "process", "disk", "quorum"];

export function checkPublishing(history: readonly HistoryEvent[], log: FinalLog, setup: Setup): Violation[] {
  const invoked = new Map<string, Invoked>();
  for (const event of history) {
    if ((event.op === "publish" || event.op === "schedule") && event.kind === "invoke") invoked.set(event.draft, event);
  }
  return [
    ...checkAcknowledged(history, invoked, log),
    ...checkDurability(history, invoked, setup),
    ...checkLogged(history, invoked, log),
    ...(setup.cutShort ? [] : checkScheduled(history, log)),
    ...checkOrder(history, log),
    ...checkAnswered(history, invoked, setup.finishers),
  ];
}

/** Every acknowledged message is where the acknowledgement said, as it was published. */
function* checkAcknowledged(
  history: readonly HistoryEvent[],
  invoked: ReadonlyMap<string, Invoked>,
  log: FinalLog,
): Generator<Violation> {
  for (const [i, event] of history.entries()) {
    if (event.op !== "publish" || event.kind !== "ok") continue;
    const { draft, epoch, offset, durability } = event;
    const publish = invoked.get(draft) as Invoked;
    const where = log.placeOf({ channel: publish.channel, epoch, offset });
    const found = log.at(where);
    if (found !== undefined && found.draft !== draft) {
      const says = `draft ${draft} was acknowledged at ${where}, where the log holds draft ${found.draft}.`;
      yield new Violation("G2", says, [publish, event, found]);
    }
    if (found !== undefined || log.isRemoved(publish.channel, offset)) continue;
    const fault = history.find((other, j) => j > i && other.op === "fault" && mayTake(other, durability));
    if (fault !== undefined) continue;
    yield new Violation("G1", `draft ${draft} was acknowledged at ${where}, where the log holds nothing.`, [
      publish,
      event,
    ]);
  }
}

function mayTake({ takes }: EventOf<"fault", "info">, durability: Durability): boolean {
  return takes !== undefined && durabilities.indexOf(takes) >= durabilities.indexOf(durability);
}

/** No acknowledgement claims more than is true. */
function* checkDurability(
  history: readonly HistoryEvent[],
  invoked: ReadonlyMap<string, Invoked>,
  { durability: truth = {}, namespaces }: Setup,
): Generator<Violation> {
  const names = new Set(namespaces);
  for (const event of history) {
    if (event.op !== "publish" || event.kind !== "ok") continue;
    const publish = invoked.get(event.draft) as Invoked;
    const most = truth[namespaceOf(publish.channel, names)];
    if (most === undefined || durabilities.indexOf(event.durability) <= durabilities.indexOf(most)) continue;
    const says = `draft ${event.draft} was acknowledged as ${event.durability}, and only ${most} was true.`;
    yield new Violation("G14", says, [publish, event]);
  }
}

/** Every message was published, as it is, once, and by somebody who was not told that it was not. */
function* checkLogged(
  history: readonly HistoryEvent[],
  invoked: ReadonlyMap<string, Invoked>,
  log: FinalLog,
): Generator<Violation> {
  const failed = new Map<string, EventOf<"publish" | "schedule", "fail" | "info">>();
  for (const event of history) {
    if ((event.op === "publish" || event.op === "schedule") && event.kind === "fail") failed.set(event.draft, event);
  }
  const seen = new Map<string, Logged>();
  for (const message of log.messages) {
    const { draft, offset } = message;
    const published = invoked.get(draft);
    const failure = failed.get(draft);
    const before = seen.get(draft);
    if (published === undefined)
      yield new Violation("G4", `the message at ${offset} is draft ${draft}, which nobody published.`, [message]);
    else if (!isSame(published, message))
      yield new Violation("G4", `draft ${draft} is not in the log as it was published.`, [published, message]);
    if (failure !== undefined) {
      const says = `draft ${draft} failed with ${failure.error} and is in the log at ${offset}.`;
      yield new Violation("G4", says, [published, failure, message]);
    }
    if (before !== undefined) {
      const says = `draft ${draft} is in the log twice, at ${before.offset} and ${offset}.`;
      yield new Violation("G7", says, [published, before, message]);
    }
    seen.set(draft, message);
  }
}

/** Every scheduled draft was published in the end, unless it was taken back, or somebody tried to. */
function* checkScheduled(history: readonly HistoryEvent[], log: FinalLog): Generator<Violation> {
  const settled = new Set(log.messages.map(({ draft }) => draft));
  for (const event of history)
    if (event.op === "schedule" && (event.kind === "fail" || event.kind === "info")) settled.add(event.draft);
  for (const event of history) {
    if (event.op === "schedule" && event.kind === "ok" && !settled.has(event.draft))
      yield new Violation("G1", `draft ${event.draft} was scheduled, and is not in the log.`, [event]);
  }
}

/** What one process published is in each log in the order in which it was invoked. */
function* checkOrder(history: readonly HistoryEvent[], log: FinalLog): Generator<Violation> {
  const invoked = new Map<string, { readonly event: EventOf<"publish", "invoke">; readonly at: number }>();
  for (const event of history) {
    if (event.op === "publish" && event.kind === "invoke") invoked.set(event.draft, { event, at: invoked.size });
  }
  const last = new Map<string, { readonly message: Logged; readonly at: number }>();
  for (const message of log.messages) {
    const publish = invoked.get(message.draft);
    if (publish === undefined) continue;
    const { process } = publish.event;
    const sequence = `${process} in ${log.namespaceOf(message.channel)}`;
    const before = last.get(sequence);
    if (before !== undefined && before.at > publish.at) {
      const first = before.message.draft;
      const says = `${process} published draft ${message.draft} before draft ${first}, which comes first in the log.`;
      yield new Violation("G6", says, [publish.event, before.message, message]);
    }
    last.set(sequence, { message, at: publish.at });
  }
}

/** Who ran until the end was told what became of everything. */
function* checkAnswered(
  history: readonly HistoryEvent[],
  invoked: ReadonlyMap<string, Invoked>,
  finishers: readonly string[],
): Generator<Violation> {
  const answered = new Set<string>();
  for (const event of history) {
    if ((event.op === "publish" || event.op === "schedule") && event.kind !== "invoke") answered.add(event.draft);
  }
  for (const event of invoked.values()) {
    if (finishers.includes(event.process) && !answered.has(event.draft))
      yield new Violation("G13", `${event.process} never heard what became of draft ${event.draft}.`, [event]);
  }
}

/** No connection costs a hub more than it may. */
export function* checkBuffers(history: readonly HistoryEvent[]): Generator<Violation> {
  for (const event of history) {
    if (event.op === "buffer" && event.bytes > event.bytesMax) {
      const says = `${event.process} held ${event.bytes} bytes for a connection that may have ${event.bytesMax}.`;
      yield new Violation("G12", says, [event]);
    }
  }
}
