/** What an operator is told about a group. */
import type { Browsed, GroupReport, Lag, Offset, Pattern, WireMessage } from "@dogear/shared";
import { textOf } from "../../engine/text.ts";
import type { Clock } from "../../runtime/clock.ts";
import { firstTime } from "../lag.ts";
import { readTexts } from "../texts.ts";
import type { Group } from "./group.ts";
import type { Item } from "./item.ts";

export async function reportOn(group: Group, clock: Clock): Promise<GroupReport> {
  const { head, name, namespace, leases, intake } = group;
  const items = [...leases.items.values()];
  const count = (stage: Item["stage"]) => items.filter((item) => item.stage === stage).length;
  const unleased = leases.freshCount("redriven");
  const redrive = intake.redriver.asOf(unleased);
  return {
    namespace: namespace.policy.namespace,
    group: name,
    pattern: head.pattern,
    policy: head.policy,
    paused: head.paused,
    members: group.members,
    position: { epoch: head.epoch, offset: head.position },
    lag: await lagOf(group, items, clock.now()),
    inFlight: count("leased"),
    delayed: count("delayed"),
    dead: unleased + (await intake.redriver.waiting()),
    deadChannel: head.deadChannel,
    lost: head.lost,
    ...(redrive === undefined ? {} : { redrive: { state: redrive.state, moved: redrive.moved, total: redrive.total } }),
  };
}

const page = { messages: 256, bytes: 1_024 * 1_024, scan: 4 * 1_024 * 1_024 } as const;

/** What a group has not settled, after an offset, in order: what it has taken in, and what it has not come to. */
export async function browse(group: Group, after: Offset, limit: number, clock: Clock): Promise<Browsed> {
  const { log } = group.namespace;
  const { newest } = await log.bounds();
  const taken = [...group.leases.items.values()].filter(({ offset }) => offset > after);
  taken.sort((a, b) => a.offset - b.offset);
  const found = await readTaken(group, taken.slice(0, limit), clock);
  // What was taken in ahead of others is among those; from here on it is left out.
  let through = Math.max(after, group.intake.through) as Offset;
  while (found.filter(({ offset }) => offset <= through).length < limit && through < newest) {
    const read = await log.read(group.head.pattern, through, page);
    for (let i = 0; i < read.messages.length; i++) {
      if (group.leases.items.has(read.messages.offsets[i] as Offset)) continue;
      found.push({ ...parse(textOf(read.messages, i)), state: "waiting", deliveries: 0, failures: 0 });
    }
    through = read.through;
  }
  found.sort((a, b) => a.offset - b.offset);
  const messages = found.slice(0, limit);
  const head = Math.max(newest, through) as Offset;
  const complete = through >= newest && found.length <= limit && taken.length <= limit;
  return { messages, through: complete ? head : (messages.at(-1)?.offset ?? through), head };
}

/** Messages that a group has taken in. */
async function readTaken(group: Group, items: readonly Item[], clock: Clock): Promise<Browsed["messages"]> {
  const { pattern, deadChannel } = group.head;
  const read = (from: Pattern, redriven: boolean) => {
    const wanted = items.filter((item) => item.redriven === redriven).map(({ offset }) => offset);
    return readTexts(group.namespace.log, from, wanted);
  };
  const [own, again] = await Promise.all([read(pattern, false), read(deadChannel as string as Pattern, true)]);
  return items.flatMap((item) => {
    const text = own.get(item.offset) ?? again.get(item.offset);
    return text === undefined ? [] : [{ ...parse(text), ...stateOf(group, item, clock) }];
  });
}

async function lagOf({ namespace: { log }, head, intake }: Group, items: readonly Item[], now: number): Promise<Lag> {
  const through = intake.through;
  const deadChannel = head.deadChannel as string as Pattern;
  // What was taken in ahead of others is counted with the rest of the log.
  const taken = items.filter(({ redriven, offset }) => redriven || offset <= through);
  const messages = taken.length + (await log.count(head.pattern, through));
  const before = (wanted: readonly Item[]) => Math.min(...wanted.map(({ offset }) => offset - 1)) as Offset;
  const own = taken.filter(({ redriven }) => !redriven);
  const again = taken.filter(({ redriven }) => redriven);
  const times = await Promise.all([
    firstTime(log, head.pattern, own.length > 0 ? before(own) : through),
    again.length > 0 ? firstTime(log, deadChannel, before(again)) : undefined,
  ]);
  const oldest = Math.min(...times.filter((time) => time !== undefined));
  return { messages, ageMs: messages === 0 || oldest === Number.POSITIVE_INFINITY ? null : Math.max(0, now - oldest) };
}

type BrowsedState = Pick<Browsed["messages"][number], "state" | "deliveries" | "failures" | "error" | "due">;

function stateOf(group: Group, item: Item, clock: Clock): BrowsedState {
  const { stage, deliveries, failures, error, due } = item;
  const counts = { deliveries, failures, ...(error === undefined ? {} : { error }) };
  if (stage === "delayed") return { state: stage, ...counts, due: Math.round(clock.now() + due - clock.monotonic()) };
  return { state: group.leases.line.blocks(item) ? "blocked" : stage, ...counts };
}

function parse(text: Buffer): Omit<Browsed["messages"][number], keyof BrowsedState> {
  return JSON.parse(text.toString()) as WireMessage as Omit<Browsed["messages"][number], keyof BrowsedState>;
}
