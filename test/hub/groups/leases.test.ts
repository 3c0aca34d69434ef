/** How messages are shared among members: who gets what, and what becomes of it. In any order: `model.test.ts`. */
import { beforeEach, describe, expect, it } from "vitest";
import type { Lease } from "../../../server/src/hub/groups/item.ts";
import { at, newItem, policyOf } from "./support.ts";
import { Workshop } from "./workshop.ts";

const acked = { outcome: "ack" } as const;
const retry = { outcome: "retry" } as const;
const reject = { outcome: "reject" } as const;
const release = { outcome: "release" } as const;

let work: Workshop;

beforeEach(() => {
  work = new Workshop(policyOf());
});

describe("members", () => {
  it("get messages in turn, oldest first", () => {
    for (const id of ["A", "B", "C"]) work.work(id);
    work.offer("1", "2", "3", "4", "5");
    expect(work.deliver()).toEqual(["A:1", "B:2", "C:3", "A:4", "B:5"]);
    work.offer("6");
    expect(work.deliver()).toEqual(["C:6"]);
  });

  it("get no more than their window at once (P-53)", () => {
    work.work("A", 2);
    work.offer("1", "2", "3");
    expect(work.deliver()).toEqual(["A:1", "A:2"]);
    work.settle(2, acked);
    expect(work.deliver()).toEqual(["A:3"]);
  });

  it("get as much as they can do: who settles sooner gets more", () => {
    work.work("slow", 1);
    work.work("fast", 1);
    work.offer("1", "2", "3", "4");
    expect(work.deliver()).toEqual(["slow:1", "fast:2"]);
    work.settle(2, acked);
    expect(work.deliver()).toEqual(["fast:3"]);
    work.settle(3, acked);
    expect(work.deliver()).toEqual(["fast:4"]);
  });

  it("get about as much at once as the budget allows, and the rest with the next", () => {
    work.work("A");
    expect(work.leases.canGrant).toBe(false);
    work.offer("1", "2", "3", "4", "5");
    expect([work.grant({ messages: 2 }).length, work.leases.canGrant]).toEqual([2, true]);
    const { bytes } = work.item(3);
    expect([work.grant({ bytes: bytes + 1 }).length, work.leases.canGrant]).toEqual([2, true]);
    expect([work.grant().length, work.leases.canGrant]).toEqual([1, false]);
  });

  it("get nothing while their connection takes nothing, or is gone", () => {
    work.work("A");
    const b = work.work("B");
    work.open("A", false);
    work.offer("1", "2");
    work.leases.members.detach(b);
    expect(work.deliver()).toEqual([]);
    work.open("A");
    expect(work.deliver()).toEqual(["A:1", "A:2"]);
  });

  it("give back all they have when they leave (P-59)", () => {
    const a = work.work("A");
    work.offer("1", "2");
    work.deliver();
    work.leases.leave(a, new Set());
    work.leases.members.detach(a);
    expect([work.state(1), work.state(2), work.leases.members.get("A")]).toEqual([
      "waiting 1/0",
      "waiting 1/0",
      undefined,
    ]);
    work.work("B");
    expect(work.deliver()).toEqual(["B:1", "B:2"]);
  });

  it("keep what they have when their connection is gone, until it runs out (P-58)", () => {
    const a = work.work("A");
    work.offer("1");
    work.deliver();
    work.leases.members.detach(a);
    expect(work.state(1)).toBe("leased 1/0");
    work.pass(30_000);
    expect([work.state(1), work.leases.members.get("A")]).toEqual(["delayed 1/1", undefined]);
  });
});

