/** What a member still has when it comes back, and what the hub still knows when it does (P-58). */
import { beforeEach, describe, expect, it } from "vitest";
import type { Item, Lease } from "../../../server/src/hub/groups/item.ts";
import { newItem, policyOf } from "./support.ts";
import { Workshop } from "./workshop.ts";

const acked = { outcome: "ack" } as const;

let work: Workshop;

beforeEach(() => {
  work = new Workshop(policyOf());
});

describe("a member that comes back", () => {
  beforeEach(() => {
    work.work("A");
    work.offer("1", "2", "3");
    work.deliver();
  });

  it("keeps what it says it holds, under new fences and from now on (P-58)", () => {
    const before = [1, 2].map((offset) => work.item(offset).lease as Lease);
    work.pass(10_000);
    expect(work.rejoin("A", 1, 2, 99)).toEqual(["A:1", "A:2"]);
    const after = [1, 2].map((offset) => work.item(offset).lease as Lease);
    expect(after.every(({ fence }) => before.every((old) => fence > old.fence))).toBe(true);
    expect(after.map(({ until }) => until)).toEqual([40_000, 40_000]);
    const member = work.open("A");
    expect(work.leases.settle(member, before[0]?.fence ?? 0, acked, work.now)).toBe(false);
    expect(work.settle(1, acked)).toBe(true);
  });

  it("gives back the rest, which is no failure (P-58)", () => {
    work.rejoin("A", 2);
    expect([1, 2, 3].map((offset) => work.state(offset))).toEqual(["waiting 1/0", "leased 1/0", "waiting 1/0"]);
  });

  it("gets nothing more before it is open", () => {
    work.rejoin("A");
    expect(work.deliver()).toEqual([]);
    work.open("A");
    expect(work.deliver()).toEqual(["A:1", "A:2", "A:3"]);
  });
});

describe("after a restart", () => {
  const orphan = (fence: number): Lease => {
    return { fence, holder: "A", leaseMs: 30_000, until: Number.POSITIVE_INFINITY, orphaned: true };
  };
  const restore = (offset: number, facts: Partial<Item>) => work.leases.restore(newItem(offset, facts), work.now);

  it("leases wait for their members (P-58)", () => {
    restore(1, { stage: "leased", lease: orphan(900), deliveries: 1 });
    restore(2, { stage: "leased", lease: orphan(901), deliveries: 2, failures: 1 });
    expect(work.leases.next).toBe(30_000);
    expect(work.rejoin("A", 2)).toEqual(["A:2"]);
    expect([work.state(1), work.state(2)]).toEqual(["waiting 1/0", "leased 2/1"]);
  });

  it("a lease that nobody came back for is no failure (P-58)", () => {
    restore(1, { stage: "leased", lease: orphan(900), deliveries: 1 });
    work.pass(30_000);
    expect(work.state(1)).toBe("waiting 1/0");
  });

  it("a message that failed is due when it was, and one that is dying holds back its key (P-60)", () => {
    work = new Workshop(policyOf({ order: "key" }));
    work.work("A");
    restore(1, { key: "a", stage: "dying", reason: "rejected", deliveries: 1, failures: 1 });
    restore(2, { key: "b", stage: "delayed", due: 500, deliveries: 1, failures: 1 });
    work.offer("3a", "4b");
    expect(work.deliver()).toEqual([]);
    work.pass(500);
    expect(work.deliver()).toEqual(["A:2"]);
    work.leases.forget(work.item(1));
    expect(work.deliver()).toEqual(["A:3"]);
  });

  it("one that failed or is dying holds up nobody where others skip it (P-60)", () => {
    work = new Workshop(policyOf({ order: "key", onFailure: "skip" }));
    work.work("B");
    restore(1, { key: "a", stage: "dying", reason: "rejected", deliveries: 1, failures: 1 });
    restore(2, { key: "a", stage: "leased", lease: orphan(900), deliveries: 1 });
    restore(3, { key: "b", stage: "delayed", due: 500, deliveries: 1, failures: 1 });
    work.offer("4a", "5b");
    // What holds up the fourth is the second, whatever becomes of the first.
    work.leases.forget(work.item(1));
    expect(work.deliver()).toEqual(["B:5"]);
  });
});
