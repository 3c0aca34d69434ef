/** How long a lease lasts (P-54), and that what comes too late changes nothing (P-56). */
import { describe, expect, test } from "vitest";
import { deadLetters, type Lease, lease, leases, Operator, refusal, settle, settled, worker } from "./group-support.ts";
import { count, publish, startHub } from "./support.ts";

/** Leases that run out soon, and messages that come again at once. */
const brief = { leaseMs: 100, backoff: { minMs: 0, jitter: 0 } };

describe("P-54: a lease", () => {
  test("that runs out is a failure, and the message is leased again", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { ...brief, maxFailures: 3 });
    await publish(socket, "jobs.a", "x");
    const begun = performance.now();
    for (const n of count(1, 3)) {
      expect(await lease(socket)).toMatchObject({ data: "x", deliveries: n, failures: n - 1 });
    }
    // The last one runs out, too.
    const [dead] = await deadLetters(hub, 1);
    expect(performance.now() - begun).toBeGreaterThan(295);
    expect(dead?.headers).toMatchObject({
      "dogear-reason": "max-failures",
      "dogear-deliveries": "3",
      "dogear-failures": "3",
      "dogear-error": "The lease ran out.",
    });
  });

  test("that is extended lasts so long from then on", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { ...brief, leaseMs: 1_000, maxFailures: 100 });
    await publish(socket, "jobs.a", "extended", "clock");
    const [extended, clock] = (await leases(socket, 2)) as [Lease, Lease];
    settle(socket, "extend", [extended], { leaseMs: 60_000 });
    expect(await socket.next("settled")).toEqual({ is: "settled", member: 1, fences: [extended.fence] });
    // Time passes: the other one runs out a dozen times.
    for (let tick = clock; tick.failures < 12; tick = await lease(socket)) {
      expect(tick.data).toBe("clock");
      await settled(socket, "extend", [tick], { leaseMs: 100 });
    }
    await settled(socket, "ack", [extended]);
  });

  test("that is extended for less runs out earlier", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { ...brief, leaseMs: 43_200_000 });
    await publish(socket, "jobs.a", "x");
    await settled(socket, "extend", [await lease(socket)], { leaseMs: 100 });
    expect(await lease(socket)).toMatchObject({ data: "x", deliveries: 2, failures: 1 });
  });

  test("that is extended without a time lasts as long as the group's from then on", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { ...brief, leaseMs: 2_000 });
    await publish(socket, "jobs.a", "kept", "clock");
    let [kept, clock] = (await leases(socket, 2)) as [Lease, Lease];
    // Time passes: the other one runs out three times.
    while (clock.failures < 3) {
      await settled(socket, "extend", [clock], { leaseMs: 100 });
      await settled(socket, "extend", [kept], { leaseMs: 1_000 });
      clock = await lease(socket);
    }
    await settled(socket, "ack", [clock]);
    const begun = performance.now();
    await settled(socket, "extend", [kept]);
    kept = await lease(socket);
    expect(kept).toMatchObject({ data: "kept", deliveries: 2, failures: 1 });
    expect(performance.now() - begun).toBeGreaterThan(1_998);
  });

  test("that was made longer is as long as the group's after an extension without a time", async () => {
    const hub = await startHub();
    const socket = await worker(hub, brief);
    await publish(socket, "jobs.a", "x");
    const long = await lease(socket);
    settle(socket, "extend", [long], { leaseMs: 60_000 });
    settle(socket, "extend", [long]);
    expect(await lease(socket)).toMatchObject({ deliveries: 2, failures: 1 });
  });

  test("can be extended by 100 ms to 12 h", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    await publish(socket, "jobs.a", "x");
    const { fence } = await lease(socket);
    const extend = { is: "settle", member: 1, outcome: "extend", fences: [fence] };
    for (const leaseMs of [99, 43_200_001, 1e300, 100.5, -1, "100", null]) {
      const error = await refusal(socket, { ...extend, leaseMs });
      expect(error).toMatchObject({ code: "invalid-envelope", member: 1 });
    }
    for (const leaseMs of [100, 43_200_000]) settle(socket, "extend", [fence], { leaseMs });
    for (const _ of [1, 2]) expect(await socket.next("settled")).toMatchObject({ fences: [fence] });
    await settled(socket, "ack", [fence]);
  });

  test("runs out also where its member has no connection any more, and that is a failure", async () => {
    const hub = await startHub();
    const asked = { ...brief, leaseMs: 700 };
    const [gone, other] = [await worker(hub, { ...asked, window: 1 }), await worker(hub, { id: "other" })];
    await publish(other, "jobs.a", 1, 2);
    const [held] = await leases(gone, 1);
    gone.terminate();
    await settled(other, "ack", await leases(other, 1));
    expect(await lease(other)).toMatchObject({ offset: held?.offset, deliveries: 2, failures: 1 });
  });

  test("runs out while the group is paused, and comes again once it goes on", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { ...brief, leaseMs: 700 });
    const operator = await Operator.of(hub);
    await publish(socket, "jobs.a", "x");
    const late = await lease(socket);
    await operator.group("pause-group");
    await operator.until(({ inFlight }) => inFlight === 0);
    expect(await refusal(socket, { is: "settle", member: 1, outcome: "ack", fences: [late.fence] })).toMatchObject({
      code: "lease-lost",
    });
    await operator.group("resume-group");
    expect(await lease(socket)).toMatchObject({ deliveries: 2, failures: 1 });
  });
});

describe("P-54, P-56: a settlement that comes after the lease ran out", () => {
  test.each(["ack", "retry", "reject", "release", "extend"])(
    "as %s changes nothing for whoever has the message now",
    async (outcome) => {
      const hub = await startHub();
      const late = await worker(hub, { backoff: brief.backoff, window: 1, id: "late" });
      await publish(late, "jobs.a", "x");
      const lost = await lease(late);
      const next = await worker(hub, { id: "next" });
      await settled(late, "extend", [lost], { leaseMs: 100 });
      const now = await lease(next);
      const error = await refusal(late, { is: "settle", member: 1, outcome, fences: [lost.fence] });
      expect(error).toMatchObject({ code: "lease-lost", member: 1, fence: lost.fence });
      const operator = await Operator.of(hub);
      expect((await operator.browse()).messages).toMatchObject([
        { state: "leased", deliveries: now.deliveries, failures: now.failures },
      ]);
      await settled(next, "ack", [now]);
      expect(await operator.show()).toMatchObject({ lag: { messages: 0 }, inFlight: 0, delayed: 0, dead: 0 });
    },
  );
});
