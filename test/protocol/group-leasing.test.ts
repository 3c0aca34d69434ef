/** To whom messages are leased, how many and in what (P-53). */
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../support/temp.ts";
import {
  allLeases,
  crashed,
  dataOf,
  fencesOf,
  type Lease,
  lease,
  leased,
  leases,
  Operator,
  offsetsOf,
  settle,
  settled,
  wanted,
  work,
  worker,
} from "./group-support.ts";
import { type BareSocket, count, greet, publish, publishAll, startHub } from "./support.ts";

const large = "x".repeat(200_000);

describe("P-53: a message", () => {
  test("is leased with its fence and counts, and is settled by it", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    await publish(socket, "jobs.a", "one", "two");
    const all = await leases(socket, 2);
    expect(all).toMatchObject([
      { member: 1, offset: 1, channel: "jobs.a", data: "one", deliveries: 1, failures: 0 },
      { member: 1, offset: 2, channel: "jobs.a", data: "two", deliveries: 1, failures: 0 },
    ]);
    expect(fencesOf(all)[1]).toBeGreaterThan(fencesOf(all)[0] as number);
    settle(socket, "ack", all);
    expect(await socket.next("settled")).toEqual({ is: "settled", member: 1, fences: fencesOf(all) });
  });

  test("comes as it was published, with all it has", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    const draft = { channel: "jobs.a", type: "image/png", key: "k", headers: { a: "ü" }, data: "AAEC", ttlMs: 60_000 };
    await publishAll(socket, [draft]);
    const { ttlMs, ...kept } = draft;
    const message = await lease(socket);
    expect(message).toMatchObject(kept);
    expect(message.expires).toBeLessThanOrEqual(message.time + ttlMs);
    expect(message.expires).toBeGreaterThan(message.time + ttlMs - 5_000);
  });

  test("of which the bytes matter keeps them", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    const data = '{"a": 1.0, "b":12345678901234567890,"c":1e400 ,"d":"\\u0041\\ud83d"}';
    socket.send(`{"is":"publish","number":1,"channel":"jobs.a","data":${data}}`);
    await leased(socket);
    expect(socket.frames.at(-1)).toContain(`"data":${data}}`);
  });

  test("is leased to one member of several, and to each group that matches", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    for (const i of count(1, 5)) await work(socket, { member: i, id: `${i}` });
    await work(socket, { member: 6, group: "h", pattern: "jobs.a" });
    await work(socket, { member: 7, group: "i", pattern: "jobs.b" });
    await publish(socket, "jobs.a", ...count(1, 20));
    await publish(socket, "jobs.b", "last");
    const all = await leases(socket, 20 + 20 + 1 + 1);
    const of = (...members: number[]) => all.filter(({ member }) => members.includes(member));
    expect(offsetsOf(of(1, 2, 3, 4, 5)).sort((a, b) => a - b)).toEqual(count(1, 21));
    expect(offsetsOf(of(6))).toEqual(count(1, 20));
    expect(offsetsOf(of(7))).toEqual([21]);
  });

  test("that matches but is of another namespace is not the group's", async () => {
    const hub = await startHub({ namespaces: { shop: {} } });
    const socket = await worker(hub, { pattern: ">" });
    await publish(socket, "shop.a", "there");
    await publish(socket, "a", "here");
    expect(await lease(socket)).toMatchObject({ data: "here" });
  });

  test("has its counts on disk before it is sent", async () => {
    const data = temporaryFolder();
    const socket = await worker(await startHub({ data }));
    await publish(socket, "jobs.a", ...count(1, 4));
    await leases(socket, 4);
    const again = await greet(await startHub({ data: crashed(data) }));
    expect(await work(again)).toMatchObject({ leases: [] });
    const all = await leases(again, 4);
    expect(all.map(({ data, deliveries, failures }) => [data, deliveries, failures])).toEqual(
      count(1, 4).map((n) => [n, 2, 0]),
    );
    for (const { fence } of all) expect(fence).toBeGreaterThan(4);
  });
});

