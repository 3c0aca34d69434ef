/**
 * A group's leases with all that is around them, a log that is read, members, a disk, a clock and a hub that crashes,
 * and beside them the reference. After every step the two must agree.
 */
import type { GroupPolicy, Offset } from "@dogear/shared";
import type { Item } from "../../../server/src/hub/groups/item.ts";
import { type Grant, Leases, type Settlement } from "../../../server/src/hub/groups/leases.ts";
import type { GroupHead } from "../../../server/src/hub/groups/record.ts";
import { Disk } from "./disk.ts";
import { type Kept, Reference, type Told } from "./reference.ts";
import { at, must, newHead, newItem } from "./support.ts";

/** What can happen. Numbers choose among what there is; a choice that does not exist does nothing. */
export type Step =
  | {
      readonly do: "publish";
      readonly key: string | undefined;
      readonly ttlMs: number | undefined;
      readonly redriven: boolean;
    }
  | { readonly do: "read"; readonly count: number }
  | {
      readonly do: "join";
      readonly who: string;
      readonly window: number;
      readonly holding: number;
      readonly opens: boolean;
    }
  | { readonly do: "open" | "close" | "detach" | "leave"; readonly who: string }
  /** `atOnce`: how many messages are leased before the budget is used up. */
  | { readonly do: "grant"; readonly atOnce: number }
  /** `round` does all that a group does in one. */
  | { readonly do: "flush" | "round" }
  /** Each bit of `which` says whether a grant is sent or revoked. */
  | { readonly do: "send"; readonly which: number }
  | {
      readonly do: "settle";
      readonly who: string;
      readonly fence: number;
      readonly own: boolean;
      readonly as: Settlement;
    }
  | { readonly do: "wait"; readonly until: "next" | "any"; readonly ms: number }
  | { readonly do: "bury" | "retire" | "discard"; readonly which: number }
  | { readonly do: "crash"; readonly downMs: number };

type Kind = "messages" | "redriven";

/** What a crash goes back to. */
interface Snapshot {
  readonly items: readonly Kept[];
  /** Up to here the log was read. */
  readonly read: Readonly<Record<Kind, number>>;
}

export class World {
  readonly #policy: GroupPolicy;
  readonly #random: number;
  readonly #reference: Reference;
  readonly #disk: Disk;
  #head: GroupHead;
  #leases: Leases;
  #wall = 1_795_400_000_000;
  /** When the monotonic clock began. */
  #boot = this.#wall - 17;
  #log: Told[] = [];
  #read: Record<Kind, number> = { messages: 0, redriven: 0 };
  #newest = 0;
  /** The log loses everything up to here, once it is stored that it may. */
  #retired = 0;
  #granted: Grant[] = [];
  #stored: Grant[] = [];
  /** Fences that a member was told. */
  readonly #told = new Set<number>();
  /** Messages in the order in which they were first sent. */
  readonly #sent = new Set<Offset>();
  readonly #buried = new Set<Offset>();
  #snapshot: Snapshot = { items: [], read: { messages: 0, redriven: 0 } };

