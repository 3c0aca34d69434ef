/** Groups on the wire: joining them, declaring them, and where they start (P-50 to P-52). */
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../support/temp.ts";
import { dataOf, fencesOf, lease, leases, Operator, refusal, settled, wanted, work, worker } from "./group-support.ts";
import { type BareSocket, count, greet, publish, Reader, startHub } from "./support.ts";

const defaults = {
  order: "none",
  onFailure: "block",
  maxFailures: 10,
  leaseMs: 30_000,
  backoff: { type: "exponential", minMs: 1_000, maxMs: 300_000, jitter: 0.5 },
};

describe("P-50: a member", () => {
  test("is confirmed with its number, the log's epoch, its window and the group's whole policy", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    const [published] = await publish(socket, "jobs.a", 1);
    const epoch = published?.epoch;
    expect(await work(socket)).toEqual({ is: "working", member: 1, epoch, window: 100, leases: [], policy: defaults });
    expect(await work(socket, { member: 2, id: "x", window: 7 })).toMatchObject({ member: 2, window: 7 });
    expect(await work(socket, { member: 3, id: "y", window: 1_000_000 })).toMatchObject({ window: 10_000 });
  });

  test("of a number in use is refused, and the one that uses it goes on", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    expect(await refusal(socket, wanted({ id: "other" }))).toMatchObject({ code: "member-in-use", member: 1 });
    await publish(socket, "jobs.a", "x");
    expect(await lease(socket)).toMatchObject({ data: "x" });
  });

  test("holds its number from when it asks, and frees it when it has left", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    socket.send([wanted(), wanted({ id: "other" })]);
    expect(await socket.next()).toMatchObject({ code: "member-in-use", member: 1 });
    expect(await socket.next()).toMatchObject({ is: "working", member: 1 });
    socket.send({ is: "leave", member: 1 });
    expect(await socket.next()).toEqual({ is: "left", member: 1 });
    expect(await work(socket, { id: "other" })).toMatchObject({ member: 1 });
  });

  test("may have the number of a subscription", async () => {
    const hub = await startHub();
    const reader = new Reader(await greet(hub));
    const place = await reader.subscribe({ pattern: "jobs.>" });
    await work(reader.socket);
    await publish(await greet(hub), "jobs.a", "x");
    expect(await lease(reader.socket)).toMatchObject({ data: "x" });
    await reader.until(() => place.messages.length === 1);
  });

  test("counts among the session's subscriptions, until it leaves", async () => {
    const hub = await startHub({ limits: { subscriptionsMax: 3 } });
    const socket = await greet(hub);
    await new Reader(socket).subscribe({ pattern: "a" });
    await work(socket);
    await work(socket, { member: 2, id: "x" });
    const third = wanted({ member: 3, id: "y" });
    expect(await refusal(socket, third)).toMatchObject({ code: "too-many-subscriptions", member: 3 });
    const second = { is: "subscribe", subscription: 2, pattern: "a" };
    expect(await refusal(socket, second)).toMatchObject({ code: "too-many-subscriptions", subscription: 2 });
    socket.send({ is: "leave", member: 2 });
    await socket.next("left");
    await work(socket, { member: 3, id: "y" });
  });

  test.each([
    [{ id: undefined }],
    [{ id: "" }],
    [{ id: "x".repeat(129) }],
    [{ id: "\ud800" }],
    [{ id: 7 }],
    [{ group: undefined }],
    [{ pattern: undefined }],
    [{ window: 0 }],
    [{ window: 1.5 }],
    [{ holding: 1 }],
    [{ holding: [-1] }],
    [{ holding: count(1, 10_001) }],
    [{ from: "middle" }],
    [{ order: "random" }],
    [{ onFailure: "panic" }],
    [{ maxFailures: 0 }],
    [{ leaseMs: 99 }],
    [{ leaseMs: 43_200_001 }],
    [{ backoff: { type: "linear" } }],
    [{ backoff: { minMs: -1 } }],
    [{ backoff: { maxMs: 604_800_001 } }],
    [{ backoff: { jitter: 1.1 } }],
    [{ backoff: { jitters: 1 } }],
    [{ backoff: 5 }],
    [{ unknown: true }],
  ])("that asks for %j is refused by its number (P-11)", async (wrong) => {
    const hub = await startHub();
    const socket = await greet(hub);
    expect(await refusal(socket, wanted({ member: 5, ...wrong }))).toMatchObject({
      code: "invalid-envelope",
      member: 5,
    });
    expect(await work(socket, { member: 5 })).toMatchObject({ member: 5 });
  });

  test.each([0, -1, 1.5, "1", null, 2 ** 53])("cannot have the number %j (P-11)", async (member) => {
    const hub = await startHub();
    const socket = await greet(hub);
    const error = await refusal(socket, wanted({ member }));
    expect(error).toMatchObject({ code: "invalid-envelope" });
    expect(error).not.toHaveProperty("member");
  });

  test("whose pattern is none is told so", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    for (const pattern of ["", "a..b", "a.>.b", "ü", "a b"]) {
      expect(await refusal(socket, wanted({ pattern }))).toMatchObject({ code: "invalid-pattern", member: 1 });
    }
  });
});

