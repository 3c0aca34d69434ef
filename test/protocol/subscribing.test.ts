/** Subscriptions: their numbers, where they start, how they come to be live, and how they end. */
import { describe, expect, it } from "vitest";
import { type Asked, count, dataOf, greet, publish, publishAll, Reader, startHub } from "./support.ts";

describe("the number of a subscription", () => {
  it.each([0, -1, 1.5, "1", null, 2 ** 53])("is a positive integer, not %j (P-32)", async (subscription) => {
    const socket = await greet(await startHub());
    socket.send({ is: "subscribe", subscription, pattern: "a" });
    expect(await socket.next()).toMatchObject({ is: "error", code: "invalid-envelope" });
  });

  it("is unused, and the subscription that uses it goes on (P-32)", async () => {
    const socket = await greet(await startHub());
    const reader = new Reader(socket);
    const place = await reader.subscribe({ subscription: 1, pattern: "a" });
    socket.send({ is: "subscribe", subscription: 1, pattern: "b" });
    await publishAll(socket, [
      { channel: "b", data: "b" },
      { channel: "a", data: "a" },
    ]);
    await reader.until(() => place.messages.length === 1);
    expect(dataOf(place)).toEqual(["a"]);
    expect(reader.others).toMatchObject([{ is: "error", code: "subscription-in-use", subscription: 1 }]);
  });

  it("is taken while its subscription is being opened (P-32)", async () => {
    const socket = await greet(await startHub());
    const ask = { is: "subscribe", subscription: 1, pattern: "a" };
    socket.send([ask, ask]);
    expect(await socket.next("error")).toMatchObject({ code: "subscription-in-use", subscription: 1 });
    expect(await socket.next("subscribed")).toMatchObject({ subscription: 1 });
  });

  it("can be used again after unsubscribing, for another pattern (P-32, P-42)", async () => {
    const socket = await greet(await startHub());
    const reader = new Reader(socket);
    await reader.subscribe({ pattern: "a" });
    socket.send({ is: "unsubscribe", subscription: 1 });
    await socket.next("unsubscribed");
    const place = await reader.subscribe({ pattern: "b" });
    await publishAll(socket, [
      { channel: "a", data: "a" },
      { channel: "b", data: "b" },
    ]);
    await reader.until(() => place.messages.length === 1);
    expect(dataOf(place)).toEqual(["b"]);
  });

  it("belongs to the newer subscription, also where the older one was given up before it opened (P-32, P-42)", async () => {
    const socket = await greet(await startHub(), { subscriber: "s" });
    const again = { is: "subscribe", subscription: 1, from: "latest" };
    for (const cursor of [true, false]) {
      socket.send([
        { ...again, pattern: "a", cursor },
        { is: "unsubscribe", subscription: 1 },
        { ...again, pattern: "b" },
      ]);
      await socket.next("unsubscribed");
      await socket.next("caught-up");
      await publishAll(socket, [
        { channel: "a", data: "a" },
        { channel: "b", data: "b" },
      ]);
      expect(await socket.next("messages")).toMatchObject({ messages: [{ data: "b" }] });
      socket.send({ is: "unsubscribe", subscription: 1 });
      await socket.next("unsubscribed");
    }
  });

  it("is one of at most so many of a session (P-10)", async () => {
    const socket = await greet(await startHub({ limits: { subscriptionsMax: 2 } }));
    socket.send(count(1, 3).map((subscription) => ({ is: "subscribe", subscription, pattern: "a" })));
    expect(await socket.next("error")).toMatchObject({ code: "too-many-subscriptions", subscription: 3 });
    for (const subscription of [1, 2]) expect(await socket.next("subscribed")).toMatchObject({ subscription });
    socket.send({ is: "unsubscribe", subscription: 1 });
    socket.send({ is: "subscribe", subscription: 3, pattern: "a" });
    expect(await socket.next("subscribed")).toMatchObject({ subscription: 3 });
  });
});

