/** What an operator is told about a group. */
import type { Browsed, GroupReport, Lag, Offset, Pattern, WireMessage } from "@dogear/shared";
import { textOf } from "../../engine/text.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { GroupLag, GroupLags } from "../../runtime/metrics.ts";
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
    lag: await lagOf(group, clock.now()),
    inFlight: count("leased"),
    delayed: count("delayed"),
    dead: unleased + (await intake.redriver.waiting()),
    deadChannel: head.deadChannel,
    lost: head.lost,
    ...(redrive === undefined ? {} : { redrive: { state: redrive.state, moved: redrive.moved, total: redrive.total } }),
  };
}

/** Groups whose lag is told: each costs a look at the log, and two series. */
const lagsMax = 100;

/** How far behind the first groups are. Others have their turn between two. */
export async function lagsOf(all: readonly Group[], clock: Clock): Promise<GroupLags> {
  const groups = all.filter(({ isClosed }) => !isClosed);
  const lags: GroupLag[] = [];
  for (const group of groups.slice(0, lagsMax)) {
    await new Promise<void>((resolve) => clock.soon(resolve));
    const lag = await lagOf(group, clock.now()).catch(() => undefined);
    if (lag !== undefined) lags.push({ namespace: group.namespace.policy.namespace, group: group.name, ...lag });
  }
  return { count: groups.length, lags };
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

async function lagOf({ namespace: { log }, head, intake, leases }: Group, now: number): Promise<Lag> {
  const through = intake.through;
  const deadChannel = head.deadChannel as string as Pattern;
  let taken = 0;
  const oldest = { own: through as number, redriven: Number.POSITIVE_INFINITY };
  for (const { redriven, offset } of leases.items.values()) {
    // What was taken in ahead of others is counted with the rest of the log.
    if (!redriven && offset > through) continue;
    taken++;
    const of = redriven ? "redriven" : "own";
    oldest[of] = Math.min(oldest[of], offset - 1);
  }
  const messages = taken + (await log.count(head.pattern, through));
  if (messages === 0) return { messages, ageMs: null };
  const times = await Promise.all([
    firstTime(log, head.pattern, oldest.own as Offset),
    oldest.redriven < Number.POSITIVE_INFINITY ? firstTime(log, deadChannel, oldest.redriven as Offset) : undefined,
  ]);
  const time = Math.min(...times.filter((time) => time !== undefined));
  return { messages, ageMs: time === Number.POSITIVE_INFINITY ? null : Math.max(0, now - time) };
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