describe("P-51: a group", () => {
  test.each(["", "a.b", "$g", "ü", "a b", "a/b", "*", ">", "x".repeat(129)])("cannot be named %j", async (group) => {
    const hub = await startHub();
    const socket = await greet(hub);
    expect(await refusal(socket, wanted({ group }))).toMatchObject({ code: "invalid-group", member: 1 });
    expect(await work(socket)).toMatchObject({ member: 1 });
  });

  test("may have a name of letters, digits, _ and - with 128 of them", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    await work(socket, { group: "Aa0_-".repeat(30).slice(0, 128) });
  });

  test.each([
    ["of more than 16 levels", count(1, 15).join(".")],
    ["of more than 255 bytes", `${"x".repeat(246)}.*`],
  ])("whose dead letters would have a channel %s is refused, and nothing is stored", async (_, pattern) => {
    const hub = await startHub();
    const socket = await greet(hub);
    const group = "123";
    expect(await refusal(socket, wanted({ pattern, group }))).toMatchObject({ code: "invalid-group", member: 1 });
    expect((await (await Operator.of(hub)).groups()).groups).toEqual([]);
    // A shorter one has room for them.
    await work(socket, { pattern: pattern.replace(/^(xxx|1\.)/, ""), group });
  });

  test("that is refused takes no other down that is declared at the same time", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    socket.send([wanted({ pattern: count(1, 15).join(".") }), wanted({ member: 2 })]);
    expect(await socket.next("error")).toMatchObject({ code: "invalid-group", member: 1 });
    expect(await socket.next("working")).toMatchObject({ member: 2 });
  });

  test.each([
    ["pattern", { pattern: "jobs.*" }],
    ["order", { order: "key" }],
    ["onFailure", { onFailure: "skip" }],
    ["maxFailures", { maxFailures: 9 }],
    ["leaseMs", { leaseMs: 30_001 }],
    ["backoff.type", { backoff: { type: "fixed" } }],
    ["backoff.minMs", { backoff: { minMs: 1 } }],
    ["backoff.maxMs", { backoff: { maxMs: 1 } }],
    ["backoff.jitter", { backoff: { jitter: 0 } }],
  ])("is as it was declared: whoever says another %s is refused", async (field, differs) => {
    const hub = await startHub();
    await worker(hub);
    const socket = await greet(hub);
    const error = await refusal(socket, wanted({ member: 4, id: "x", ...differs }));
    expect(error).toMatchObject({ code: "group-differs", member: 4 });
    expect(namedIn(error.message)).toEqual([field]);
    expect((await work(socket, { id: "x" })).policy).toEqual(defaults);
  });

  test("names every field in which somebody differs", async () => {
    const hub = await startHub();
    await worker(hub, { order: "key", backoff: { minMs: 5 } });
    const differs = { id: "x", pattern: "jobs.a", order: "all", leaseMs: 30_000, backoff: { minMs: 6, jitter: 1 } };
    const { message } = await refusal(await greet(hub), wanted(differs));
    expect(namedIn(message).sort()).toEqual(["backoff.jitter", "backoff.minMs", "order", "pattern"]);
  });

  test("takes whoever agrees with it or leaves out what it declared, also after a restart", async () => {
    const declared = { order: "key", onFailure: "skip", maxFailures: 3, leaseMs: 500 };
    const data = temporaryFolder();
    const first = await startHub({ data });
    await worker(first, { ...declared, backoff: { minMs: 5 } });
    const policy = { ...defaults, ...declared, backoff: { ...defaults.backoff, minMs: 5 } };
    const agreeing = [
      {},
      { ...declared },
      { order: "key" },
      { backoff: {} },
      { backoff: { minMs: 5, type: "exponential" } },
      { ...policy },
    ];
    const agree = async (hub: { readonly url: string }) => {
      const socket = await greet(hub);
      for (const [i, asked] of agreeing.entries()) {
        expect((await work(socket, { member: i + 1, id: `${i}`, ...asked })).policy).toEqual(policy);
      }
      expect(await refusal(socket, wanted({ member: 9, order: "none" }))).toMatchObject({ code: "group-differs" });
    };
    await agree(first);
    await first.close();
    await agree(await startHub({ data }));
  });

  test("is refused in a namespace kept in memory", async () => {
    const hub = await startHub({ namespaces: { fleeting: { durability: "memory" } } });
    const socket = await greet(hub);
    const asked = wanted({ pattern: "fleeting.>" });
    expect(await refusal(socket, asked)).toMatchObject({ code: "memory-namespace", member: 1 });
  });

  test("that two declare differently at the same time is as one of them says", async () => {
    const hub = await startHub();
    const sockets = await Promise.all(count(1, 4).map(() => greet(hub)));
    for (const [i, socket] of sockets.entries()) socket.send(wanted({ id: `${i}`, maxFailures: i + 1 }));
    const answers = await Promise.all(sockets.map((socket) => socket.next()));
    const works = answers.filter(({ is }) => is === "working");
    expect(works).toHaveLength(1);
    const winner = answers.indexOf(works[0] as (typeof answers)[number]);
    for (const [i, answer] of answers.entries()) {
      if (i !== winner) expect(answer).toMatchObject({ is: "error", code: "group-differs" });
    }
    expect((await (await Operator.of(hub)).show()).policy.maxFailures).toBe(winner + 1);
  });

  test("of the same name in another namespace is another group", async () => {
    const hub = await startHub({ namespaces: { shop: {} } });
    const [here, there] = [
      await worker(hub, { order: "key" }),
      await worker(hub, { pattern: "shop.>", maxFailures: 2 }),
    ];
    await publish(here, "jobs.a", "here");
    await publish(here, "shop.a", "there");
    expect(await lease(here)).toMatchObject({ fence: 1, data: "here" });
    const other = await lease(there);
    expect(other).toMatchObject({ fence: 1, offset: 1, data: "there" });
    await settled(there, "reject", [other]);
    const operator = await Operator.of(hub);
    expect(await operator.show({ namespace: "default" })).toMatchObject({ inFlight: 1, policy: { order: "key" } });
    expect(await operator.until(({ dead }) => dead === 1, { namespace: "shop" })).toMatchObject({
      deadChannel: "shop.$dead.g",
      policy: { maxFailures: 2 },
    });
  });

  test("answers who gave up a member and asks for it again rightly", async () => {
    const hub = await startHub();
    await worker(hub, { id: "first" });
    const socket = await greet(hub);
    socket.send([wanted({ maxFailures: 1 }), { is: "leave", member: 1 }, wanted()]);
    await socket.next("working");
    await publish(socket, "jobs.a", 1, 2);
    expect(await lease(socket)).toMatchObject({ member: 1 });
  });
});