describe("a subscription starts", () => {
  it.each<[string, Asked["from"], number[]]>([
    ["after the newest message by default", undefined, []],
    ["after the newest message", "latest", []],
    ["with the oldest message kept", "earliest", [1, 2, 3, 4]],
  ])("%s (P-33)", async (_where, from, expected) => {
    const socket = await greet(await startHub());
    await publish(socket, "a", 1, 2, 3, 4);
    const reader = new Reader(socket);
    const place = await reader.subscribe({ pattern: "a", ...(from === undefined ? {} : { from }) });
    await publish(socket, "a", 5);
    await reader.until(() => place.messages.length === expected.length + 1);
    expect(dataOf(place)).toEqual([...expected, 5]);
  });

  it("after a position (P-33)", async () => {
    const socket = await greet(await startHub());
    const published = await publish(socket, "a", 1, 2, 3, 4);
    const reader = new Reader(socket);
    for (const { number: subscription, epoch, offset } of published) {
      const place = await reader.subscribe({ subscription, pattern: "a", from: { epoch, offset } });
      expect(place.subscribed).toMatchObject({ epoch, position: offset, head: 4 });
      await reader.until(() => place.state === "live");
      expect(dataOf(place)).toEqual(count(offset + 1, 4));
    }
  });

  it("with the first message at or after a time (P-33)", async () => {
    const socket = await greet(await startHub());
    const reader = new Reader(socket);
    const all = await reader.subscribe({ pattern: "a" });
    // Published until the clock has moved between them often enough.
    while (new Set(all.messages.map(({ time }) => time)).size < 5) {
      await publish(socket, "a", all.messages.length + 1);
      await reader.until(() => all.messages.length > 0);
      await reader.settle();
    }
    const times = [...new Set(all.messages.map(({ time }) => time))];
    for (const time of [0, ...times, (times.at(-1) ?? 0) + 60_000]) {
      const subscription = reader.places.size + 1;
      const place = await reader.subscribe({ subscription, pattern: "a", from: { time } });
      await reader.until(() => place.state === "live");
      expect(dataOf(place)).toEqual(dataOf({ messages: all.messages.filter((message) => message.time >= time) }));
    }
  });

  it("is confirmed with a position also where there is nothing yet (P-35)", async () => {
    const socket = await greet(await startHub());
    const reader = new Reader(socket);
    const first = await reader.subscribe({ subscription: 1, pattern: "quiet", from: "earliest" });
    expect(first.subscribed).toMatchObject({ position: 0, head: 0 });
    expect(first.subscribed.epoch).not.toBe("");
    const [published] = await publish(socket, "busy", 1);
    const second = await reader.subscribe({ subscription: 2, pattern: "quiet" });
    expect(second.subscribed).toMatchObject({ epoch: published?.epoch, position: 1, head: 1 });
  });

  it("is attached once it is confirmed: what is published afterwards arrives (P-35)", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    for (const round of count(1, 20)) {
      const reader = new Reader(await greet(hub));
      const place = await reader.subscribe({ pattern: "a" });
      await publish(publisher, "a", round);
      await reader.until(() => place.messages.length === 1);
      expect(dataOf(place)).toEqual([round]);
      reader.socket.terminate();
    }
  });
});

