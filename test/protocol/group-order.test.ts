/** Groups whose messages are in order (P-60). */
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../support/temp.ts";
import {
  allLeases,
  dataOf,
  deadLetters,
  type Lease,
  lease,
  leased,
  leases,
  Operator,
  randomOf,
  settle,
  settled,
  work,
  worker,
} from "./group-support.ts";
import { type BareSocket, count, greet, publish, publishAll, startHub } from "./support.ts";

const atOnce = { backoff: { minMs: 0, jitter: 0 } };

interface Hub {
  readonly url: string;
}

/** Three members on one connection, so that what they are leased is seen in the order in which it was. */
async function three(hub: Hub, asked: object): Promise<BareSocket> {
  const socket = await greet(hub);
  for (const i of count(1, 3)) await work(socket, { member: i, id: `${i}`, window: 5, ...asked });
  return socket;
}

/** Publishes messages such as `a1`, whose key is `a`, and `1`, which has none. */
async function publishKeyed(hub: Hub, ...data: readonly string[]): Promise<void> {
  const socket = await greet(hub);
  const drafts = data.map((value) => ({ channel: "jobs.a", data: value, ...(keyOf(value) && { key: keyOf(value) }) }));
  await publishAll(socket, drafts);
  socket.close();
}

const keyOf = (data: unknown): string => String(data).replace(/\d+/, "");

/** One to whom everything is leased that could be, by when it is told of the last. */
async function marker(hub: Hub, socket: BareSocket): Promise<Lease[]> {
  await publishKeyed(hub, "999");
  const before: Lease[] = [];
  for (;;) {
    const some = await leased(socket);
    const at = some.findIndex(({ data }) => data === "999");
    before.push(...(at < 0 ? some : some.slice(0, at)));
    if (at < 0) continue;
    await settled(socket, "ack", some.slice(at, at + 1));
    return before;
  }
}

