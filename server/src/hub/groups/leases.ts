/**
 * Who holds which message: the state machine of a group. It knows no log, no store and no clock of its own; time and
 * chance are passed in, and what must be remembered goes to a journal.
 */
import type { GroupPolicy, Offset } from "@dogear/shared";
import TinyQueue from "tinyqueue";
import { backoffMs } from "./backoff.ts";
import { Deadlines } from "./deadlines.ts";
import type { DeathReason, Item, Lease } from "./item.ts";
import { Line } from "./line.ts";
import { type Member, Members } from "./members.ts";

/** Where it is kept what became of messages that were leased, or passed over. */
export interface Journal {
  store(item: Item): void;
  remove(offset: Offset): void;
}

export interface LeasesParts {
  readonly policy: GroupPolicy;
  readonly journal: Journal;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  /** A fence that is larger than every one before. */
  readonly nextFence: () => number;
}

/** How a member ends leases, or extends them. */
export type Settlement =
  | { readonly outcome: "ack" | "release" }
  | { readonly outcome: "retry"; readonly delayMs?: number | undefined; readonly error?: string | undefined }
  | { readonly outcome: "reject"; readonly error?: string | undefined }
  | { readonly outcome: "extend"; readonly leaseMs?: number | undefined };

/** A message on its way to a member. */
export interface Grant {
  readonly item: Item;
  readonly member: Member;
  readonly fence: number;
}

/** Where a message was taken in from: its channel, or the dead letters. */
type Kind = "messages" | "redriven";

const ranOut = "The lease ran out.";

export class Leases {
  readonly members: Members;
  /** Everything that was taken in and is not settled. */
  readonly items: Map<Offset, Item> = new Map();
  /** What the group gave up, until it is a dead letter. */
  readonly dying: Set<Item> = new Set();
  readonly line: Line = new Line();
  readonly #parts: LeasesParts;
  readonly #deadlines = new Deadlines();
  readonly #delayed = new TinyQueue<Item>([], (a, b) => a.due - b.due);
  /** What was taken in and never stored, oldest first: messages, and dead letters given to the group once more. */
  readonly #fresh = { messages: new Map<Offset, Item>(), redriven: new Map<Offset, Item>() };

  constructor(parts: LeasesParts) {
    this.#parts = parts;
    this.members = new Members(parts.policy.order === "all");
  }

