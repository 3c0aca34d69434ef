import { describe, expect, test } from "vitest";
import type { GapError, Message, SubscribeOptions, Subscription } from "../../client/src/index.ts";
import { codeOf, outcome, settle, World } from "./support.ts";

/** A connected client with one subscription whose handler notes the offsets it gets. */
async function subscribed(
  options: SubscribeOptions = {},
  position = 0,
): Promise<{ world: World; subscription: Subscription; seen: number[] }> {
  const world = new World({ subscriber: "app" });
  const seen: number[] = [];
  const subscription = world.dogear.subscribe("a.*", options, ({ offset }) => void seen.push(offset));
  await world.connect();
  await world.socket.subscribed(1, position);
  await world.socket.heard();
  return { world, subscription, seen };
}

const acks = async (world: World): Promise<number[]> => (await world.socket.heardOf("ack")).map(({ offset }) => offset);

describe("subscribing", () => {
  test("is ready with the position the hub confirmed, and says where it stands", async () => {
    const { world, subscription } = await subscribed({ from: "latest" }, 9);
    expect(await subscription.ready()).toEqual({ epoch: "e1", offset: 9 });
    expect(subscription.position).toEqual({ epoch: "e1", offset: 9 });
    expect(subscription.state).toBe("catching-up");
    await world.socket.caughtUp(1);
    expect(subscription.state).toBe("live");
    await world.socket.say({ is: "behind", subscription: 1 });
    expect(subscription.state).toBe("catching-up");
    await world.socket.drop();
    expect(subscription.state).toBe("subscribing");
    await subscription.unsubscribe();
    expect(subscription.state).toBe("ended");
  });

  test("tells its steps as events", async () => {
    const world = new World();
    const told: unknown[] = [];
    const subscription = world.dogear.subscribe("a.*", {}, () => {});
    for (const type of ["subscribed", "live", "behind", "gap", "ended"] as const)
      subscription.addEventListener(type, ({ detail }) => told.push([type, detail]));
    await world.connect();
    await world.socket.subscribed(1, 3, { head: 5 });
    await world.socket.caughtUp(1);
    await world.socket.say({ is: "behind", subscription: 1 });
    void subscription.unsubscribe();
    expect(told).toEqual([
      ["subscribed", { position: { epoch: "e1", offset: 3 }, head: 5 }],
      ["live", null],
      ["behind", null],
      ["ended", {}],
    ]);
  });

  test("says how to start: a time, a reset, a window", async () => {
    const world = new World({ subscriber: "app" });
    world.dogear.subscribe("a", { from: { time: new Date(5) } });
    world.dogear.subscribe("b", { from: { time: 6 }, cursor: true, reset: true, window: { messages: 10 } });
    world.dogear.subscribe("c", { from: { epoch: "e0", offset: 4 } as never });
    await world.connect();
    expect(await world.socket.heardOf("subscribe")).toMatchObject([
      { subscription: 1, from: { time: 5 } },
      { subscription: 2, from: { time: 6 }, cursor: true, reset: true, window: { messages: 10, bytes: 1_048_576 } },
      { subscription: 3, from: { epoch: "e0", offset: 4 } },
    ]);
  });

  test("refuses at once what cannot be", async () => {
    const world = new World();
    expect(() => world.dogear.subscribe("a.>.b")).toThrow(expect.objectContaining({ code: "invalid-pattern" }));
    expect(() => world.dogear.subscribe("a", { cursor: true })).toThrow(
      expect.objectContaining({ code: "subscriber-required" }),
    );
  });

  test("a message carries all it was published with", async () => {
    const world = new World();
    const got: Message[] = [];
    world.dogear.subscribe("a.*", {}, (message) => void got.push(message));
    await world.connect();
    await world.socket.subscribed(1);
    await world.socket.say({
      is: "messages",
      subscription: 1,
      after: 0,
      through: 2,
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
      },
      { offset: 2, channel: "a.c", type: "image/png", data: new Uint8Array([1, 2]) },
    ]);
  });

  test("a refusal ends it with the error", async () => {
    const world = new World();
    const subscription = world.dogear.subscribe("a.*", {}, () => {});
    const ended = subscription.ended;
    await world.connect();
    await world.socket.say({ is: "error", code: "memory-namespace", message: "No.", subscription: 1 });
    expect(await codeOf(ended)).toBe("memory-namespace");
    expect(await codeOf(subscription.ready())).toBe("memory-namespace");
    expect(world.eventsOf("error")).toEqual([]);
  });

  test("a refusal that nobody waits for is told by an event", async () => {
    const world = new World();
    world.dogear.subscribe("a.*", {}, () => {});
    await world.connect();
    await world.socket.say({ is: "error", code: "memory-namespace", message: "No.", subscription: 1 });
    expect(world.eventsOf("error")).toMatchObject([{ error: { code: "memory-namespace" } }]);
  });

  test("so is what ends it later, although ready was waited for", async () => {
    const { world, subscription } = await subscribed();
    await subscription.ready();
    await world.socket.say({ is: "unsubscribed", subscription: 1, code: "taken-over", message: "Elsewhere." });
    expect(world.eventsOf("error")).toMatchObject([{ error: { code: "taken-over" } }]);
  });

  test("a refusal for now is asked again, later and under a new number", async () => {
    const { world, seen } = await subscribed();
    await world.socket.catchUp(1, [1, 2]);
    await world.socket.say({ is: "unsubscribed", subscription: 1, code: "unavailable", message: "Not now." });
    expect(await world.socket.heardOf("subscribe")).toEqual([]);
    await world.clock.pass(250);
    expect(await world.socket.heardOf("subscribe")).toMatchObject([{ subscription: 2, from: { offset: 2 } }]);
    await world.socket.say({ is: "error", subscription: 2, code: "unavailable", message: "Not yet." });
    await world.clock.pass(499);
    expect(await world.socket.heardOf("subscribe")).toEqual([]);
    await world.clock.pass(1);
    expect(await world.socket.heardOf("subscribe")).toMatchObject([{ subscription: 3 }]);
    await world.socket.subscribed(3, 2);
    await world.socket.catchUp(3, [3]);
    expect(seen).toEqual([1, 2, 3]);
  });

  test("errors about acknowledgements are told, and end nothing", async () => {
    const { world, subscription } = await subscribed();
    await world.socket.say({ is: "error", code: "ack-beyond-sent", message: "No.", subscription: 1 });
    expect(world.eventsOf("error")).toMatchObject([{ error: { code: "ack-beyond-sent" } }]);
    expect(subscription.state).toBe("catching-up");
  });
});

