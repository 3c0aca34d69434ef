/** Workers over several connections, and how they leave. */
import { describe, expect, test } from "vitest";
import { Annex } from "../../client/src/annex.ts";
import { Deferred } from "../../client/src/deferred.ts";
import type { Worker } from "../../client/src/index.ts";
import { codeOf, outcome, settle, World } from "./support.ts";
import { Bench, settlements, type Working, working } from "./working.ts";

/** A worker that works on message 1 and has 2 waiting, after a reconnect that the hub has not answered yet. */
async function reconnected(): Promise<Working> {
  const all = await working();
  await all.world.socket.leased(1, 1, 2);
  await all.world.reconnect();
  return all;
}

describe("after a reconnect", () => {
  test("a member says in the first WebSocket message who it is and what it holds (P-58)", async () => {
    const { world, bench } = await working({ concurrency: 2, window: 9 });
    await world.socket.leased(1, 1, 2, 3, 4);
    await bench.finish(2);
    await world.socket.settled(1, 1_002);
    await world.socket.drop();
    await world.nextAttempt();
    world.socket.open();
    expect(world.socket.said).toMatchObject([
      { is: "hello" },
      { is: "work", member: 1, id: "producer-2", window: 9, holding: [1, 3, 4] },
    ]);
  });

  test("what comes back is held under its new fence, also what waited", async () => {
    const { world, worker, bench, lost } = await reconnected();
    await world.socket.working(1, [
      [1, 2_001],
      [2, 2_002],
    ]);
    expect(worker).toMatchObject({ state: "working", inFlight: 2 });
    await world.socket.heard();
    await bench.finish(1);
    await bench.finish(2);
    expect(await settlements(world)).toEqual(["ack 2001", "ack 2002"]);
    expect(lost).toEqual([]);
  });

  test("what does not come back is lost: its signal says so, and what waited is not begun", async () => {
    const { world, worker, bench, lost } = await reconnected();
    const message = bench.message(1);
    await world.socket.heard();
    await world.socket.working(1);
    expect(message.signal.reason).toMatchObject({ code: "lease-lost" });
    expect(lost).toEqual([1, 2]);
    expect(worker.inFlight).toBe(0);
    expect(await codeOf(message.ack())).toBe("lease-lost");
    await bench.finish(1);
    expect(bench.busy).toEqual([]);
    expect(await settlements(world)).toEqual([]);
  });

  test("leases are extended again, and not while there is no session", async () => {
    const { world } = await reconnected();
    await world.socket.heard();
    await world.clock.pass(10_000);
    expect(await settlements(world)).toEqual([]);
    await world.socket.working(1, [[1, 2_001]]);
    await world.clock.pass(10_000);
    expect(await settlements(world)).toEqual(["extend 2001"]);
  });

  test("what was settled meanwhile is said under the new fence", async () => {
    const { world, bench } = await working();
    await world.socket.leased(1, 1, 2);
    await world.socket.drop();
    const acked = bench.message(1).ack();
    await bench.finish(1);
    await bench.fail(2, new Error("no"));
    await world.nextAttempt();
    await world.connect();
    expect((await world.socket.heard()).map(({ is }) => is)).toEqual(["hello", "work"]);
    await world.socket.working(1, [
      [1, 2_001],
      [2, 2_002],
    ]);
    expect(await settlements(world)).toEqual(["ack 2001", "retry 2002"]);
    expect(await outcome(acked)).toBe("pending");
    await world.socket.settled(1, 2_001);
    expect(await outcome(acked)).toEqual({ resolved: undefined });
  });

  test("what was settled while offline and does not come back is lost", async () => {
    const { world, bench, lost } = await working();
    await world.socket.leased(1, 1);
    await world.socket.drop();
    const acked = bench.message(1).ack();
    await world.nextAttempt();
    await world.connect();
    await world.socket.working(1);
    expect(await codeOf(acked)).toBe("lease-lost");
    expect(lost).toEqual([1]);
  });

  test("a settlement that was not confirmed is said again where the message comes back", async () => {
    const { world, bench } = await working();
    await world.socket.leased(1, 1);
    const acked = bench.message(1).ack();
    expect(await settlements(world)).toEqual(["ack 1001"]);
    await world.reconnect();
    await world.socket.heard();
    await world.socket.working(1, [[1, 2_001]]);
    expect(await settlements(world)).toEqual(["ack 2001"]);
    await world.socket.settled(1, 2_001);
    expect(await outcome(acked)).toEqual({ resolved: undefined });
  });

  test("where it does not come back, its outcome is unknown; a handler's is dropped", async () => {
    const { world, worker, bench, lost } = await working({ concurrency: 2 });
    await world.socket.leased(1, 1, 2);
    const acked = bench.message(1).ack();
    await bench.finish(2);
    await world.reconnect();
    await world.socket.working(1);
    expect(await outcome(acked)).toMatchObject({
      rejected: { code: "lease-lost", message: expect.stringContaining("unknown") },
    });
    expect(lost).toEqual([]);
    expect(worker.inFlight).toBe(0);
  });

  test("an extension that was asked for is said again; the usual ones are not", async () => {
    const { world, bench } = await working({ concurrency: 2 });
    await world.socket.leased(1, 1, 2);
    await world.clock.pass(10_000);
    const extended = bench.message(1).extend(60_000);
    await settle();
    await world.reconnect();
    await world.socket.heard();
    await world.socket.working(1, [
      [1, 2_001],
      [2, 2_002],
    ]);
    expect(await world.socket.heardOf("settle")).toEqual([
      { is: "settle", member: 1, fences: [2_001], outcome: "extend", leaseMs: 60_000 },
    ]);
    await world.socket.settled(1, 2_001);
    expect(await outcome(extended)).toEqual({ resolved: undefined });
  });

  test("in another epoch nothing is held: an offset may be another message there", async () => {
    const { world, bench, lost } = await reconnected();
    await world.socket.heard();
    await world.socket.working(1, [[1, 2_001]], { epoch: "e2" });
    expect(lost).toEqual([1, 2]);
    expect(await settlements(world)).toEqual(["release 2001"]);
    await world.socket.leased(1, 1);
    await bench.finish(1);
    expect(bench.busy).toEqual([1]);
    expect(bench.message(1).epoch).toBe("e2");
  });

  test("what comes back as another delivery was somebody else's meanwhile, and is given back (P-58)", async () => {
    const { world, bench, lost } = await reconnected();
    await world.socket.heard();
    await world.socket.working(1, [
      [1, 2_001, 3],
      [2, 2_002],
    ]);
    expect(lost).toEqual([1]);
    expect(bench.message(1).signal.aborted).toBe(true);
    expect(await settlements(world)).toEqual(["release 2001"]);
  });

  test("a refused client ends its workers with the reason", async () => {
    const { world, worker, bench, lost } = await working();
    await world.socket.leased(1, 1);
    const { ended } = worker;
    await world.socket.drop(4_501, "unsupported-protocol");
    expect(await codeOf(ended)).toBe("unsupported-protocol");
    expect(bench.message(1).signal.reason).toMatchObject({ code: "lease-lost" });
    expect(lost).toEqual([1]);
    await bench.finish(1);
    expect(world.clock.timers).toBe(0);
  });
});

