/** Members that come back over another connection (P-58), and members that leave (P-59). */
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../support/temp.ts";
import {
  allLeases,
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
  wanted,
  work,
  worker,
} from "./group-support.ts";
import { type BareSocket, count, greet, publish, startHub } from "./support.ts";

/** Says that something was done, and expects to hear that the lease is lost. */
async function expectLost(socket: BareSocket, fence: number, member = 1): Promise<void> {
  const error = await refusal(socket, { is: "settle", member, outcome: "ack", fences: [fence] });
  expect(error).toMatchObject({ code: "lease-lost", member, fence });
}

describe("P-58: a member that comes back", () => {
  test("keeps what it says it holds, under new fences, and the old ones are refused", async () => {
    const hub = await startHub();
    const before = await worker(hub);
    await publish(before, "jobs.a", 1, 2, 3);
    const held = await leases(before, 3);
    before.terminate();
    const socket = await greet(hub);
    const working = await work(socket, { holding: offsetsOf(held) });
    expect(working.leases.map(({ offset }) => offset)).toEqual([1, 2, 3]);
    const fences = working.leases.map(({ fence }) => fence);
    expect(Math.min(...fences)).toBeGreaterThan(Math.max(...fencesOf(held)));
    for (const fence of fencesOf(held)) await expectLost(socket, fence);
    await settled(socket, "ack", fences.slice(0, 1));
    await settled(socket, "release", fences.slice(1));
    // Coming back was no delivery; coming again is one.
    expect(await leases(socket, 2)).toMatchObject([
      { data: 2, deliveries: 2, failures: 0 },
      { data: 3, deliveries: 2, failures: 0 },
    ]);
  });

  test("keeps each lease for leaseMs from then on", async () => {
    const hub = await startHub();
    const asked = { leaseMs: 1_000, backoff: { minMs: 0, jitter: 0 } };
    let socket = await worker(hub, asked);
    await publish(socket, "jobs.a", "x");
    await lease(socket);
    const begun = performance.now();
    let last = begun;
    // Comes back so often that the lease would have run out.
    while (performance.now() - begun < 1_200) {
      last = performance.now();
      const next = await greet(hub);
      const { leases } = await work(next, { ...asked, holding: [1] });
      expect(leases).toHaveLength(1);
      socket.terminate();
      socket = next;
    }
    expect(await lease(socket)).toMatchObject({ deliveries: 2, failures: 1 });
    expect(performance.now() - last).toBeGreaterThan(998);
  });

  test("is not replaced by what it said over a connection that it has given up", async () => {
    const hub = await startHub();
    const greeting = (connection: number) => ({ producer: { id: "p", settled: 0 }, connection });
    const [older, newer] = [await greet(hub, greeting(1)), await greet(hub, greeting(2))];
    await work(newer);
    older.send(wanted());
    expect(await older.next("error")).toMatchObject({ member: 1, code: "taken-over" });
    await publish(newer, "jobs.a", "x");
    expect(await lease(newer)).toMatchObject({ deliveries: 1 });
  });

  test("is replaced whatever number another client gave its connection", async () => {
    const hub = await startHub();
    const greeting = (id: string, connection: number) => ({ producer: { id, settled: 0 }, connection });
    let before = await greet(hub, greeting("p", 7));
    await work(before);
    // A process that began anew, and one that numbers nothing.
    for (const greeted of [greeting("q", 1), {}]) {
      const after = await greet(hub, greeted);
      await work(after);
      expect(await before.next("left")).toMatchObject({ member: 1, code: "taken-over" });
      before = after;
    }
  });

  test("keeps what it extended only as long as others", async () => {
    const hub = await startHub();
    const asked = { leaseMs: 100, backoff: { minMs: 0, jitter: 0 } };
    const before = await worker(hub, asked);
    await publish(before, "jobs.a", "x");
    await settled(before, "extend", [await lease(before)], { leaseMs: 60_000 });
    before.terminate();
    const socket = await greet(hub);
    expect(await work(socket, { ...asked, holding: [1] })).toMatchObject({ leases: [{ offset: 1 }] });
    expect(await lease(socket)).toMatchObject({ deliveries: 2, failures: 1 });
  });

  test("is not given what it never held, or holds no more", async () => {
    const hub = await startHub();
    const before = await worker(hub, { window: 3 });
    await publish(before, "jobs.a", ...count(1, 5));
    const [acked, retried] = (await leases(before, 3)) as [Lease, Lease];
    await settled(before, "ack", [acked]);
    await settled(before, "retry", [retried], { delayMs: 60_000 });
    await leases(before, 2);
    const other = await worker(hub, { id: "other", window: 1 });
    await publish(other, "jobs.a", 6);
    await lease(other);
    before.terminate();
    const socket = await greet(hub);
    const holding = [...count(0, 20), 3, 3, 1_000_000];
    const working = await work(socket, { window: 3, holding });
    expect(working.leases.map(({ offset }) => offset)).toEqual([3, 4, 5]);
  });

  test("gives back what it does not name: it goes to anybody, at once, and has not failed", async () => {
    const hub = await startHub();
    const before = await worker(hub);
    await publish(before, "jobs.a", 1, 2, 3);
    const held = await leases(before, 3);
    const other = await worker(hub, { id: "other" });
    before.terminate();
    const socket = await greet(hub);
    const { leases: kept } = await work(socket, { window: 1, holding: [2] });
    expect(kept.map(({ offset }) => offset)).toEqual([2]);
    const again = await leases(other, 2);
    expect(again).toMatchObject([
      { data: 1, deliveries: 2, failures: 0 },
      { data: 3, deliveries: 2, failures: 0 },
    ]);
    for (const { fence } of held) await expectLost(socket, fence);
    await settled(other, "ack", again);
    await settled(socket, "ack", [kept[0]?.fence as number]);
  });

  test("with a smaller window keeps more than that, and gets nothing until it has room", async () => {
    const hub = await startHub();
    const before = await worker(hub);
    await publish(before, "jobs.a", 1, 2, 3, 4);
    await leases(before, 4);
    const socket = await greet(hub);
    const { leases: kept } = await work(socket, { window: 2, holding: [1, 2, 3, 4] });
    expect(kept).toHaveLength(4);
    await publish(socket, "jobs.a", 5);
    const fences = kept.map(({ fence }) => fence);
    await settled(socket, "ack", fences.slice(0, 2));
    expect(allLeases(socket)).toEqual([]);
    await settled(socket, "ack", fences.slice(2, 3));
    expect(await lease(socket)).toMatchObject({ data: 5 });
  });

  test("while its older session lives takes it over, and what that says is lost", async () => {
    const hub = await startHub();
    const older = await worker(hub);
    await work(older, { member: 2, id: "still here", group: "h", pattern: "others.>" });
    await publish(older, "jobs.a", 1, 2);
    const held = await leases(older, 2);
    const newer = await greet(hub);
    const { leases: kept } = await work(newer, { holding: [1], window: 1 });
    expect(await older.next("left")).toMatchObject({ member: 1, code: "taken-over" });
    for (const { fence } of held) await expectLost(older, fence);
    await expectLost(older, kept[0]?.fence as number);
    await settled(newer, "ack", [kept[0]?.fence as number]);
    expect(await lease(newer)).toMatchObject({ data: 2, deliveries: 2, failures: 0 });
    // Everything else of the older session goes on, and its number is free.
    older.send({ is: "leave", member: 1 });
    await publish(older, "others.a", "other");
    expect(await lease(older)).toMatchObject({ member: 2, data: "other" });
    await work(older, { id: "new" });
    await publish(older, "jobs.a", 3);
    expect(await lease(older)).toMatchObject({ member: 1, data: 3 });
  });

  test("as another number of the same session takes over the older one", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    await publish(socket, "jobs.a", 1);
    const held = await lease(socket);
    socket.send(wanted({ member: 2, holding: [1] }));
    expect(await socket.next("left")).toMatchObject({ member: 1, code: "taken-over" });
    const { leases: kept } = await socket.next("working");
    await expectLost(socket, held.fence);
    settle(socket, "ack", [{ ...held, member: 2, fence: kept[0]?.fence as number }]);
    expect(await socket.next("settled")).toMatchObject({ member: 2 });
  });

  test("at several places at a time is one member in the end, and no message is lost", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    await publish(publisher, "jobs.a", ...count(1, 50));
    const sockets = await Promise.all(count(1, 8).map(() => greet(hub)));
    for (const socket of sockets) socket.send(wanted());
    const operator = await Operator.of(hub);
    const there = () => sockets.filter(({ frames }) => !frames.join().includes("taken-over"));
    await operator.until(() => there().length === 1);
    const [last] = there() as [BareSocket];
    await settled(last, "ack", await leases(last, 50));
    expect(await operator.show()).toMatchObject({ members: 1, lag: { messages: 0 } });
  });

  test("to a group does not meet a member of the same id in another", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    await publish(socket, "jobs.a", 1);
    await lease(socket);
    expect(await work(socket, { member: 2, group: "h", holding: [1] })).toMatchObject({ leases: [] });
    expect(await lease(socket)).toMatchObject({ member: 2, deliveries: 1 });
    expect(await (await Operator.of(hub)).show()).toMatchObject({ members: 1, inFlight: 1 });
  });
});