describe("order", () => {
  it("by key leases one of a key at a time, and messages without one freely (P-60)", () => {
    work = new Workshop(policyOf({ order: "key" }));
    work.work("A");
    work.offer("1a", "2a", "3b", "4", "5a");
    expect(work.deliver()).toEqual(["A:1", "A:3", "A:4"]);
    work.settle(1, acked);
    expect(work.deliver()).toEqual(["A:2"]);
  });

  it("by key lets a message that failed hold back those behind it, until it is a dead letter (P-60)", () => {
    work = new Workshop(policyOf({ order: "key", maxFailures: 2 }));
    work.work("A");
    work.offer("1a", "2a");
    work.deliver();
    work.settle(1, retry);
    expect(work.deliver()).toEqual([]);
    work.pass(1_000);
    expect(work.deliver()).toEqual(["A:1"]);
    work.settle(1, retry);
    expect([work.state(1), work.deliver()]).toEqual(["dying 2/2", []]);
    work.leases.forget(work.item(1));
    expect(work.deliver()).toEqual(["A:2"]);
  });

  it("by key lets others skip a message that failed, where that is said (P-60)", () => {
    work = new Workshop(policyOf({ order: "key", onFailure: "skip" }));
    work.work("A");
    work.offer("1a", "2a", "3a");
    work.deliver();
    work.settle(1, retry);
    expect(work.deliver()).toEqual(["A:2"]);
    work.pass(1_000);
    expect(work.deliver()).toEqual([]);
    work.settle(2, acked);
    expect(work.deliver()).toEqual(["A:1"]);
  });

  it("of all leases one message at a time, to one member as long as it has room (P-60)", () => {
    work = new Workshop(policyOf({ order: "all" }));
    for (const id of ["A", "B"]) work.work(id);
    work.offer("1x", "2x", "3x", "4x", "5x");
    expect(work.deliver()).toEqual(["A:1"]);
    work.settle(1, acked);
    expect(work.deliver()).toEqual(["A:2"]);
    work.open("A", false);
    work.settle(2, acked);
    expect(work.deliver()).toEqual(["B:3"]);
    work.open("A");
    work.settle(3, acked);
    expect(work.deliver()).toEqual(["B:4"]);
    work.leases.leave(work.open("B"), new Set());
    expect(work.deliver()).toEqual(["A:4"]);
  });
});

describe("a lease", () => {
  beforeEach(() => {
    work.offer("1");
  });

  it("begins when it is sent, not while it is stored (P-54)", () => {
    work.work("A");
    const [grant] = work.grant();
    work.pass(50_000);
    expect(work.leases.next).toBe(Number.POSITIVE_INFINITY);
    expect(grant && work.leases.sent(grant, work.now)).toBe(true);
    expect(work.leases.next).toBe(80_000);
  });

  it("that runs out is a failure (P-54)", () => {
    work.work("A");
    work.deliver();
    work.pass(29_999);
    expect(work.state(1)).toBe("leased 1/0");
    work.pass(1);
    expect([work.state(1), work.item(1).error]).toEqual(["delayed 1/1", "The lease ran out."]);
  });

  it("lasts from when it is extended, as long as always or as it is said (P-54)", () => {
    work.work("A");
    work.deliver();
    work.pass(20_000);
    expect(work.settle(1, { outcome: "extend" })).toBe(true);
    expect(work.leases.next).toBe(50_000);
    expect(work.settle(1, { outcome: "extend", leaseMs: 1_000 })).toBe(true);
    expect(work.leases.next).toBe(21_000);
  });

  it("is settled once, under its own fence and by its own member (P-56)", () => {
    const [a, b] = [work.work("A"), work.work("B")];
    work.deliver();
    const { fence } = work.item(1).lease as Lease;
    expect([work.leases.settle(b, fence, acked, 0), work.leases.settle(a, fence - 1, acked, 0)]).toEqual([
      false,
      false,
    ]);
    expect(work.state(1)).toBe("leased 1/0");
    expect([work.leases.settle(a, fence, acked, 0), work.leases.settle(a, fence, acked, 0)]).toEqual([true, false]);
    expect([...work.leases.items.keys()]).toEqual([]);
  });

  it("cannot be settled before it is sent: nobody can know its fence (P-56)", () => {
    work.work("A");
    work.grant();
    expect([work.settle(1, { outcome: "extend" }), work.settle(1, acked)]).toEqual([false, false]);
    expect(work.state(1)).toBe("leased 1/0");
  });

  it("that could not be sent was none: nothing was delivered", () => {
    work.work("A");
    work.leases.revoke(work.grant());
    expect(work.state(1)).toBe("waiting 0/0");
    const grants = work.grant();
    work.rejoin("A", 1);
    expect(work.state(1)).toBe("waiting 0/0");
    work.open("A");
    work.grant();
    // The older grant is not the one that holds.
    work.leases.revoke(grants);
    expect(work.state(1)).toBe("leased 1/0");
  });
});

