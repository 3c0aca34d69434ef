/** What becomes of messages that expire, or that retention removes, before a group is done with them (P-62). */
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../support/temp.ts";
import {
  dataOf,
  deadLetters,
  fencesOf,
  type Lease,
  lease,
  leases,
  Operator,
  offsetsOf,
  overflow,
  refusal,
  settle,
  settled,
  small,
  work,
  worker,
} from "./group-support.ts";
import { type BareSocket, count, greet, publish, publishAll, Reader, startHub } from "./support.ts";

/** Publishes messages that live for so long; resolves with when the last of them expires. */
async function publishFor(socket: BareSocket, ttlMs: number, ...data: readonly unknown[]): Promise<number> {
  await publishAll(
    socket,
    data.map((value) => ({ channel: "jobs.a", data: value, ttlMs })),
  );
  return Date.now() + ttlMs;
}

/** Keeps asking until a time has come. */
async function untilTime(operator: Operator, time: number): Promise<void> {
  while (Date.now() <= time) await operator.show();
}

describe("P-62, P-46: a message that expires", () => {
  test("before anybody had room for it is a dead letter, and is leased to nobody", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { window: 1 });
    const operator = await Operator.of(hub);
    await publish(socket, "jobs.a", "first");
    const first = await lease(socket);
    await untilTime(operator, await publishFor(socket, 20, 1, 2, 3));
    await publish(socket, "jobs.a", "last");
    await settled(socket, "ack", [first]);
    expect(await lease(socket)).toMatchObject({ data: "last" });
    const dead = await deadLetters(hub, 3);
    expect(dataOf(dead)).toEqual([1, 2, 3]);
    for (const one of dead) {
      expect(one.headers).toMatchObject({
        "dogear-reason": "ttl",
        "dogear-deliveries": "0",
        "dogear-failures": "0",
      });
      expect(one.headers).not.toHaveProperty("dogear-error");
      // A dead letter is there until somebody sees to it.
      expect(one).not.toHaveProperty("expires");
    }
  });

  test("while nobody worked, or before the group was there, is a dead letter", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    const operator = await Operator.of(hub);
    await work(socket, { group: "h" });
    socket.send({ is: "leave", member: 1 });
    await socket.next("left");
    const expires = await publishFor(socket, 1, "x");
    while (Date.now() <= expires) await operator.show({ group: "h" });
    for (const [i, group] of ["g", "h"].entries()) {
      await work(socket, { member: i + 1, group });
      expect(dataOf(await deadLetters(hub, 1, `jobs.$dead.${group}`))).toEqual(["x"]);
    }
  });

  test("while it is leased is still its holder's, who may acknowledge it", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    const operator = await Operator.of(hub);
    const expires = await publishFor(socket, 500, 1, 2, 3);
    const all = await leases(socket, 3);
    await untilTime(operator, expires);
    await settled(socket, "extend", all);
    await settled(socket, "ack", all);
    expect(await operator.show()).toMatchObject({ lag: { messages: 0 }, dead: 0, inFlight: 0 });
  });

  test.each([
    ["release", "0", undefined],
    ["retry", "1", "no"],
  ])("and is given up for now is a dead letter: %s", async (outcome, failures, error) => {
    const hub = await startHub();
    const socket = await worker(hub);
    const operator = await Operator.of(hub);
    const expires = await publishFor(socket, 500, "x");
    const held = await lease(socket);
    await untilTime(operator, expires);
    await settled(socket, outcome, [held], outcome === "retry" ? { delayMs: 0, error } : {});
    const [dead] = await deadLetters(hub, 1);
    expect(dead?.headers).toMatchObject({
      "dogear-reason": "ttl",
      "dogear-deliveries": "1",
      "dogear-failures": failures,
    });
    expect(dead?.headers?.["dogear-error"]).toBe(error);
  });

  test("while it waits for its next try is a dead letter, and lets those behind it go", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { order: "all" });
    await publishFor(socket, 1_000, "x");
    await publish(socket, "jobs.a", "y");
    await settled(socket, "retry", [await lease(socket)], { delayMs: 1_200 });
    expect(await lease(socket)).toMatchObject({ data: "y" });
    expect((await deadLetters(hub, 1))[0]).toMatchObject({ data: "x", headers: { "dogear-reason": "ttl" } });
  });

  test("by the namespace's own time is one, too", async () => {
    const hub = await startHub({ namespaces: { brief: { ttlMs: 20 } } });
    const socket = await greet(hub);
    await publish(socket, "brief.a", "x");
    const operator = await Operator.of(hub);
    const expires = Date.now() + 20;
    while (Date.now() <= expires) await operator.groups();
    await work(socket, { pattern: "brief.>" });
    const [dead] = await deadLetters(hub, 1, "brief.$dead.g");
    expect(dead).toMatchObject({ data: "x", headers: { "dogear-reason": "ttl" } });
  });
});

