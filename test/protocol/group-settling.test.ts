/** What becomes of messages that were leased (P-55 to P-57). */
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../support/temp.ts";
import {
  crashed,
  dataOf,
  deadLetters,
  fencesOf,
  type Lease,
  lease,
  leases,
  Operator,
  offsetsOf,
  refusal,
  settle,
  settled,
  work,
  worker,
} from "./group-support.ts";
import { count, greet, publish, startHub } from "./support.ts";

const atOnce = { backoff: { minMs: 0, jitter: 0 } };
const outcomes = ["ack", "retry", "reject", "release", "extend"];

describe("P-55: a message", () => {
  test("that is acknowledged is done, also after a restart", async () => {
    const data = temporaryFolder();
    const first = await startHub({ data });
    const socket = await worker(first);
    await publish(socket, "jobs.a", 1, 2);
    await settled(socket, "ack", await leases(socket, 2));
    await first.close();
    const hub = await startHub({ data });
    const again = await worker(hub);
    await publish(again, "jobs.a", 3);
    expect(await lease(again)).toMatchObject({ data: 3 });
  });

  test("that is retried comes again, with its failure counted", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    await publish(socket, "jobs.a", "x");
    await settled(socket, "retry", [await lease(socket)], { delayMs: 0 });
    expect(await lease(socket)).toMatchObject({ data: "x", deliveries: 2, failures: 1 });
  });

  test("that is rejected is a dead letter at once", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    await publish(socket, "jobs.a", "x");
    await settled(socket, "reject", [await lease(socket)], { error: "unpayable" });
    const [dead] = await deadLetters(hub, 1);
    expect(dead).toMatchObject({ data: "x", headers: { "dogear-reason": "rejected", "dogear-error": "unpayable" } });
  });

  test("that is released comes again at once, to anybody, and has not failed", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    await publish(socket, "jobs.a", "x");
    await settled(socket, "release", [await lease(socket)]);
    expect(await lease(socket)).toMatchObject({ data: "x", deliveries: 2, failures: 0 });
  });

  test("is settled on disk before that is confirmed", async () => {
    const data = temporaryFolder();
    const socket = await worker(await startHub({ data }));
    await publish(socket, "jobs.a", ...count(1, 4));
    const [acked, retried, rejected] = (await leases(socket, 4)) as [Lease, Lease, Lease];
    await settled(socket, "ack", [acked]);
    await settled(socket, "retry", [retried], { delayMs: 3_600_000, error: "again" });
    await settled(socket, "reject", [rejected], { error: "never" });
    const hub = await startHub({ data: crashed(data) });
    const [dead, ...more] = await deadLetters(hub, 1);
    expect([dead?.data, more]).toEqual([3, []]);
    const { messages } = await (await Operator.of(hub)).browse();
    expect(messages).toMatchObject([
      { data: 2, state: "delayed", deliveries: 1, failures: 1, error: "again" },
      { data: 4, state: "leased", deliveries: 1, failures: 0 },
    ]);
  });

  test("of many is settled with one envelope", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { window: 10_000 });
    const publisher = await greet(hub);
    for (const i of count(0, 9)) await publish(publisher, "jobs.a", ...count(i * 1_000 + 1, (i + 1) * 1_000));
    const all = await leases(socket, 10_000);
    expect(offsetsOf(all)).toEqual(count(1, 10_000));
    const tooMany = { is: "settle", member: 1, outcome: "ack", fences: [...fencesOf(all), 10_001] };
    expect(await refusal(socket, tooMany)).toMatchObject({ code: "invalid-envelope", member: 1 });
    await settled(socket, "ack", all);
    expect(await (await Operator.of(hub)).show()).toMatchObject({ lag: { messages: 0 }, position: { offset: 10_000 } });
  });

  test.each(['“no” "quotes" \\ \n \u0000 \u2028 日本語 😀', "", "x".repeat(1_024), "😀".repeat(512), "\ud800"])(
    "keeps what went wrong with it: %j",
    async (error) => {
      const data = temporaryFolder();
      const first = await startHub({ data });
      const socket = await worker(first);
      await publish(socket, "jobs.a", 1, 2);
      const [retried, rejected] = (await leases(socket, 2)) as [Lease, Lease];
      await settled(socket, "retry", [retried], { delayMs: 3_600_000, error });
      await settled(socket, "reject", [rejected], { error });
      await first.close();
      const hub = await startHub({ data });
      expect((await (await Operator.of(hub)).browse()).messages[0]?.error).toBe(error);
      expect((await deadLetters(hub, 1))[0]?.headers?.["dogear-error"]).toBe(error);
    },
  );

  test("that fails without a word keeps the last one it failed with", async () => {
    const hub = await startHub();
    const socket = await worker(hub, atOnce);
    await publish(socket, "jobs.a", "x");
    await settled(socket, "retry", [await lease(socket)], { error: "first" });
    await settled(socket, "retry", [await lease(socket)]);
    await settled(socket, "reject", [await lease(socket)]);
    expect((await deadLetters(hub, 1))[0]?.headers?.["dogear-error"]).toBe("first");
  });
});

