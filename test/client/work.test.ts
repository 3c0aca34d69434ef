import { describe, expect, test } from "vitest";
import type { LeasedMessage } from "../../client/src/index.ts";
import { codeOf, outcome, policy, settle, World } from "./support.ts";
import { settlements, working } from "./working.ts";

describe("joining a group", () => {
  test("says what it declares and nothing else (P-50, P-51)", async () => {
    const world = new World();
    world.dogear.work("orders.>", { group: "billing" }, () => {});
    world.dogear.work(
      "orders.new",
      {
        group: "audit",
        concurrency: 10,
        from: { time: new Date(5) },
        order: "key",
        onFailure: "skip",
        maxFailures: 3,
        leaseMs: 1_000,
        backoff: { type: "fixed", minMs: 9 },
      },
      () => {},
    );
    await world.connect();
    expect(await world.socket.heardOf("work")).toEqual([
      { is: "work", member: 1, id: "producer-2", group: "billing", pattern: "orders.>", window: 2 },
      {
        is: "work",
        member: 2,
        id: "producer-3",
        group: "audit",
        pattern: "orders.new",
        window: 20,
        from: { time: 5 },
        order: "key",
        onFailure: "skip",
        maxFailures: 3,
        leaseMs: 1_000,
        backoff: { type: "fixed", minMs: 9 },
      },
    ]);
  });

  test("a window can be asked for; no window is larger than one envelope can settle", async () => {
    const world = new World();
    for (const window of [7, Infinity]) world.dogear.work("a", { group: "g", concurrency: 4, window }, () => {});
    world.dogear.work("a", { group: "g", concurrency: Infinity }, () => {});
    await world.connect();
    const windows = (await world.socket.heardOf("work")).map(({ window }) => window);
    expect(windows).toEqual([7, 10_000, 10_000]);
  });

  test("is ready with the group's policy, and says where it stands", async () => {
    const world = new World();
    const worker = world.dogear.work("orders.>", { group: "billing" }, () => {});
    const told: unknown[] = [];
    for (const type of ["working", "ended"] as const)
      worker.addEventListener(type, ({ detail }) => told.push([type, detail]));
    const ready = worker.ready();
    expect(worker).toMatchObject({ pattern: "orders.>", group: "billing", state: "joining", inFlight: 0 });
    expect(worker.policy).toBeUndefined();
    await world.connect();
    expect(await outcome(ready)).toBe("pending");
    await world.socket.working(1);
    expect(await ready).toEqual(policy);
    expect(worker).toMatchObject({ state: "working", policy });
    await world.socket.drop();
    expect(worker.state).toBe("joining");
    await worker.leave();
    expect(worker.state).toBe("ended");
    expect(told).toEqual([
      ["working", { policy }],
      ["ended", {}],
    ]);
  });

  test("refuses at once what cannot be", async () => {
    const world = new World();
    const work = (pattern: string) => world.dogear.work(pattern, { group: "g" }, () => {});
    expect(() => work("a.>.b")).toThrow(expect.objectContaining({ code: "invalid-pattern" }));
    await world.dogear.close();
    expect(() => work("a")).toThrow(expect.objectContaining({ code: "closed" }));
  });

  test("cannot be done by nobody", async () => {
    const world = new World();
    const worker = world.dogear.work("a", { group: "g", concurrency: 0 }, () => {});
    expect(await outcome(worker.ended)).toMatchObject({ rejected: expect.any(RangeError) });
  });

  test("a refusal ends it with the error (P-51)", async () => {
    const world = new World();
    const worker = world.dogear.work("orders.>", { group: "billing" }, () => {});
    const { ended } = worker;
    await world.connect();
    await world.socket.say({ is: "error", code: "group-differs", message: "maxFailures is 5.", member: 1 });
    for (const promise of [ended, worker.ready()]) expect(await codeOf(promise)).toBe("group-differs");
    expect(world.eventsOf("error")).toEqual([]);
    await world.reconnect();
    expect(await world.socket.heardOf("work")).toEqual([]);
  });

  test("a refusal that nobody waits for is told by an event", async () => {
    const world = new World();
    world.dogear.work("orders.>", { group: "billing" }, () => {});
    await world.connect();
    await world.socket.say({ is: "error", code: "memory-namespace", message: "No.", member: 1 });
    expect(world.eventsOf("error")).toMatchObject([{ error: { code: "memory-namespace" } }]);
  });

  test("a refusal for now is asked again, later and under a new number", async () => {
    const world = new World();
    const worker = world.dogear.work("orders.>", { group: "billing" }, () => {});
    await world.connect();
    await world.socket.heard();
    await world.socket.say({ is: "error", code: "unavailable", message: "Not now.", member: 1 });
    expect(await world.socket.heardOf("work")).toEqual([]);
    await world.clock.pass(250);
    expect(await world.socket.heardOf("work")).toMatchObject([{ member: 2, id: "producer-2" }]);
    await world.socket.say({ is: "error", code: "unavailable", message: "Not yet.", member: 2 });
    await world.clock.pass(500);
    await world.socket.working(3);
    expect(worker.state).toBe("working");
    await world.socket.heard();
    await world.socket.say({ is: "left", member: 3, code: "unavailable", message: "Not any more." });
    await world.clock.pass(250);
    expect(await world.socket.heardOf("work")).toMatchObject([{ member: 4 }]);
  });

  test("a member that the hub puts out for now comes back with what it holds", async () => {
    const { world, bench, lost } = await working();
    await world.socket.leased(1, 71);
    await world.socket.say({ is: "left", member: 1, code: "unavailable", message: "Moving." });
    await world.clock.pass(250);
    expect(await world.socket.heardOf("work")).toMatchObject([{ member: 2, holding: [71] }]);
    await world.socket.working(2, [[71, 2_071]]);
    await bench.finish(71);
    expect(await settlements(world)).toEqual(["ack 2071"]);
    expect(lost).toEqual([]);
  });

  test("one that was taken over or whose group was deleted has ended with that error (P-58, P-65)", async () => {
    for (const code of ["taken-over", "group-deleted"] as const) {
      const { world, worker, bench, lost } = await working();
      const { ended } = worker;
      await world.socket.leased(1, 71, 72);
      const message = bench.message(71);
      await world.socket.say({ is: "left", member: 1, code, message: "Over." });
      expect(await codeOf(ended)).toBe(code);
      expect(message.signal.reason).toMatchObject({ code: "lease-lost", message: expect.stringContaining("Over.") });
      expect(lost).toEqual([71, 72]);
      await bench.finish(71);
      expect(await settlements(world)).toEqual([]);
      await world.reconnect();
      expect(await world.socket.heardOf("work")).toEqual([]);
    }
  });

  test("an error that is about no lease and no joining is told, and ends nothing", async () => {
    const { world, worker } = await working();
    await world.socket.say({ is: "error", code: "invalid-envelope", message: "Odd.", member: 1 });
    expect(world.eventsOf("error")).toMatchObject([{ error: { code: "invalid-envelope" } }]);
    expect(worker.state).toBe("working");
  });

  test("what is said of a member that is gone is ignored", async () => {
    const { world } = await working();
    await world.socket.leased(9, 71);
    await world.socket.settled(9, 1);
    await world.socket.say({ is: "error", code: "unknown-member", message: "No.", member: 9 });
    expect(await world.socket.heard()).toEqual([]);
    expect(world.eventsOf("error")).toEqual([]);
  });
});