  constructor(policy: GroupPolicy, random: number) {
    this.#policy = policy;
    this.#random = random;
    this.#reference = new Reference(policy, random);
    this.#head = newHead(policy);
    const clock = { now: () => this.#wall, monotonic: () => this.#now, after: () => () => {}, soon: () => {} };
    this.#disk = new Disk(clock);
    this.#leases = this.#newLeases();
    this.#flush();
  }

  step(step: Step): void {
    this.#step(step);
    this.#reference.check(this.#leases, this.#boot);
  }

  /** One willing member is all that is needed for everything to end. */
  finish(): void {
    for (const id of this.#reference.members.keys()) this.#step({ do: "detach", who: id });
    this.#step({ do: "flush" });
    this.#step({ do: "send", which: 0 });
    this.#step({ do: "join", who: "last", window: 2, holding: 0, opens: true });
    const rounds = 10 + 3 * this.#log.length;
    for (let round = 0; round < rounds && !this.#isDone; round++) {
      this.step({ do: "round" });
      for (const { lease } of this.#reference.heldBy("last")) {
        this.#settle("last", lease?.fence as number, { outcome: "ack" });
      }
      while (this.#leases.dying.size > 0) this.step({ do: "bury", which: 0 });
      if (!this.#isDone && !this.#hasWork) this.step({ do: "wait", until: "next", ms: 1 });
    }
    must(this.#isDone, () => `${this.#reference.items.map(({ offset }) => offset)} never end`);
  }

  get #now(): number {
    return this.#wall - this.#boot;
  }

  get #isDone(): boolean {
    return this.#leases.items.size === 0 && this.#unread("messages").length + this.#unread("redriven").length === 0;
  }

  /** Whether another round does something without waiting. */
  get #hasWork(): boolean {
    return this.#leases.line.ready > 0;
  }

  #step(step: Step): void {
    const { members } = this.#reference;
    switch (step.do) {
      case "publish":
        return this.#publish(step);
      case "read":
        return this.#readOn(step.count);
      case "join":
        this.#join(step.who, step.window, step.holding);
        if (step.opens) this.#change(step.who, "open");
        return;
      case "grant":
        return this.#grant(step.atOnce);
      case "flush":
        return this.#flush();
      case "round":
        return this.#round();
      case "send":
        return this.#send(step.which);
      case "settle": {
        const own = this.#reference.heldBy(step.who).map(({ lease }) => lease?.fence as number);
        const fences = step.own ? own : [...this.#told, this.#head.fence, this.#head.fence + 1];
        return this.#settle(step.who, fences[step.fence % fences.length] ?? 0, step.as);
      }
      case "wait": {
        const { next } = this.#leases;
        const until =
          step.until === "next" && next !== Infinity ? next + this.#boot - 1 + (step.ms % 3) : this.#wall + step.ms;
        return this.#advance(Math.max(this.#wall, until));
      }
      case "bury":
        return this.#bury(step.which);
      case "retire":
        return this.#retire(at(Math.max(0, this.#newest - step.which)));
      case "discard":
        return this.#discard(step.which);
      case "crash":
        return this.#crash(step.downMs);
      default:
        if (members.get(step.who)?.attached === true) this.#change(step.who, step.do);
    }
  }

  #round(): void {
    this.#advance(this.#wall);
    this.#readOn(5);
    this.#grant(100);
    this.#flush();
    this.#send(-1);
  }

  #publish({ key, ttlMs, redriven }: { key: string | undefined; ttlMs: number | undefined; redriven: boolean }): void {
    const { order } = this.#policy;
    this.#newest++;
    this.#log.push({
      offset: at(this.#newest),
      key: order === "none" ? undefined : order === "all" ? "" : key,
      expires: ttlMs === undefined || redriven ? undefined : this.#wall + ttlMs,
      redriven,
    });
  }

  #unread(kind: Kind): readonly Told[] {
    return this.#log.filter(({ offset, redriven }) => redriven === (kind === "redriven") && offset > this.#read[kind]);
  }

  #readOn(count: number): void {
    for (const kind of ["messages", "redriven"] as const) {
      for (const told of this.#unread(kind).slice(0, count)) {
        this.#read[kind] = told.offset;
        const isNew = this.#reference.get(told.offset) === undefined;
        must(this.#leases.offer(newItem(told.offset, told)) === isNew, () => `${told.offset} is new`);
        this.#reference.offer(told);
      }
    }
  }

  #join(who: string, window: number, chosen: number): void {
    const holding = new Set(this.#log.map(({ offset }) => offset).filter((offset) => (chosen >> (offset % 6)) & 1));
    const kept = this.#leases.join(who, window, holding, this.#now);
    this.#reference.join(who, window, holding, kept, this.#wall);
    // It is stored before the member hears of it.
    this.#flush();
    for (const { item, fence } of kept) {
      this.#told.add(fence);
      this.#sent.add(item.offset);
    }
  }

  #change(who: string, what: "open" | "close" | "detach" | "leave"): void {
    const { members } = this.#leases;
    const member = members.get(who);
    must(member !== undefined, () => `${who} is a member`);
    if (what === "leave") {
      this.#leases.leave(member, new Set());
      this.#leases.members.detach(member);
      this.#reference.leave(who);
    } else if (what === "detach") {
      members.detach(member);
      this.#reference.change(who, { attached: false });
    } else {
      member.open = what === "open";
      members.changed(member);
      this.#reference.change(who, { open: member.open });
    }
  }

  #grant(atOnce: number): void {
    const before = new Set(this.#leases.dying);
    // The budget is of messages or of bytes.
    const budget = { messages: atOnce % 2 === 0 ? atOnce : 100, bytes: atOnce % 2 === 0 ? 1e9 : 100 * atOnce };
    const grants = this.#leases.grant(this.#wall, budget);
    const expired = [...this.#leases.dying].filter((item) => !before.has(item)).map(({ offset }) => offset);
    this.#reference.granted(grants, expired, this.#wall);
    this.#granted.push(...grants);
    const bytes = grants.reduce((sum, { item }) => sum + item.bytes, 0);
    const isUsedUp = grants.length >= budget.messages || bytes >= budget.bytes;
    const { ready } = this.#reference;
    must(isUsedUp || ready.length === 0, () => `${ready} could be leased and are not`);
    must(this.#leases.canGrant === ready.length > 0, () => `${ready} are left to lease`);
  }

  #send(which: number): void {
    for (const [i, grant] of this.#stored.splice(0).entries()) {
      if (((which >> (i % 8)) & 1) === 0) {
        this.#leases.revoke([grant]);
        this.#reference.revoked(grant);
      } else {
        const sent = this.#reference.sent(grant, this.#wall);
        must(this.#leases.sent(grant, this.#now) === sent, () => `grant ${grant.fence} holds: ${sent}`);
        if (sent) this.#noteSent(grant);
      }
    }
  }

  #noteSent({ item: { offset, key, redriven }, fence }: Grant): void {
    must(!this.#told.has(fence), () => `fence ${fence} was told before`);
    this.#told.add(fence);
    if (!this.#sent.has(offset) && key !== undefined && !redriven) {
      const later = this.#log.filter((told) => told.key === key && !told.redriven && told.offset > offset);
      must(!later.some((told) => this.#sent.has(told.offset)), () => `${offset} comes after a later one of its key`);
    }
    this.#sent.add(offset);
  }

  #settle(who: string, fence: number, settlement: Settlement): void {
    const member = this.#leases.members.get(who);
    if (member === undefined || this.#reference.members.get(who)?.attached !== true) return;
    const settled = this.#reference.settle(who, fence, settlement, this.#wall);
    must(
      this.#leases.settle(member, fence, settlement, this.#now) === settled,
      () => `${who} holds ${fence}: ${settled}`,
    );
  }

  #advance(wall: number): void {
    this.#wall = wall;
    this.#leases.advance(this.#now);
    this.#reference.advance(wall);
    must(this.#leases.next > this.#now, () => "what was due is done");
  }

  #bury(which: number): void {
    const dying = [...this.#leases.dying];
    const item = dying[which % dying.length];
    if (item === undefined) return;
    // That it is dying is stored before it is a dead letter.
    this.#flush();
    must(!this.#buried.has(item.offset), () => `${item.offset} is a dead letter twice`);
    this.#buried.add(item.offset);
    this.#leases.forget(item);
    this.#reference.forget(this.#reference.get(item.offset) as Kept);
  }

  #retire(through: Offset): void {
    const lost = this.#reference.retire(through);
    must(this.#leases.retire(through) === lost, () => `${lost} are lost`);
    this.#retired = Math.max(this.#retired, through);
  }

  #discard(which: number): void {
    // What failed and is delayed is not looked for in the log.
    const items = [...this.#leases.items.values()].filter(({ stage }) => stage !== "delayed");
    const item = items[which % items.length];
    if (item === undefined) return;
    this.#leases.discard(item);
    this.#reference.forget(this.#reference.get(item.offset) as Kept);
    this.#log = this.#log.filter(({ offset }) => offset !== item.offset);
  }

  #flush(): void {
    // As the intake notes it: before the first that was never stored everything is settled, or stored.
    const before = (kind: Kind) => at((this.#leases.firstFresh(kind) ?? this.#read[kind] + 1) - 1);
    this.#head.position = at(Math.max(this.#head.position, before("messages")));
    this.#head.redriven = before("redriven");
    this.#disk.flush(this.#head);
    this.#stored.push(...this.#granted.splice(0));
    this.#log = this.#log.filter(({ offset }) => offset > this.#retired);
    this.#snapshot = { items: this.#reference.restarted(this.#reference.items, 0), read: { ...this.#read } };
    this.#checkStored();
  }

  /** After a crash now, what is not settled would be found, or read again; and nothing else. */
  #checkStored(): void {
    const { items, read } = this.#snapshot;
    const { stored } = this.#disk;
    const position = ({ redriven }: Told) => (redriven ? this.#head.redriven : this.#head.position);
    const unsettled = new Map(items.map((item) => [item.offset, item]));
    for (const item of items) {
      const isUntouched = item.stage === "waiting" && item.deliveries + item.failures === 0;
      const isRead = isUntouched && item.offset > position(item);
      must(stored.has(item.offset) || isRead, () => `${item.offset} would not be found after a crash`);
    }
    for (const told of this.#log) {
      const isKnown = told.offset <= read[told.redriven ? "redriven" : "messages"];
      const isRepeated = isKnown && told.offset > position(told) && !unsettled.has(told.offset);
      must(!isRepeated, () => `${told.offset} is settled and would be read again`);
    }
    for (const offset of stored) must(unsettled.has(offset), () => `${offset} is settled and stored`);
  }

  #crash(downMs: number): void {
    this.#wall += downMs;
    this.#boot = this.#wall - 5;
    this.#granted = [];
    this.#stored = [];
    this.#retired = 0;
    const { stored } = this.#disk;
    const { head, items } = this.#disk.crash();
    this.#head = head;
    this.#read = { messages: head.position, redriven: head.redriven };
    this.#leases = this.#newLeases();
    for (const offset of this.#buried) this.#disk.remove(offset);
    this.#restore(items.filter(({ offset }) => !this.#buried.has(offset)));
    this.#adopt(this.#snapshot.items.filter(({ offset }) => stored.has(offset) && !this.#buried.has(offset)));
  }

  /** As a group recovers: those that hold up others first. */
  #restore(items: readonly Item[]): void {
    const sorted = [...items].sort((a, b) => a.offset - b.offset);
    const waits = ({ stage }: Item) => stage === "waiting";
    const inOrder = [...sorted.filter((item) => !waits(item)), ...sorted.filter(waits)];
    for (const item of inOrder) this.#leases.restore(item, this.#now);
  }

  /** The reference goes back too; only the fences are the leases' choice, and none that was told before. */
  #adopt(items: readonly Kept[]): void {
    const reference = this.#reference;
    reference.members.clear();
    reference.items = reference.restarted(items, this.#wall);
    reference.fence = Math.max(0, ...this.#told);
    for (const item of reference.items) {
      const fence = this.#leases.items.get(item.offset)?.lease?.fence;
      if (item.lease === undefined || fence === undefined) continue;
      must(fence > Math.max(0, ...this.#told), () => `fence ${fence} was told before the crash`);
      item.lease = { ...item.lease, fence };
      reference.fence = Math.max(reference.fence, fence);
      if (!reference.members.has(item.lease.holder)) {
        reference.members.set(item.lease.holder, { window: 0, attached: false, open: false });
      }
    }
  }

  #newLeases(): Leases {
    return new Leases({
      policy: this.#policy,
      journal: this.#disk,
      random: () => this.#random,
      nextFence: () => ++this.#head.fence,
    });
  }
}
