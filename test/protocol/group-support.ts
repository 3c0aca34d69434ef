/** Members of groups that know the protocol's envelopes and none of its rules, and operators who ask about them. */
import { cpSync, lstatSync } from "node:fs";
import type {
  Action,
  Browsed,
  CursorList,
  CursorReport,
  ErrorEnvelope,
  GroupList,
  GroupReport,
  Leased,
  WireMessage,
  Working,
} from "@dogear/shared";
import { browsed, cursorList, cursorReport, groupList, groupReport } from "../../shared/src/administration.ts";
import { temporaryFolder } from "../support/temp.ts";
import { type BareSocket, count, greet, publish, Reader } from "./support.ts";

/** A message as it was leased. */
export interface Lease extends WireMessage {
  readonly member: number;
  readonly fence: number;
  readonly deliveries: number;
  readonly failures: number;
}

type Hub = { readonly url: string };

/** How long a report may keep a test waiting. */
const untilMs = 10_000;

/** What a member says that wants to work, as member 1 with the id `w` in the group `g` on `jobs.>` where nothing else is said. */
export function wanted(asked: object = {}): object {
  return { is: "work", member: 1, id: "w", group: "g", pattern: "jobs.>", ...asked };
}

/** Works, and waits until that is confirmed. */
export async function work(socket: BareSocket, asked: object = {}): Promise<Working> {
  socket.send(wanted(asked));
  return socket.next("working");
}

/** A connection with one member on it. */
export async function worker(hub: Hub, asked: object = {}): Promise<BareSocket> {
  const socket = await greet(hub);
  await work(socket, asked);
  return socket;
}

/** What comes in the next `leased`. */
export async function leased(socket: BareSocket): Promise<Lease[]> {
  return pairs(await socket.next("leased"));
}

/** Waits until so many messages have been leased, to any member on a connection. */
export async function leases(socket: BareSocket, many: number): Promise<Lease[]> {
  const all: Lease[] = [];
  while (all.length < many) all.push(...(await leased(socket)));
  return all;
}

export async function lease(socket: BareSocket): Promise<Lease> {
  const [only, ...rest] = await leased(socket);
  if (only === undefined || rest.length > 0) throw new Error(`Not one message, but ${rest.length + 1}.`);
  return only;
}

function pairs({ member, leases, messages }: Leased): Lease[] {
  if (leases.length !== messages.length) throw new Error(`${leases.length} leases of ${messages.length} messages.`);
  return messages.map((message, i) => ({ member, ...message, ...(leases[i] as Leased["leases"][number]) }));
}

/** Everything that was leased over a connection so far, also what a test has taken already. */
export function allLeases({ frames }: BareSocket): Lease[] {
  const envelopes = frames.flatMap((frame) => JSON.parse(frame) as Leased | Leased[]);
  return envelopes.filter(({ is }) => is === "leased").flatMap(pairs);
}

export function fencesOf(leases: readonly { readonly fence: number }[]): number[] {
  return leases.map(({ fence }) => fence);
}

export function dataOf(messages: readonly { readonly data?: unknown }[]): unknown[] {
  return messages.map(({ data }) => data);
}

export function offsetsOf(messages: readonly { readonly offset: number }[]): number[] {
  return messages.map(({ offset }) => offset);
}

/** Says what became of messages, as member 1 where no lease says otherwise. */
export function settle(
  socket: BareSocket,
  outcome: string,
  what: readonly (Lease | number)[],
  more: object = {},
): void {
  const fences = what.map((one) => (typeof one === "number" ? one : one.fence));
  const [first] = what;
  const member = typeof first === "object" ? first.member : 1;
  socket.send({ is: "settle", member, outcome, fences, ...more });
}

/** Settles, and waits until all of it is confirmed. */
export async function settled(
  socket: BareSocket,
  ...said: Parameters<typeof settle> extends [unknown, ...infer R] ? R : never
): Promise<void> {
  settle(socket, ...said);
  for (let open = said[1].length; open > 0; ) open -= (await socket.next("settled")).fences.length;
}

/** Sends something that is refused, and returns the refusal. */
export async function refusal(socket: BareSocket, envelope: object): Promise<ErrorEnvelope> {
  socket.send(envelope);
  return socket.next("error");
}

/** Who asks, over a connection of his own. */
export class Operator {
  readonly socket: BareSocket;
  #request = 0;

  private constructor(socket: BareSocket) {
    this.socket = socket;
  }

  static async of(hub: Hub): Promise<Operator> {
    return new Operator(await greet(hub));
  }

  /** Asks, and holds the result to its schema. */
  async ask(action: object): Promise<unknown> {
    const answered = await this.#answered(action);
    if (answered.is === "error") throw new Error(`Refused: ${JSON.stringify(answered)}`);
    return schemaOf(action as Action).parse(answered.result);
  }

