import { describe, expect, test } from "vitest";
import type { LeasedMessage } from "../../client/src/index.ts";
import { codeOf, outcome, settle, World } from "./support.ts";
import { settlements, type Working, working } from "./working.ts";

type Loop = AsyncIterator<LeasedMessage>;

/** A worker whose loop has begun and has the messages of these offsets to come. */
async function looping(...offsets: readonly number[]): Promise<Working & { loop: Loop }> {
  const all = await working({ loop: true });
  const loop = all.worker[Symbol.asyncIterator]();
  if (offsets.length > 0) await all.world.socket.leased(1, ...offsets);
  return { ...all, loop };
}

async function next(loop: Loop): Promise<LeasedMessage> {
  const { value, done } = await loop.next();
  if (done) throw new Error("The loop is over.");
  return value;
}

describe("a loop over a worker", () => {
  test("gets its messages in order, and settles each by itself", async () => {
    const { world, worker, loop } = await looping(1, 2);
    const first = await next(loop);
    expect(first).toMatchObject({ offset: 1, data: { n: 1 }, deliveries: 1 });
    const acked = first.ack();
    expect(await settlements(world)).toEqual(["ack 1001"]);
    await world.socket.settled(1, 1_001);
    await acked;
    const second = await next(loop);
    void second.retry({ error: "no" });
    expect(await world.socket.heardOf("settle")).toMatchObject([{ outcome: "retry", fences: [1_002], error: "no" }]);
    const third = loop.next();
    expect(await outcome(third)).toBe("pending");
    await world.socket.leased(1, 3);
    expect((await third).value?.offset).toBe(3);
    expect(worker.inFlight).toBe(2);
  });

  test("can begin before there is a connection", async () => {
    const world = new World();
    const worker = world.dogear.work("a.*", { group: "g" });
    const first = worker[Symbol.asyncIterator]().next();
    await world.connect();
    await world.socket.working(1);
    await world.socket.leased(1, 1);
    expect((await first).value?.offset).toBe(1);
  });

  test("has two unsettled messages at most, unless a window says otherwise", async () => {
    for (const [window, expected] of [
      [undefined, 2],
      [50, 50],
    ] as const) {
      const world = new World();
      world.dogear.work("a.*", { group: "g", ...(window && { window }) });
      await world.connect();
      expect(await world.socket.heardOf("work")).toMatchObject([{ window: expected }]);
    }
  });

  test("a message whose lease is lost cannot be settled; one not yet handed out never is", async () => {
    const { world, loop, lost } = await looping(1, 2, 3);
    const first = await next(loop);
    const acked = first.ack();
    await world.socket.leaseLost(1, 1_001);
    await world.socket.leaseLost(1, 1_002);
    expect(await codeOf(acked)).toBe("lease-lost");
    expect(lost).toEqual([1, 2]);
    expect((await next(loop)).offset).toBe(3);
  });

  test("goes on over a reconnect with what it has", async () => {
    const { world, loop } = await looping(1, 2);
    const first = await next(loop);
    await world.socket.drop();
    const acked = first.ack();
    await world.nextAttempt();
    await world.connect();
    await world.socket.working(1, [
      [1, 2_001],
      [2, 2_002],
    ]);
    expect(await settlements(world)).toEqual(["ack 2001"]);
    await world.socket.settled(1, 2_001);
    expect(await outcome(acked)).toEqual({ resolved: undefined });
    void (await next(loop)).ack();
    expect(await settlements(world)).toEqual(["ack 2002"]);
  });

  test("that is left gives back what was handed out and not settled, and what waits, and leaves", async () => {
    const { world, worker } = await working({ loop: true });
    await world.socket.leased(1, 1, 2, 3);
    for await (const message of worker) {
      if (message.offset === 2) break;
      void message.ack();
    }
    expect(await settlements(world)).toEqual(["ack 1001", "release 1002,1003"]);
    expect(worker.state).toBe("leaving");
    // That is the hub's cue: it lets go of a member that holds nothing any more.
    expect(world.socket.said).toContainEqual({ is: "leave", member: 1, holding: [1, 2, 3] });
    await world.socket.settled(1, 1_001, 1_002, 1_003);
    expect(await world.socket.heard()).toEqual([]);
    await world.socket.left(1);
    expect(await outcome(worker.ended)).toEqual({ resolved: undefined });
  });

  test("so does one that throws", async () => {
    const { world, worker } = await working({ loop: true });
    await world.socket.leased(1, 1);
    const done = (async () => {
      for await (const message of worker) throw new Error(`no ${message.offset}`);
    })();
    expect(await outcome(done)).toEqual({ rejected: new Error("no 1") });
    expect(await settlements(world)).toEqual(["release 1001"]);
  });

  test("ends when its worker leaves, which waits for the message in hand", async () => {
    const { world, worker, loop } = await looping(1, 2);
    const first = await next(loop);
    const left = worker.leave();
    expect(await settlements(world)).toEqual(["release 1002"]);
    expect(world.socket.said).toContainEqual({ is: "leave", member: 1, holding: [1, 2] });
    await world.socket.settled(1, 1_002);
    const acked = first.ack();
    await world.socket.settled(1, 1_001);
    await acked;
    expect(await outcome(loop.next())).toEqual({ resolved: { done: true, value: undefined } });
    await world.socket.left(1);
    expect(await outcome(left)).toEqual({ resolved: undefined });
  });

  test("that waits ends with its worker, and fails with it", async () => {
    const { world, worker, loop } = await looping();
    const waiting = loop.next();
    await settle();
    void worker.leave();
    expect(await outcome(waiting)).toEqual({ resolved: { done: true, value: undefined } });
    expect(world.eventsOf("error")).toEqual([]);

    const other = await looping();
    const failing = other.loop.next();
    await other.world.socket.say({ is: "left", member: 1, code: "taken-over", message: "Elsewhere." });
    expect(await codeOf(failing)).toBe("taken-over");
    expect(other.world.eventsOf("error")).toEqual([]);
  });

  test("fails with a refusal", async () => {
    const world = new World();
    const loop = world.dogear.work("a.*", { group: "g" })[Symbol.asyncIterator]();
    const first = loop.next();
    await world.connect();
    await world.socket.say({ is: "error", code: "group-differs", message: "No.", member: 1 });
    expect(await codeOf(first)).toBe("group-differs");
    expect(world.eventsOf("error")).toEqual([]);
  });

  test("is the only one that takes the messages", async () => {
    const { worker, loop } = await looping();
    void loop.next();
    const handled = await working();
    for (const taken of [worker, handled.worker])
      expect(await outcome(taken[Symbol.asyncIterator]().next())).toMatchObject({ rejected: expect.any(TypeError) });
  });
});