describe("leaving", () => {
  test("begins nothing, gives back what waits, and goes when the rest is settled (P-59)", async () => {
    const { world, worker, bench } = await working();
    await world.socket.leased(1, 1, 2);
    const left = worker.leave();
    expect(worker.state).toBe("leaving");
    expect(await world.socket.heard()).toEqual([
      { is: "leave", member: 1, holding: [1, 2] },
      { is: "settle", member: 1, fences: [1_002], outcome: "release" },
    ]);
    await world.socket.settled(1, 1_002);
    await world.socket.leased(1, 3);
    expect(await settlements(world)).toEqual(["release 1003"]);
    await world.socket.settled(1, 1_003);
    await bench.finish(1);
    expect(bench.busy).toEqual([]);
    expect(await world.socket.heard()).toMatchObject([{ is: "settle", outcome: "ack" }]);
    await world.socket.settled(1, 1_001);
    expect(await world.socket.heard()).toEqual([]);
    expect(await outcome(left)).toBe("pending");
    await world.socket.left(1);
    expect(await outcome(Promise.all([left, worker.ended, worker.leave()]))).toMatchObject({ resolved: {} });
    expect(worker.state).toBe("ended");
    expect(world.clock.timers).toBe(1);
  });

  test("waits for a handler although its message is settled", async () => {
    const { world, worker, bench } = await working();
    await world.socket.leased(1, 1);
    void bench.message(1).ack();
    await world.socket.settled(1, 1_001);
    void worker.leave();
    expect(await world.socket.heardOf("leave")).toEqual([]);
    await bench.finish(1);
    expect(await world.socket.heardOf("leave")).toHaveLength(1);
  });

  test("gives back what waits without a word when its lease was lost meanwhile", async () => {
    const { world, worker, bench, lost } = await working();
    await world.socket.leased(1, 1, 2);
    void worker.leave();
    await world.socket.leaseLost(1, 1_002);
    await bench.finish(1);
    await world.socket.settled(1, 1_001);
    expect(await world.socket.heardOf("leave")).toHaveLength(1);
    expect(lost).toEqual([]);
  });

  test("does not come back for a handler whose lease is lost, but waits for it", async () => {
    const { world, worker, bench } = await working();
    await world.socket.leased(1, 1);
    const left = worker.leave();
    await world.socket.leaseLost(1, 1_001);
    await world.reconnect();
    expect((await world.socket.heard()).map(({ is }) => is)).toEqual(["hello"]);
    expect(await outcome(left)).toBe("pending");
    await bench.finish(1);
    expect(await outcome(left)).toEqual({ resolved: undefined });
  });

  test("extends what it still works on", async () => {
    const { world, worker } = await working();
    await world.socket.leased(1, 1);
    void worker.leave();
    await world.clock.pass(10_000);
    expect(await settlements(world)).toEqual(["extend 1001"]);
  });

  test("a signal ends the waiting: what is held is lost here and given back by the hub", async () => {
    const { world, worker, bench, lost } = await working();
    await world.socket.leased(1, 1, 2);
    const message = bench.message(1);
    const abort = new AbortController();
    const left = worker.leave({ signal: abort.signal });
    await world.socket.heard();
    abort.abort();
    expect(await outcome(left)).toEqual({ resolved: undefined });
    expect(await world.socket.heard()).toEqual([{ is: "leave", member: 1 }]);
    expect(message.signal.reason).toMatchObject({ code: "lease-lost" });
    expect(lost).toEqual([1]);
    expect(worker).toMatchObject({ state: "ended", inFlight: 0 });
    expect(await codeOf(message.ack())).toBe("lease-lost");
    await bench.finish(1);
    await world.socket.settled(1, 1_002);
    await world.socket.left(1);
    expect(await world.socket.heard()).toEqual([]);

    const other = await working();
    await other.world.socket.leased(1, 1);
    expect(await outcome(other.worker.leave({ signal: AbortSignal.abort() }))).toEqual({ resolved: undefined });
    expect(other.lost).toEqual([1]);
  });

  test("goes on over a reconnect, with no room for anything new", async () => {
    const { world, worker, bench } = await working({ window: 9 });
    await world.socket.leased(1, 1);
    const left = worker.leave();
    await world.socket.drop();
    expect(worker.state).toBe("leaving");
    await bench.finish(1);
    await world.nextAttempt();
    await world.connect();
    expect(await world.socket.heardOf("work")).toMatchObject([{ holding: [1], window: 1 }]);
    await world.socket.working(1, [[1, 2_001]]);
    expect(await settlements(world)).toEqual(["ack 2001"]);
    expect(world.socket.said).toContainEqual({ is: "leave", member: 1, holding: [1] });
    await world.socket.settled(1, 2_001);
    await world.socket.left(1);
    expect(await outcome(left)).toEqual({ resolved: undefined });
  });

  test("is done when the connection goes and nothing is held, and is not repeated", async () => {
    const { world, worker } = await working();
    const left = worker.leave();
    await world.socket.drop();
    expect(await outcome(left)).toEqual({ resolved: undefined });
    await world.nextAttempt();
    await world.connect();
    expect((await world.socket.heard()).map(({ is }) => is)).toEqual(["hello"]);
  });

  test("before the hub has answered, or was there at all, takes nothing", async () => {
    const world = new World();
    const worker = world.dogear.work("a", { group: "g" }, () => {});
    expect(await outcome(worker.leave())).toEqual({ resolved: undefined });
    await world.connect();
    expect((await world.socket.heard()).map(({ is }) => is)).toEqual(["hello"]);

    const asked = world.dogear.work("a", { group: "g" }, () => {});
    await settle();
    const left = asked.leave();
    expect((await world.socket.heard()).map(({ is }) => is)).toEqual(["work", "leave"]);
    await world.socket.working(1);
    await world.socket.leased(1, 1);
    expect(await world.socket.heard()).toEqual([]);
    await world.socket.left(1);
    expect(await outcome(left)).toEqual({ resolved: undefined });
  });

  test("is also done by the signal the worker was given, and by disposing of it", async () => {
    const abort = new AbortController();
    const { world, worker } = await working({ signal: abort.signal });
    abort.abort();
    expect(worker.state).toBe("leaving");
    await world.socket.left(1);
    expect(await outcome(worker.ended)).toEqual({ resolved: undefined });

    const late = world.dogear.work("a", { group: "g", signal: abort.signal }, () => {});
    expect(await outcome(late.ended)).toEqual({ resolved: undefined });

    const other = await working();
    void other.worker[Symbol.asyncDispose]();
    expect(other.worker.state).toBe("leaving");
  });

  test("ends although the hub has forgotten the member", async () => {
    const { world, worker } = await working();
    const left = worker.leave();
    await world.socket.say({ is: "error", code: "unknown-member", message: "No.", member: 1 });
    expect(await outcome(Promise.all([left, worker.ended]))).toMatchObject({ resolved: {} });
  });
});

