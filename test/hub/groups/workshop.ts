/** Leases for a reader: members that take what they are given, and a clock that is moved by hand. */
import type { GroupPolicy } from "@dogear/shared";
import type { Item } from "../../../server/src/hub/groups/item.ts";
import { type Grant, Leases, type Settlement } from "../../../server/src/hub/groups/leases.ts";
import type { Member } from "../../../server/src/hub/groups/members.ts";
import { at, newItem } from "./support.ts";

export class Workshop {
  readonly leases: Leases;
  /** Of what the journal was told last, by offset; what it was told to remove is not there. */
  readonly stored: Map<number, Item> = new Map();
  now = 0;
  wallNow = 1_000_000;
  #fence = 1_000;

  constructor(policy: GroupPolicy, random: () => number = () => 0) {
    this.leases = new Leases({
      policy,
      random,
      nextFence: () => ++this.#fence,
      journal: { store: (item) => this.stored.set(item.offset, item), remove: (offset) => this.stored.delete(offset) },
    });
  }

  /** Takes in messages, named like `3a`: an offset, and a key or none. */
  offer(...names: readonly string[]): void {
    for (const name of names) {
      const key = name.replace(/\d+/, "");
      this.leases.offer(newItem(Number.parseInt(name, 10), { key: key === "" ? undefined : key }));
    }
  }

  /** A member that takes messages from now on. */
  work(id: string, window = 10): Member {
    this.leases.join(id, window, new Set(), this.now);
    return this.open(id);
  }

  open(id: string, open = true): Member {
    const member = this.leases.members.get(id) as Member;
    member.open = open;
    this.leases.members.changed(member);
    return member;
  }

  /** Leases what can be leased, and does not send it yet. */
  grant(budget: { readonly messages?: number; readonly bytes?: number } = {}): readonly Grant[] {
    return this.leases.grant(this.wallNow, { messages: 100, bytes: 1_000_000, ...budget });
  }

  /** Leases what can be leased, and sends it: who gets what. */
  deliver(): readonly string[] {
    const grants = this.grant();
    for (const grant of grants) this.leases.sent(grant, this.now);
    return grants.map(said);
  }

  /** A member rejoins; returns what it keeps. */
  rejoin(id: string, ...holding: readonly number[]): readonly string[] {
    return this.leases.join(id, 10, new Set(holding.map(at)), this.now).map(said);
  }

  /** Whoever holds a message settles it. */
  settle(offset: number, settlement: Settlement): boolean {
    const { lease } = this.item(offset);
    const member = this.leases.members.get(lease?.holder ?? "") as Member;
    return this.leases.settle(member, lease?.fence ?? 0, settlement, this.now);
  }

  /** Time passes. */
  pass(ms: number): void {
    this.now += ms;
    this.leases.advance(this.now);
  }

  item(offset: number): Item {
    const item = this.leases.items.get(at(offset));
    if (item === undefined) throw new Error(`${offset} is not there.`);
    return item;
  }

  /** How a message is: its stage, and how often it was delivered and failed. */
  state(offset: number): string {
    const { stage, deliveries, failures } = this.item(offset);
    return `${stage} ${deliveries}/${failures}`;
  }
}

function said({ member, item }: Grant): string {
  return `${member.id}:${item.offset}`;
}