describe("P-55: a settlement", () => {
  test.each([
    [{ fences: [] }],
    [{ fences: undefined }],
    [{ fences: 1 }],
    [{ fences: [0] }],
    [{ fences: [-1] }],
    [{ fences: [1.5] }],
    [{ fences: ["1"] }],
    [{ fences: [1, null] }],
    [{ fences: [2 ** 53] }],
    [{ outcome: "nack" }],
    [{ outcome: undefined }],
    [{ delayMs: -1 }],
    [{ delayMs: 604_800_001 }],
    [{ error: "x".repeat(1_025) }],
    [{ error: { a: 1 } }],
    [{ fence: 1 }],
  ])("that says %j is refused, and changes nothing (P-11)", async (wrong) => {
    const hub = await startHub();
    const socket = await worker(hub);
    await publish(socket, "jobs.a", "x");
    const held = await lease(socket);
    const said = { is: "settle", member: 1, outcome: "retry", fences: [held.fence], ...wrong };
    expect(await refusal(socket, said)).toMatchObject({ code: "invalid-envelope", member: 1 });
    await settled(socket, "ack", [held]);
  });

  test("of a member that is none is refused, as often as it is said", async () => {
    const hub = await startHub({ limits: { errorsMax: 5 } });
    const socket = await worker(hub);
    for (const _ of count(1, 10)) {
      const said = { is: "settle", member: 7, outcome: "ack", fences: [1] };
      expect(await refusal(socket, said)).toMatchObject({ code: "unknown-member", member: 7 });
    }
  });
});

describe("P-56: a fence that is not held", () => {
  test.each(outcomes)("is answered by itself, and others of the same envelope are settled: %s", async (outcome) => {
    const hub = await startHub();
    const socket = await worker(hub);
    await publish(socket, "jobs.a", ...count(1, 3));
    const all = await leases(socket, 3);
    const [first, second, third] = fencesOf(all) as [number, number, number];
    await settled(socket, "ack", [second]);
    settle(socket, outcome, [99_999, first, second, third], { delayMs: 60_000 });
    for (const fence of [99_999, second]) {
      expect(await socket.next("error")).toMatchObject({ code: "lease-lost", member: 1, fence });
    }
    expect(await socket.next("settled")).toMatchObject({ member: 1, fences: [first, third] });
  });

  test("because it was settled is told so, whatever is said the second time", async () => {
    const hub = await startHub();
    for (const first of outcomes.filter((outcome) => outcome !== "extend")) {
      for (const second of outcomes) {
        const socket = await worker(hub, { group: `${first}-${second}`, pattern: `jobs.${first}.${second}` });
        await publish(socket, `jobs.${first}.${second}`, "x");
        const { fence } = await lease(socket);
        settle(socket, first, [fence], { delayMs: 60_000 });
        settle(socket, second, [fence]);
        expect(await socket.next("error")).toMatchObject({ code: "lease-lost", member: 1, fence });
        expect(await socket.next("settled")).toMatchObject({ fences: [fence] });
        socket.close();
      }
    }
  });

  test("because another member holds it is not touched: one of the same session, and one of another", async () => {
    const hub = await startHub();
    const holder = await worker(hub, { window: 1 });
    const other = await greet(hub);
    await publish(other, "jobs.a", "x");
    const held = await lease(holder);
    await work(holder, { member: 2, id: "x", window: 1 });
    await work(other, { member: 1, id: "y", window: 1 });
    for (const outcome of outcomes) {
      for (const [socket, member] of [
        [holder, 2],
        [other, 1],
      ] as const) {
        const said = { is: "settle", member, outcome, fences: [held.fence] };
        expect(await refusal(socket, said)).toMatchObject({ code: "lease-lost", member, fence: held.fence });
      }
    }
    await settled(holder, "ack", [held]);
  });

  test("is no mistake that counts towards errorsMax", async () => {
    const hub = await startHub({ limits: { errorsMax: 3 } });
    const socket = await worker(hub);
    settle(socket, "ack", count(1, 100));
    for (const fence of count(1, 100)) expect(await socket.next("error")).toMatchObject({ code: "lease-lost", fence });
    await publish(socket, "jobs.a", "x");
    await settled(socket, "ack", [await lease(socket)]);
  });
});