describe("P-60: in a group ordered by key", () => {
  test.each([
    ["block", 1],
    ["block", 2],
    ["skip", 3],
    ["skip", 4],
  ])(
    "messages of one key are leased one at a time, in order, by three members some of whom fail: %s, seed %i",
    async (onFailure, seed) => {
      const hub = await startHub();
      const socket = await three(hub, { order: "key", onFailure, maxFailures: 100, ...atOnce });
      const keys = ["a", "b", "c", ""];
      const all = count(1, 25).flatMap((i) => keys.map((key) => `${key}${i}`));
      await publishKeyed(hub, ...all);
      const random = randomOf(seed);
      const held = new Map<number, Lease>();
      const done: string[] = [];
      const failed = new Set<unknown>();
      while (done.length < all.length) {
        while (held.size === 0) for (const one of await leased(socket)) take(one);
        const [fence, one] = [...held][Math.floor(random() * held.size)] as [number, Lease];
        held.delete(fence);
        const outcome = ["ack", "ack", "retry", "release"][Math.floor(random() * 4)] as string;
        if (outcome === "ack") done.push(one.data as string);
        if (outcome === "retry") failed.add(one.data);
        settle(socket, outcome, [one]);
        // What was leased before that was confirmed was leased before, and what came after it, after.
        for (let is = ""; is !== "settled"; ) {
          const envelope = await socket.next();
          ({ is } = envelope);
          if (envelope.is === "leased") {
            for (const lease of allLeases(socket).filter(({ fence }) => envelope.leases.some((l) => l.fence === fence)))
              take(lease);
          }
        }
      }
      expect([...done].sort()).toEqual([...all].sort());
      for (const key of ["a", "b", "c"]) {
        const order = done.filter((data) => keyOf(data) === key && !(onFailure === "skip" && failed.has(data)));
        expect(order).toEqual(order.toSorted((x, y) => numberOf(x) - numberOf(y)));
      }

      function take(one: Lease): void {
        const rivals = [...held.values()].filter(({ key }) => key !== undefined && key === one.key);
        expect({ leased: one.data, while: dataOf(rivals) }).toEqual({ leased: one.data, while: [] });
        held.set(one.fence, one);
      }
    },
  );

  test("messages without a key are free, and so are other keys", async () => {
    const hub = await startHub();
    const socket = await three(hub, { order: "key" });
    await publishKeyed(hub, "a1", "a2", "1", "2", "b1", "a3", "b2", "3");
    expect(dataOf(await leases(socket, 5)).sort()).toEqual(["1", "2", "3", "a1", "b1"]);
    expect(await marker(hub, socket)).toEqual([]);
  });

  test("a payload or a header that looks like a key is none, and any text is one", async () => {
    const hub = await startHub();
    const socket = await three(hub, { order: "key" });
    const publisher = await greet(hub);
    const data = { key: "a", headers: { key: "a" } };
    const drafts = count(1, 4).map(() => ({ channel: "jobs.a", headers: { key: "a" }, data }));
    await publishAll(publisher, drafts);
    expect(await leases(socket, 4)).toHaveLength(4);
    const strange = ['"key":"a"', "\\", "__proto__", "constructor", "ü\u2028"].sort();
    await publishAll(
      publisher,
      strange.flatMap((key) => [1, 2].map((data) => ({ channel: "jobs.a", key, data }))),
    );
    const firsts = await leases(socket, strange.length);
    expect(firsts.map(({ key }) => key).sort()).toEqual(strange);
    await settled(
      socket,
      "ack",
      firsts.filter(({ member }) => member === firsts[0]?.member),
    );
  });

  test("one that fails holds back those behind it until it is dead, and no other key", async () => {
    const hub = await startHub();
    const socket = await three(hub, { order: "key", maxFailures: 2 });
    await publishKeyed(hub, "a1", "a2", "b1");
    const [a1, b1] = (await leases(socket, 2)) as [Lease, Lease];
    await settled(socket, "retry", [a1], { delayMs: 1_500 });
    await settled(socket, "ack", [b1]);
    await publishKeyed(hub, "b2");
    expect(await lease(socket)).toMatchObject({ data: "b2" });
    expect(await marker(hub, socket)).toEqual([]);
    const again = await lease(socket);
    expect(again).toMatchObject({ data: "a1", failures: 1 });
    await settled(socket, "retry", [again]);
    expect(await lease(socket)).toMatchObject({ data: "a2" });
    expect((await deadLetters(hub, 1))[0]).toMatchObject({ data: "a1" });
  });

  test("one that fails lets the others skip it, and comes again when it is due and nobody is before it", async () => {
    const hub = await startHub();
    const socket = await three(hub, { order: "key", onFailure: "skip" });
    await publishKeyed(hub, "a1", "a2", "a3");
    await settled(socket, "retry", [await lease(socket)], { delayMs: 100 });
    const second = await lease(socket);
    expect(second).toMatchObject({ data: "a2" });
    const operator = await Operator.of(hub);
    await operator.until(({ delayed }) => delayed === 0);
    // It is due, and waits for the one that is leased.
    expect((await operator.browse()).messages).toMatchObject([
      { data: "a1", state: "blocked" },
      { data: "a2", state: "leased" },
      { data: "a3", state: "blocked" },
    ]);
    await settled(socket, "ack", [second]);
    const first = await lease(socket);
    expect(first).toMatchObject({ data: "a1", failures: 1 });
    await settled(socket, "ack", [first]);
    expect(await lease(socket)).toMatchObject({ data: "a3" });
  });

  test.each([
    ["block", "release"],
    ["skip", "release"],
    ["block", "lease"],
  ])("one that is given back comes before those behind it: %s, by %s", async (onFailure, by) => {
    const hub = await startHub();
    const leaseMs = by === "lease" ? 100 : 30_000;
    const socket = await three(hub, { order: "key", onFailure, leaseMs, ...atOnce });
    await publishKeyed(hub, "a1", "a2");
    const first = await lease(socket);
    if (by === "release") await settled(socket, "release", [first]);
    expect(await lease(socket)).toMatchObject({ data: "a1", deliveries: 2 });
  });

  test("the next of a key comes when its holder has left, or was rejected", async () => {
    const hub = await startHub();
    const socket = await three(hub, { order: "key" });
    await publishKeyed(hub, "a1", "a2", "a3");
    const first = await lease(socket);
    socket.send({ is: "leave", member: first.member });
    const again = await lease(socket);
    expect(again).toMatchObject({ data: "a1", deliveries: 2 });
    await settled(socket, "reject", [again]);
    expect(await lease(socket)).toMatchObject({ data: "a2" });
  });

  test("a hot key does not stop the others", async () => {
    const hub = await startHub();
    const socket = await three(hub, { order: "key" });
    for (const i of count(1, 4)) await publishKeyed(hub, ...count(1, 1_000).map((n) => `hot${i * 1_000 + n}`));
    await publishKeyed(hub, "cold1", "1");
    expect(dataOf(await leases(socket, 3))).toEqual(["hot1001", "cold1", "1"]);
  });

  test("what is leased holds back those behind it also over a restart", async () => {
    const data = temporaryFolder();
    const first = await startHub({ data });
    const asked = { order: "key", ...atOnce };
    const before = await three(first, asked);
    await publishKeyed(first, "a1", "a2", "b1", "b2", "c1", "c2");
    const [a1, b1] = (await leases(before, 3)) as [Lease, Lease];
    await settled(before, "retry", [b1], { delayMs: 1_500 });
    await first.close();
    const hub = await startHub({ data });
    const socket = await greet(hub);
    const { leases: kept } = await work(socket, { id: `${a1.member}`, holding: [a1.offset] });
    expect(kept).toHaveLength(1);
    expect(await marker(hub, socket)).toEqual([]);
    expect(await lease(socket)).toMatchObject({ data: "b1", deliveries: 2, failures: 1 });
    await settled(socket, "ack", [kept[0]?.fence as number]);
    expect(await lease(socket)).toMatchObject({ data: "a2" });
  });
});

