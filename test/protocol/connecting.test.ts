/** From the handshake to the welcome, and what a session does with envelopes that are none. */
import { defaultLimits } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type BareSocket, open } from "../support/bare-socket.ts";
import { expectGoodService, greet, hello, publish, startHub } from "./support.ts";

describe("the handshake", () => {
  it("speaks dogear.v1.json, also where others are offered before it (P-5)", async () => {
    const hub = await startHub();
    const socket = new WebSocket(hub.url, ["mqtt", "dogear.v9.cbor", "dogear.v1.json"]);
    await new Promise((resolve) => socket.once("open", resolve));
    expect(socket.protocol).toBe("dogear.v1.json");
    socket.terminate();
  });

  it.each([
    ["none is offered", undefined],
    ["none that it speaks is offered", "dogear.v2.json"],
    ["what is offered is only nearly it", "DOGEAR.V1.JSON"],
  ])("is refused with 400 where %s (P-5)", async (_why, subprotocol) => {
    const hub = await startHub();
    const socket = new WebSocket(hub.url, subprotocol === undefined ? [] : [subprotocol]);
    const refusal = await new Promise<Error>((resolve) => socket.once("error", resolve));
    expect(refusal.message).toContain("400");
    await expectGoodService(hub);
  });
});

describe("a WebSocket message", () => {
  it("holds one envelope or an array of them, in order (P-6)", async () => {
    const hub = await startHub();
    const socket = await open(hub.url);
    socket.send([hello()]);
    await socket.next("welcome");
    socket.send({ is: "subscribe", subscription: 1, pattern: "a" });
    expect(await socket.next()).toMatchObject({ is: "subscribed", subscription: 1 });
    socket.send([]);
    socket.send([2, 3, 4].map((subscription) => ({ is: "subscribe", subscription, pattern: `p${subscription}` })));
    for (const subscription of [2, 3, 4]) expect((await socket.next("subscribed")).subscription).toBe(subscription);
  });

  it.each([
    ["binary", Buffer.from(JSON.stringify(hello()))],
    ["not JSON", "{'is':'hello'}"],
    ["empty", ""],
    ["cut short", '{"is":"pong"'],
    ["two values", '{"is":"pong"}{"is":"pong"}'],
    ["a number", "1"],
    ["a string", '"hello"'],
    ["null", "null"],
    ["begun with a byte order mark", '\ufeff{"is":"pong"}'],
  ])("that is %s is malformed and closes, before hello and after it (P-6)", async (_what, message) => {
    const hub = await startHub();
    for (const socket of [await open(hub.url), await greet(hub)]) {
      socket.send(message);
      expect(await socket.next("error")).toMatchObject({ code: "malformed" });
      expect(await socket.closed).toEqual({ code: 4500, reason: "malformed" });
    }
    await expectGoodService(hub);
  });
});