  /** When something happens by itself: a lease runs out, or a message is due. */
  get next(): number {
    return Math.min(this.#deadlines.next, this.#delayed.peek()?.due ?? Number.POSITIVE_INFINITY);
  }

  /** How many were taken in and never stored. */
  freshCount(kind: Kind): number {
    return this.#fresh[kind].size;
  }

  /** Forgets what was taken in and never stored: it can be taken in again. */
  dropFresh(kind: Kind): void {
    const fresh = [...this.#fresh[kind].values()];
    this.line.remove(new Set(fresh));
    for (const item of fresh) this.forget(item);
  }

  /** The oldest message that was taken in and never stored. */
  firstFresh(kind: Kind): Offset | undefined {
    const [first] = this.#fresh[kind].keys();
    return first;
  }

  /** Takes in a message that comes after all before it. False, and nothing changes, where it is known already. */
  offer(item: Item): boolean {
    if (this.items.has(item.offset)) return false;
    this.items.set(item.offset, item);
    this.#fresh[kindOf(item)].set(item.offset, item);
    this.line.add(item);
    return true;
  }

  /** Takes in a message as it was when the hub stopped. */
  restore(item: Item, now: number): void {
    this.items.set(item.offset, item);
    if (item.stage === "leased") {
      const lease = item.lease as Lease;
      this.members.remember(lease.holder).held.set(lease.fence, item);
      this.#deadlines.start(item, lease, now);
      this.line.hold(item);
    } else if (item.stage === "delayed") {
      this.#delayed.push(item);
      if (this.#parts.policy.onFailure === "block") this.line.hold(item);
    } else if (item.stage === "dying") {
      this.dying.add(item);
      if (this.#parts.policy.onFailure === "block") this.line.hold(item);
    } else {
      this.line.add(item);
    }
  }

  /**
   * Takes over from those of before a reset: the members, and dead letters that were given to the group once more. They
   * are not where its place is, and nobody holds them any more.
   */
  succeed(before: Leases, now: number): void {
    for (const { lease, ...item } of before.items.values()) {
      if (!item.redriven) continue;
      // What was leased and never sent was not delivered.
      const deliveries = item.deliveries - (lease?.until === Number.POSITIVE_INFINITY ? 1 : 0);
      const stage = lease === undefined ? item.stage : "waiting";
      const kept: Item = { ...item, stage, deliveries, lease: undefined };
      this.#parts.journal.store(kept);
      this.restore(kept, now);
    }
    for (const { id, window, open } of before.members.attached()) this.members.attach(id, window, open);
  }

  /**
   * A member works over a new connection. What it says it holds, and does, it keeps under a new fence; the rest is
   * given back. It gets nothing more before it is open.
   */
  join(id: string, window: number, holding: ReadonlySet<Offset>, now: number): readonly Grant[] {
    const held = [...this.members.remember(id).held.values()];
    const member = this.members.attach(id, window, false);
    const kept: Grant[] = [];
    for (const item of held) {
      const lease = this.#take(item);
      // What was never sent cannot be held.
      if (!holding.has(item.offset) || lease.until === Number.POSITIVE_INFINITY) {
        this.#wait(item);
      } else {
        const fence = this.#hand(item, member);
        this.#store([item]);
        this.#deadlines.start(item, item.lease as Lease, now);
        kept.push({ item, member, fence });
      }
    }
    this.members.changed(member);
    return kept;
  }

  /** A member gets no more and gives back everything but what it still works on. */
  leave(member: Member, holding: ReadonlySet<Offset>): void {
    member.window = 0;
    for (const item of [...member.held.values()]) if (!holding.has(item.offset)) this.#release(item);
    this.members.changed(member);
  }

  /** Whether there is a message that may go, and a member with room for it. */
  get canGrant(): boolean {
    return this.line.ready > 0 && this.members.next() !== undefined;
  }

  /**
   * Leases waiting messages to members with room, in turn: about as much as the budget allows. Nothing may be sent
   * before the journal is durable.
   */
  grant(wallNow: number, budget: { readonly messages: number; readonly bytes: number }): readonly Grant[] {
    const grants: Grant[] = [];
    let bytes = 0;
    for (let member = this.members.next(); member !== undefined; member = this.members.next()) {
      if (grants.length >= budget.messages || bytes >= budget.bytes) break;
      const item = this.#nextItem(wallNow);
      if (item === undefined) break;
      bytes += item.bytes;
      item.deliveries++;
      grants.push({ item, member, fence: this.#hand(item, member) });
      this.members.served(member);
    }
    this.#store(grants.map(({ item }) => item));
    return grants;
  }

  /** Whether a grant still holds; if so its lease begins now, because the message is on its way. */
  sent({ item, fence }: Grant, now: number): boolean {
    if (item.lease?.fence !== fence) return false;
    this.#deadlines.start(item, item.lease, now);
    return true;
  }

  /** Takes grants back that could not be stored, or not be sent: nobody has heard of them. */
  revoke(grants: readonly Grant[]): void {
    for (const { item, fence } of grants) {
      if (item.lease?.fence === fence) this.#release(item);
    }
  }

  /** Settles what a member holds. False, and nothing changes, where it does not hold it (any more). */
  settle(member: Member, fence: number, settlement: Settlement, now: number): boolean {
    const item = member.held.get(fence);
    // What was never sent cannot be settled: its fence was guessed.
    if (item?.lease === undefined || item.lease.until === Number.POSITIVE_INFINITY) return false;
    switch (settlement.outcome) {
      case "extend":
        this.#extend(item, settlement.leaseMs, now);
        break;
      case "ack":
        this.#take(item);
        this.forget(item);
        break;
      case "release":
        this.#release(item);
        break;
      case "retry":
        this.#take(item);
        this.#fail(item, settlement.error, settlement.delayMs, now);
        break;
      case "reject":
        this.#take(item);
        item.failures++;
        item.error = settlement.error ?? item.error;
        this.die(item, "rejected");
    }
    return true;
  }

  /** Does what is due by now: ends leases that ran out, and lets delayed messages wait in line again. */
  advance(now: number): void {
    for (const item of this.#deadlines.expired(now)) {
      if (this.#take(item).orphaned) this.#wait(item);
      else this.#fail(item, ranOut, undefined, now);
    }
    for (let item = this.#delayed.peek(); item !== undefined && item.due <= now; item = this.#delayed.peek()) {
      this.#delayed.pop();
      // One that was given up meanwhile is not delayed any more.
      if (item.stage === "delayed") this.#wait(item);
    }
  }

  /** Gives a message up: it is dying until it is a dead letter. */
  die(item: Item, reason: DeathReason): void {
    item.stage = "dying";
    item.reason = reason;
    this.dying.add(item);
    this.#store([item]);
    if (this.#parts.policy.onFailure === "skip") this.line.ended(item);
  }

  /** A message is settled: nothing is known of it any more. */
  forget(item: Item): void {
    this.items.delete(item.offset);
    this.dying.delete(item);
    this.#fresh[kindOf(item)].delete(item.offset);
    this.line.ended(item);
    this.#parts.journal.remove(item.offset);
  }

  /** Forgets a message, whoever holds it: the log has it no more. */
  discard(item: Item): void {
    if (item.lease !== undefined) this.#take(item);
    else if (item.stage === "waiting") this.line.remove(new Set([item]));
    this.forget(item);
  }

  /**
   * Everything up to an offset is about to be removed. What was leased or failed is given up; what no member ever saw
   * is forgotten. Returns how many that were.
   */
  retire(through: Offset): number {
    const gone = [...this.items.values()].filter(({ offset, stage }) => offset <= through && stage !== "dying");
    this.line.remove(new Set(gone.filter(({ stage }) => stage === "waiting")));
    let lost = 0;
    for (const item of gone) {
      if (item.lease !== undefined) this.#take(item);
      if (item.deliveries > 0) {
        this.die(item, "retention");
      } else {
        this.forget(item);
        lost++;
      }
    }
    return lost;
  }

  /** The next message in line; one that has expired is given up on the way. */
  #nextItem(wallNow: number): Item | undefined {
    for (let item = this.line.take(); item !== undefined; item = this.line.take()) {
      if (item.expires === undefined || item.expires > wallNow) return item;
      this.die(item, "ttl");
    }
    return undefined;
  }

  /** Leases a message to a member, who may not hear of it before it is stored. Returns its fence. */
  #hand(item: Item, member: Member): number {
    const fence = this.#parts.nextFence();
    const { leaseMs } = this.#parts.policy;
    item.stage = "leased";
    item.lease = { fence, holder: member.id, leaseMs, until: Number.POSITIVE_INFINITY, orphaned: false };
    member.held.set(fence, item);
    return fence;
  }

  /** Ends an item's lease. */
  #take(item: Item): Lease {
    const lease = item.lease as Lease;
    item.lease = undefined;
    // Nobody has heard of one that was never sent.
    if (lease.until === Number.POSITIVE_INFINITY) item.deliveries--;
    this.#deadlines.stop(lease);
    const member = this.members.get(lease.holder);
    member?.held.delete(lease.fence);
    if (member !== undefined) this.members.changed(member);
    return lease;
  }

  #release(item: Item): void {
    this.#take(item);
    this.#wait(item);
  }

  #extend(item: Item, leaseMs: number | undefined, now: number): void {
    const lease = item.lease as Lease;
    this.#deadlines.stop(lease);
    item.lease = { ...lease, leaseMs: leaseMs ?? this.#parts.policy.leaseMs };
    this.#deadlines.start(item, item.lease, now);
  }

  #fail(item: Item, error: string | undefined, delayMs: number | undefined, now: number): void {
    const { policy, random } = this.#parts;
    item.failures++;
    item.error = error ?? item.error;
    if (item.failures >= policy.maxFailures) return this.die(item, "max-failures");
    item.stage = "delayed";
    item.due = now + (delayMs ?? backoffMs(policy.backoff, item.failures, random()));
    this.#delayed.push(item);
    if (policy.onFailure === "skip") this.line.ended(item);
    this.#store([item]);
  }

  #wait(item: Item): void {
    item.stage = "waiting";
    this.line.add(item);
    this.#store([item]);
  }

  /**
   * Puts messages into the journal, and those that they overtook: what the journal was told of last, is behind them. All
   * of a round at once, because the way to the first entry of a map is as long as the number of those deleted before it.
   */
  #store(items: readonly Item[]): void {
    const { journal } = this.#parts;
    const last = { messages: 0, redriven: 0 };
    for (const item of items) {
      const kind = kindOf(item);
      if (this.#fresh[kind].has(item.offset)) last[kind] = Math.max(last[kind], item.offset);
      else journal.store(item);
    }
    if (last.messages > 0) this.#storeFresh("messages", last.messages);
    if (last.redriven > 0) this.#storeFresh("redriven", last.redriven);
  }

  #storeFresh(kind: Kind, through: number): void {
    const fresh = this.#fresh[kind];
    for (const [offset, item] of fresh) {
      if (offset > through) break;
      fresh.delete(offset);
      this.#parts.journal.store(item);
    }
  }
}

function kindOf({ redriven }: Item): Kind {
  return redriven ? "redriven" : "messages";
}