describe("P-52: a new group", () => {
  const starts: [from: unknown, first: number][] = [
    [undefined, 1],
    ["earliest", 1],
    ["latest", 6],
    [{ time: 0 }, 1],
    [{ time: 9_999_999_999_999 }, 6],
  ];

  test.each(starts)("that starts from %j has message %j first", async (from, first) => {
    const hub = await startHub();
    const socket = await greet(hub);
    await publish(socket, "jobs.a", ...count(1, 5));
    await work(socket, { from });
    await publish(socket, "jobs.a", 6);
    expect(dataOf(await leases(socket, 7 - first))).toEqual(count(first, 6));
  });

  test("starts after a position, and at the first message of a time", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    for (const i of count(1, 5)) await publish(socket, "jobs.a", i);
    const reader = new Reader(await greet(hub));
    const { messages, subscribed } = await reader.subscribe({ pattern: "jobs.a", from: "earliest" });
    await reader.until(() => messages.length === 5);
    await work(socket, { from: { epoch: subscribed.epoch, offset: 3 } });
    expect(dataOf(await leases(socket, 2))).toEqual([4, 5]);
    const time = messages[3]?.time ?? 0;
    const since = messages.filter((message) => message.time >= time);
    await work(socket, { member: 2, group: "h", from: { time } });
    expect(dataOf(await leases(socket, since.length))).toEqual(dataOf(since));
  });

  test("starts with the oldest message from a position of another log, and at the end from one beyond it", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    const [published] = await publish(socket, "jobs.a", 1, 2);
    await work(socket, { from: { epoch: "of another life", offset: 1 } });
    expect(dataOf(await leases(socket, 2))).toEqual([1, 2]);
    await work(socket, { member: 2, group: "h", from: { epoch: published?.epoch, offset: 1_000 } });
    await publish(socket, "jobs.a", 3);
    expect(dataOf(await leases(socket, 2))).toEqual([3, 3]);
  });

  test("that exists goes on where it is, whatever from says", async () => {
    const hub = await startHub();
    const first = await greet(hub);
    await publish(first, "jobs.a", 1, 2, 3);
    await work(first, { from: "earliest", window: 2 });
    await settled(first, "ack", fencesOf(await leases(first, 2)).slice(0, 1));
    await lease(first);
    const other = await worker(hub, { id: "x", from: "latest" });
    await leaveWith(first);
    expect(dataOf(await leases(other, 2))).toEqual([2, 3]);
  });
});

/** The fields that the message of an error names. */
function namedIn(message: string): string[] {
  return Array.from(message.matchAll(/`([^`]+)` is /g), ([, field]) => field as string);
}

async function leaveWith(socket: BareSocket): Promise<void> {
  socket.send({ is: "leave", member: 1 });
  await socket.next("left");
}