describe("hello", () => {
  it("comes first (P-7)", async () => {
    const hub = await startHub();
    for (const first of [
      { is: "publish", number: 1, channel: "a", data: 1 },
      { is: "pong" },
      { is: "never-heard-of" },
      [[]],
    ]) {
      const socket = await open(hub.url);
      socket.send(first);
      await expectClosed(socket, "hello-expected", 4502);
    }
  });

  it("comes once, wherever the second one is (P-7)", async () => {
    const hub = await startHub();
    const later = await greet(hub);
    later.send(hello());
    await expectClosed(later, "hello-expected", 4502);
    const together = await open(hub.url);
    together.send([hello(), hello()]);
    expect(await together.next()).toMatchObject({ is: "welcome" });
    await expectClosed(together, "hello-expected", 4502);
  });

  it("may share its WebSocket message with what follows, which is answered after the welcome (P-7)", async () => {
    const socket = await open((await startHub()).url);
    socket.send([
      hello({ producer: { id: "p", settled: 0 }, subscriber: "s" }),
      { is: "subscribe", subscription: 1, pattern: "a", cursor: true, from: "earliest" },
      { is: "publish", number: 1, channel: "a", data: "hi" },
    ]);
    expect(await socket.next()).toMatchObject({ is: "welcome" });
    expect(await socket.next("subscribed")).toMatchObject({ subscription: 1, position: 0 });
    expect(await socket.next("published")).toMatchObject({ number: 1, offset: 1, duplicate: false });
    expect(await socket.next("messages")).toMatchObject({ messages: [{ offset: 1, data: "hi" }] });
  });

  it("may be followed at once by further WebSocket messages (P-7)", async () => {
    const socket = await open((await startHub()).url);
    socket.send(hello({ producer: { id: "p", settled: 0 } }));
    for (let number = 1; number <= 100; number++) socket.send({ is: "publish", number, channel: "a", data: number });
    expect(await socket.next()).toMatchObject({ is: "welcome" });
    for (let number = 1; number <= 100; number++) expect((await socket.next("published")).offset).toBe(number);
  });

  it("that does not come in time closes the connection (P-8)", async () => {
    const hub = await startHub({ limits: { helloTimeoutMs: 200 } });
    const silent = await open(hub.url);
    await expectClosed(silent, "hello-timeout", 4002);
    await expectGoodService(hub);
  });

  it("of another version is answered with unsupported-protocol (P-9)", async () => {
    const hub = await startHub();
    for (const protocol of [0, 2, -1]) {
      const socket = await open(hub.url);
      socket.send({ is: "hello", protocol });
      await expectClosed(socket, "unsupported-protocol", 4501);
    }
  });

  it("of a version that has fields of its own is answered with unsupported-protocol all the same (P-9)", async () => {
    const socket = await open((await startHub()).url);
    socket.send({ is: "hello", protocol: 2, token: "of version 2" });
    await expectClosed(socket, "unsupported-protocol", 4501);
  });

  it("is answered with the session, the time, the heartbeat and every limit (P-10)", async () => {
    const limits = { heartbeatMs: 7_000, windowMessagesMax: 12, frameBytesMax: 1_000_000 };
    const hub = await startHub({ limits });
    const [one, other] = [await open(hub.url), await open(hub.url)];
    const before = Date.now();
    one.send(hello());
    other.send(hello());
    const welcome = await one.next("welcome");
    expect(welcome).toMatchObject({ protocol: 1, heartbeatMs: 7_000, limits: { ...defaultLimits, ...limits } });
    expect(welcome.hub).toMatch(/^dogear\//);
    expect(welcome.time).toBeGreaterThanOrEqual(before);
    expect(welcome.time).toBeLessThanOrEqual(Date.now());
    expect((await other.next("welcome")).session).not.toBe(welcome.session);
  });
});

describe("an envelope", () => {
  const mistakes = [
    [{ is: "nonsense" }, {}],
    [{}, {}],
    [{ is: 7 }, {}],
    [{ is: "subscribe", subscription: 3, pattern: "a", extra: 1 }, { subscription: 3 }],
    [{ is: "subscribe", subscription: 3 }, { subscription: 3 }],
    [{ is: "subscribe", subscription: 0, pattern: "a" }, {}],
    [{ is: "subscribe", subscription: 3, pattern: "a", from: "yesterday" }, { subscription: 3 }],
    [{ is: "subscribe", subscription: 3, pattern: "a", window: { messages: 0, bytes: 1 } }, { subscription: 3 }],
    [{ is: "ack", subscription: 3, offset: -1 }, { subscription: 3 }],
    [{ is: "ack", subscription: 3, offset: 1.5 }, { subscription: 3 }],
    [{ is: "unsubscribe" }, {}],
    [{ is: "publish", number: 4, channel: "a" }, { number: 4 }],
    [{ is: "publish", number: 4, data: 1 }, { number: 4 }],
    [{ is: "publish", channel: "a", data: 1 }, {}],
    [{ is: "publish", number: 4, channel: "a", data: 1, ttl: 5 }, { number: 4 }],
    [{ is: "publish", number: 4, channel: "a", data: 1, key: "" }, { number: 4 }],
    [{ is: "publish", number: 4, channel: "a", data: 1, headers: { a: 1 } }, { number: 4 }],
    [{ is: "pong", really: true }, {}],
  ] as const;

  it("that is none of the protocol's gets an error that says which, and the session goes on (P-11)", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    for (const [mistake, named] of mistakes) {
      socket.send(mistake);
      const { is, code, message, ...rest } = await socket.next("error");
      expect({ is, code, mistake, rest }).toEqual({ is: "error", code: "invalid-envelope", mistake, rest: named });
    }
    const [first] = await publish(socket, "a", "goes on");
    expect(first).toMatchObject({ offset: 1 });
  });

  it("that is wrong changes nothing for those around it (P-11)", async () => {
    const socket = await greet(await startHub());
    socket.send([
      { is: "publish", number: 1, channel: "a", data: 1 },
      { is: "nonsense" },
      { is: "publish", number: 2, channel: "a", data: 2 },
    ]);
    expect(await socket.next("error")).toMatchObject({ code: "invalid-envelope" });
    expect((await socket.next("published")).number).toBe(1);
    expect((await socket.next("published")).number).toBe(2);
  });

  it("of another kind does not use up the number of a draft (P-11)", async () => {
    const socket = await greet(await startHub(), { producer: { id: "p", settled: 0 } });
    socket.send({ is: "subscribe", subscription: 1, pattern: "a", number: 1 });
    expect(await socket.next("error")).toMatchObject({ code: "invalid-envelope" });
    expect((await publish(socket, "a", "first"))[0]).toMatchObject({ number: 1, offset: 1, duplicate: false });
  });

  it("is wrong once too often and closes the session (P-11)", async () => {
    const hub = await startHub({ limits: { errorsMax: 5 } });
    const socket = await greet(hub);
    for (let i = 1; i <= 4; i++) {
      socket.send({ is: "nonsense" });
      expect(await socket.next("error")).toMatchObject({ code: "invalid-envelope" });
    }
    await publish(socket, "a", "still here");
    socket.send([{ is: "nonsense" }, { is: "publish", number: 9, channel: "a", data: "too late" }]);
    expect(await socket.next("error")).toMatchObject({ code: "invalid-envelope" });
    await expectClosed(socket, "too-many-errors", 4503);
    expect((await publish(await greet(hub), "a", "next"))[0]).toMatchObject({ offset: 2 });
  });
});