describe("P-62: what retention removes", () => {
  const asked = { pattern: "small.jobs", window: 3 };

  test("is a dead letter where it was leased or failed, and counted where nobody ever had it", async () => {
    const data = temporaryFolder();
    const first = await startHub({ ...small, data });
    const socket = await worker(first, asked);
    const operator = await Operator.of(first);
    const last = (await publish(socket, "small.jobs", ...count(1, 8))).at(-1)?.offset as number;
    const [held, failed, released] = (await leases(socket, 3)) as [Lease, Lease, Lease];
    await settled(socket, "retry", [failed], { delayMs: 3_600_000, error: "later" });
    await settled(socket, "ack", [released]);
    const more = await leases(socket, 2);
    expect(dataOf(more)).toEqual([4, 5]);
    const reader = new Reader(await greet(first));
    const place = await reader.subscribe({ pattern: "small.jobs.$dead.g" });
    await overflow(first, last);
    await reader.until(() => place.messages.length >= 4);
    const byData = place.messages.toSorted((a, b) => Number(a.data) - Number(b.data));
    expect(dataOf(byData)).toEqual([1, 2, 4, 5]);
    for (const { headers } of byData)
      expect(headers).toMatchObject({ "dogear-reason": "retention", "dogear-deliveries": "1" });
    expect(byData[1]?.headers).toMatchObject({ "dogear-failures": "1", "dogear-error": "later" });
    for (const fence of fencesOf([held, ...more])) {
      const error = await refusal(socket, { is: "settle", member: 1, outcome: "ack", fences: [fence] });
      expect(error).toMatchObject({ code: "lease-lost", fence });
    }
    expect(await operator.show()).toMatchObject({
      lost: 3,
      inFlight: 0,
      delayed: 0,
      lag: { messages: 0, ageMs: null },
    });
    // What is lost is lost once, however much more is removed, and whatever is restarted.
    await overflow(first, last + 100);
    expect(await operator.show()).toMatchObject({ lost: 3 });
    await first.close();
    const hub = await startHub({ ...small, data });
    await overflow(hub, last + 200);
    expect(await (await Operator.of(hub)).show()).toMatchObject({ lost: 3, lag: { messages: 0 } });
    const again = await worker(hub, asked);
    await publish(again, "small.jobs", "new");
    expect(await lease(again)).toMatchObject({ data: "new", deliveries: 1 });
  });

  test("of a group in which nobody works is counted once, and the group goes on with what is left", async () => {
    const hub = await startHub(small);
    const socket = await worker(hub, asked);
    socket.send({ is: "leave", member: 1 });
    await socket.next("left");
    const last = (await publish(socket, "small.jobs", ...count(1, 7))).at(-1)?.offset as number;
    const operator = await Operator.of(hub);
    expect(await operator.show()).toMatchObject({ lost: 0, lag: { messages: 7 } });
    await overflow(hub, last);
    expect(await operator.show()).toMatchObject({ lost: 7, lag: { messages: 0 } });
    await work(socket, asked);
    await publish(socket, "small.jobs", "new");
    expect(await lease(socket)).toMatchObject({ data: "new" });
    expect(await operator.show()).toMatchObject({ lost: 7 });
  });

  test("holds nobody up in a group that is ordered", async () => {
    const hub = await startHub(small);
    const socket = await worker(hub, { ...asked, order: "all" });
    const last = (await publish(socket, "small.jobs", ...count(1, 5))).at(-1)?.offset as number;
    expect(await lease(socket)).toMatchObject({ data: 1 });
    await overflow(hub, last);
    await publish(socket, "small.jobs", "new");
    expect(await lease(socket)).toMatchObject({ data: "new" });
    expect(await (await Operator.of(hub)).show()).toMatchObject({ lost: 4, inFlight: 1 });
  });

  test("because it is old is counted like what is too much", async () => {
    const hub = await startHub({ namespaces: { old: { retention: { ageMs: 300 } } } });
    const socket = await worker(hub, { pattern: "old.>", window: 2 });
    await publish(socket, "old.a", ...count(1, 5));
    await leases(socket, 2);
    const dead = deadLetters(hub, 2, "old.$dead.g");
    await (await Operator.of(hub)).until(({ lost, lag }) => lost === 3 && lag.messages === 0);
    for (const { headers } of await dead) expect(headers).toMatchObject({ "dogear-reason": "retention" });
  });

  test("of what was redriven, and is leased again, is a dead letter again, which names the first message", async () => {
    const hub = await startHub(small);
    const socket = await worker(hub, { ...asked, window: 1 });
    const operator = await Operator.of(hub);
    await publish(socket, "small.jobs", "x");
    await settled(socket, "reject", [await lease(socket)]);
    await operator.until(({ dead }) => dead === 1);
    await operator.group("redrive");
    const again = await lease(socket);
    const reader = new Reader(await greet(hub));
    const place = await reader.subscribe({ pattern: "small.jobs.$dead.g" });
    await overflow(hub, again.offset);
    await reader.until(() => place.messages.length === 1);
    expect(place.messages[0]).toMatchObject({
      data: "x",
      headers: { "dogear-reason": "retention", "dogear-channel": "small.jobs", "dogear-offset": "1" },
    });
    expect(await operator.show()).toMatchObject({ lost: 0, inFlight: 0 });
  });

  test("while members work through a flood is lost or worked on, and nothing is both", async () => {
    const hub = await startHub(small);
    const socket = await worker(hub, { pattern: "small.flood", window: 20 });
    const operator = await Operator.of(hub);
    const reader = new Reader(await greet(hub));
    const place = await reader.subscribe({
      pattern: "small.flood.$dead.g",
      window: { messages: 10_000, bytes: 16_000_000 },
    });
    let acked = 0;
    const working = (async () => {
      for (;;) {
        const envelope = await socket.next();
        if (envelope.is === "leased") settle(socket, "ack", fencesOf(envelope.leases));
        if (envelope.is === "settled") acked += envelope.fences.length;
        if (envelope.is === "left") return;
      }
    })();
    const publisher = await greet(hub);
    const text = "x".repeat(10_000);
    for (const i of count(1, 40)) await publish(publisher, "small.flood", ...count(1, 40).map((n) => [i, n, text]));
    socket.send({ is: "leave", member: 1 });
    await working;
    await overflow(hub, 1_600);
    expect(new Set(offsetsOf(place.messages)).size).toBe(place.messages.length);
    await reader.settle();
    const { lost, lag } = await operator.show();
    expect({ lost: lost > 0, lag: lag.messages }).toEqual({ lost: true, lag: 0 });
    expect(acked + place.messages.length + lost).toBe(1_600);
  });
});