describe("P-58: after the hub was restarted", () => {
  test("a member takes up what it holds, under fences larger than any before", async () => {
    const data = temporaryFolder();
    const first = await startHub({ data });
    const before = await worker(first);
    await publish(before, "jobs.a", 1, 2, 3);
    const held = await leases(before, 3);
    await first.close();
    const hub = await startHub({ data });
    const socket = await greet(hub);
    const { leases: kept } = await work(socket, { holding: [1, 3] });
    expect(kept.map(({ offset }) => offset)).toEqual([1, 3]);
    for (const { fence } of kept) expect(fence).toBeGreaterThan(Math.max(...fencesOf(held)));
    for (const fence of fencesOf(held)) await expectLost(socket, fence);
    expect(await lease(socket)).toMatchObject({ data: 2, deliveries: 2, failures: 0 });
    await settled(
      socket,
      "retry",
      kept.map(({ fence }) => fence),
      { delayMs: 0 },
    );
    expect(await leases(socket, 2)).toMatchObject([
      { data: 1, deliveries: 2, failures: 1 },
      { data: 3, deliveries: 2, failures: 1 },
    ]);
  });

  test("what nobody came back for waits for leaseMs, and has not failed", async () => {
    const data = temporaryFolder();
    const first = await startHub({ data });
    const before = await worker(first, { leaseMs: 1_000, maxFailures: 1 });
    await publish(before, "jobs.a", 1, 2);
    await leases(before, 2);
    await first.close();
    const begun = performance.now();
    const hub = await startHub({ data });
    const other = await worker(hub, { id: "other" });
    expect(await leases(other, 2)).toMatchObject([
      { data: 1, deliveries: 2, failures: 0 },
      { data: 2, deliveries: 2, failures: 0 },
    ]);
    expect(performance.now() - begun).toBeGreaterThan(998);
    // From now on it is a lease like any other.
    for (const { headers } of await deadLetters(hub, 2)) expect(headers?.["dogear-reason"]).toBe("max-failures");
  });

  test("twice in a row everything is as it was", async () => {
    const data = temporaryFolder();
    let hub = await startHub({ data });
    let socket = await worker(hub, { window: 2 });
    await publish(socket, "jobs.a", ...count(1, 4));
    const fences = fencesOf(await leases(socket, 2));
    for (const _ of count(1, 3)) {
      await hub.close();
      hub = await startHub({ data });
      socket = await greet(hub);
      const { leases: kept } = await work(socket, { window: 2, holding: [1, 2] });
      expect(kept.map(({ offset }) => offset)).toEqual([1, 2]);
      for (const { fence } of kept) expect(fence).toBeGreaterThan(Math.max(...fences));
      fences.push(...kept.map(({ fence }) => fence));
    }
    await settled(socket, "ack", fences.slice(-2));
    expect(await leases(socket, 2)).toMatchObject([
      { data: 3, deliveries: 1 },
      { data: 4, deliveries: 1 },
    ]);
  });
});

