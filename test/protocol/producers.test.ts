/** Publishing in order, and never twice. */
import type { HubEnvelope } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import { startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { type BareSocket, count, dataOf, type Greeting, greet, Reader, startHub } from "./support.ts";

const p: Greeting = { producer: { id: "p", settled: 0 } };

describe("a producer's drafts", () => {
  it("are numbered 1, 2, 3 over any number of connections (P-23)", async () => {
    const hub = await startHub();
    for (const number of [1, 2, 3]) {
      const socket = await greet(hub, p);
      expect(await ask(socket, number)).toMatchObject({ is: "published", offset: number, duplicate: false });
      socket.terminate();
    }
  });

  it("are those of their id: two producers do not know each other (P-23)", async () => {
    const hub = await startHub();
    const [one, other] = [await greet(hub, p), await greet(hub, { producer: { id: "q", settled: 0 } })];
    expect(await ask(one, 1)).toMatchObject({ offset: 1, duplicate: false });
    expect(await ask(other, 1)).toMatchObject({ offset: 2, duplicate: false });
    expect(await ask(other, 2)).toMatchObject({ offset: 3, duplicate: false });
    expect(await ask(one, 3)).toMatchObject({ code: "out-of-order" });
  });

  it("are in order also where they go to several namespaces (P-23)", async () => {
    const hub = await startHub({ namespaces: { orders: {}, fleeting: { durability: "memory" } } });
    const socket = await greet(hub, p);
    const channels = ["a", "orders.b", "fleeting.c"];
    const drafts = count(1, 60).map((number) => ({
      is: "publish",
      number,
      channel: channels[(number * number) % 3],
      data: number,
    }));
    socket.send(drafts);
    for (const { number } of drafts) expect(await socket.next()).toMatchObject({ is: "published", number });
  });

  it("are taken one after the other: one that skips ahead is refused, and so is what follows it (P-24)", async () => {
    const socket = await greet(await startHub(), p);
    socket.send([draft(1), draft(3), draft(4)]);
    expect(await socket.next("error")).toMatchObject({ code: "out-of-order", number: 3 });
    expect(await socket.next("error")).toMatchObject({ code: "out-of-order", number: 4 });
    expect(await socket.next("published")).toMatchObject({ number: 1 });
    expect(await ask(socket, 2)).toMatchObject({ is: "published", offset: 2 });
    expect(await ask(socket, 3)).toMatchObject({ is: "published", offset: 3, duplicate: false });
  });

  it("are answered with their first result when they come again, however late (P-24)", async () => {
    const hub = await startHub();
    const first = await greet(hub, p);
    for (const number of count(1, 50)) expect(await ask(first, number)).toMatchObject({ offset: number });
    const second = await greet(hub, p);
    for (const number of [1, 50, 7, 7, 49]) {
      expect(await ask(second, number)).toMatchObject({ is: "published", offset: number, duplicate: true });
    }
    expect(await ask(second, 51)).toMatchObject({ offset: 51, duplicate: false });
    expect(await ask(first, 52)).toMatchObject({ offset: 52, duplicate: false });
  });

  it("are answered with their first result also where they have an id, after its time (P-24)", async () => {
    const hub = await startHub({ limits: { deduplicationIdsMax: 1 } });
    const socket = await greet(hub, p);
    expect(await ask(socket, 1, { id: "i" })).toMatchObject({ offset: 1, duplicate: false });
    expect(await ask(socket, 2, { id: "j" })).toMatchObject({ offset: 2, duplicate: false });
    expect(await ask(socket, 1, { id: "i" })).toMatchObject({ offset: 1, duplicate: true });
  });

  it("are known when they come again while the first of them is on its way (P-24)", async () => {
    const hub = await startHub();
    const [old, young] = [await greet(hub, p), await greet(hub, p)];
    old.send(count(1, 20).map((number) => draft(number)));
    young.send(count(1, 20).map((number) => draft(number)));
    const answers: HubEnvelope[] = [];
    for (const socket of [old, young]) for (const _ of count(1, 20)) answers.push(await socket.next());
    expect(answers.map((answer) => answer.is === "published" && answer.offset)).toEqual([
      ...count(1, 20),
      ...count(1, 20),
    ]);
    expect(answers.filter((answer) => answer.is === "published" && !answer.duplicate)).toHaveLength(20);
  });

  it("are sent again after the connection was lost, and none is there twice or out of order (P-25)", async () => {
    const hub = await startHub({ namespaces: { orders: {} } });
    let settled = 0;
    for (const round of count(1, 8)) {
      const socket = await greet(hub, { producer: { id: "p", settled } });
      const numbers = count(settled + 1, round === 8 ? 300 : settled + 100);
      socket.send(numbers.map((number) => draft(number, { channel: number % 7 < 3 ? "orders.a" : "a" })));
      // Cut off in the middle of the answers.
      for (const _ of round === 8 ? numbers : count(1, 5 * round)) settled = (await socket.next("published")).number;
      socket.terminate();
    }
    const reader = new Reader(await greet(hub));
    const places = [
      await reader.subscribe({ subscription: 1, pattern: "a", from: "earliest" }),
      await reader.subscribe({ subscription: 2, pattern: "orders.a", from: "earliest" }),
    ];
    await reader.until(() => places.every(({ state }) => state === "live"));
    const seen = places.map(dataOf) as number[][];
    for (const numbers of seen) expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(seen.flat().sort((a, b) => a - b)).toEqual(count(1, 300));
  });

  it("are known after the hub was killed, and go on (P-24, P-25)", async () => {
    const data = temporaryFolder();
    const hub = await startHubProcess({ data });
    const socket = await greet(hub, p);
    socket.send(count(1, 200).map((number) => draft(number)));
    await socket.next("published");
    await hub.kill();
    const after = await greet(await startHub({ data }), p);
    after.send(count(1, 250).map((number) => draft(number)));
    for (const number of count(1, 250)) {
      expect(await after.next()).toMatchObject({ is: "published", number, offset: number });
    }
  });
});

describe("a draft that is refused", () => {
  it("for good uses up its number, so that what follows is in order (P-26)", async () => {
    const socket = await greet(await startHub(), p);
    socket.send([draft(1), draft(2, { channel: "$hub" }), draft(3), draft(4, { ttl: 1 }), draft(5)]);
    expect(await socket.next("error")).toMatchObject({ code: "reserved-channel", number: 2 });
    expect(await socket.next("error")).toMatchObject({ code: "invalid-envelope", number: 4 });
    for (const [number, offset] of [
      [1, 1],
      [3, 2],
      [5, 3],
    ]) {
      expect(await socket.next("published")).toMatchObject({ number, offset, duplicate: false });
    }
  });

  it("although it skips ahead does not use up a number (P-26)", async () => {
    const socket = await greet(await startHub(), p);
    expect(await ask(socket, 2, { channel: "$hub" })).toMatchObject({ code: "out-of-order" });
    expect(await ask(socket, 1)).toMatchObject({ offset: 1 });
    expect(await ask(socket, 2)).toMatchObject({ offset: 2, duplicate: false });
  });
});

describe("what a client says was settled", () => {
  it("is where the hub goes on (P-27)", async () => {
    const hub = await startHub();
    const socket = await greet(hub, { producer: { id: "p", settled: 41 } });
    expect(await ask(socket, 43)).toMatchObject({ code: "out-of-order" });
    expect(await ask(socket, 42)).toMatchObject({ is: "published", duplicate: false });
  });

  it("does not make the hub forget what it knows better (P-27)", async () => {
    const hub = await startHub();
    const first = await greet(hub, p);
    for (const number of [1, 2, 3]) await ask(first, number);
    const second = await greet(hub, { producer: { id: "p", settled: 1 } });
    expect(await ask(second, 2)).toMatchObject({ offset: 2, duplicate: true });
    expect(await ask(second, 4)).toMatchObject({ offset: 4, duplicate: false });
  });

  it("may have refusals above it, which are passed over (P-27)", async () => {
    const hub = await startHub();
    const socket = await greet(hub, { producer: { id: "p", settled: 1, refused: [3, 4, 6] } });
    socket.send([2, 5, 7].map((number) => draft(number)));
    for (const [i, number] of [2, 5, 7].entries()) {
      expect(await socket.next("published")).toMatchObject({ number, offset: i + 1, duplicate: false });
    }
  });

  it("covers a refusal that the hub has forgotten in a restart (P-27)", async () => {
    const data = temporaryFolder();
    const before = await startHub({ data });
    const socket = await greet(before, p);
    expect(await ask(socket, 1)).toMatchObject({ offset: 1 });
    expect(await ask(socket, 2, { channel: "$hub" })).toMatchObject({ code: "reserved-channel" });
    await before.close();
    const after = await greet(await startHub({ data }), { producer: { id: "p", settled: 2 } });
    expect(await ask(after, 3)).toMatchObject({ offset: 2, duplicate: false });
  });
});

describe("a producer", () => {
  it("that the hub does not know, and that was seen too long ago, is refused (P-28)", async () => {
    const hub = await startHub({ limits: { producerMemoryMs: 60_000 } });
    const stale = { producer: { id: "p", settled: 5, seen: Date.now() - 61_000 } };
    const socket = await greet(hub, stale);
    expect(await ask(socket, 6)).toMatchObject({ code: "producer-forgotten", number: 6 });
    expect(await ask(socket, 6, { id: "i" })).toMatchObject({ code: "producer-forgotten", number: 6 });
    const fresh = await greet(hub, { producer: { id: "q", settled: 5, seen: Date.now() - 50_000 } });
    expect(await ask(fresh, 6)).toMatchObject({ is: "published" });
  });

  it("that the hub knows is not refused, whenever it was seen (P-28)", async () => {
    const hub = await startHub();
    await ask(await greet(hub, p), 1);
    const again = await greet(hub, { producer: { id: "p", settled: 1, seen: 1 } });
    expect(await ask(again, 2)).toMatchObject({ offset: 2, duplicate: false });
  });

  it("that stays connected is not forgotten, however rarely it publishes (P-28)", async () => {
    const hub = await startHub({ limits: { producerMemoryMs: 100 } });
    const rare = await greet(hub, p);
    expect(await ask(rare, 1)).toMatchObject({ offset: 1 });
    // Ten times as long, by the hub's own clock; then another producer makes the log look for those to forget.
    await (await greet(hub, { heartbeatMs: 1_000 })).next("ping");
    await greet(hub, { producer: { id: "other", settled: 0 } });
    expect(await ask(rare, 2)).toMatchObject({ is: "published", offset: 2 });
  });
});

describe("a number that was used", () => {
  it("by a draft that was refused is answered with outcome-unknown (P-29)", async () => {
    const socket = await greet(await startHub(), p);
    await ask(socket, 1);
    await ask(socket, 2, { channel: "$hub" });
    expect(await ask(socket, 2)).toMatchObject({ code: "outcome-unknown", number: 2 });
    expect(await ask(socket, 3)).toMatchObject({ offset: 2, duplicate: false });
  });

  it("by a message that retention removed is answered with outcome-unknown (P-29)", async () => {
    const hub = await startHub({ namespaces: { small: { retention: { bytes: 1_000_000 } } } });
    const socket = await greet(hub, p);
    const channel = "small.a";
    const earliest = async () => {
      const reader = new Reader(await greet(hub));
      const { subscribed } = await reader.subscribe({ pattern: channel, from: "earliest" });
      reader.socket.close();
      return subscribed.position;
    };
    let last = 0;
    while ((await earliest()) < 1) {
      const numbers = count(last + 1, last + 10);
      socket.send(numbers.map((number) => draft(number, { channel, data: "x".repeat(50_000) })));
      for (const number of numbers) expect(await socket.next("published")).toMatchObject({ number });
      last += 10;
    }
    expect(await ask(socket, 1, { channel })).toMatchObject({ code: "outcome-unknown", number: 1 });
    expect(await ask(socket, last, { channel })).toMatchObject({ is: "published", duplicate: true });
  });
});

describe("an id", () => {
  it("makes a second draft to the same channel a duplicate, also from another connection (P-30)", async () => {
    const hub = await startHub();
    const [one, other] = [await greet(hub), await greet(hub)];
    expect(await ask(one, 1, { id: "i", data: "first" })).toMatchObject({ offset: 1, duplicate: false });
    expect(await ask(other, 9, { id: "i", data: "second" })).toMatchObject({ number: 9, offset: 1, duplicate: true });
    expect(await ask(one, 2, { id: "i", channel: "b" })).toMatchObject({ offset: 2, duplicate: false });
    expect(await ask(one, 3, { id: "i/b", channel: "a" })).toMatchObject({ offset: 3, duplicate: false });
    other.send([draft(1, { id: "j" }), draft(2, { id: "j" })]);
    expect(await other.next("published")).toMatchObject({ number: 1, offset: 4, duplicate: false });
    expect(await other.next("published")).toMatchObject({ number: 2, offset: 4, duplicate: true });
  });

  it("is remembered over a restart (P-30)", async () => {
    const data = temporaryFolder();
    const before = await startHub({ data });
    await ask(await greet(before), 1, { id: "i" });
    await before.close();
    expect(await ask(await greet(await startHub({ data })), 1, { id: "i" })).toMatchObject({
      offset: 1,
      duplicate: true,
    });
  });

  it("is forgotten after its window (P-30)", async () => {
    const hub = await startHub({ limits: { deduplicationWindowMs: 50 } });
    const socket = await greet(hub);
    const first = await ask(socket, 1, { id: "i" });
    expect(first).toMatchObject({ duplicate: false });
    await expect.poll(async () => ask(socket, 2, { id: "i" })).toMatchObject({ duplicate: false });
  });
});

describe("a connection without a producer", () => {
  it("may number its drafts as it likes (P-31)", async () => {
    const socket = await greet(await startHub());
    for (const [i, number] of [7, 7, 1, 2 ** 53 - 1].entries()) {
      expect(await ask(socket, number)).toMatchObject({ is: "published", number, offset: i + 1, duplicate: false });
    }
  });
});

function draft(number: number, fields: object = {}): object {
  return { is: "publish", number, channel: "a", data: number, ...fields };
}

/** Sends one draft and takes its answer. */
async function ask(socket: BareSocket, number: number, fields: object = {}): Promise<HubEnvelope> {
  socket.send(draft(number, fields));
  return socket.next();
}