describe("a message", () => {
  test("carries all it was published with, and its counts (P-53)", async () => {
    const world = new World();
    const got: LeasedMessage[] = [];
    world.dogear.work("a.*", { group: "g", concurrency: 2 }, (message) => void got.push(message));
    await world.connect();
    await world.socket.working(1);
    await world.socket.say({
      is: "leased",
      member: 1,
      leases: [
        { fence: 1, deliveries: 3, failures: 2 },
        { fence: 2, deliveries: 1, failures: 0 },
      ],
      messages: [
        { offset: 1, channel: "a.b", time: 5, expires: 9, key: "k", headers: { h: "v" }, data: { n: 1 } },
        { offset: 2, channel: "a.c", time: 6, type: "image/png", data: "AQI=" },
      ],
    });
    expect(got).toMatchObject([
      {
        offset: 1,
        epoch: "e1",
        channel: "a.b",
        time: 5,
        expires: 9,
        type: "application/json",
        key: "k",
        headers: { h: "v" },
        data: { n: 1 },
        deliveries: 3,
        failures: 2,
      },
      { offset: 2, type: "image/png", data: new Uint8Array([1, 2]), deliveries: 1, failures: 0 },
    ]);
    expect(got[1]?.expires).toBeUndefined();
  });
});

describe("a handler", () => {
  test("runs for as many messages at a time as concurrency says; the others wait here", async () => {
    const { world, worker, bench } = await working({ concurrency: 2 });
    await world.socket.leased(1, 1, 2, 3, 4);
    expect(bench.busy).toEqual([1, 2]);
    expect(worker.inFlight).toBe(4);
    await bench.finish(2);
    expect(bench.busy).toEqual([1, 3]);
    await world.socket.settled(1, 1_002);
    expect(worker.inFlight).toBe(3);
    await bench.finish(1, 3);
    expect(bench.busy).toEqual([4]);
  });

  test("that returns has done its message, and one that throws is tried again, saying why (P-55)", async () => {
    const { world, bench } = await working({ concurrency: 9 });
    await world.socket.leased(1, 1, 2, 3, 4, 5);
    await bench.finish(1);
    await bench.fail(2, new Error("no stock"));
    await bench.fail(3, "text");
    await bench.fail(4, new TypeError());
    await bench.fail(5, new Error("x".repeat(2_000)));
    expect(await world.socket.heardOf("settle")).toEqual([
      { is: "settle", member: 1, fences: [1_001], outcome: "ack" },
      { is: "settle", member: 1, fences: [1_002], outcome: "retry", error: "no stock" },
      { is: "settle", member: 1, fences: [1_003], outcome: "retry", error: "text" },
      { is: "settle", member: 1, fences: [1_004], outcome: "retry", error: "TypeError" },
      { is: "settle", member: 1, fences: [1_005], outcome: "retry", error: "x".repeat(1_024) },
    ]);
  });

  test("that throws at once is no different from one whose promise rejects", async () => {
    const world = new World();
    world.dogear.work("a", { group: "g" }, () => {
      throw new Error("no");
    });
    await world.connect();
    await world.socket.working(1);
    await world.socket.leased(1, 1);
    expect(await world.socket.heardOf("settle")).toMatchObject([{ outcome: "retry", error: "no" }]);
  });

  test("can settle by itself; what it returns or throws then does not matter", async () => {
    const { world, bench } = await working({ concurrency: 9 });
    await world.socket.leased(1, 1, 2, 3, 4, 5);
    void bench.message(1).reject("not an order");
    void bench.message(2).retry({ delayMs: 1_500.4, error: "later" });
    void bench.message(3).release();
    void bench.message(4).ack();
    void bench.message(5).retry();
    await settle();
    await bench.fail(1, new Error("x"));
    await bench.finish(2, 3);
    await bench.fail(4, new Error("x"));
    await bench.finish(5);
    expect(await world.socket.heardOf("settle")).toEqual([
      { is: "settle", member: 1, fences: [1_001], outcome: "reject", error: "not an order" },
      { is: "settle", member: 1, fences: [1_002], outcome: "retry", delayMs: 1_500, error: "later" },
      { is: "settle", member: 1, fences: [1_003], outcome: "release" },
      { is: "settle", member: 1, fences: [1_004], outcome: "ack" },
      { is: "settle", member: 1, fences: [1_005], outcome: "retry" },
    ]);
  });

  test("keeps its place until it is done, although its message is settled", async () => {
    const { world, bench } = await working();
    await world.socket.leased(1, 1, 2);
    const acked = bench.message(1).ack();
    await world.socket.settled(1, 1_001);
    await acked;
    expect(bench.busy).toEqual([1]);
    await bench.finish(1);
    expect(bench.busy).toEqual([2]);
  });

  test("cannot ask for a delay that the hub would refuse", async () => {
    const { world, bench } = await working();
    await world.socket.leased(1, 1);
    for (const delayMs of [-1, Number.NaN, 8 * 86_400_000])
      expect(() => bench.message(1).retry({ delayMs })).toThrow(RangeError);
    expect(() => bench.message(1).extend(43_200_001)).toThrow(RangeError);
    expect(await settlements(world)).toEqual([]);
  });
});

