import { defaultLimits, nameLengthMax, refusedMax, tokenLengthMax } from "@dogear/shared";
import { clientEnvelope } from "@dogear/shared/envelopes";
import { describe, expect, test } from "vitest";
import { codeOf, outcome, settle, startedAt, World } from "./support.ts";

describe("connecting", () => {
  test("hello goes alone, and every subscription and every draft at once behind it (P-7)", async () => {
    const world = new World({ subscriber: "app", heartbeatMs: 60_000 });
    void world.dogear.publish("a.b", 1);
    world.dogear.subscribe("a.>", { cursor: true, from: "earliest" });
    void world.dogear.publish("a.b", 2);
    world.socket.open();
    expect(world.socket.frames).toEqual([
      [
        {
          is: "hello",
          protocol: 1,
          subscriber: "app",
          heartbeatMs: 60_000,
          producer: { id: "producer-1", settled: 0 },
          connection: 1,
        },
      ],
      [
        {
          is: "subscribe",
          subscription: 1,
          pattern: "a.>",
          cursor: true,
          from: "earliest",
          window: { messages: 1_000, bytes: 1_048_576 },
        },
        { is: "publish", number: 1, channel: "a.b", data: 1 },
        { is: "publish", number: 2, channel: "a.b", data: 2 },
      ],
    ]);
  });

  test("a reconnect resumes subscriptions and drafts in one round trip (P-7, P-25)", async () => {
    const world = new World();
    world.dogear.subscribe("a.*", {}, () => {});
    await world.connect({}, 4_000);
    await world.socket.subscribed(1, 7);
    void world.dogear.publish("a.b", 1);
    void world.dogear.publish("a.b", 2);
    await settle();
    await world.socket.published(1);
    await world.socket.drop();
    await world.nextAttempt();
    world.socket.open();
    expect(world.socket.frames).toMatchObject([
      [{ is: "hello", producer: { id: "producer-1", settled: 1, seen: 4_000 } }],
      [
        { is: "subscribe", subscription: 1, from: { epoch: "e1", offset: 7 } },
        { is: "publish", number: 2 },
      ],
    ]);
  });

  test("no hello is larger than what a hub takes before it knows whose it is (P-7)", () => {
    const producer = {
      id: "p".repeat(nameLengthMax),
      settled: Number.MAX_SAFE_INTEGER,
      refused: Array.from({ length: refusedMax }, () => Number.MAX_SAFE_INTEGER),
      seen: startedAt,
    };
    const names = { token: "t".repeat(tokenLengthMax), subscriber: "😀".repeat(nameLengthMax / 2) };
    const hello = { is: "hello", protocol: 1, ...names, heartbeatMs: 900_000, producer };
    expect(clientEnvelope.parse(hello)).toEqual(hello);
    expect(new Blob([JSON.stringify(hello)]).size).toBeLessThanOrEqual(defaultLimits.helloBytesMax);
  });

  test("what is said in one turn goes in one WebSocket message", async () => {
    const world = new World();
    await world.connect();
    for (let n = 0; n < 10; n++) void world.dogear.publish("a.b", n);
    await settle();
    expect(world.socket.frames.map((frame) => frame.length)).toEqual([1, 10]);
  });

  test("no WebSocket message exceeds 256 KiB unless one envelope does", async () => {
    const world = new World();
    await world.connect();
    for (const size of [100, 200, 100, 100, 250, 10].map((kib) => kib * 1_024))
      void world.dogear.publish("a.b", "x".repeat(size));
    await settle();
    expect(world.socket.frames.map((frame) => frame.length)).toEqual([1, 1, 1, 2, 1, 1]);
    expect(world.socket.said).toHaveLength(7);
  });

  test("http and https stand for ws and wss", () => {
    expect(new World({}, "http://hub").socket.url).toBe("ws://hub");
    expect(new World({}, "https://hub/x").socket.url).toBe("wss://hub/x");
    expect(new World({}, "ws://hub").socket.url).toBe("ws://hub");
  });

  test("ready resolves when welcomed, also after failed attempts", async () => {
    const world = new World();
    const ready = world.dogear.ready();
    await world.socket.drop();
    expect(await outcome(ready)).toBe("pending");
    await world.nextAttempt();
    await world.connect();
    expect(await outcome(ready)).toEqual({ resolved: undefined });
    expect(await outcome(world.dogear.ready())).toEqual({ resolved: undefined });
  });

  test("ready waits again while the connection is lost", async () => {
    const world = new World();
    await world.connect();
    await world.socket.drop();
    const ready = world.dogear.ready();
    expect(await outcome(ready)).toBe("pending");
    await world.nextAttempt();
    await world.connect();
    expect(await outcome(ready)).toEqual({ resolved: undefined });
  });

  test("ready ends with its signal", async () => {
    const world = new World();
    const abort = new AbortController();
    const ready = world.dogear.ready({ signal: abort.signal });
    abort.abort(new Error("enough"));
    expect(await outcome(ready)).toEqual({ rejected: new Error("enough") });
  });

  test("states and their reasons are told", async () => {
    const world = new World();
    await world.connect();
    await world.socket.drop(4_003, "heartbeat-timeout");
    await world.nextAttempt();
    expect(world.eventsOf("state")).toEqual([
      { name: "open" },
      { name: "waiting", code: "heartbeat-timeout", retryInMs: 250 },
      { name: "connecting" },
    ]);
  });

  test("limits are those of the last welcome", async () => {
    const world = new World();
    expect(world.dogear.limits.messageBytesMax).toBe(262_144);
    await world.connect({ messageBytesMax: 10 });
    expect(world.dogear.limits.messageBytesMax).toBe(10);
  });

  test("what an abandoned connection still says is ignored", async () => {
    const world = new World();
    const [first] = world.sockets;
    await world.clock.pass(10_000);
    expect(first?.closed).toBe(true);
    await world.nextAttempt();
    await first?.welcome();
    expect(world.dogear.state.name).toBe("connecting");
  });

  test("a frame that cannot be read ends the session, not the client", async () => {
    const world = new World();
    await world.connect();
    await world.socket.sayText("{");
    expect(world.dogear.state).toMatchObject({ name: "waiting", code: "malformed" });
    await world.nextAttempt();
    await world.connect();
    expect(world.dogear.state.name).toBe("open");
  });

  test("an error that belongs to nothing is told by an event", async () => {
    const world = new World();
    await world.connect();
    await world.socket.say({ is: "error", code: "invalid-envelope", message: "Odd." });
    expect(world.eventsOf("error")).toMatchObject([{ error: { code: "invalid-envelope" } }]);
  });
});

