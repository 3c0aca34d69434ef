/** What becomes of members when their group is reset or deleted (P-65). */
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../support/temp.ts";
import {
  allLeases,
  dataOf,
  deadLetters,
  fencesOf,
  type Lease,
  lease,
  leased,
  leases,
  Operator,
  offsetsOf,
  refusal,
  settle,
  settled,
  wanted,
  withDead,
  work,
  worker,
} from "./group-support.ts";
import { count, greet, publish, startHub } from "./support.ts";

/** Publishes without a number, for those who have others to look after. */
async function publishTo(hub: { readonly url: string }, channel: string, ...data: readonly unknown[]): Promise<void> {
  const socket = await greet(hub);
  await publish(socket, channel, ...data);
  socket.close();
}

describe("P-65: resetting a group", () => {
  test.each([
    ["earliest", 0],
    ["latest", 10],
    [{ time: 0 }, 0],
    [{ time: 9_999_999_999_999 }, 10],
    [{ epoch: "of another life", offset: 7 }, 0],
  ])("to %j goes on after message %i, and what members had is lost to them", async (to, offset) => {
    const hub = await startHub();
    const sockets = [await worker(hub, { window: 3 }), await worker(hub, { id: "x", window: 3 })];
    await publishTo(hub, "jobs.a", ...count(1, 10));
    const held = await Promise.all(sockets.map((socket) => leases(socket, 3)));
    await settled(sockets[0] as (typeof sockets)[0], "retry", [held[0]?.[0] as Lease], { delayMs: 3_600_000 });
    await leased(sockets[0] as (typeof sockets)[0]);
    const operator = await Operator.of(hub);
    const report = await operator.group("reset-group", { to });
    expect(report).toMatchObject({ members: 2, delayed: 0, lag: { messages: 10 - offset } });
    for (const [i, socket] of sockets.entries()) {
      const fence = held[i]?.[2]?.fence as number;
      const error = await refusal(socket, { is: "settle", member: 1, outcome: "ack", fences: [fence] });
      expect(error).toMatchObject({ code: "lease-lost", fence });
    }
    await publishTo(hub, "jobs.a", 11);
    const before = Math.max(...held.flatMap((all) => fencesOf(all)));
    const again: Lease[] = [];
    while (again.length < 11 - offset) {
      const busy = sockets.find((socket) =>
        allLeases(socket).some(({ fence }) => fence > before + 1 && !again.some((one) => one.fence === fence)),
      );
      if (busy === undefined) {
        await operator.show();
        continue;
      }
      const some = (await leased(busy)).filter(({ fence }) => fence > before + 1);
      for (const one of some) expect(one).toMatchObject({ deliveries: 1, failures: 0 });
      again.push(...some);
      await settled(busy, "ack", some);
    }
    expect(offsetsOf(again).sort((a, b) => a - b)).toEqual(count(offset + 1, 11));
    expect(await operator.show()).toMatchObject({ lag: { messages: 0 }, position: { offset: 11 } });
  });

  test("while messages come and members work leaves nothing behind, and leases nothing twice", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { window: 50, leaseMs: 1_000, backoff: { minMs: 0 } });
    const operator = await Operator.of(hub);
    const publisher = await greet(hub);
    const working = (async () => {
      for (;;) {
        const envelope = await socket.next().catch(() => undefined);
        if (envelope === undefined) return;
        if (envelope.is === "leased")
          settle(
            socket,
            "ack",
            envelope.leases.map(({ fence }) => fence),
          );
      }
    })();
    for (const i of count(1, 60)) {
      publisher.send(count(1, 20).map((n) => ({ is: "publish", number: n, channel: "jobs.a", data: `${i}-${n}` })));
      await operator.group("reset-group", { to: "latest" });
    }
    for (const _ of count(1, 60 * 20)) await publisher.next("published");
    await operator.until(({ lag, inFlight, delayed }) => lag.messages + inFlight + delayed === 0);
    socket.terminate();
    await working;
    const next = await worker(hub, { id: "next", leaseMs: 1_000 });
    await publishTo(hub, "jobs.a", "clock");
    // Nothing that was under way when it was reset comes to life again, not even when its lease would have run out.
    for (const failures of [0, 1]) expect(await leased(next)).toMatchObject([{ data: "clock", failures }]);
    expect(allLeases(socket).filter(({ failures }) => failures > 0)).toEqual([]);
    expect(await operator.show()).toMatchObject({ inFlight: 1, lag: { messages: 1 }, dead: 0, lost: 0 });
  });

  test("is kept over a restart", async () => {
    const data = temporaryFolder();
    const first = await startHub({ data });
    const socket = await worker(first);
    await publishTo(first, "jobs.a", ...count(1, 5));
    const all = await leases(socket, 5);
    await settled(socket, "ack", all.slice(0, 3));
    await (await Operator.of(first)).group("reset-group", { to: { epoch: await epochOf(first), offset: 2 } });
    await first.close();
    const next = await worker(await startHub({ data }), { id: "next" });
    expect(dataOf(await leases(next, 3))).toEqual([3, 4, 5]);
  });
});

