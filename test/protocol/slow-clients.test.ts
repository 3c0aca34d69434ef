/** Clients that do not read: they cost a bounded amount, hold up nobody, and lose nothing. */
import { describe, expect, it } from "vitest";
import { count, dataOf, expectGoodService, greet, publish, Reader, startHub } from "./support.ts";

const firehose = { messages: 4_000, bytes: 40_000_000 };
const text = "x".repeat(8_000);
const rounds = 32;
const perRound = 60;

describe("a subscriber that does not read a firehose", () => {
  it("falls behind, holds up no other, and gets everything when it reads again (P-17, P-36, P-37)", async () => {
    const hub = await startHub({ limits: { outboxBytesMax: 300_000, windowBytesMax: firehose.bytes } });
    const publisher = await greet(hub);
    const [slow, good] = [new Reader(await greet(hub)), new Reader(await greet(hub))];
    const behind = await slow.subscribe({ pattern: "a", window: firehose });
    const upToDate = await good.subscribe({ pattern: "a", window: firehose });
    await slow.until(() => behind.state === "live");
    slow.socket.pause();
    for (const round of count(1, rounds)) {
      await publish(publisher, "a", ...count(1, perRound).map((i) => ({ n: (round - 1) * perRound + i, text })));
      // The good one has each round before the next begins, whatever the slow one does.
      await good.until(() => upToDate.messages.length === round * perRound);
    }
    slow.socket.resume();
    let fellBehind = false;
    await slow.until(() => {
      fellBehind ||= behind.state === "catching-up";
      return behind.messages.length === rounds * perRound && behind.state === "live";
    });
    expect(fellBehind).toBe(true);
    const numbers = [behind, upToDate].map((place) => dataOf(place).map((data) => (data as { n: number }).n));
    expect(numbers).toEqual([count(1, rounds * perRound), count(1, rounds * perRound)]);
  });

  it("and never comes back is let go by its heartbeat, and the hub can stop (P-14, P-16)", async () => {
    const hub = await startHub({
      limits: { outboxBytesMax: 100_000, heartbeatMs: 300, heartbeatGraceMs: 300, windowBytesMax: firehose.bytes },
    });
    const publisher = new Reader(await greet(hub, { heartbeatMs: 60_000 }));
    const deaf = await greet(hub);
    deaf.send({ is: "subscribe", subscription: 1, pattern: "a", window: firehose });
    await deaf.next("caught-up");
    deaf.pause();
    for (const _ of count(1, 4)) await publish(publisher.socket, "a", ...count(1, 100).map(() => text));
    deaf.resume();
    expect((await deaf.closed).code).toBe(4003);
    await expectGoodService(hub);
    await hub.close();
  });

  it("because it does not acknowledge is sent its window and nothing more, however long it lasts (P-38)", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    const reader = new Reader(await greet(hub), { acknowledges: false });
    const place = await reader.subscribe({ pattern: "a", window: { messages: 20, bytes: 10_000_000 } });
    for (const round of count(1, 20)) await publish(publisher, "a", ...count(1, 50).map((i) => round * 50 + i));
    await reader.settle();
    expect(place.messages).toHaveLength(20);
    // Its connection is not full, and everything else on it goes on.
    const other = await reader.subscribe({ subscription: 2, pattern: "b" });
    await publish(publisher, "b", "quick");
    await reader.until(() => other.messages.length === 1);
  });
});

describe("a publisher that is too fast", () => {
  it("is slowed down, and others publish between (P-17)", async () => {
    const hub = await startHub({ limits: { draftBytesMax: 200_000 } });
    const [greedy, modest] = [await greet(hub, { producer: { id: "p", settled: 0 } }), await greet(hub)];
    const total = 1_500;
    for (const number of count(1, total)) greedy.send({ is: "publish", number, channel: "a", data: text });
    const [last] = (await publish(modest, "b", 1)).slice(-1);
    // It did not have to wait until all of the other's were published.
    expect(last?.offset).toBeLessThan(total);
    for (const number of count(1, total)) expect((await greedy.next("published")).number).toBe(number);
  });
});