describe("keeping the connection", () => {
  test("a ping is answered at once (P-13)", async () => {
    const world = new World();
    await world.connect();
    await world.socket.heard();
    await world.socket.say({ is: "ping" });
    expect(await world.socket.heard()).toEqual([{ is: "pong" }]);
  });

  test("silence for a heartbeat and a grace is death; anything heard is life (P-14)", async () => {
    const world = new World();
    await world.connect();
    await world.clock.pass(30_000);
    await world.socket.say({ is: "ping" });
    await world.clock.pass(34_999);
    expect(world.dogear.state.name).toBe("open");
    await world.clock.pass(1);
    expect(world.dogear.state).toMatchObject({ name: "waiting", code: "heartbeat-timeout" });
    expect(world.sockets[0]?.closed).toBe(true);
  });

  test("a machine that slept too long finds out when the page wakes", async () => {
    const world = new World();
    await world.connect();
    world.clock.sleep(60_000);
    world.page.woke();
    expect(world.dogear.state.name).toBe("waiting");
    await world.nextAttempt();
    await world.connect();
    world.clock.sleep(20_000);
    world.page.woke();
    expect(world.dogear.state.name).toBe("open");
  });

  test("nothing is written into a connection past its deadline", async () => {
    const world = new World();
    await world.connect();
    const socket = world.socket;
    world.clock.sleep(60_000);
    void world.dogear.publish("a.b", 1);
    await settle();
    expect(socket.said.map(({ is }) => is)).toEqual(["hello"]);
    await world.nextAttempt();
    world.socket.open();
    expect(world.socket.said.map(({ is }) => is)).toEqual(["hello", "publish"]);
  });

  test("a page that wakes while waiting retries at once", async () => {
    const world = new World();
    for (let attempt = 0; attempt < 8; attempt++) {
      await world.socket.drop();
      await world.nextAttempt();
    }
    await world.socket.drop();
    expect(world.dogear.state.retryInMs).toBe(10_000);
    world.page.woke();
    expect(world.dogear.state.retryInMs).toBe(100);
    const attempts = world.sockets.length;
    await world.clock.pass(100);
    expect(world.sockets).toHaveLength(attempts + 1);
  });

  test("a hidden page keeps its connection and makes no attempts until it is seen", async () => {
    const world = new World();
    await world.connect();
    world.hidden = true;
    await world.socket.say({ is: "ping" });
    expect(world.dogear.state.name).toBe("open");
    await world.socket.drop();
    await world.clock.pass(100_000);
    expect(world.sockets).toHaveLength(1);
    world.hidden = false;
    world.page.woke();
    await world.clock.pass(100);
    expect(world.sockets).toHaveLength(2);
  });

  test("a page that goes offline hangs up, and comes back when it is online", async () => {
    const world = new World();
    await world.connect();
    world.page.offline();
    expect(world.sockets[0]?.closed).toBe(true);
    expect(world.dogear.state).toMatchObject({ name: "waiting", reason: "offline", retryInMs: 20_000 });
    world.page.woke();
    await world.clock.pass(100);
    expect(world.sockets).toHaveLength(2);
  });

  test("a draining hub says when to come back (P-16)", async () => {
    const world = new World();
    await world.connect();
    await world.socket.say({ is: "draining", reconnectAfterMs: 3_210 });
    await world.socket.drop(4_001, "draining");
    expect(world.dogear.state).toMatchObject({ name: "waiting", code: "draining", retryInMs: 3_210 });
  });
});