describe("P-60: in a group of which all messages are in one order", () => {
  test("they are leased one at a time, to one member as long as it is there", async () => {
    const hub = await startHub();
    const sockets = await Promise.all(count(1, 3).map((i) => worker(hub, { id: `${i}`, order: "all" })));
    await publishKeyed(hub, ...count(1, 20).map((i) => `${i % 2 ? "a" : ""}${i}`));
    const operator = await Operator.of(hub);
    const { holder } = await newest(operator, sockets, 1);
    for (const i of count(1, 20)) {
      const next = await newest(operator, sockets, i);
      expect([next.holder === holder, numberOf(next.lease.data)]).toEqual([true, i]);
      await settled(holder, "ack", [next.lease]);
    }
  });

  test("another goes on when the one that had them leaves, or is gone", async () => {
    const hub = await startHub();
    const asked = { order: "all", leaseMs: 1_000, ...atOnce };
    const sockets = await Promise.all(count(1, 3).map((i) => worker(hub, { id: `${i}`, ...asked })));
    await publishKeyed(hub, "1", "2", "3");
    const operator = await Operator.of(hub);
    const first = await newest(operator, sockets, 1);
    first.holder.send({ is: "leave", member: 1 });
    const second = await newest(operator, sockets, 2);
    expect(second.lease).toMatchObject({ data: "1", deliveries: 2, failures: 0 });
    second.holder.terminate();
    const third = await newest(operator, sockets, 3);
    expect(third.lease).toMatchObject({ data: "1", deliveries: 3, failures: 1 });
    expect(new Set([first.holder, second.holder, third.holder]).size).toBe(3);
  });

  test.each([
    ["block", ["1", "2", "3"]],
    ["skip", ["2", "3", "1"]],
  ])("one that fails holds back the others, or not: %s", async (onFailure, rest) => {
    const hub = await startHub();
    const socket = await three(hub, { order: "all", onFailure });
    await publishKeyed(hub, "1", "2", "3");
    const first = await lease(socket);
    expect(first.data).toBe("1");
    await settled(socket, "retry", [first], { delayMs: onFailure === "block" ? 100 : 1_500 });
    for (const data of rest) {
      const one = await lease(socket);
      expect(one).toMatchObject({ data });
      await settled(socket, "ack", [one]);
    }
  });

  test.each(["block", "skip"])(
    "one that is given up lets the next one go, and is a dead letter: %s",
    async (onFailure) => {
      const hub = await startHub();
      const socket = await three(hub, { order: "all", onFailure, maxFailures: 1 });
      await publishKeyed(hub, "1", "2", "3");
      await settled(socket, "reject", [await lease(socket)]);
      const second = await lease(socket);
      expect(second).toMatchObject({ data: "2" });
      await settled(socket, "retry", [second]);
      expect(await lease(socket)).toMatchObject({ data: "3" });
      expect(dataOf(await deadLetters(hub, 2)).sort()).toEqual(["1", "2"]);
    },
  );

  test("thousands come in order, whatever the windows", async () => {
    const hub = await startHub();
    const socket = await three(hub, { order: "all", window: 100 });
    const publisher = await greet(hub);
    await publish(publisher, "jobs.a", ...count(1, 500));
    for (const i of count(1, 500)) {
      const one = await lease(socket);
      expect(one.data).toBe(i);
      settle(socket, "ack", [one]);
    }
  });
});

/** The lease with which there are so many, over several connections, and who has it. */
async function newest(
  operator: Operator,
  sockets: readonly BareSocket[],
  many: number,
): Promise<{ readonly lease: Lease; readonly holder: BareSocket }> {
  const all = () => sockets.flatMap((holder) => allLeases(holder).map((lease) => ({ lease, holder })));
  await operator.until(() => all().length >= many);
  expect(all()).toHaveLength(many);
  return all().sort((a, b) => a.lease.fence - b.lease.fence)[many - 1] as { lease: Lease; holder: BareSocket };
}

function numberOf(data: unknown): number {
  return Number(String(data).replace(/\D+/, ""));
}