describe("a message that is too large", () => {
  const limits = { messageBytesMax: 1_000, frameBytesMax: 10_000, errorsMax: 3 };

  it("for the hub to read closes the connection with 1009 (P-12)", async () => {
    const hub = await startHub({ limits });
    const socket = await greet(hub);
    socket.send(`[${" ".repeat(10_000)}]`);
    expect(await socket.closed).toMatchObject({ code: 1009 });
    await expectGoodService(hub);
  });

  it("to be stored is refused by its number (P-12)", async () => {
    const socket = await greet(await startHub({ limits }));
    const fits = { is: "publish", number: 1, channel: "a", data: "x".repeat(998) };
    socket.send([fits, { ...fits, number: 2, data: `${fits.data}x` }, { ...fits, number: 3, key: "k" }]);
    expect(await socket.next("error")).toMatchObject({ code: "message-too-large", number: 2 });
    expect(await socket.next("error")).toMatchObject({ code: "message-too-large", number: 3 });
    expect(await socket.next("published")).toMatchObject({ number: 1, offset: 1 });
  });

  it("counts its headers in bytes (P-12)", async () => {
    const socket = await greet(await startHub({ limits }));
    socket.send({ is: "publish", number: 1, channel: "a", headers: { h: "€".repeat(900) }, data: 1 });
    expect(await socket.next()).toMatchObject({ is: "error", code: "message-too-large", number: 1 });
  });

  it("may be tried again and again: the connection goes on (P-12)", async () => {
    const socket = await greet(await startHub({ limits }));
    for (let number = 1; number <= 5; number++) {
      socket.send({ is: "publish", number, channel: "a", data: "x".repeat(2_000) });
      expect(await socket.next("error")).toMatchObject({ code: "message-too-large", number });
    }
    await publish(socket, "a", "goes on");
  });
});

async function expectClosed(socket: BareSocket, reason: string, code: number): Promise<void> {
  expect(await socket.next("error")).toMatchObject({ code: reason });
  expect(await socket.closed).toEqual({ code, reason });
}