  /** Asks for what is refused. */
  async refusal(action: object): Promise<ErrorEnvelope> {
    const answered = await this.#answered(action);
    if (answered.is === "answer") throw new Error(`Answered: ${JSON.stringify(answered)}`);
    return answered;
  }

  async group(action: string, more: object = {}): Promise<GroupReport> {
    return (await this.ask({ do: action, group: "g", ...more })) as GroupReport;
  }

  show(more: object = {}): Promise<GroupReport> {
    return this.group("show-group", more);
  }

  /** Asks until a report is as wanted. */
  async until(holds: (report: GroupReport) => boolean, more: object = {}): Promise<GroupReport> {
    const deadline = performance.now() + untilMs;
    for (;;) {
      const report = await this.show(more);
      if (holds(report)) return report;
      if (performance.now() > deadline)
        throw new Error(`Not so within ${untilMs} ms: ${holds}. ${JSON.stringify(report)}`);
    }
  }

  async browse(more: object = {}): Promise<Browsed> {
    return (await this.ask({ do: "browse-group", group: "g", ...more })) as Browsed;
  }

  async cursor(action: string, more: object = {}): Promise<CursorReport> {
    return (await this.ask({ do: action, user: "anonymous", ...more })) as CursorReport;
  }

  async cursors(more: object = {}): Promise<CursorList> {
    return (await this.ask({ do: "list-cursors", ...more })) as CursorList;
  }

  async groups(more: object = {}): Promise<GroupList> {
    return (await this.ask({ do: "list-groups", ...more })) as GroupList;
  }

  async #answered(action: object) {
    const request = ++this.#request;
    this.socket.send({ is: "ask", request, action });
    for (;;) {
      const envelope = await this.socket.next();
      if ((envelope.is === "answer" || envelope.is === "error") && envelope.request === request) return envelope;
      if (envelope.is !== "ping") throw new Error(`Not an answer to ${request}: ${JSON.stringify(envelope)}`);
    }
  }
}

function schemaOf(action: Action) {
  if (action.do === "list-groups") return groupList;
  if (action.do === "list-cursors") return cursorList;
  if (action.do === "browse-group") return browsed;
  return action.do.endsWith("cursor") ? cursorReport : groupReport;
}

/** Waits until so many dead letters are in a channel, and then reads all there are. */
export async function deadLetters(hub: Hub, many: number, channel = "jobs.$dead.g"): Promise<WireMessage[]> {
  const reader = new Reader(await greet(hub));
  const place = await reader.subscribe({ pattern: channel, from: "earliest" });
  await reader.until(() => place.messages.length >= many && place.state === "live");
  reader.socket.close();
  return place.messages;
}

/** A group of which so many messages are dead letters already, with their numbers as data; nobody works in it any more. */
export async function withDead(hub: Hub, many: number, asked: object = {}): Promise<void> {
  const socket = await worker(hub, { window: 1_000, ...asked });
  await publish(socket, "jobs.a", ...count(1, many));
  await settled(socket, "reject", await leases(socket, many), { error: "no" });
  socket.send({ is: "leave", member: 1 });
  await socket.next("left");
  await (await Operator.of(hub)).until(({ dead }) => dead === many);
  socket.close();
}

/** What a hub's disk holds just now: what a hub finds that starts after a crash. */
export function crashed(data: string): string {
  const copy = temporaryFolder();
  cpSync(data, copy, { recursive: true, filter: (path) => !lstatSync(path).isSocket() });
  return copy;
}

/** Namespaces of which `small` keeps about a megabyte. */
export const small = { namespaces: { small: { retention: { bytes: 1_000_000 } } } };

/** Publishes to `small` until retention has removed everything up to an offset; returns the oldest that is kept. */
export async function overflow(hub: Hub, past: number): Promise<number> {
  const publisher = await greet(hub);
  for (;;) {
    const data = count(1, 10).map(() => "x".repeat(10_000));
    for (const _ of count(1, 4)) await publish(publisher, "small.noise", ...data);
    const reader = new Reader(await greet(hub));
    const { subscribed } = await reader.subscribe({ pattern: "small.>", from: "earliest" });
    reader.socket.close();
    if (subscribed.position >= past) return subscribed.position + 1;
  }
}

/** Numbers from 0 up to, not including, 1, that follow from a seed. */
export function randomOf(seed: number): () => number {
  let state = seed * 2_654_435_761;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 1 | state) + 0x6d2b79f5) | 0;
    return ((state ^ (state >>> 14)) >>> 0) / 4_294_967_296;
  };
}