describe("what arrives", () => {
  test("is handed out once, however often it is sent (G8)", async () => {
    const { world, seen } = await subscribed();
    await world.socket.catchUp(1, [1, 2, 3]);
    await world.socket.catchUp(1, [2, 3, 4]);
    await world.socket.caughtUp(1);
    await world.socket.live("a.*", [4, 5]);
    await world.socket.live("a.*", [5]);
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  test("live goes to the live subscriptions of its pattern, private to one (P-37)", async () => {
    const world = new World();
    const seen: string[] = [];
    for (const name of ["one", "two", "three"])
      world.dogear.subscribe("a.*", {}, ({ offset }) => void seen.push(`${name} ${offset}`));
    world.dogear.subscribe("a.b", {}, ({ offset }) => void seen.push(`other ${offset}`));
    await world.connect();
    for (const subscription of [1, 2, 3, 4]) await world.socket.subscribed(subscription, 10);
    for (const subscription of [1, 2, 4]) await world.socket.caughtUp(subscription);
    await world.socket.live("a.*", [11]);
    await world.socket.catchUp(3, [11, 12]);
    await world.socket.say({ is: "behind", subscription: 2 });
    await world.socket.live("a.*", [12]);
    await world.socket.caughtUp(3);
    await world.socket.live("a.*", [13]);
    expect(seen).toEqual(["one 11", "two 11", "three 11", "three 12", "one 12", "one 13", "three 13"]);
  });

  test("is handled one at a time where the handler makes it wait", async () => {
    const world = new World();
    const log: string[] = [];
    let release = (): void => {};
    world.dogear.subscribe("a.*", {}, async ({ offset }) => {
      log.push(`begin ${offset}`);
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      log.push(`end ${offset}`);
    });
    await world.connect();
    await world.socket.subscribed(1);
    await world.socket.catchUp(1, [1, 2]);
    expect(log).toEqual(["begin 1"]);
    release();
    await settle();
    expect(log).toEqual(["begin 1", "end 1", "begin 2"]);
  });

  test("a handler that throws ends its subscription and leaves the message unacknowledged", async () => {
    const world = new World();
    const subscription = world.dogear.subscribe("a.*", {}, ({ offset }) => {
      if (offset === 2) throw new Error("no");
    });
    const ended = subscription.ended;
    await world.connect();
    await world.socket.subscribed(1);
    await world.socket.heard();
    await world.socket.catchUp(1, [1, 2, 3]);
    expect(await outcome(ended)).toEqual({ rejected: new Error("no") });
    expect(await world.socket.heard()).toEqual([
      { is: "ack", subscription: 1, offset: 1 },
      { is: "unsubscribe", subscription: 1 },
    ]);
  });

  test("so does one whose promise rejects", async () => {
    const world = new World();
    world.dogear.subscribe("a.*", {}, async () => {
      throw new Error("no");
    });
    await world.connect();
    await world.socket.subscribed(1);
    await world.socket.catchUp(1, [1]);
    expect(world.eventsOf("error")).toEqual([{ error: new Error("no") }]);
  });
});

describe("a loop", () => {
  test("gets every message, and acknowledges one when it asks for the next", async () => {
    const world = new World();
    const subscription = world.dogear.subscribe("a.*");
    const loop = subscription[Symbol.asyncIterator]();
    const first = loop.next();
    await world.connect();
    await world.socket.subscribed(1);
    await world.socket.catchUp(1, [1, 2]);
    expect((await first).value?.offset).toBe(1);
    expect(subscription.position?.offset).toBe(0);
    expect((await loop.next()).value?.offset).toBe(2);
    expect(subscription.position?.offset).toBe(1);
    const third = loop.next();
    await world.socket.catchUp(1, [3]);
    expect((await third).value?.offset).toBe(3);
  });

  test("that is left unsubscribes and leaves the last message unacknowledged", async () => {
    const world = new World();
    const subscription = world.dogear.subscribe("a.*");
    const done = (async () => {
      for await (const { offset } of subscription) if (offset === 2) break;
    })();
    await world.connect();
    await world.socket.subscribed(1);
    await world.socket.heard();
    await world.socket.catchUp(1, [1, 2, 3]);
    await done;
    expect(await world.socket.heard()).toEqual([
      { is: "ack", subscription: 1, offset: 1 },
      { is: "unsubscribe", subscription: 1 },
    ]);
    expect(await outcome(subscription.ended)).toEqual({ resolved: undefined });
  });

  test("ends when its subscription is unsubscribed, aborted or the client closed", async () => {
    for (const how of ["unsubscribe", "abort", "close"]) {
      const world = new World();
      const abort = new AbortController();
      const subscription = world.dogear.subscribe("a.*", { signal: abort.signal });
      const next = subscription[Symbol.asyncIterator]().next();
      await settle();
      if (how === "unsubscribe") void subscription.unsubscribe();
      else if (how === "abort") abort.abort();
      else void world.dogear.close();
      expect(await outcome(next), how).toEqual({ resolved: { done: true, value: undefined } });
    }
  });

  test("is the only one that takes the messages", async () => {
    const world = new World();
    const subscription = world.dogear.subscribe("a.*");
    void subscription[Symbol.asyncIterator]().next();
    const handled = world.dogear.subscribe("a.*", {}, () => {});
    for (const taken of [subscription, handled])
      expect(await outcome(taken[Symbol.asyncIterator]().next())).toMatchObject({ rejected: expect.any(TypeError) });
  });

  test("over a subscription that is already aborted does not begin", async () => {
    const world = new World();
    const subscription = world.dogear.subscribe("a.*", { signal: AbortSignal.abort() });
    expect(await outcome(subscription[Symbol.asyncIterator]().next())).toMatchObject({ resolved: { done: true } });
    await world.connect();
    expect((await world.socket.heard()).map(({ is }) => is)).toEqual(["hello"]);
  });
});

describe("acknowledging", () => {
  test("happens within a second", async () => {
    const { world } = await subscribed();
    expect(world.clock.timers).toBe(1);
    await world.socket.catchUp(1, [1, 2]);
    await world.clock.pass(999);
    expect(await acks(world)).toEqual([]);
    await world.socket.catchUp(1, [3]);
    await world.clock.pass(1);
    expect(await acks(world)).toEqual([3]);
    expect(world.clock.timers).toBe(1);
  });

  test("happens at half a window of messages", async () => {
    const { world } = await subscribed({ window: { messages: 10 } });
    await world.socket.catchUp(1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(await acks(world)).toEqual([5, 10]);
  });

  test("happens at half a window of bytes, at the latest", async () => {
    const { world } = await subscribed({ window: { bytes: 2_000 } });
    const message = (offset: number) => ({ offset, channel: "a.b", time: 5, data: "€".repeat(100) });
    await world.socket.say({
      is: "messages",
      subscription: 1,
      after: 0,
      through: 4,
      messages: [1, 2, 3, 4].map(message),
    });
    expect((await acks(world))[0]).toBeLessThanOrEqual(3);
  });

  test("does not go beyond half of what the hub lets a window be", async () => {
    const world = new World();
    world.dogear.subscribe("a.*", { window: { messages: 1_000 } }, () => {});
    await world.connect({ windowMessagesMax: 4 });
    await world.socket.subscribed(1);
    await world.socket.catchUp(1, [1, 2, 3, 4]);
    expect(await acks(world)).toEqual([2, 4]);
  });

  test("includes idle positions, once all before them is handled (P-40)", async () => {
    const { world, subscription } = await subscribed();
    await world.socket.catchUp(1, [], 40);
    await world.clock.pass(1_000);
    expect(await acks(world)).toEqual([40]);
    await world.socket.catchUp(1, [41], 50);
    expect(subscription.position?.offset).toBe(50);
  });

  test("does not include idle positions while a message is in hand", async () => {
    const world = new World();
    let release = (): void => {};
    const subscription = world.dogear.subscribe(
      "a.*",
      {},
      () =>
        new Promise((resolve) => {
          release = resolve;
        }),
    );
    await world.connect();
    await world.socket.subscribed(1);
    await world.socket.catchUp(1, [1]);
    await world.socket.catchUp(1, [], 9);
    expect(subscription.position?.offset).toBe(0);
    release();
    await settle();
    expect(subscription.position?.offset).toBe(9);
  });

  test("by hand is cumulative, and moves only forward", async () => {
    const world = new World();
    const messages: Message[] = [];
    const subscription = world.dogear.subscribe("a.*", { acknowledge: "manual" }, (m) => void messages.push(m));
    await world.connect();
    await world.socket.subscribed(1);
    await world.socket.catchUp(1, [1, 2, 3], 8);
    await world.clock.pass(1_000);
    expect(await acks(world)).toEqual([]);
    messages[1]?.acknowledge();
    messages[0]?.acknowledge();
    expect(subscription.position?.offset).toBe(2);
    await world.clock.pass(1_000);
    expect(await acks(world)).toEqual([2]);
    messages[2]?.acknowledge();
    expect(subscription.position?.offset).toBe(8);
  });

  test("is done at once when the page may not run again", async () => {
    const { world } = await subscribed();
    await world.socket.catchUp(1, [1]);
    world.page.leaving();
    expect(world.socket.said.at(-1)).toEqual({ is: "ack", subscription: 1, offset: 1 });
  });

  test("goes first when unsubscribing, which the hub confirms (P-42)", async () => {
    const { world, subscription } = await subscribed();
    await world.socket.catchUp(1, [1, 2]);
    const left = subscription.unsubscribe();
    expect(await world.socket.heard()).toEqual([
      { is: "ack", subscription: 1, offset: 2 },
      { is: "unsubscribe", subscription: 1 },
    ]);
    expect(await outcome(left)).toBe("pending");
    await world.socket.say({ is: "unsubscribed", subscription: 1 });
    expect(await outcome(left)).toEqual({ resolved: undefined });
    expect(await outcome(subscription.unsubscribe())).toEqual({ resolved: undefined });
  });

  test("unsubscribing also ends with the connection, and is not repeated", async () => {
    const { world, subscription } = await subscribed();
    const left = subscription.unsubscribe();
    await world.socket.drop();
    expect(await outcome(left)).toEqual({ resolved: undefined });
    await world.nextAttempt();
    await world.connect();
    expect((await world.socket.heard()).map(({ is }) => is)).toEqual(["hello"]);
  });
});

describe("after a reconnect", () => {
  test("a subscription without a cursor goes on after what it received, handled or not", async () => {
    const world = new World();
    const loop = world.dogear.subscribe("a.*", { from: "latest" })[Symbol.asyncIterator]();
    const first = loop.next();
    await world.connect();
    await world.socket.subscribed(1, 5);
    await world.socket.catchUp(1, [6, 7], 9);
    expect((await first).value?.offset).toBe(6);
    await world.reconnect();
    expect(await world.socket.heardOf("subscribe")).toMatchObject([{ from: { epoch: "e1", offset: 9 } }]);
    await world.socket.subscribed(1, 9);
    await world.socket.catchUp(1, [10]);
    expect((await loop.next()).value?.offset).toBe(7);
    expect((await loop.next()).value?.offset).toBe(10);
  });

  test("one that was never confirmed is asked for as at first", async () => {
    const world = new World({ subscriber: "app" });
    world.dogear.subscribe("a.*", { cursor: true, reset: true, from: "earliest" }, () => {});
    await world.connect();
    await world.reconnect();
    expect(await world.socket.heardOf("subscribe")).toMatchObject([{ cursor: true, reset: true, from: "earliest" }]);
  });

  test("a durable one is not reset again, and gives the hub its place in case the cursor is lost", async () => {
    const { world } = await subscribed({ cursor: true, reset: true, from: "earliest" });
    await world.socket.catchUp(1, [1, 2]);
    await world.reconnect();
    const [envelope] = await world.socket.heardOf("subscribe");
    expect(envelope).toMatchObject({ cursor: true, from: { epoch: "e1", offset: 2 } });
    expect(envelope).not.toHaveProperty("reset");
  });

  test("nothing is handled twice, and nothing acknowledged beyond what this session sent (P-39)", async () => {
    const { world, seen } = await subscribed({ cursor: true });
    await world.socket.catchUp(1, [1, 2, 3, 4]);
    await world.reconnect();
    await world.socket.subscribed(1, 0);
    await world.socket.heard();
    await world.clock.pass(1_000);
    expect(await acks(world)).toEqual([]);
    await world.socket.catchUp(1, [1, 2]);
    await world.clock.pass(1_000);
    expect(await acks(world)).toEqual([2]);
    await world.socket.catchUp(1, [3, 4, 5]);
    await world.clock.pass(1_000);
    expect(await acks(world)).toEqual([5]);
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  test("what is sent again counts towards half a window", async () => {
    const { world } = await subscribed({ cursor: true, window: { messages: 4 } });
    await world.socket.catchUp(1, [1, 2, 3, 4]);
    await world.reconnect();
    await world.socket.subscribed(1, 0);
    await world.socket.heard();
    await world.socket.catchUp(1, [1, 2]);
    expect(await acks(world)).toEqual([2]);
  });

  test("a handler that is still at work is not disturbed, and acknowledges in the new session", async () => {
    const world = new World({ subscriber: "app" });
    const releases: (() => void)[] = [];
    world.dogear.subscribe("a.*", { cursor: true }, () => new Promise((resolve) => void releases.push(resolve)));
    await world.connect();
    await world.socket.subscribed(1);
    await world.socket.catchUp(1, [1]);
    await world.reconnect();
    releases[0]?.();
    await world.clock.pass(2_000);
    expect(await acks(world)).toEqual([]);
    await world.socket.subscribed(1, 0);
    await world.socket.catchUp(1, [1]);
    await world.clock.pass(1_000);
    expect(await acks(world)).toEqual([1]);
    expect(releases).toHaveLength(1);
  });

  test("one that was taken over has ended with that error, and is not asked for again (P-41)", async () => {
    const { world, subscription } = await subscribed({ cursor: true });
    const ended = subscription.ended;
    await world.socket.say({ is: "unsubscribed", subscription: 1, code: "taken-over", message: "Elsewhere." });
    expect(await codeOf(ended)).toBe("taken-over");
    expect(await world.socket.heard()).toEqual([]);
    await world.reconnect();
    expect(await world.socket.heardOf("subscribe")).toEqual([]);
  });
});

describe("a new epoch", () => {
  test("offsets seen in the old one do not hide messages of the new one", async () => {
    const { world, seen } = await subscribed({ cursor: true });
    await world.socket.catchUp(1, [1, 2, 3, 4]);
    await world.reconnect();
    await world.socket.subscribed(1, 2, { epoch: "e2" });
    await world.socket.catchUp(1, [3, 4]);
    expect(seen).toEqual([1, 2, 3, 4, 3, 4]);
    await world.clock.pass(1_000);
    expect(await acks(world)).toEqual([4]);
  });

  test("what is left of the old one is handled first, and acknowledges nothing of the new one", async () => {
    const world = new World({ subscriber: "app" });
    const loop = world.dogear.subscribe("a.*", { cursor: true })[Symbol.asyncIterator]();
    const first = loop.next();
    await world.connect();
    await world.socket.subscribed(1);
    await world.socket.catchUp(1, [1, 8, 9]);
    await first;
    await world.reconnect();
    await world.socket.subscribed(1, 0, { epoch: "e2" });
    await world.socket.catchUp(1, [1, 2]);
    const rest: unknown[] = [];
    for (let n = 0; n < 4; n++) {
      const { value } = await loop.next();
      rest.push([value?.epoch, value?.offset]);
    }
    expect(rest).toEqual([
      ["e1", 8],
      ["e1", 9],
      ["e2", 1],
      ["e2", 2],
    ]);
    await world.clock.pass(1_000);
    expect(await acks(world)).toEqual([1]);
  });
});

describe("a gap", () => {
  const gap = {
    is: "gap",
    subscription: 1,
    from: 2,
    to: 6,
    reason: "retention",
    position: { epoch: "e1", offset: 6 },
  } as const;

  test("ends the subscription, after what came before it was handled", async () => {
    const world = new World();
    const seen: number[] = [];
    const subscription = world.dogear.subscribe("a.*");
    const done = (async () => {
      for await (const { offset } of subscription) seen.push(offset);
    })();
    await world.connect();
    await world.socket.subscribed(1);
    await world.socket.heard();
    await world.socket.say(
      {
        is: "messages",
        subscription: 1,
        after: 0,
        through: 2,
        messages: [1, 2].map((offset) => ({ offset, channel: "a.b", time: 5, data: 0 })),
      },
      gap,
      {
        is: "messages",
        subscription: 1,
        after: 6,
        through: 7,
        messages: [{ offset: 7, channel: "a.b", time: 5, data: 0 }],
      },
    );
    const { rejected } = (await outcome(done)) as { rejected: GapError };
    expect(rejected).toMatchObject({
      code: "gap",
      gap: { from: 2, to: 6, reason: "retention" },
      position: { epoch: "e1", offset: 6 },
    });
    expect(seen).toEqual([1, 2]);
    expect(await world.socket.heard()).toEqual([
      { is: "ack", subscription: 1, offset: 2 },
      { is: "unsubscribe", subscription: 1 },
    ]);
    await world.clock.pass(5_000);
    expect(await world.socket.heard()).toEqual([]);
  });

  test("is told in its place with onGap continue, and acknowledged", async () => {
    const world = new World();
    const log: unknown[] = [];
    const subscription = world.dogear.subscribe("a.*", { onGap: "continue" }, ({ offset }) => void log.push(offset));
    subscription.addEventListener("gap", ({ detail }) => log.push(detail));
    await world.connect();
    await world.socket.subscribed(1, 2);
    await world.socket.say(gap);
    await world.clock.pass(1_000);
    expect(await acks(world)).toEqual([6]);
    await world.socket.catchUp(1, [7]);
    expect(log).toEqual([{ from: 2, to: 6, reason: "retention", position: { epoch: "e1", offset: 6 } }, 7]);
  });

  test("at the start is acknowledged too, else the hub would tell it again", async () => {
    const { world } = await subscribed({ cursor: true, onGap: "continue" }, 6);
    await world.socket.say(gap);
    await world.clock.pass(1_000);
    expect(await acks(world)).toEqual([6]);
  });

  test("at the start that ends the subscription is not acknowledged", async () => {
    const { world, subscription } = await subscribed({ cursor: true }, 6);
    const ended = subscription.ended;
    await world.socket.say(gap);
    expect(await codeOf(ended)).toBe("gap");
    await world.clock.pass(5_000);
    expect(await acks(world)).toEqual([]);
  });

  test("is none if everything in it had arrived before", async () => {
    const { world, subscription, seen } = await subscribed({ cursor: true });
    await world.socket.catchUp(1, [1, 2, 3, 4, 5, 6, 7]);
    await world.reconnect();
    await world.socket.subscribed(1, 6);
    await world.socket.say(gap);
    await world.socket.catchUp(1, [7, 8]);
    expect(subscription.state).toBe("catching-up");
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("is only what had not arrived before", async () => {
    const { world, subscription } = await subscribed({ cursor: true });
    const ended = subscription.ended;
    await world.socket.catchUp(1, [1, 2, 3, 4]);
    await world.reconnect();
    await world.socket.subscribed(1, 6);
    await world.socket.say(gap);
    expect(await outcome(ended)).toMatchObject({ rejected: { gap: { from: 4, to: 6 } } });
  });

  test("of another epoch is always one, and its end may be unknown", async () => {
    const { world, subscription } = await subscribed();
    const ended = subscription.ended;
    await world.socket.catchUp(1, [1, 2, 3, 4]);
    await world.reconnect();
    await world.socket.subscribed(1, 3, { epoch: "e2" });
    await world.socket.say({
      is: "gap",
      subscription: 1,
      from: 4,
      to: null,
      reason: "epoch",
      position: { epoch: "e2", offset: 3 },
    });
    expect(await outcome(ended)).toMatchObject({
      rejected: { gap: { from: 4, to: null, reason: "epoch" }, position: { epoch: "e2", offset: 3 } },
    });
  });
});

describe("resumed", () => {
  test("is told when everything that was there is live again", async () => {
    const world = new World();
    for (const pattern of ["a.*", "b.*"]) world.dogear.subscribe(pattern, {}, () => {});
    await world.connect();
    for (const subscription of [1, 2]) {
      await world.socket.subscribed(subscription, 4);
      await world.socket.caughtUp(subscription);
    }
    expect(world.eventsOf("resumed")).toEqual([]);
    await world.socket.drop();
    await world.clock.pass(1_000);
    await world.connect();
    world.dogear.subscribe("c.*", {}, () => {});
    for (const subscription of [1, 2]) await world.socket.subscribed(subscription, 4);
    await world.socket.catchUp(1, [5, 6]);
    await world.socket.caughtUp(1);
    await world.socket.live("a.*", [7]);
    expect(world.eventsOf("resumed")).toEqual([]);
    await world.socket.catchUp(2, [4, 5]);
    await world.socket.caughtUp(2);
    expect(world.eventsOf("resumed")).toEqual([{ awayMs: 1_000, missed: 3 }]);
  });

  test("counts from the first loss when the connection is lost again meanwhile", async () => {
    const { world } = await subscribed();
    await world.socket.caughtUp(1);
    await world.reconnect();
    await world.socket.subscribed(1, 0);
    await world.socket.catchUp(1, [1]);
    await world.reconnect();
    await world.socket.subscribed(1, 1);
    await world.socket.catchUp(1, [2]);
    await world.socket.caughtUp(1);
    expect(world.eventsOf("resumed")).toEqual([{ awayMs: 800, missed: 2 }]);
  });

  test("is told at once where there is nothing to wait for, and has the gap", async () => {
    const world = new World();
    await world.connect();
    await world.reconnect();
    expect(world.eventsOf("resumed")).toEqual([{ awayMs: 300, missed: 0 }]);

    const { world: other } = await subscribed({ onGap: "continue" });
    await other.socket.caughtUp(1);
    await other.reconnect();
    await other.socket.subscribed(1, 0);
    await other.socket.say({
      is: "gap",
      subscription: 1,
      from: 0,
      to: 6,
      reason: "retention",
      position: { epoch: "e1", offset: 6 },
    });
    await other.socket.catchUp(1, [7]);
    await other.socket.caughtUp(1);
    expect(other.eventsOf("resumed")).toEqual([
      { awayMs: 300, missed: 1, gap: { from: 0, to: 6, reason: "retention" } },
    ]);
  });

  test("does not wait for a subscription that ended", async () => {
    const { world, subscription } = await subscribed();
    await world.reconnect();
    expect(world.eventsOf("resumed")).toEqual([]);
    void subscription.unsubscribe();
    expect(world.eventsOf("resumed")).toHaveLength(1);
  });
});
