/** What operators ask of groups, and what they are answered (P-64). */
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../support/temp.ts";
import {
  allLeases,
  dataOf,
  type Lease,
  lease,
  leases,
  Operator,
  offsetsOf,
  settled,
  work,
  worker,
} from "./group-support.ts";
import { count, greet, publish, publishAll, startHub } from "./support.ts";

/** Publishes without a number, for those who have others to look after. */
async function publishTo(hub: { readonly url: string }, channel: string, ...data: readonly unknown[]): Promise<void> {
  const socket = await greet(hub);
  await publish(socket, channel, ...data);
  socket.close();
}

describe("P-64: a group", () => {
  test("is shown with what it is, where it stands, and exactly how much is left", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { window: 4 });
    const operator = await Operator.of(hub);
    const before = Date.now();
    expect(await operator.show()).toMatchObject({
      namespace: "default",
      group: "g",
      pattern: "jobs.>",
      policy: { order: "none" },
      paused: false,
      members: 1,
      position: { offset: 0 },
      lag: { messages: 0, ageMs: null },
      inFlight: 0,
      delayed: 0,
      dead: 0,
      deadChannel: "jobs.$dead.g",
      lost: 0,
    });
    await publishTo(hub, "jobs.a", ...count(1, 10));
    await publishTo(hub, "other.a", ...count(1, 10));
    const [acked, retried, rejected, held] = (await leases(socket, 4)) as [Lease, Lease, Lease, Lease];
    await settled(socket, "ack", [acked]);
    await settled(socket, "retry", [retried], { delayMs: 3_600_000 });
    await settled(socket, "reject", [rejected]);
    await leases(socket, 3);
    const report = await operator.until(({ dead }) => dead === 1);
    expect(report).toMatchObject({ inFlight: 4, delayed: 1, dead: 1, lag: { messages: 8 } });
    expect(report.lag.ageMs).toBeLessThanOrEqual(Date.now() - before);
    socket.send({ is: "leave", member: 1 });
    await socket.next("left");
    expect(await operator.show()).toMatchObject({ members: 0, inFlight: 0, delayed: 1, lag: { messages: 8 } });
    expect(held.offset).toBe(4);
    await publishTo(hub, "jobs.a", 11, 12);
    expect(await operator.show()).toMatchObject({ lag: { messages: 10 } });
  });

  test("has the same lag after a restart, and when somebody works again", async () => {
    const data = temporaryFolder();
    const first = await startHub({ data });
    const socket = await worker(first, { window: 5 });
    await publishTo(first, "jobs.a", ...count(1, 20));
    const all = await leases(socket, 5);
    await settled(socket, "ack", [all[4] as Lease]);
    await settled(socket, "ack", [all[2] as Lease]);
    await settled(socket, "retry", [all[0] as Lease], { delayMs: 3_600_000 });
    const before = await (await Operator.of(first)).show();
    expect(before.lag.messages).toBe(18);
    await first.close();
    const hub = await startHub({ data });
    const operator = await Operator.of(hub);
    expect(await operator.show()).toMatchObject({ lag: { messages: 18 }, delayed: 1, members: 0 });
    await worker(hub, { window: 1 });
    expect(await operator.until(({ inFlight }) => inFlight > 0)).toMatchObject({ lag: { messages: 18 } });
  });

  test("is found by its name where only one namespace has it, and else by both", async () => {
    const hub = await startHub({ namespaces: { shop: {} } });
    await worker(hub);
    const operator = await Operator.of(hub);
    expect(await operator.show()).toMatchObject({ namespace: "default" });
    await worker(hub, { pattern: "shop.>" });
    const error = await operator.refusal({ do: "show-group", group: "g" });
    expect(error.code).toBe("unknown-group");
    expect(error.message).toContain("default, shop");
    for (const namespace of ["default", "shop"])
      expect(await operator.show({ namespace })).toMatchObject({ namespace });
    expect(await operator.refusal({ do: "show-group", group: "g", namespace: "other" })).toMatchObject({
      code: "unknown-group",
    });
  });

  test("is in the list with all others, ordered by namespace and name, in pages", async () => {
    const hub = await startHub({ namespaces: { shop: {} } });
    const socket = await greet(hub);
    const names = ["a-b", "a", "a_b", "B", "10", "9"];
    for (const [i, group] of names.entries()) {
      await work(socket, { member: 2 * i + 1, group });
      await work(socket, { member: 2 * i + 2, group, pattern: "shop.>" });
    }
    const operator = await Operator.of(hub);
    const whole = (await operator.groups()).groups.map(({ namespace, group }) => `${namespace}/${group}`);
    expect(whole).toEqual(
      ["default", "shop"].flatMap((namespace) => names.map((name) => `${namespace}/${name}`)).sort(),
    );
    for (const limit of [1, 5, 12]) {
      const found: string[] = [];
      for (let after: string | undefined = ""; after !== undefined; ) {
        const page = await operator.groups({ after, limit });
        found.push(...page.groups.map(({ namespace, group }) => `${namespace}/${group}`));
        after = page.next;
      }
      expect(found).toEqual(whole);
    }
  });

  test("that is paused leases nothing, and its members settle what they have", async () => {
    const data = temporaryFolder();
    const first = await startHub({ data });
    const socket = await worker(first, { window: 2, backoff: { minMs: 0 } });
    await publishTo(first, "jobs.a", ...count(1, 5));
    const [one, two] = (await leases(socket, 2)) as [Lease, Lease];
    const operator = await Operator.of(first);
    expect(await operator.group("pause-group")).toMatchObject({ paused: true, inFlight: 2 });
    await settled(socket, "extend", [one, two]);
    await settled(socket, "ack", [one]);
    await settled(socket, "retry", [two]);
    expect(await operator.until(({ delayed }) => delayed === 0)).toMatchObject({ inFlight: 0, lag: { messages: 4 } });
    expect(await operator.group("pause-group")).toMatchObject({ paused: true });
    expect(allLeases(socket)).toHaveLength(2);
    await first.close();
    const hub = await startHub({ data });
    const again = await Operator.of(hub);
    const next = await worker(hub);
    expect(await again.show()).toMatchObject({ paused: true, members: 1, inFlight: 0 });
    expect(await again.group("resume-group")).toMatchObject({ paused: false });
    expect(dataOf(await leases(next, 4)).sort()).toEqual([2, 3, 4, 5]);
  });

  test("shows what it has not settled without leasing it, and what each message waits for", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { order: "key", window: 3 });
    const publisher = await greet(hub);
    const drafts = ["a1", "a2", "b1", "1", "2", "3"].map((data) => ({
      channel: "jobs.a",
      data,
      ...(data.length > 1 && { key: data[0] }),
    }));
    await publishAll(publisher, drafts);
    const [a1, b1, free] = (await leases(socket, 3)) as [Lease, Lease, Lease];
    await settled(socket, "retry", [b1], { delayMs: 3_600_000, error: "later" });
    await settled(socket, "ack", [free]);
    const operator = await Operator.of(hub);
    const whole = await operator.browse();
    expect(whole).toMatchObject({ through: 6, head: 6 });
    expect(whole.messages).toMatchObject([
      { data: "a1", key: "a", state: "leased", deliveries: 1, failures: 0 },
      { data: "a2", state: "blocked", deliveries: 0 },
      { data: "b1", state: "delayed", deliveries: 1, failures: 1, error: "later" },
      { data: "2", state: "leased" },
      { data: "3", state: "leased" },
    ]);
    expect(whole.messages[2]?.due).toBeGreaterThan(Date.now() + 3_500_000);
    await publishAll(publisher, [{ channel: "jobs.a", data: "4" }]);
    expect((await operator.browse({ after: a1.offset })).messages.at(-1)).toMatchObject({
      data: "4",
      state: "waiting",
    });
    for (const limit of [1, 2, 6]) expect(await browseAll(operator, limit)).toEqual([1, 2, 3, 5, 6, 7]);
    // To look is not to take.
    expect(await operator.show()).toMatchObject({ inFlight: 3, delayed: 1 });
  });

  test("shows what nobody has come to yet, in pages, with everything it has", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { window: 1 });
    socket.send({ is: "leave", member: 1 });
    await socket.next("left");
    const draft = { channel: "jobs.a", type: "text/plain", key: "k", headers: { a: "b" }, data: "AAAA", ttlMs: 60_000 };
    await publishAll(socket, [draft]);
    for (const i of count(1, 3)) await publish(socket, i === 2 ? "other.a" : "jobs.b", ...count(1, 700));
    const operator = await Operator.of(hub);
    const { messages, head } = await operator.browse({ limit: 1_000 });
    const { ttlMs, ...had } = draft;
    expect(messages[0]).toMatchObject({
      ...had,
      expires: expect.any(Number),
      state: "waiting",
      deliveries: 0,
      failures: 0,
    });
    expect(head).toBe(2_101);
    const offsets = [1, ...count(2, 701), ...count(1_402, 2_101)];
    expect(offsetsOf(messages)).toEqual(offsets.slice(0, 1_000));
    expect(await browseAll(operator, 333)).toEqual(offsets);
    expect(await operator.browse({ after: head })).toEqual({ messages: [], through: head, head });
  });

  test("shows everything page by page, also after a restart in the middle of a redrive", async () => {
    const data = temporaryFolder();
    const first = await startHub({ data });
    const socket = await worker(first, { order: "key", window: 3 });
    const publisher = await greet(first);
    const keyed = (...data: string[]) =>
      publishAll(
        publisher,
        data.map((value) => ({ channel: "jobs.a", key: value[0], data: value })),
      );
    await keyed("a1", "b1");
    const b1 = (await leases(socket, 2))[1] as Lease;
    await keyed("a2", "a3");
    await settled(socket, "reject", [b1]);
    const operator = await Operator.of(first);
    await operator.until(({ dead }) => dead === 1);
    await operator.group("redrive");
    expect(await lease(socket)).toMatchObject({ data: "b1" });
    for (const limit of [1, 2, 10]) expect(await browseAll(operator, limit)).toEqual([1, 3, 4, 5]);
    await first.close();
    const again = await Operator.of(await startHub({ data }));
    for (const limit of [10, 2, 1]) expect((await browseAll(again, limit)).sort()).toEqual([1, 3, 4, 5]);
  });
});

async function browseAll(operator: Operator, limit: number): Promise<number[]> {
  const offsets: number[] = [];
  for (let after = 0, pages = 0; ; pages++) {
    const { messages, through, head } = await operator.browse({ after, limit });
    expect(messages.length).toBeLessThanOrEqual(limit);
    offsets.push(...offsetsOf(messages));
    if (through >= head) return offsets;
    if (pages > 100) throw new Error(`Paging does not come to an end: at ${through} of ${head}, ${offsets}.`);
    after = through;
  }
}