describe("closing the client", () => {
  test("waits for running handlers, which can still publish, and for their settlements", async () => {
    const { world, worker, bench } = await working();
    await world.socket.leased(1, 1, 2);
    const closed = world.dogear.close();
    expect(await settlements(world)).toEqual(["release 1002"]);
    await world.socket.settled(1, 1_002);
    await world.clock.pass(20_000);
    expect(await outcome(closed)).toBe("pending");
    expect(() => world.dogear.work("a", { group: "g" })).toThrow(expect.objectContaining({ code: "closed" }));
    const published = world.dogear.publish("a.b", 1);
    await settle();
    await world.socket.published(1);
    expect(await outcome(published)).toMatchObject({ resolved: { offset: 101 } });
    await bench.finish(1);
    await world.socket.settled(1, 1_001);
    expect(await outcome(closed)).toBe("pending");
    await world.socket.left(1);
    expect(await outcome(Promise.all([closed, worker.ended]))).toMatchObject({ resolved: {} });
    expect(world.dogear.state.name).toBe("closed");
    expect(await codeOf(world.dogear.publish("a.b", 2))).toBe("closed");
    expect(world.clock.timers).toBe(0);
  });

  test("waits for handlers no longer than 30 seconds", async () => {
    const { world, bench, lost } = await working();
    await world.socket.leased(1, 1);
    const closed = world.dogear.close();
    for (let waitedMs = 0; waitedMs < 29_000; waitedMs += 1_000) {
      await world.socket.say({ is: "ping" });
      await world.clock.pass(1_000);
    }
    expect(await outcome(closed)).toBe("pending");
    await world.socket.heard();
    await world.clock.pass(1_000);
    expect((await world.socket.heard()).map(({ is }) => is)).toContain("leave");
    expect(await outcome(closed)).toEqual({ resolved: undefined });
    expect(lost).toEqual([1]);
    await bench.finish(1);
    expect(world.clock.timers).toBe(0);
  });

  test("with a signal waits as long as that allows, and no longer", async () => {
    const { world, bench } = await working();
    await world.socket.leased(1, 1);
    const abort = new AbortController();
    const closed = world.dogear.close({ signal: abort.signal });
    for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 1_000) {
      await world.socket.say({ is: "ping" });
      await world.clock.pass(1_000);
    }
    expect(await outcome(closed)).toBe("pending");
    expect(bench.message(1).signal.aborted).toBe(false);
    abort.abort();
    expect(await outcome(closed)).toEqual({ resolved: undefined });
    expect(world.socket.said.at(-1)).toEqual({ is: "leave", member: 1 });
    expect(bench.message(1).signal.aborted).toBe(true);
  });

  test("ends a worker that was to begin in the same turn", async () => {
    const { world } = await working();
    const worker = world.dogear.work("a", { group: "g" });
    const closed = world.dogear.close();
    expect((await world.socket.heard()).map(({ is }) => is)).toEqual(["leave"]);
    expect(await outcome(worker.ended)).toEqual({ resolved: undefined });
    await world.socket.left(1);
    expect(await outcome(closed)).toEqual({ resolved: undefined });
  });

  test("while offline waits for the connection too, if something is held", async () => {
    const { world, bench } = await working();
    await world.socket.leased(1, 1);
    await world.socket.drop();
    const closed = world.dogear.close();
    await bench.finish(1);
    await world.nextAttempt();
    await world.connect();
    await world.socket.working(1, [[1, 2_001]]);
    expect(await settlements(world)).toEqual(["ack 2001"]);
    await world.socket.settled(1, 2_001);
    await world.socket.left(1);
    expect(await outcome(closed)).toEqual({ resolved: undefined });
  });

  test("does not wait for a worker that was never taken in", async () => {
    const world = new World();
    const worker = world.dogear.work("a", { group: "g" }, () => {});
    await settle();
    const closed = world.dogear.close();
    await world.clock.pass(0);
    expect(await outcome(Promise.all([closed, worker.ended]))).toMatchObject({ resolved: {} });
  });
});