describe("settling", () => {
  test("is confirmed by the hub, and what is said first counts (P-55)", async () => {
    const { world, worker, bench, lost } = await working();
    await world.socket.leased(1, 1);
    const acked = bench.message(1).ack();
    expect(bench.message(1).reject()).toBe(acked);
    expect(await outcome(acked)).toBe("pending");
    expect(worker.inFlight).toBe(1);
    await world.socket.settled(1, 1_001);
    expect(await outcome(acked)).toEqual({ resolved: undefined });
    expect(worker.inFlight).toBe(0);
    expect(await settlements(world)).toEqual(["ack 1001"]);
    await world.socket.leaseLost(1, 1_001);
    expect(bench.message(1).signal.aborted).toBe(false);
    expect(lost).toEqual([]);
  });

  test("what is settled alike in one turn is settled by one envelope", async () => {
    const { world, bench } = await working({ concurrency: 9 });
    await world.socket.leased(1, 1, 2, 3, 4, 5, 6);
    for (const offset of [1, 3, 5]) void bench.message(offset).ack();
    for (const offset of [2, 4]) void bench.message(offset).retry({ error: "no" });
    void bench.message(6).retry({ error: "no", delayMs: 5 });
    expect(await settlements(world)).toEqual(["ack 1001,1003,1005", "retry 1002,1004", "retry 1006"]);
    expect(world.socket.frames.at(-1)).toHaveLength(3);
  });

  test("of a lease that is lost is refused, and the message's signal says so (P-56)", async () => {
    const { world, worker, bench, lost } = await working();
    await world.socket.leased(1, 1);
    const message = bench.message(1);
    const acked = message.ack();
    await world.socket.leaseLost(1, 1_001);
    expect(await codeOf(acked)).toBe("lease-lost");
    expect(message.signal.reason).toMatchObject({ code: "lease-lost" });
    expect(lost).toEqual([1]);
    expect(worker.inFlight).toBe(0);
    expect(world.eventsOf("error")).toEqual([]);
  });
});

