/** Messages that expire. */
import type { Published } from "@dogear/shared/envelopes";
import { describe, expect, it } from "vitest";
import { type BareSocket, count, dataOf, greet, type Place, publishAll, Reader, startHub } from "./support.ts";

const hour = 3_600_000;

describe("a message with a time to live", () => {
  it("says when it expires, by the hub's clock (P-46)", async () => {
    const socket = await greet(await startHub());
    const reader = new Reader(socket);
    const place = await reader.subscribe({ pattern: "a" });
    await publishAll(socket, [
      { channel: "a", ttlMs: hour, type: "application/json", key: "k", data: 1 },
      { channel: "a", data: 2 },
    ]);
    await reader.until(() => place.messages.length === 2);
    const [lives, stays] = place.messages;
    expect(Math.abs((lives?.expires ?? 0) - (lives?.time ?? 0) - hour)).toBeLessThan(10_000);
    expect(Object.keys(lives ?? {})).toEqual(["offset", "channel", "time", "expires", "type", "key", "data"]);
    expect(stays).not.toHaveProperty("expires");
  });

  it("has that of its namespace, or its own where that is shorter (P-46)", async () => {
    const socket = await greet(await startHub({ namespaces: { brief: { ttlMs: hour } } }));
    const reader = new Reader(socket);
    const place = await reader.subscribe({ pattern: "brief.a" });
    const wanted = [undefined, 2 * hour, hour / 2];
    await publishAll(
      socket,
      wanted.map((ttlMs) => ({ channel: "brief.a", ttlMs, data: 1 })),
    );
    await reader.until(() => place.messages.length === 3);
    const halves = place.messages.map(({ time, expires = 0 }) => Math.round((2 * (expires - time)) / hour));
    expect(halves).toEqual([2, 2, 1]);
  });

  it.each([0, -1, 1.5, "1"])("of %j is refused (P-18, P-46)", async (ttlMs) => {
    const socket = await greet(await startHub());
    socket.send({ is: "publish", number: 1, channel: "a", ttlMs, data: 1 });
    expect(await socket.next("error")).toMatchObject({ code: "invalid-envelope", number: 1 });
  });
});

describe("a message that has expired", () => {
  it("is given to nobody, and is no gap (P-36, P-46)", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    const drafts = count(1, 50).map((data) => ({ channel: "a.b", data, ...(data % 10 === 0 ? {} : { ttlMs: 1 }) }));
    await outlive(publisher, await publishAll(publisher, drafts));
    const reader = new Reader(await greet(hub));
    const place = await reader.subscribe({ pattern: "a.b", from: "earliest" });
    await reader.until(() => place.state === "live");
    expect(dataOf(place)).toEqual([10, 20, 30, 40, 50]);
    expect(place.gaps).toEqual([]);
    expect(place.through).toBeGreaterThanOrEqual(50);
  });

  it("takes no part of a window (P-38, P-46)", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    const drafts = count(1, 40).map((data) => ({ channel: "a", data, ...(data % 20 === 0 ? {} : { ttlMs: 1 }) }));
    await outlive(publisher, await publishAll(publisher, drafts));
    const reader = new Reader(await greet(hub), { acknowledges: false });
    const window = { messages: 2, bytes: 10_000 };
    const place = await reader.subscribe({ pattern: "a", from: "earliest", window });
    await reader.until(() => place.messages.length === 2);
    expect(dataOf(place)).toEqual([20, 40]);
  });

  it("lets a place advance where there is nothing else (P-36, P-40, P-46)", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    const expired = await publishAll(
      publisher,
      count(1, 3_000).map((data) => ({ channel: "a", ttlMs: 1, data })),
    );
    await outlive(publisher, expired);
    const greeting = { subscriber: "s" };
    const reader = new Reader(await greet(hub, greeting));
    const place = await reader.subscribe({ pattern: "a", from: "earliest", cursor: true });
    await reader.until(() => place.state === "live");
    expect(dataOf(place)).toEqual([]);
    expect(place.through).toBeGreaterThanOrEqual(3_000);
    await left(reader, place);
    const again = await new Reader(await greet(hub, greeting)).subscribe({ pattern: "a", cursor: true });
    expect(again.subscribed.position).toBeGreaterThanOrEqual(3_000);
  });
});

/** Publishes to another channel until the hub's clock is past the moment when these messages expire. */
async function outlive(socket: BareSocket, published: readonly Published[]): Promise<void> {
  const reader = new Reader(socket);
  const subscription = 9;
  const place = await reader.subscribe({ subscription, pattern: "time" });
  const tick = () => socket.send({ is: "publish", number: 1, channel: "time", data: published.length });
  tick();
  let ticks = 1;
  const passed = () => (place.messages.at(-1)?.time ?? 0) > (place.messages[0]?.time ?? Infinity) + 2;
  while (!passed()) {
    await reader.until(() => place.messages.length === ticks);
    if (passed()) break;
    tick();
    ticks++;
  }
  socket.send({ is: "unsubscribe", subscription });
  await socket.next("unsubscribed");
}

/** Unsubscribes, after which the cursor is where it was acknowledged. */
async function left(reader: Reader, place: Place): Promise<void> {
  reader.socket.send({ is: "unsubscribe", subscription: 1 });
  await reader.until(() => place.state === "ended");
}