describe("P-57: a message that fails", () => {
  test("is tried again in the order in which it is due", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    await publish(socket, "jobs.a", ...count(1, 4));
    const all = await leases(socket, 4);
    const begun = performance.now();
    for (const [i, delayMs] of [400, 0, 300, 200].entries()) settle(socket, "retry", [all[i] as Lease], { delayMs });
    expect(dataOf(await leases(socket, 4))).toEqual([2, 4, 3, 1]);
    expect(performance.now() - begun).toBeGreaterThan(398);
  });

  const fixed = { type: "fixed", minMs: 60_000, maxMs: 90_000, jitter: 0 };
  const doubling = { type: "exponential", minMs: 40_000, maxMs: 150_000, jitter: 0 };
  test.each([
    ["fixed", fixed, [60_000, 60_000, 60_000, 60_000], 0],
    ["exponential", doubling, [40_000, 80_000, 150_000, 150_000], 0],
    ["exponential with chance", { ...doubling, jitter: 1 }, [40_000, 80_000, 150_000, 150_000], 1],
    ["the default", undefined, [1_000, 2_000, 4_000, 8_000], 0.5],
  ])("waits as its backoff says: %s", async (_, backoff, delays, jitter) => {
    const hub = await startHub();
    const socket = await worker(hub, { backoff });
    const operator = await Operator.of(hub);
    // A message for each number of failures, so that nobody has to wait.
    await publish(socket, "jobs.a", ...delays.keys());
    const all = await leases(socket, delays.length);
    for (const [i, delay] of delays.entries()) {
      let held = all[i] as Lease;
      for (const _ of count(1, i)) {
        settle(socket, "retry", [held], { delayMs: 0 });
        held = await lease(socket);
      }
      const before = Date.now();
      await settled(socket, "retry", [held]);
      const { messages } = await operator.browse();
      const failed = messages.find(({ data }) => data === i);
      expect(failed).toMatchObject({ state: "delayed", failures: i + 1 });
      expect(failed?.due).toBeGreaterThanOrEqual(before + delay * (1 - jitter) - 1);
      expect(failed?.due).toBeLessThanOrEqual(Date.now() + delay + 1);
    }
  });

  test("waits as long as it is told to, up to a week, also over a restart", async () => {
    const data = temporaryFolder();
    const first = await startHub({ data });
    const socket = await worker(first, atOnce);
    await publish(socket, "jobs.a", "x");
    const before = Date.now();
    await settled(socket, "retry", [await lease(socket)], { delayMs: 604_800_000 });
    await first.close();
    const { messages } = await (await Operator.of(await startHub({ data }))).browse();
    expect(messages[0]?.due).toBeGreaterThanOrEqual(before + 604_800_000 - 1);
    expect(messages[0]?.due).toBeLessThanOrEqual(Date.now() + 604_800_000 + 1);
  });

  test("as often as it may is a dead letter, whichever way it failed", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { maxFailures: 3, ...atOnce });
    await publish(socket, "jobs.a", "x");
    await settled(socket, "retry", [await lease(socket)], { error: "first" });
    // This one runs out; one that is given back is no failure.
    await settled(socket, "extend", [await lease(socket)], { leaseMs: 100 });
    await settled(socket, "release", [await lease(socket)]);
    await settled(socket, "retry", [await lease(socket)], { error: "last" });
    const [dead] = await deadLetters(hub, 1);
    expect(dead?.headers).toMatchObject({
      "dogear-reason": "max-failures",
      "dogear-error": "last",
      "dogear-deliveries": "4",
      "dogear-failures": "3",
    });
  });

  test("once is a dead letter where it may not fail", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { maxFailures: 1 });
    await publish(socket, "jobs.a", "x");
    await settled(socket, "retry", [await lease(socket)], { delayMs: 60_000 });
    const [dead] = await deadLetters(hub, 1);
    expect(dead?.headers).toMatchObject({
      "dogear-reason": "max-failures",
      "dogear-deliveries": "1",
      "dogear-failures": "1",
    });
  });
});