describe("what does the work", () => {
  /** A client whose annex comes when the test says so. */
  function loading(): { world: World; worker: Worker; bench: Bench; load: Deferred<{ Annex: typeof Annex }> } {
    const load = new Deferred<{ Annex: typeof Annex }>();
    const world = new World({}, "ws://hub", () => load.promise);
    const bench = new Bench();
    const worker = world.dogear.work("a.*", { group: "g" }, bench.handler);
    return { world, worker, bench, load };
  }

  test("is loaded with the first worker, once, and joins then", async () => {
    let loads = 0;
    const world = new World({}, "ws://hub", async () => {
      loads++;
      return { Annex };
    });
    await world.connect();
    expect(loads).toBe(0);
    for (const group of ["g", "h"]) world.dogear.work("a", { group }, () => {});
    expect(await world.socket.heardOf("work")).toMatchObject([{ group: "g" }, { group: "h" }]);
    expect(loads).toBe(1);
  });

  test("may come late: the worker waits for it", async () => {
    const { world, worker, bench, load } = loading();
    await world.connect();
    expect(worker).toMatchObject({ state: "joining", inFlight: 0 });
    expect(await world.socket.heardOf("work")).toEqual([]);
    load.resolve({ Annex });
    expect(await world.socket.heardOf("work")).toMatchObject([{ member: 1, group: "g" }]);
    await world.socket.working(1);
    await world.socket.leased(1, 1);
    expect(bench.busy).toEqual([1]);
  });

  test("may not come: the worker ends with the error, and so does all that is asked", async () => {
    const { world, worker, load } = loading();
    const { ended } = worker;
    load.reject(new Error("404"));
    for (const promise of [ended, worker.ready(), world.dogear.cancel("s1")])
      expect(await outcome(promise)).toEqual({ rejected: new Error("404") });
    expect(worker.state).toBe("ended");
    expect(await outcome(worker.leave())).toEqual({ resolved: undefined });
    expect(await outcome(world.dogear.close())).toEqual({ resolved: undefined });
  });

  test("need not come: a worker that leaves before, or whose client is closed, has ended", async () => {
    const { world, worker } = loading();
    await world.connect();
    expect(await outcome(worker.leave())).toEqual({ resolved: undefined });
    expect(worker.state).toBe("ended");
    const other = world.dogear.work("a.*", { group: "g" });
    const loop = other[Symbol.asyncIterator]().next();
    const asked = world.dogear.cancel("s1");
    expect(await outcome(world.dogear.close())).toEqual({ resolved: undefined });
    expect(await outcome(other.ended)).toEqual({ resolved: undefined });
    expect(await outcome(loop)).toEqual({ resolved: { done: true, value: undefined } });
    expect(await codeOf(asked)).toBe("closed");
  });

  test("that comes after the worker has left, or after the client was closed, does nothing", async () => {
    for (const close of [true, false]) {
      const { world, worker, load } = loading();
      await world.connect();
      await (close ? world.dogear.close() : worker.leave());
      load.resolve({ Annex });
      expect((await world.socket.heard()).map(({ is }) => is)).toEqual(["hello"]);
      expect(await outcome(worker.ended)).toEqual({ resolved: undefined });
    }
  });

  test("that does not come before the hub refuses the client: the worker ends with the reason", async () => {
    const { world, worker } = loading();
    const { ended } = worker;
    await world.socket.drop(4_501, "unsupported-protocol");
    expect(await codeOf(ended)).toBe("unsupported-protocol");
  });
});
