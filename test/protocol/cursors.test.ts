/** Durable cursors: where they start, what moves them, who holds them, and what they survive. */
import { describe, expect, it } from "vitest";
import { startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { type Asked, type BareSocket, count, dataOf, greet, publish, Reader, startHub } from "./support.ts";

const durable: Asked = { pattern: "a", cursor: true, from: "earliest" };

describe("a durable cursor", () => {
  it("starts at from where none is stored (P-34)", async () => {
    const hub = await startHub();
    const [publisher, reader] = [await greet(hub), new Reader(await greet(hub, { subscriber: "s" }))];
    const published = await publish(publisher, "a", 1, 2, 3);
    const { epoch = "", offset = 0 } = published[0] ?? {};
    const starts: [Asked, number][] = [
      [{ pattern: "a", from: "earliest" }, 0],
      [{ pattern: "*", from: { epoch, offset } }, 1],
      [{ pattern: ">", from: "latest" }, 3],
      [{ pattern: "a.b" }, 3],
      [{ pattern: "a.c", from: { time: 0 } }, 0],
    ];
    for (const [i, [asked, position]] of starts.entries()) {
      const place = await reader.subscribe({ subscription: i + 1, cursor: true, ...asked });
      expect(place.subscribed).toMatchObject({ position });
    }
  });

  it("that is stored is where the subscription starts, whatever from says (P-34)", async () => {
    const hub = await startHub();
    await publish(await greet(hub), "a", ...count(1, 5));
    await acknowledgeTo(await greet(hub, { subscriber: "s" }), 3);
    for (const from of ["earliest", "latest", { epoch: "of another life", offset: 1 }, { time: 0 }] as const) {
      const reader = new Reader(await greet(hub, { subscriber: "s" }), { acknowledges: false });
      const place = await reader.subscribe({ ...durable, from });
      await reader.until(() => place.state === "live");
      expect(dataOf(place)).toEqual([4, 5]);
      reader.socket.close();
      await reader.socket.closed;
    }
  });

  it("starts again at from with a reset, also further back (P-34, P-40)", async () => {
    const hub = await startHub();
    await publish(await greet(hub), "a", ...count(1, 5));
    await acknowledgeTo(await greet(hub, { subscriber: "s" }), 5);
    const socket = await greet(hub, { subscriber: "s" });
    const reset = await new Reader(socket, { acknowledges: false }).subscribe({ ...durable, reset: true });
    expect(reset.subscribed.position).toBe(0);
    socket.close();
    await socket.closed;
    const after = await new Reader(await greet(hub, { subscriber: "s" })).subscribe({ ...durable, from: "latest" });
    expect(after.subscribed.position).toBe(0);
  });

  it("belongs to one subscriber in one pattern (P-34)", async () => {
    const hub = await startHub();
    await publish(await greet(hub), "a", ...count(1, 5));
    await acknowledgeTo(await greet(hub, { subscriber: "s" }), 5);
    const other = await new Reader(await greet(hub, { subscriber: "t" })).subscribe(durable);
    expect(other.subscribed.position).toBe(0);
    const reader = new Reader(await greet(hub, { subscriber: "s" }));
    expect((await reader.subscribe({ ...durable, pattern: "*" })).subscribed.position).toBe(0);
    expect((await reader.subscribe({ ...durable, subscription: 2 })).subscribed.position).toBe(5);
  });

  it("needs a subscriber (P-34)", async () => {
    const socket = await greet(await startHub());
    socket.send({ is: "subscribe", subscription: 2, ...durable });
    expect(await socket.next()).toMatchObject({ is: "error", code: "subscriber-required", subscription: 2 });
    expect(
      (await new Reader(socket).subscribe({ ...durable, subscription: 2, cursor: false })).subscribed.position,
    ).toBe(0);
  });

  it("cannot be had in a namespace kept in memory (P-34)", async () => {
    const socket = await greet(await startHub({ namespaces: { fleeting: { durability: "memory" } } }), {
      subscriber: "s",
    });
    socket.send({ is: "subscribe", subscription: 2, ...durable, pattern: "fleeting.a" });
    expect(await socket.next()).toMatchObject({ is: "error", code: "memory-namespace", subscription: 2 });
  });

  it.each(["ü/…%2F 😀", "a/b", "..", "x".repeat(128), "語".repeat(128)])(
    "may be of a subscriber of any name: %s (P-34)",
    async (subscriber) => {
      const hub = await startHub();
      await publish(await greet(hub), "a", 1, 2, 3);
      await acknowledgeTo(await greet(hub, { subscriber }), 2);
      const again = await new Reader(await greet(hub, { subscriber })).subscribe(durable);
      expect(again.subscribed.position).toBe(2);
    },
  );

  it("is there once subscribed was said, although the hub was killed then (P-35)", async () => {
    const data = temporaryFolder();
    const hub = await startHubProcess({ data });
    await publish(await greet(hub), "a", 1, 2, 3);
    const socket = await greet(hub, { subscriber: "s" });
    socket.send({ is: "subscribe", subscription: 1, pattern: "a", cursor: true, from: "latest" });
    expect(await socket.next("subscribed")).toMatchObject({ position: 3 });
    await hub.kill();
    const after = await startHub({ data });
    await publish(await greet(after), "a", 4);
    const reader = new Reader(await greet(after, { subscriber: "s" }));
    const place = await reader.subscribe(durable);
    await reader.until(() => place.state === "live");
    expect(dataOf(place)).toEqual([4]);
  });
});

describe("an acknowledgement", () => {
  it("covers everything up to its offset, and an older one is ignored (P-39, P-40)", async () => {
    const hub = await startHub();
    await publish(await greet(hub), "a", ...count(1, 5));
    await acknowledgeTo(await greet(hub, { subscriber: "s" }), 4, 4, 2, 0);
    const place = await new Reader(await greet(hub, { subscriber: "s" })).subscribe(durable);
    expect(place.subscribed.position).toBe(4);
  });

  it("of more than was sent is refused and moves nothing (P-39)", async () => {
    const hub = await startHub();
    await publish(await greet(hub), "a", ...count(1, 5));
    const reader = new Reader(await greet(hub, { subscriber: "s" }), { acknowledges: false });
    const place = await reader.subscribe(durable);
    await reader.until(() => place.messages.length === 5);
    reader.acknowledge(1, 2);
    reader.acknowledge(1, 6);
    await reader.settle();
    expect(reader.others).toMatchObject([{ code: "ack-beyond-sent", subscription: 1 }]);
    expect(await positionOf(hub, "s")).toBe(2);
  });

  it("of more than its window let through is refused, although the log is longer (P-39)", async () => {
    const hub = await startHub();
    await publish(await greet(hub), "a", ...count(1, 5));
    const reader = new Reader(await greet(hub, { subscriber: "s" }), { acknowledges: false });
    const place = await reader.subscribe({ ...durable, window: { messages: 2, bytes: 100_000 } });
    await reader.until(() => place.messages.length === 2);
    reader.socket.send({ is: "ack", subscription: 1, offset: 3 });
    expect(await reader.socket.next()).toMatchObject({ is: "error", code: "ack-beyond-sent" });
  });

  it("of a subscription that there is not is refused (P-39)", async () => {
    const socket = await greet(await startHub());
    socket.send({ is: "ack", subscription: 8, offset: 0 });
    expect(await socket.next()).toMatchObject({ is: "error", code: "unknown-subscription", subscription: 8 });
  });

  it("is stored within a second: a hub that is killed then knows it (P-40)", async () => {
    const data = temporaryFolder();
    const hub = await startHubProcess({ data });
    await publish(await greet(hub), "a", ...count(1, 5));
    const reader = new Reader(await greet(hub, { subscriber: "s" }), { acknowledges: false });
    const place = await reader.subscribe(durable);
    await reader.until(() => place.messages.length === 5);
    reader.acknowledge(1, 4);
    await reader.settle();
    // A second by the hub's own clock.
    await (await greet(hub, { heartbeatMs: 1_000 })).next("ping");
    await hub.kill();
    const after = await new Reader(await greet(await startHub({ data }), { subscriber: "s" })).subscribe(durable);
    expect(after.subscribed.position).toBe(4);
  });

  it("is stored when the hub stops in good order (P-16, P-40)", async () => {
    const data = temporaryFolder();
    const hub = await startHub({ data });
    await publish(await greet(hub), "a", ...count(1, 5));
    const reader = new Reader(await greet(hub, { subscriber: "s" }), { acknowledges: false });
    const place = await reader.subscribe(durable);
    await reader.until(() => place.messages.length === 5);
    reader.acknowledge(1, 3);
    await reader.settle();
    await hub.close();
    const after = await new Reader(await greet(await startHub({ data }), { subscriber: "s" })).subscribe(durable);
    expect(after.subscribed.position).toBe(3);
  });
});

describe("a cursor of which everything sent was acknowledged", () => {
  it("has moved with the log when its session ends (P-40)", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    const reader = new Reader(await greet(hub, { subscriber: "s" }));
    const place = await reader.subscribe({ pattern: "a", cursor: true });
    await publish(publisher, "a", 1);
    await reader.until(() => place.messages.length === 1 && place.state === "live");
    await publish(publisher, "busy", ...count(1, 20));
    await reader.settle();
    reader.socket.terminate();
    // The hub has seen the end of the session when another can find the cursor where it should be.
    await expect.poll(() => positionOf(hub, "s")).toBe(21);
  });

  it("does not move past a message that was not acknowledged (P-40)", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    const reader = new Reader(await greet(hub, { subscriber: "s" }), { acknowledges: false });
    const place = await reader.subscribe({ pattern: "a", cursor: true });
    await reader.until(() => place.state === "live");
    await publish(publisher, "a", 1, 2);
    await publish(publisher, "busy", ...count(1, 20));
    await reader.until(() => place.messages.length === 2);
    reader.acknowledge(1, 1);
    await reader.settle();
    reader.socket.close();
    await reader.socket.closed;
    expect(await positionOf(hub, "s")).toBe(1);
  });
});