describe("a lease", () => {
  test("is extended at a third of its length, also of a message that waits (P-54)", async () => {
    const { world, bench } = await working();
    await world.socket.leased(1, 1, 2);
    expect(bench.busy).toEqual([1]);
    await world.clock.pass(9_999);
    expect(await settlements(world)).toEqual([]);
    await world.clock.pass(1);
    expect(await settlements(world)).toEqual(["extend 1001,1002"]);
    await world.socket.settled(1, 1_001, 1_002);
    await world.socket.say({ is: "ping" });
    await world.clock.pass(10_000);
    expect(await settlements(world)).toEqual(["extend 1001,1002"]);
    await bench.finish(1);
    await world.socket.say({ is: "ping" });
    await world.clock.pass(10_000);
    expect(await settlements(world)).toEqual(["ack 1001", "extend 1002"]);
  });

  test("is extended as its group's policy says, and no timer runs while nothing is held", async () => {
    const { world, bench } = await working();
    await world.socket.working(1, [], { policy: { ...policy, leaseMs: 3_000 } });
    expect(world.clock.timers).toBe(1);
    await world.socket.leased(1, 1);
    expect(world.clock.timers).toBe(2);
    await world.clock.pass(1_000);
    expect(await settlements(world)).toEqual(["extend 1001"]);
    await bench.finish(1);
    await world.socket.settled(1, 1_001);
    await world.socket.settled(1, 1_001);
    await world.clock.pass(1_000);
    expect(await settlements(world)).toEqual(["ack 1001"]);
    expect(world.clock.timers).toBe(1);
  });

  test("is settled by its own confirmation, not by that of an extension before", async () => {
    const { world, bench } = await working();
    await world.socket.leased(1, 1);
    await world.clock.pass(10_000);
    const acked = bench.message(1).ack();
    await world.socket.settled(1, 1_001);
    expect(await outcome(acked)).toBe("pending");
    await world.socket.settled(1, 1_001);
    expect(await outcome(acked)).toEqual({ resolved: undefined });
  });

  test("can be extended by more than its group's, from then on each time", async () => {
    const { world, bench } = await working({ concurrency: 2 });
    await world.socket.leased(1, 1, 2);
    const extended = bench.message(1).extend(600_000);
    const short = bench.message(2).extend(5);
    expect(await world.socket.heardOf("settle")).toEqual([
      { is: "settle", member: 1, fences: [1_001], outcome: "extend", leaseMs: 600_000 },
      { is: "settle", member: 1, fences: [1_002], outcome: "extend" },
    ]);
    await world.socket.settled(1, 1_001, 1_002);
    expect(await outcome(Promise.all([extended, short]))).toMatchObject({ resolved: {} });
    await world.clock.pass(10_000);
    expect(await world.socket.heardOf("settle")).toMatchObject([
      { fences: [1_001], leaseMs: 600_000 },
      { fences: [1_002] },
    ]);
  });

  test("an extension goes before what settles the message in the same turn", async () => {
    const { world, bench } = await working({ concurrency: 2 });
    await world.socket.leased(1, 1, 2);
    void bench.message(1).ack();
    const extended = bench.message(2).extend();
    const acked = bench.message(2).ack();
    expect(await settlements(world)).toEqual(["extend 1002", "ack 1001,1002"]);
    await world.socket.settled(1, 1_002);
    await world.socket.settled(1, 1_001, 1_002);
    expect(await outcome(Promise.all([extended, acked]))).toMatchObject({ resolved: {} });
  });

  test("that is lost aborts the message's signal; one that waits is not begun (P-56)", async () => {
    const { world, worker, bench, lost } = await working();
    await world.socket.leased(1, 1, 2, 3);
    const message = bench.message(1);
    expect(message.signal.aborted).toBe(false);
    await world.clock.pass(10_000);
    await world.socket.leaseLost(1, 1_001);
    await world.socket.leaseLost(1, 1_002);
    expect(message.signal.reason).toMatchObject({ code: "lease-lost", retry: "no" });
    expect(lost).toEqual([1, 2]);
    expect(worker.inFlight).toBe(1);
    await world.socket.heard();
    expect(await codeOf(message.ack())).toBe("lease-lost");
    expect(await codeOf(message.extend())).toBe("lease-lost");
    await bench.finish(1);
    expect(await settlements(world)).toEqual([]);
    expect(bench.busy).toEqual([3]);
  });

  test("of a message that is leased to the same member again is the new one", async () => {
    const { world, bench, lost } = await working({ concurrency: 2 });
    await world.socket.leased(1, 1);
    const earlier = bench.message(1);
    await world.socket.say({
      is: "leased",
      member: 1,
      leases: [{ fence: 2_001, deliveries: 2, failures: 1 }],
      messages: [{ offset: 1, channel: "a.b", time: 5, data: 1 }],
    });
    expect(earlier.signal.aborted).toBe(true);
    expect(lost).toEqual([1]);
    expect(bench.message(1)).toMatchObject({ deliveries: 2, failures: 1 });
    await bench.finish(1);
    await world.socket.leaseLost(1, 1_001);
    expect(await settlements(world)).toEqual(["ack 2001"]);
  });
});