describe("P-59: a member that leaves", () => {
  test("gives back all it has: it goes to others at once, and has not failed", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { maxFailures: 1 });
    await publish(socket, "jobs.a", 1, 2, 3);
    const [first] = (await leases(socket, 3)) as [Lease];
    await settled(socket, "ack", [first]);
    const other = await worker(hub, { id: "other" });
    socket.send({ is: "leave", member: 1 });
    expect(await socket.next("left")).toEqual({ is: "left", member: 1 });
    expect(await leases(other, 2)).toMatchObject([
      { data: 2, deliveries: 2, failures: 0 },
      { data: 3, deliveries: 2, failures: 0 },
    ]);
    await publish(socket, "jobs.a", 4);
    expect(await lease(other)).toMatchObject({ data: 4 });
    expect(dataOf(allLeases(socket))).toEqual([1, 2, 3]);
  });

  test("settles first what it settled before it left, and nothing after that", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    await publish(socket, "jobs.a", 1, 2);
    const [first, second] = fencesOf(await leases(socket, 2));
    const done = { is: "settle", member: 1, outcome: "ack" };
    socket.send([
      { ...done, fences: [first] },
      { is: "leave", member: 1 },
      { ...done, fences: [second] },
    ]);
    expect((await socket.next("error")).code).toMatch(/^(unknown-member|lease-lost)$/);
    expect(await socket.next("settled")).toMatchObject({ fences: [first] });
    await socket.next("left");
    const said = socket.frames.join();
    expect(said.indexOf('"settled"')).toBeLessThan(said.indexOf('"left"'));
    const other = await worker(hub, { id: "other" });
    expect(await lease(other)).toMatchObject({ data: 2, deliveries: 2, failures: 0 });
  });

  test("and is none is refused", async () => {
    const hub = await startHub({ limits: { errorsMax: 3 } });
    const socket = await greet(hub);
    for (const _ of count(1, 10)) {
      expect(await refusal(socket, { is: "leave", member: 1 })).toMatchObject({ code: "unknown-member", member: 1 });
    }
  });

  test("before it was confirmed has left, and nothing is leased to it", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    await publish(socket, "jobs.a", "x");
    socket.send([wanted(), { is: "leave", member: 1 }]);
    expect(await socket.next()).toEqual({ is: "left", member: 1 });
    const other = await worker(hub, { id: "other" });
    expect(await lease(other)).toMatchObject({ deliveries: 1 });
    expect(await (await Operator.of(hub)).show()).toMatchObject({ members: 1 });
  });

  test("has left before another can work under its number", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    await publish(socket, "jobs.a", "x");
    await lease(socket);
    socket.send([{ is: "leave", member: 1 }, wanted({ id: "next" })]);
    const first = await socket.next();
    // Whether it may have the number already or not: what is said of the one before is said first.
    expect(first).toMatchObject({ is: expect.stringMatching(/^(left|error)$/), member: 1 });
  });
});