describe("a second session of a subscriber", () => {
  it("takes a pattern over, and the first one's other subscriptions go on (P-41)", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    const first = new Reader(await greet(hub, { subscriber: "s" }));
    const [a, b, plain] = [
      await first.subscribe({ subscription: 1, pattern: "a", cursor: true }),
      await first.subscribe({ subscription: 2, pattern: "b", cursor: true }),
      await first.subscribe({ subscription: 3, pattern: "a" }),
    ];
    await publish(publisher, "a", 1);
    await first.until(() => a.messages.length === 1);
    await first.settle();
    const second = new Reader(await greet(hub, { subscriber: "s" }));
    const taken = await second.subscribe({ subscription: 9, pattern: "a", cursor: true, from: "earliest" });
    expect(taken.subscribed.position).toBe(1);
    await first.until(() => a.state === "ended");
    expect(first.others).toMatchObject([{ is: "unsubscribed", subscription: 1, code: "taken-over" }]);
    await publish(publisher, "a", 2);
    await publish(publisher, "b", 3);
    await first.until(() => plain.messages.length === 2 && b.messages.length === 1);
    await second.until(() => taken.messages.length === 1);
    expect([a, b, plain, taken].map(dataOf)).toEqual([[1], [3], [1, 2], [2]]);
  });

  it("makes later acknowledgements of the first one be ignored, without a word (P-41)", async () => {
    const hub = await startHub();
    await publish(await greet(hub), "a", ...count(1, 5));
    const first = new Reader(await greet(hub, { subscriber: "s" }), { acknowledges: false });
    const place = await first.subscribe(durable);
    await first.until(() => place.messages.length === 5);
    const second = new Reader(await greet(hub, { subscriber: "s" }), { acknowledges: false });
    await second.subscribe(durable);
    // It has not heard yet that it was taken over.
    first.acknowledge(1, 5);
    await first.settle();
    expect(first.others).toMatchObject([{ is: "unsubscribed", code: "taken-over" }]);
    second.socket.close();
    await second.socket.closed;
    expect(await positionOf(hub, "s")).toBe(0);
  });

  it("and a third, a fourth and more at once leave one holder (P-41)", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    const readers = await Promise.all(count(1, 8).map(async () => new Reader(await greet(hub, { subscriber: "s" }))));
    // One that is taken over while it is being opened is told so instead of being confirmed.
    const opened = await Promise.allSettled(readers.map((reader) => reader.subscribe(durable)));
    await Promise.all(readers.map((reader) => reader.settle()));
    const places = opened.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const [holder, ...others] = places.filter(({ state }) => state !== "ended");
    expect(others).toEqual([]);
    await publish(publisher, "a", "for one");
    await Promise.all(readers.map((reader) => reader.settle()));
    expect(holder?.messages.length).toBe(1);
    expect(places.flatMap(dataOf)).toEqual(["for one"]);
  });

  it("gets what the first one had not acknowledged (P-41)", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    const seen: unknown[] = [];
    let last = 0;
    for (const round of count(1, 10)) {
      const reader = new Reader(await greet(hub, { subscriber: "s" }), { acknowledges: false });
      const place = await reader.subscribe(durable);
      expect(place.subscribed.position).toBe(last);
      await publish(publisher, "a", 2 * round - 1, 2 * round);
      const expected = 2 * round - last;
      await reader.until(() => place.messages.length === expected);
      expect(dataOf(place)).toEqual(count(last + 1, 2 * round));
      last = round;
      reader.acknowledge(1, last);
      await reader.settle();
      seen.push(...dataOf(place));
    }
    expect(new Set(seen)).toEqual(new Set(count(1, 20)));
  });
});

/** Reads everything in the channel a with a cursor, acknowledges these offsets in turn, and leaves. */
async function acknowledgeTo(socket: BareSocket, ...offsets: readonly number[]): Promise<void> {
  const reader = new Reader(socket, { acknowledges: false });
  const place = await reader.subscribe(durable);
  await reader.until(() => place.state === "live");
  for (const offset of offsets) reader.socket.send({ is: "ack", subscription: 1, offset });
  socket.close();
  await socket.closed;
}

/** Where the cursor of a subscriber in the channel a is. */
async function positionOf(hub: { readonly url: string }, subscriber: string): Promise<number> {
  const reader = new Reader(await greet(hub, { subscriber }), { acknowledges: false });
  const place = await reader.subscribe(durable);
  reader.socket.close();
  await reader.socket.closed;
  return place.subscribed.position;
}