describe("a subscription that catches up", () => {
  it("is sent private envelopes until it has caught up, and live ones then (P-37)", async () => {
    const socket = await greet(await startHub());
    await publish(socket, "a", 1);
    socket.send({ is: "subscribe", subscription: 4, pattern: "a", from: "earliest" });
    expect(await socket.next()).toMatchObject({ is: "subscribed", subscription: 4, position: 0, head: 1 });
    const page = await socket.next("messages");
    expect(page).toMatchObject({ subscription: 4, after: 0, through: 1, messages: [{ offset: 1, data: 1 }] });
    expect(page).not.toHaveProperty("pattern");
    expect(await socket.next()).toEqual({ is: "caught-up", subscription: 4 });
    await publish(socket, "a", 2);
    const live = await socket.next("messages");
    expect(live).toMatchObject({ pattern: "a", after: 1, through: 2, messages: [{ offset: 2, data: 2 }] });
    expect(live).not.toHaveProperty("subscription");
  });

  it("is told how far it has come where nothing matches (P-36)", async () => {
    const socket = await greet(await startHub());
    await publish(socket, "busy", 1, 2, 3);
    socket.send({ is: "subscribe", subscription: 4, pattern: "quiet", from: "earliest" });
    await socket.next("subscribed");
    expect(await socket.next()).toEqual({ is: "messages", subscription: 4, after: 0, through: 3, messages: [] });
    expect(await socket.next()).toEqual({ is: "caught-up", subscription: 4 });
  });

  it("falls behind when its window is full, and catches up again (P-37)", async () => {
    const socket = await greet(await startHub());
    const reader = new Reader(socket, { acknowledges: false });
    const place = await reader.subscribe({ pattern: "a", window: { messages: 2, bytes: 100_000 } });
    await reader.until(() => place.state === "live");
    for (const data of count(1, 4)) await publish(socket, "a", data);
    await reader.until(() => place.state === "catching-up");
    expect(dataOf(place)).toEqual([1, 2]);
    reader.acknowledge();
    await reader.until(() => place.messages.length === 4);
    reader.acknowledge();
    await reader.until(() => place.state === "live");
    await publish(socket, "a", 5);
    await reader.until(() => place.messages.length === 5);
    expect(dataOf(place)).toEqual(count(1, 5));
  });
});

describe("unsubscribing", () => {
  it("is answered, and nothing follows (P-42)", async () => {
    const socket = await greet(await startHub());
    await new Reader(socket).subscribe({ pattern: "a" });
    socket.send({ is: "unsubscribe", subscription: 1 });
    expect(await socket.next("unsubscribed")).toEqual({ is: "unsubscribed", subscription: 1 });
    await publish(socket, "a", 1, 2, 3);
    socket.send({ is: "unsubscribe", subscription: 1 });
    expect(await socket.next("error")).toMatchObject({ code: "unknown-subscription", subscription: 1 });
    expect(socket.frames.filter((frame) => frame.includes('"messages"'))).toEqual([]);
  });

  it("in the middle of catching up ends it, and another goes on (P-42)", async () => {
    const socket = await greet(await startHub());
    await publish(socket, "a", ...count(1, 5_000));
    const reader = new Reader(socket);
    const [one, other] = [
      await reader.subscribe({ subscription: 1, pattern: "a", from: "earliest" }),
      await reader.subscribe({ subscription: 2, pattern: "a", from: "earliest" }),
    ];
    await reader.until(() => one.messages.length > 0);
    socket.send({ is: "unsubscribe", subscription: 1 });
    await reader.until(() => one.state === "ended");
    const had = one.messages.length;
    await reader.until(() => other.state === "live");
    expect(dataOf(other)).toEqual(count(1, 5_000));
    expect(one.messages).toHaveLength(had);
  });

  it("leaves the cursor where it was (P-42)", async () => {
    const hub = await startHub();
    const socket = await greet(hub, { subscriber: "s" });
    await publish(socket, "a", 1, 2, 3);
    const reader = new Reader(socket, { acknowledges: false });
    const first = await reader.subscribe({ pattern: "a", cursor: true, from: "earliest" });
    await reader.until(() => first.messages.length === 3);
    reader.acknowledge(1, 2);
    socket.send({ is: "unsubscribe", subscription: 1 });
    await reader.until(() => first.state === "ended");
    const second = await reader.subscribe({ subscription: 2, pattern: "a", cursor: true, from: "latest" });
    expect(second.subscribed.position).toBe(2);
  });
});