describe("P-53: a member", () => {
  test("gets no more than its window, whatever it does with what it has", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { window: 3, backoff: { minMs: 0, jitter: 0 } });
    await publish(socket, "jobs.a", ...count(1, 30));
    const held = new Map<number, Lease>();
    const done = new Set<unknown>();
    const outcomes = ["ack", "retry", "extend", "ack", "release"];
    for (let turn = 0; done.size < 30; turn++) {
      while (held.size < Math.min(3, 30 - done.size)) {
        for (const one of await leased(socket)) held.set(one.fence, one);
        expect(held.size).toBeLessThanOrEqual(3);
      }
      const [fence, { data }] = [...held][turn % held.size] as [number, Lease];
      const outcome = outcomes[turn % outcomes.length] as string;
      if (outcome !== "extend") held.delete(fence);
      if (outcome === "ack") done.add(data);
      await settled(socket, outcome, [fence]);
    }
    expect(new Set(dataOf(allLeases(socket)))).toEqual(new Set(count(1, 30)));
  });

  test("that has room gets all there is, however much was waiting behind one without", async () => {
    const hub = await startHub();
    const full = await worker(hub, { window: 1 });
    for (const i of count(1, 5)) await publish(full, "jobs.a", ...count(1, 1_000).map((n) => i * 1_000 + n));
    await leases(full, 1);
    const socket = await worker(hub, { id: "x", window: 10_000 });
    expect(await leases(socket, 4_999)).toHaveLength(4_999);
  });

  test("that has room gets all there is, however large the messages that were waiting", async () => {
    const hub = await startHub();
    const full = await worker(hub, { window: 1 });
    for (const i of count(1, 20)) await publish(full, "jobs.a", ...count(1, 4).map((n) => [i, n, large]));
    await leases(full, 1);
    const socket = await worker(hub, { id: "x", window: 10_000 });
    expect(await leases(socket, 79)).toHaveLength(79);
  });

  test("of a group that may have only so many unsettled gets more when it has settled some", async () => {
    const hub = await startHub({ limits: { groupUnsettledMax: 3 } });
    const socket = await worker(hub);
    const publisher = await greet(hub);
    for (const i of count(1, 20)) await publish(publisher, "jobs.a", i);
    const data: unknown[] = [];
    while (data.length < 20) {
      const all = await leased(socket);
      data.push(...dataOf(all));
      await settled(socket, "ack", all);
    }
    expect(data).toEqual(count(1, 20));
    for (const i of count(21, 24)) await publish(publisher, "jobs.a", i);
    const held = await leases(socket, 3);
    expect(await (await Operator.of(hub)).show()).toMatchObject({ inFlight: 3, lag: { messages: 4 } });
    await settled(socket, "retry", held.slice(0, 1), { delayMs: 60_000 });
    await settled(socket, "ack", held.slice(1));
    expect(await lease(socket)).toMatchObject({ data: 24 });
  });

  test("is sent large messages in pieces that a client can take, also those that were given back at once", async () => {
    const hub = await startHub();
    const first = await worker(hub, { window: 100 });
    for (const i of count(1, 25)) await publish(first, "jobs.a", ...count(1, 4).map((n) => [i, n, large]));
    expect(dataOf(await leases(first, 100))).toEqual(
      count(1, 25).flatMap((i) => count(1, 4).map((n) => [i, n, large])),
    );
    first.send({ is: "leave", member: 1 });
    await first.next("left");
    const second = await worker(hub, { window: 100 });
    await leases(second, 100);
    for (const { frames } of [first, second]) {
      expect(Math.max(...frames.map(({ length }) => length))).toBeLessThan(10_000_000);
    }
  });
});

describe("P-53: members", () => {
  test("have about equally much to do, and none is left out", async () => {
    const hub = await startHub();
    const sockets = await Promise.all(count(1, 4).map((i) => worker(hub, { id: `${i}`, window: 5 })));
    const busy = sockets.map((socket) => acknowledgeAll(socket));
    const publisher = await greet(hub);
    for (const i of count(1, 200)) await publish(publisher, "jobs.a", i);
    await (await Operator.of(hub)).until(({ lag }) => lag.messages === 0);
    for (const socket of sockets) socket.terminate();
    for (const share of await Promise.all(busy)) expect(share).toBeGreaterThan(40);
  });

  test("on one session have a window each", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    for (const i of count(1, 50)) await work(socket, { member: i, id: `${i}`, window: 2 });
    await publish(socket, "jobs.a", ...count(1, 150));
    const all = await leases(socket, 100);
    for (const i of count(1, 50)) expect(all.filter(({ member }) => member === i)).toHaveLength(2);
    for (const one of all) settle(socket, "ack", [one]);
    await leases(socket, 50);
  });

  test("may be a thousand, who share thousands of messages, each once", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    socket.send(count(1, 1_000).map((i) => wanted({ member: i, id: `${i}`, window: 1 })));
    for (const _ of count(1, 1_000)) await socket.next("working");
    const publisher = await greet(hub);
    for (const i of count(0, 2)) await publish(publisher, "jobs.a", ...count(i * 1_000 + 1, (i + 1) * 1_000));
    const offsets: number[] = [];
    const shares = new Map<number, number>();
    while (offsets.length < 3_000) {
      for (const one of await leased(socket)) {
        offsets.push(one.offset);
        shares.set(one.member, (shares.get(one.member) ?? 0) + 1);
        settle(socket, "ack", [one]);
      }
    }
    expect(offsets.sort((a, b) => a - b)).toEqual(count(1, 3_000));
    expect(shares.size).toBe(1_000);
    const { lag } = await (await Operator.of(hub)).until(({ inFlight }) => inFlight === 0);
    expect(lag).toEqual({ messages: 0, ageMs: null });
  });

  test("do not wait for one that does not read, which gets no more than its connection takes", async () => {
    const hub = await startHub({ limits: { outboxBytesMax: 100_000 } });
    const [slow, good] = [await worker(hub, { id: "slow", window: 10_000 }), await worker(hub, { window: 1_000 })];
    const operator = await Operator.of(hub);
    slow.pause();
    void acknowledgeAll(good);
    const publisher = await greet(hub);
    for (let published = 60, toGood = 0; toGood < 60; published += 60) {
      const before = allLeases(good).length;
      await publish(publisher, "jobs.a", ...count(1, 60).map(() => "x".repeat(8_000)));
      await operator.until(
        ({ inFlight, lag }) => inFlight === lag.messages && inFlight + allLeases(good).length === published,
      );
      toGood = allLeases(good).length - before;
    }
    good.send({ is: "leave", member: 1 });
    const { inFlight, lag } = await operator.until(({ members }) => members === 1);
    expect(inFlight).toBeGreaterThan(0);
    slow.resume();
    await settled(slow, "ack", await leases(slow, lag.messages));
    await operator.until(({ lag }) => lag.messages === 0);
  });
});

/** Acknowledges everything until the connection is gone; returns how much it was. */
async function acknowledgeAll(socket: BareSocket): Promise<number> {
  for (let share = 0; ; ) {
    const all = await leased(socket).catch(() => []);
    if (all.length === 0) return share;
    share += all.length;
    settle(socket, "ack", all);
  }
}
