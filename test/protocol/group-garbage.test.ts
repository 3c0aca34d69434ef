/** Members that mean ill or do not know better, and connections that break at every step. Others do not notice them. */
import { describe, expect, test } from "vitest";
import { open } from "../support/bare-socket.ts";
import {
  allLeases,
  fencesOf,
  lease,
  leases,
  Operator,
  refusal,
  settled,
  wanted,
  work,
  worker,
} from "./group-support.ts";
import { type BareSocket, count, expectGoodService, greet, hello, publish, startHub } from "./support.ts";

type Hub = { readonly url: string };

/** Holds that the group goes on: a message of it is leased and settled by somebody new, who has nothing else to do. */
async function expectGoodWork(hub: Hub, asked: object = {}): Promise<void> {
  const socket = await worker(hub, { id: "good", ...asked });
  await publish(socket, "jobs.good", "good");
  for (;;) {
    const all = await leases(socket, 1);
    await settled(socket, "ack", all);
    if (all.some(({ data }) => data === "good")) break;
  }
  socket.send({ is: "leave", member: 1 });
  await socket.next("left");
  socket.close();
}

const nothing = { messages: 0, ageMs: null };

describe("envelopes about members (P-11)", () => {
  const wrong: object[] = [
    { is: "work" },
    { is: "work", member: 1 },
    { ...wanted(), member: {} },
    { ...wanted(), id: ["w"] },
    { ...wanted(), group: { toString: "g" } },
    { ...wanted(), backoff: [] },
    { ...wanted(), backoff: { minMs: "1" } },
    { ...wanted(), from: { epoch: 1, offset: 2 } },
    { ...wanted(), holding: { length: 2 } },
    { ...wanted(), holding: [1, "2"] },
    { ...wanted(), window: Number.MAX_VALUE },
    { ...wanted(), maxFailures: true },
    { ...wanted(), policy: {} },
    { is: "leave" },
    { is: "leave", member: "1" },
    { is: "leave", member: 1, group: "g" },
    { is: "settle", member: 1 },
    { is: "settle", member: 1, fences: [1] },
    { is: "settle", fences: [1], outcome: "ack" },
    { is: "settle", member: 1, fences: [[1]], outcome: "ack" },
    { is: "settle", member: 1, fences: [1], outcome: "ack", subscription: 1 },
    { is: "settle", member: 1, fences: { 0: 1, length: 1 }, outcome: "ack" },
    { is: "working", member: 1 },
    { is: "leased", member: 1, leases: [], messages: [] },
    { is: "left", member: 1 },
  ];

  test("with fields of wrong types are mistakes, one by one, and change nothing", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    await publish(socket, "jobs.a", "x");
    const held = await lease(socket);
    for (const envelope of wrong) {
      const { code } = await refusal(socket, envelope);
      expect({ envelope, code }).toMatchObject({ code: expect.stringMatching(/^invalid-(envelope|group|pattern)$/) });
    }
    await settled(socket, "ack", [held]);
    socket.send({ is: "leave", member: 1 });
    await socket.next("left");
    await expectGoodWork(hub);
  });

  test("that are wrong close the session when there are too many of them, and its leases wait for it", async () => {
    const hub = await startHub({ limits: { errorsMax: 10 } });
    const socket = await worker(hub);
    await publish(socket, "jobs.a", "x");
    await lease(socket);
    socket.send(count(1, 20).map(() => ({ is: "settle", member: 1, fences: [1], outcome: "nack" })));
    expect((await socket.closed).code).toBe(4503);
    const again = await greet(hub);
    expect((await work(again, { holding: [1] })).leases).toHaveLength(1);
  });

  test("before hello close the connection (P-7)", async () => {
    const hub = await startHub();
    for (const envelope of [
      wanted(),
      { is: "leave", member: 1 },
      { is: "settle", member: 1, fences: [1], outcome: "ack" },
    ]) {
      const socket = await open(hub.url);
      socket.send([envelope, hello()]);
      expect((await socket.closed).code).toBe(4502);
    }
    expect((await (await Operator.of(hub)).groups()).groups).toEqual([]);
  });

  test("behind hello in one frame are answered after it (P-7)", async () => {
    const hub = await startHub();
    const socket = await open(hub.url);
    socket.send([
      hello(),
      wanted(),
      { is: "publish", number: 1, channel: "jobs.a", data: "x" },
      { is: "ask", request: 1, action: { do: "show-group", group: "g" } },
    ]);
    expect(await socket.next()).toMatchObject({ is: "welcome" });
    await socket.next("working");
    await settled(socket, "ack", [await lease(socket)]);
  });
});