describe("a failure", () => {
  beforeEach(() => {
    work.work("A");
    work.offer("1");
    work.deliver();
  });

  const due = () => work.leases.next - work.now;

  it("lets the message wait, twice as long each time, up to a limit (P-57)", () => {
    work = new Workshop(policyOf({ backoff: { minMs: 1_000, maxMs: 5_000 } }));
    work.work("A");
    work.offer("1");
    const waits = Array.from({ length: 5 }, () => {
      work.deliver();
      work.settle(1, retry);
      const wait = due();
      work.pass(wait);
      return wait;
    });
    expect(waits).toEqual([1_000, 2_000, 4_000, 5_000, 5_000]);
  });

  it("lets it wait as long as the member says (P-55)", () => {
    work.settle(1, { outcome: "retry", delayMs: 7 });
    expect(due()).toBe(7);
    work.pass(7);
    expect([work.state(1), work.deliver(), work.state(1)]).toEqual(["waiting 1/1", ["A:1"], "leased 2/1"]);
  });

  it("too many make it a dead letter (P-57)", () => {
    work = new Workshop(policyOf({ maxFailures: 2 }));
    work.work("A");
    work.offer("1");
    for (const _ of [1, 2]) {
      work.deliver();
      work.settle(1, retry);
      work.pass(1_000);
    }
    expect([work.state(1), work.item(1).reason, [...work.leases.dying]]).toEqual([
      "dying 2/2",
      "max-failures",
      [work.item(1)],
    ]);
  });

  it("for good makes it a dead letter at once (P-57)", () => {
    work.settle(1, { ...reject, error: "no such customer" });
    expect([work.state(1), work.item(1).reason, work.item(1).error]).toEqual([
      "dying 1/1",
      "rejected",
      "no such customer",
    ]);
  });

  it("that says nothing leaves what the one before it said", () => {
    work.settle(1, { ...retry, error: "timeout", delayMs: 0 });
    work.pass(0);
    work.deliver();
    work.settle(1, retry);
    expect(work.item(1).error).toBe("timeout");
  });

  it("is not what it is to give a message back (P-55)", () => {
    work.settle(1, release);
    expect(work.state(1)).toBe("waiting 1/0");
    work.work("B");
    expect(work.deliver()).toEqual(["A:1"]);
    expect(work.state(1)).toBe("leased 2/0");
  });
});

describe("what leaves the log", () => {
  it("is a dead letter if it has expired before it is leased, but not while it is (P-62)", () => {
    work.leases.offer(newItem(1, { expires: work.wallNow + 10 }));
    work.leases.offer(newItem(2, { expires: work.wallNow + 10 }));
    work.work("A", 1);
    work.deliver();
    work.wallNow += 10;
    expect(work.state(1)).toBe("leased 1/0");
    work.settle(1, acked);
    expect([work.deliver(), work.state(2), work.item(2).reason]).toEqual([[], "dying 0/0", "ttl"]);
  });

  it("is a dead letter if a member had it, and else counted as lost (P-62)", () => {
    const a = work.work("A", 3);
    work.offer("1", "2", "3", "4", "5");
    work.deliver();
    work.settle(1, retry);
    work.settle(2, release);
    const { fence } = work.item(3).lease as Lease;
    expect(work.leases.retire(at(4))).toBe(1);
    expect([...work.leases.dying].map(({ offset, reason }) => [offset, reason])).toEqual([
      [1, "retention"],
      [2, "retention"],
      [3, "retention"],
    ]);
    expect(work.leases.settle(a, fence, acked, 0)).toBe(false);
    expect([...work.leases.items.keys()]).toEqual([1, 2, 3, 5]);
    expect(work.deliver()).toEqual(["A:5"]);
  });
});

describe("the journal", () => {
  it("is told what was leased, and what that overtook; the rest is read again (P-53)", () => {
    work = new Workshop(policyOf({ order: "key" }));
    work.work("A", 2);
    work.offer("1a", "2a", "3b", "4b");
    work.deliver();
    expect([[...work.stored.keys()].sort(), work.leases.firstFresh("messages")]).toEqual([[1, 2, 3], 4]);
    work.settle(3, acked);
    expect([...work.stored.keys()].sort()).toEqual([1, 2]);
  });
});