describe("the end", () => {
  test("a close code that says never rejects everything that waits (P-15)", async () => {
    const world = new World();
    const ready = world.dogear.ready();
    const published = world.dogear.publish("a.b", 1);
    const subscription = world.dogear.subscribe("a.b");
    const loop = subscription[Symbol.asyncIterator]().next();
    await world.socket.drop(4_501, "unsupported-protocol");
    expect(world.dogear.state).toMatchObject({ name: "closed", code: "unsupported-protocol" });
    for (const promise of [ready, published, subscription.ended, subscription.ready(), loop, world.dogear.ready()])
      expect(await codeOf(promise)).toBe("unsupported-protocol");
    expect(await codeOf(world.dogear.publish("a.b", 2))).toBe("unsupported-protocol");
    expect(() => world.dogear.subscribe("a.b")).toThrow(expect.objectContaining({ code: "unsupported-protocol" }));
    expect(world.clock.timers).toBe(0);
  });

  test("close refuses what was not sent and waits for the answers to what was", async () => {
    const world = new World({ publish: { inFlightMax: 1 } });
    await world.connect();
    const sent = world.dogear.publish("a.b", 1);
    const unsent = world.dogear.publish("a.b", 2);
    await settle();
    const closed = world.dogear.close();
    expect(await codeOf(unsent)).toBe("closed");
    expect(await outcome(closed)).toBe("pending");
    await world.socket.published(1);
    expect(await outcome(sent)).toMatchObject({ resolved: { offset: 101 } });
    expect(await outcome(closed)).toEqual({ resolved: undefined });
    expect(world.dogear.state).toMatchObject({ name: "closed", code: "closed" });
    expect(world.socket.closed).toBe(true);
    expect(world.clock.timers).toBe(0);
  });

  test("close waits for at most 2 seconds, and not at all while there is no connection", async () => {
    const world = new World();
    await world.connect();
    const sent = world.dogear.publish("a.b", 1);
    await settle();
    const closed = world.dogear.close();
    await world.clock.pass(1_999);
    expect(await outcome(closed)).toBe("pending");
    await world.clock.pass(1);
    expect(await outcome(closed)).toEqual({ resolved: undefined });
    expect(await codeOf(sent)).toBe("closed");

    const offline = new World();
    const never = offline.dogear.publish("a.b", 1);
    await offline.socket.drop();
    const done = offline.dogear.close();
    await offline.clock.pass(0);
    expect(await outcome(done)).toEqual({ resolved: undefined });
    expect(await codeOf(never)).toBe("closed");
  });

  test("close can be called again, and a signal ends the waiting", async () => {
    const world = new World();
    await world.connect();
    void world.dogear.publish("a.b", 1).catch(() => {});
    await settle();
    const abort = new AbortController();
    const first = world.dogear.close({ signal: abort.signal });
    expect(world.dogear.close()).toBe(first);
    abort.abort();
    expect(await outcome(first)).toEqual({ resolved: undefined });
    expect(await codeOf(world.dogear.ready())).toBe("closed");
  });

  test("close acknowledges what was handled and ends every subscription", async () => {
    const world = new World();
    const subscription = world.dogear.subscribe("a.b", {}, () => {});
    await world.connect();
    await world.socket.subscribed(1, 5);
    await world.socket.catchUp(1, [6, 7]);
    await world.socket.heard();
    await world.dogear.close();
    expect(await world.socket.heardOf("ack")).toEqual([{ is: "ack", subscription: 1, offset: 7 }]);
    expect(await outcome(subscription.ended)).toEqual({ resolved: undefined });
  });
});