describe("very many of them in one frame", () => {
  test("thousands of works are refused beyond the limit, and the rest work", async () => {
    const hub = await startHub({ limits: { subscriptionsMax: 50 } });
    const socket = await greet(hub);
    socket.send(count(1, 5_000).map((i) => wanted({ member: i, id: `${i}`, window: 1 })));
    for (const _ of count(51, 5_000)) expect((await socket.next("error")).code).toBe("too-many-subscriptions");
    for (const _ of count(1, 50)) await socket.next("working");
    await publish(socket, "jobs.a", ...count(1, 50));
    await settledByAll(socket, await leases(socket, 50));
    expect(await (await Operator.of(hub)).show()).toMatchObject({ members: 50, lag: nothing });
  });

  test("thousands of groups are begun at once, and all of them work", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    socket.send(count(1, 500).map((i) => wanted({ member: i, group: `g${i}` })));
    for (const _ of count(1, 500)) await socket.next("working");
    await publish(socket, "jobs.a", "x");
    await settledByAll(socket, await leases(socket, 500));
    const { groups } = await (await Operator.of(hub)).groups({ limit: 1_000 });
    expect(groups.map(({ lag, position }) => [lag.messages, position.offset])).toEqual(groups.map(() => [0, 1]));
  });

  test("a member that comes and goes thousands of times is there in the end", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    await publish(socket, "jobs.a", ...count(1, 10));
    const coming = count(1, 2_000).flatMap(() => [wanted(), { is: "leave", member: 1 }]);
    socket.send([...coming, wanted()]);
    for (const _ of count(1, 2_000)) expect((await socket.next("left")).member).toBe(1);
    await socket.next("working");
    const all = await leases(socket, 10);
    for (const one of all) expect(one).toMatchObject({ deliveries: 1, failures: 0 });
    await settled(socket, "ack", all);
  });

  test("a member that takes itself over in one frame is one member in the end", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    await publish(socket, "jobs.a", ...count(1, 10));
    socket.send(count(1, 500).map((member) => wanted({ member })));
    for (const member of count(1, 499)) {
      expect(await socket.next("left")).toMatchObject({ member, code: "taken-over" });
    }
    const operator = await Operator.of(hub);
    expect(await operator.until(({ inFlight }) => inFlight === 10)).toMatchObject({ members: 1 });
    await expect.poll(() => allLeases(socket).filter(({ member }) => member === 500).length, { interval: 1 }).toBe(10);
    await settledByAll(
      socket,
      allLeases(socket).filter(({ member }) => member === 500),
    );
  });

  test("settling what was guessed costs the one who does, and nobody else", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    await publish(socket, "jobs.a", "x");
    const held = await lease(socket);
    const other = await worker(hub, { id: "guesser" });
    const guess = { is: "settle", member: 1, outcome: "ack", fences: count(1, 10_000) };
    other.send([guess, guess]);
    await settled(socket, "ack", [held]);
    await expectGoodService(hub);
    const refusals = () => other.frames.join().split('"lease-lost"').length - 1;
    await expect.poll(refusals, { interval: 10, timeout: 5_000 }).toBe(20_000);
  });
});

describe("a connection that breaks", () => {
  const steps: [string, (socket: BareSocket) => Promise<unknown>][] = [
    ["before hello", async () => {}],
    ["while hello is answered", async (socket) => socket.send(hello())],
    ["with work behind hello", async (socket) => socket.send([hello(), wanted()])],
    ["after welcome", async (socket) => socket.send([hello()]) ?? socket.next("welcome")],
    ["once it works", async (socket) => socket.send([hello(), wanted()]) ?? socket.next("working")],
    ["with messages on their way", async (socket) => socket.send([hello(), wanted()]) ?? socket.next("leased")],
    [
      "while it settles",
      async (socket) => {
        socket.send([hello(), wanted({ window: 3 })]);
        const [one, two] = await leases(socket, 3);
        socket.send({ is: "settle", member: 1, outcome: "release", fences: [one?.fence, two?.fence] });
      },
    ],
    [
      "while it leaves",
      async (socket) => {
        socket.send([hello(), wanted()]);
        await socket.next("leased");
        socket.send([{ is: "leave", member: 1 }, wanted(), { is: "leave", member: 1 }]);
      },
    ],
  ];

  test.each(steps)("%s leaves every message to those who come after it", async (_, step) => {
    const hub = await startHub();
    const asked = { leaseMs: 100, backoff: { minMs: 0 }, maxFailures: 1_000 };
    const operator = await Operator.of(hub);
    const publisher = await worker(hub, { id: "first", ...asked });
    publisher.send({ is: "leave", member: 1 });
    await publisher.next("left");
    await publish(publisher, "jobs.a", ...count(1, 10));
    for (const how of ["terminate", "close"] as const) {
      const socket = await open(hub.url);
      await step(socket);
      socket[how]();
      await socket.closed;
    }
    await operator.until(({ members }) => members === 0);
    const socket = await worker(hub, { id: "next", ...asked });
    const leased = new Map<number, unknown>();
    const done: unknown[] = [];
    while (done.length < 10) {
      const envelope = await socket.next();
      if (envelope.is === "settled") done.push(...envelope.fences.map((fence) => leased.get(fence)));
      if (envelope.is !== "leased") continue;
      const fences = fencesOf(envelope.leases);
      for (const [i, { data }] of envelope.messages.entries()) leased.set(fences[i] as number, data);
      socket.send({ is: "settle", member: 1, outcome: "ack", fences });
    }
    expect(done.sort((a, b) => Number(a) - Number(b))).toEqual(count(1, 10));
    expect(await operator.show()).toMatchObject({ members: 1, lag: nothing, inFlight: 0, dead: 0, lost: 0 });
  });
});

/** Acknowledges leases of several members of one session. */
async function settledByAll(socket: BareSocket, all: Awaited<ReturnType<typeof leases>>): Promise<void> {
  socket.send(all.map(({ member, fence }) => ({ is: "settle", member, outcome: "ack", fences: [fence] })));
  for (const _ of all) await socket.next("settled");
}
