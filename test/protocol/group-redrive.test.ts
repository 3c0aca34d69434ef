/** Dead letters that are given to their group once more (P-63). */
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../support/temp.ts";
import {
  crashed,
  dataOf,
  deadLetters,
  type Lease,
  lease,
  leased,
  leases,
  Operator,
  offsetsOf,
  settle,
  settled,
  withDead,
  work,
  worker,
} from "./group-support.ts";
import { count, greet, publish, publishAll, Reader, startHub } from "./support.ts";

describe("P-63: a redrive", () => {
  test("gives the group its dead letters, each once, and nobody else", async () => {
    const hub = await startHub();
    await withDead(hub, 5);
    const socket = await worker(hub);
    await work(socket, { member: 2, group: "h", from: "latest" });
    const reader = new Reader(await greet(hub));
    const place = await reader.subscribe({ pattern: "jobs.>" });
    const operator = await Operator.of(hub);
    const report = await operator.group("redrive");
    expect(report.redrive).toMatchObject({ total: 5 });
    const all = await leases(socket, 5);
    expect(dataOf(all)).toEqual(count(1, 5));
    await settled(socket, "ack", all);
    await publish(socket, "jobs.a", "next");
    expect(await leases(socket, 2)).toMatchObject([{ data: "next" }, { data: "next" }]);
    await reader.until(() => place.messages.length > 0);
    expect(dataOf(place.messages)).toEqual(["next"]);
    expect(await operator.show()).toMatchObject({ dead: 0, redrive: { state: "done", moved: 5, total: 5 } });
    // They stay where they are, for people to read; there is nothing to give any more.
    expect(await deadLetters(hub, 5)).toHaveLength(5);
    await operator.group("redrive");
    await publish(socket, "jobs.a", "last");
    expect((await leases(socket, 2)).map(({ data }) => data)).toEqual(["last", "last"]);
  });

  test("gives them in the channel they were in, with what they had and what became of them", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { backoff: { minMs: 0 } });
    const data = '{"a": 1.0,"b":12345678901234567890}';
    socket.send(
      `{"is":"publish","number":1,"channel":"jobs.a.b","key":"k","headers":{"own":"ü"},"ttlMs":60000,"data":${data}}`,
    );
    await settled(socket, "retry", [await lease(socket)]);
    await settled(socket, "reject", [await lease(socket)], { error: "no" });
    const [dead] = await deadLetters(hub, 1);
    await (await Operator.of(hub)).group("redrive");
    const again = await lease(socket);
    expect(socket.frames.at(-1)).toContain(`"data":${data}}`);
    expect(again).toMatchObject({
      channel: "jobs.a.b",
      offset: dead?.offset,
      key: "k",
      deliveries: 1,
      failures: 0,
      headers: {
        own: "ü",
        "dogear-reason": "rejected",
        "dogear-error": "no",
        "dogear-channel": "jobs.a.b",
        "dogear-offset": "1",
        "dogear-group": "g",
        "dogear-deliveries": "2",
      },
    });
    expect(again).not.toHaveProperty("expires");
  });

  test("of one that fails again leads to a new dead letter, which names the first message and can be redriven", async () => {
    const hub = await startHub();
    await withDead(hub, 2, { maxFailures: 2, backoff: { minMs: 0 } });
    const socket = await worker(hub);
    const operator = await Operator.of(hub);
    for (const round of count(1, 3)) {
      await operator.group("redrive");
      for (const _ of count(1, 2)) {
        const all = await leases(socket, 2);
        expect(all.map(({ channel, failures }) => [channel, failures])).toEqual([1, 2].map(() => ["jobs.a", _ - 1]));
        await settled(socket, "retry", all, { error: `round ${round}` });
      }
      const dead = (await deadLetters(hub, 2 + 2 * round)).slice(-2);
      expect(dataOf(dead).sort()).toEqual([1, 2]);
      for (const { data, headers } of dead) {
        expect(headers).toMatchObject({
          "dogear-reason": "max-failures",
          "dogear-error": `round ${round}`,
          "dogear-channel": "jobs.a",
          "dogear-offset": String(data),
          "dogear-deliveries": "2",
          "dogear-failures": "2",
        });
      }
      await operator.until(({ dead }) => dead === 2);
    }
  });

  test("gives what was dead when it was asked for; what dies while it runs waits for the next", async () => {
    const hub = await startHub();
    await withDead(hub, 4);
    const socket = await worker(hub, { window: 1 });
    const operator = await Operator.of(hub);
    await operator.group("redrive");
    for (const data of count(1, 4)) {
      const one = await lease(socket);
      expect(one.data).toBe(data);
      await settled(socket, "reject", [one], { error: "again" });
    }
    await publish(socket, "jobs.a", "marker");
    expect(await lease(socket)).toMatchObject({ data: "marker" });
    expect(await operator.until(({ dead }) => dead === 4)).toMatchObject({ redrive: { moved: 4, total: 4 } });
  });

  test("that is asked for while one runs takes in what died since", async () => {
    const hub = await startHub();
    await withDead(hub, 3);
    const socket = await worker(hub, { window: 1 });
    const operator = await Operator.of(hub);
    await operator.group("redrive");
    const first = await lease(socket);
    await settled(socket, "reject", [first], { error: "again" });
    await deadLetters(hub, 4);
    await operator.group("redrive");
    for (const data of [2, 3, 1]) {
      const one = await lease(socket);
      expect(one.data).toBe(data);
      await settled(socket, "ack", [one]);
    }
    expect(await operator.show()).toMatchObject({ dead: 0, lag: { messages: 0 }, redrive: { state: "done" } });
  });

  test("that is cancelled leaves the rest to the next", async () => {
    const hub = await startHub();
    await withDead(hub, 700);
    const socket = await worker(hub, { window: 1 });
    const operator = await Operator.of(hub);
    expect((await operator.group("redrive")).redrive).toMatchObject({ total: 700 });
    const first = await lease(socket);
    await operator.group("cancel-redrive");
    const { redrive, dead } = await operator.show();
    const moved = redrive?.moved ?? 0;
    expect(moved + dead).toBe(700);
    expect(redrive?.state).toBe(moved === 700 ? "done" : "cancelled");
    await settled(socket, "ack", [first]);
    const given = [first.data];
    while (given.length < moved) {
      const one = await lease(socket);
      given.push(one.data);
      settle(socket, "ack", [one]);
    }
    await operator.until(({ lag }) => lag.messages === 0);
    await operator.group("redrive");
    while (given.length < 700) {
      const one = await lease(socket);
      given.push(one.data);
      settle(socket, "ack", [one]);
    }
    expect(given).toEqual(count(1, 700));
    expect(await operator.until(({ lag }) => lag.messages === 0)).toMatchObject({ dead: 0 });
  });

  test.each(["restart", "crash"])(
    "goes on after the hub was restarted in the middle: each once, none forgotten: %s",
    async (how) => {
      const data = temporaryFolder();
      const first = await startHub({ data });
      await withDead(first, 10);
      const before = await worker(first, { window: 2 });
      await (await Operator.of(first)).group("redrive");
      const [done, held] = (await leases(before, 2)) as [Lease, Lease];
      await settled(before, "ack", [done]);
      await lease(before);
      const copy = how === "crash" ? crashed(data) : data;
      await first.close();
      const hub = await startHub({ data: copy });
      const socket = await worker(hub, { window: 100 });
      const rest = await leases(socket, 9);
      expect(dataOf(rest).sort((a, b) => Number(a) - Number(b))).toEqual(count(2, 10));
      expect(rest.find(({ offset }) => offset === held.offset)).toMatchObject({ deliveries: 2 });
      await settled(socket, "ack", rest);
      const report = await (await Operator.of(hub)).show();
      expect(report).toMatchObject({ dead: 0, lag: { messages: 0 }, redrive: { state: "done", moved: 10, total: 10 } });
    },
  );

  test("is counted once over restarts, however many there are", async () => {
    const data = temporaryFolder();
    let hub = await startHub({ data });
    await withDead(hub, 300);
    await (await Operator.of(hub)).group("redrive");
    const given: unknown[] = [];
    for (const _ of count(1, 3)) {
      const socket = await worker(hub, { window: 1 });
      for (const _ of count(1, 10)) {
        const one = await lease(socket);
        given.push(one.data);
        await settled(socket, "ack", [one]);
      }
      const { redrive, dead } = await (await Operator.of(hub)).show();
      expect(redrive?.moved).toBeLessThanOrEqual(300 - dead);
      await hub.close();
      hub = await startHub({ data });
    }
    const { redrive } = await (await Operator.of(hub)).show();
    expect(redrive).toMatchObject({ total: 300 });
    expect(redrive?.moved).toBeLessThanOrEqual(300);
    expect(given).toEqual(count(1, 30));
  });

  test("waits for a member, and for the group to go on", async () => {
    const hub = await startHub();
    await withDead(hub, 3);
    const operator = await Operator.of(hub);
    expect(await operator.group("redrive")).toMatchObject({ redrive: { state: "running", moved: 0, total: 3 } });
    await operator.group("pause-group");
    const socket = await worker(hub);
    expect(await operator.show()).toMatchObject({ members: 1, paused: true, inFlight: 0, dead: 3 });
    await operator.group("resume-group");
    expect(await leases(socket, 3)).toHaveLength(3);
  });

  test("of nothing is done", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    const operator = await Operator.of(hub);
    expect(await operator.group("redrive")).toMatchObject({ redrive: { moved: 0, total: 0 } });
    await publish(socket, "jobs.a", "x");
    await leased(socket);
    expect(await operator.until(({ redrive }) => redrive?.state !== "running")).toMatchObject({
      redrive: { state: "done", moved: 0, total: 0 },
    });
  });

  test("of nothing is done, also where nothing happens after it", async () => {
    const hub = await startHub();
    await worker(hub);
    const operator = await Operator.of(hub);
    await operator.group("redrive");
    await operator.until(({ redrive }) => redrive?.state === "done");
  });

  test("that nobody asked for is nothing to cancel", async () => {
    const hub = await startHub();
    await withDead(hub, 1);
    const operator = await Operator.of(hub);
    expect(await operator.group("cancel-redrive")).not.toHaveProperty("redrive");
    expect(await operator.show()).toMatchObject({ dead: 1 });
  });

  test("keeps the order of a group: a redriven message waits for others of its key", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { order: "key" });
    const drafts = ["a1", "b1", "a2"].map((data) => ({ channel: "jobs.a", key: data[0], data }));
    await publishAll(socket, drafts);
    const [a1, b1] = (await leases(socket, 2)) as [Lease, Lease];
    await settled(socket, "reject", [a1]);
    const a2 = await lease(socket);
    await settled(socket, "reject", [b1]);
    const operator = await Operator.of(hub);
    await operator.until(({ dead }) => dead === 2);
    await operator.group("redrive");
    expect(await lease(socket)).toMatchObject({ data: "b1" });
    expect((await operator.browse()).messages).toMatchObject([
      { data: "a2", state: "leased" },
      { data: "a1", state: "blocked" },
      { data: "b1", state: "leased" },
    ]);
    await settled(socket, "ack", [a2]);
    expect(await lease(socket)).toMatchObject({ data: "a1" });
  });

  test("gives each dead letter once, also where the group is reset in the middle", async () => {
    const hub = await startHub();
    await withDead(hub, 3);
    const socket = await worker(hub, { window: 3 });
    const operator = await Operator.of(hub);
    await operator.group("redrive");
    const all = await leases(socket, 3);
    await settled(socket, "ack", all.slice(1));
    await operator.group("reset-group", { to: "latest" });
    // What was acknowledged is done; the one that was leased may come again.
    expect((await operator.show()).dead).toBeLessThanOrEqual(1);
    await operator.group("redrive");
    await publish(socket, "jobs.a", "marker");
    const again: unknown[] = [];
    while (again.at(-1) !== "marker") again.push(...dataOf(await leased(socket)));
    expect(again).toEqual([1, "marker"]);
  });

  test("is of the dead letters of an older group of the same name, too", async () => {
    const hub = await startHub();
    await withDead(hub, 3);
    const operator = await Operator.of(hub);
    await operator.group("delete-group");
    const socket = await worker(hub, { from: "latest" });
    expect(await operator.show()).toMatchObject({ dead: 3, lag: { messages: 0 } });
    await operator.group("redrive");
    const all = await leases(socket, 3);
    expect(dataOf(all)).toEqual([1, 2, 3]);
    expect(offsetsOf(all)).toEqual(offsetsOf(await deadLetters(hub, 3)));
  });
});