describe("P-65: deleting a group", () => {
  test("ends its members, and nothing of it is left but its dead letters", async () => {
    const data = temporaryFolder();
    const first = await startHub({ data });
    await withDead(first, 2);
    const sockets = [await worker(first), await worker(first, { id: "x" })];
    await publishTo(first, "jobs.a", 3, 4);
    const operator = await Operator.of(first);
    await operator.until(({ inFlight }) => inFlight === 2);
    expect(await operator.group("delete-group")).toMatchObject({ group: "g", dead: 2 });
    for (const socket of sockets) {
      expect(await socket.next("left")).toMatchObject({ member: 1, code: "group-deleted" });
      const error = await refusal(socket, { is: "settle", member: 1, outcome: "ack", fences: [3] });
      expect(error).toMatchObject({ code: "lease-lost", member: 1, fence: 3 });
    }
    const gone = async (hub: { readonly url: string }) => {
      const asking = await Operator.of(hub);
      expect(await asking.refusal({ do: "show-group", group: "g" })).toMatchObject({ code: "unknown-group" });
      expect((await asking.groups()).groups).toEqual([]);
      expect(dataOf(await deadLetters(hub, 2))).toEqual([1, 2]);
    };
    await gone(first);
    await first.close();
    await gone(await startHub({ data }));
  });

  test("lets another begin anew under its name, as its first member says", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { order: "key" });
    await publishTo(hub, "jobs.a", 1, 2);
    await settled(socket, "ack", await leases(socket, 2));
    const operator = await Operator.of(hub);
    await operator.group("delete-group");
    await socket.next("left");
    expect((await work(socket, { order: "all", pattern: "jobs.a" })).policy.order).toBe("all");
    expect(await lease(socket)).toMatchObject({ data: 1, deliveries: 1 });
  });

  test("and asking for it again at the same time is told that it is gone, or how it was", async () => {
    const hub = await startHub();
    const refusals: object[] = [];
    for (const second of ["delete-group", "pause-group", "redrive", "show-group", "reset-group", "browse-group"]) {
      const socket = await worker(hub, { group: second });
      const asker = await greet(hub);
      const ask = (action: string, request: number) => ({
        is: "ask",
        request,
        action: { do: action, group: second, ...(action === "reset-group" && { to: "latest" }) },
      });
      asker.send([ask("delete-group", 1), ask(second, 2), ask("show-group", 3)]);
      for (const _ of count(1, 3)) {
        const envelope = await asker.next();
        if (envelope.is === "error") refusals.push({ second, request: envelope.request, code: envelope.code });
      }
      await socket.next("left");
      expect(await work(socket, { group: second })).toMatchObject({ member: 1 });
    }
    expect(refusals).toEqual(refusals.map((refusal) => ({ ...refusal, code: "unknown-group" })));
  });

  test("and joining it at the same time leaves a group that works, or none", async () => {
    const hub = await startHub();
    for (const _ of count(1, 20)) {
      const socket = await greet(hub);
      const operator = await Operator.of(hub);
      await work(socket, { member: 2, id: "other" });
      const deleting = operator.group("delete-group");
      socket.send(wanted());
      await deleting;
      let alive: boolean | undefined;
      while (alive === undefined) {
        const envelope = await socket.next();
        if (!("member" in envelope) || envelope.member !== 1) continue;
        if (envelope.is === "working") alive = true;
        if (envelope.is === "left" || envelope.is === "error") {
          expect(envelope.code).toBe("group-deleted");
          alive = false;
        }
      }
      if (!alive) continue;
      const answer = await operator.show().catch(() => undefined);
      // Either it joined the one that was deleted, and is told so, or there is a new one.
      if (answer === undefined) expect((await socket.next("left")).code).toMatch(/group-deleted/);
      else expect(answer.members).toBe(1);
      socket.close();
      await operator.until(({ members }) => members === 0).catch(() => undefined);
    }
  });
});

async function epochOf(hub: { readonly url: string }): Promise<string> {
  return (await (await Operator.of(hub)).show()).position.epoch;
}
