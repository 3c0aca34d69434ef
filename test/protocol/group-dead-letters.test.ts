/** What a group gave up (P-61): exactly one dead letter for each message, and everything in it. */
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../support/temp.ts";
import {
  crashed,
  dataOf,
  deadLetters,
  lease,
  leases,
  Operator,
  settle,
  settled,
  wanted,
  work,
  worker,
} from "./group-support.ts";
import { type BareSocket, count, greet, publish, publishAll, Reader, startHub } from "./support.ts";

/** Rejects the next message of a member. */
async function reject(socket: BareSocket, error?: string): Promise<void> {
  await settled(socket, "reject", [await lease(socket)], error === undefined ? {} : { error });
}

describe("P-61: a dead letter", () => {
  test("says why, what the last error was, and where it comes from", async () => {
    const hub = await startHub();
    const socket = await worker(hub, { maxFailures: 2, backoff: { minMs: 0 } });
    await publish(socket, "jobs.a", "x");
    await settled(socket, "retry", [await lease(socket)], { error: "once" });
    await settled(socket, "retry", [await lease(socket)], { error: "twice" });
    await publish(socket, "jobs.b", "y");
    await settled(socket, "release", [await lease(socket)]);
    await reject(socket);
    const [failed, rejected] = await deadLetters(hub, 2);
    expect(failed?.headers).toMatchObject({
      "dogear-reason": "max-failures",
      "dogear-error": "twice",
      "dogear-channel": "jobs.a",
      "dogear-offset": "1",
      "dogear-group": "g",
      "dogear-deliveries": "2",
      "dogear-failures": "2",
    });
    expect(rejected?.headers).toMatchObject({
      "dogear-reason": "rejected",
      "dogear-channel": "jobs.b",
      "dogear-deliveries": "2",
    });
    expect(rejected?.headers).not.toHaveProperty("dogear-error");
  });

  test.each([
    "1.0",
    "-0",
    "1e400",
    "12345678901234567890123",
    '{"b" : [1.10, 2E+5] ,"a":{}}',
    '"\\u0041\\/\\ud83d"',
    '"\u2028"',
    "[]",
    "null",
    '{"data":1,"headers":{"dogear-reason":"x"},"key":"k","data":2.0}',
    '{"__proto__":1.0}',
  ])("has the very bytes of the payload: %s", async (data) => {
    const hub = await startHub();
    const socket = await worker(hub);
    socket.send(`{"is":"publish","number":1,"channel":"jobs.a","data":${data}}`);
    await reject(socket);
    const reader = await greet(hub);
    reader.send({ is: "subscribe", subscription: 1, pattern: "jobs.$dead.g", from: "earliest" });
    await expect.poll(() => reader.frames.join(), { interval: 1 }).toContain(`,"data":${data}}`);
  });

  test("has the type, the key and the headers, and none of them changed", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    const headers = JSON.parse('{"__proto__":"p","a":"\\"ü\\"","constructor":"c","":"e"}'.replace(',"":"e"', ""));
    const draft = { type: "application/octet-stream", key: '"k"\\', headers, data: "AAECAw==" };
    await publishAll(socket, [{ channel: "jobs.a", ...draft }]);
    await reject(socket);
    const [dead] = await deadLetters(hub, 1);
    expect(dead).toMatchObject({ type: draft.type, key: draft.key, data: draft.data });
    const own = Object.entries(dead?.headers ?? {}).filter(([name]) => !name.startsWith("dogear-"));
    expect(own).toEqual(Object.entries(headers));
  });

  test("of a message that was scheduled says so, too", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    socket.send({ is: "publish", number: 1, channel: "jobs.a", delayMs: 20, data: "x" });
    const { id } = await socket.next("scheduled");
    await reject(socket);
    const [dead] = await deadLetters(hub, 1);
    expect(dead?.headers).toMatchObject({ "dogear-scheduled": id, "dogear-reason": "rejected" });
  });

  test("may have as many headers as a message, besides those of the hub, and be as large", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    const headers = Object.fromEntries(count(1, 32).map((i) => [`${i}`.padStart(128, "h"), "x".repeat(1_024)]));
    await publishAll(socket, [{ channel: "jobs.a", headers, data: "x".repeat(200_000) }]);
    await reject(socket, "e".repeat(1_024));
    const [dead] = await deadLetters(hub, 1);
    expect(dead?.headers).toMatchObject({ ...headers, "dogear-error": "e".repeat(1_024) });
    expect(dead?.data).toHaveLength(200_000);
  });

  test.each([
    ["orders.>", "orders.a.b", "orders.$dead.g"],
    ["orders.eu.*.new", "orders.eu.a.new", "orders.eu.$dead.g"],
    [">", "orders.a", "default.$dead.g"],
    ["*.x", "orders.x", "default.$dead.g"],
    ["orders", "orders", "orders.$dead.g"],
    ["shop.>", "shop.a", "shop.$dead.g"],
    ["shop.a", "shop.a", "shop.a.$dead.g"],
  ])("of a group of %s is in its own channel, and no wildcard sees it", async (pattern, channel, dead) => {
    const hub = await startHub({ namespaces: { shop: {} } });
    const reader = new Reader(await greet(hub));
    const all = await reader.subscribe({ pattern: channel.startsWith("shop") ? "shop.>" : ">" });
    const socket = await worker(hub, { pattern });
    await publish(socket, channel, "x");
    await reject(socket);
    expect(dataOf(await deadLetters(hub, 1, dead))).toEqual(["x"]);
    await publish(socket, channel, "next");
    expect(await lease(socket)).toMatchObject({ data: "next", deliveries: 1 });
    await reader.until(() => all.messages.length >= 2);
    expect(dataOf(all.messages)).toEqual(["x", "next"]);
    expect((await (await Operator.of(hub)).show()).deadChannel).toBe(dead);
  });

  test("of a group that works on the dead letters of another is about the dead letter, and comes again as it", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    await work(socket, { member: 2, group: "h", pattern: "jobs.$dead.g" });
    await publish(socket, "jobs.a", "x");
    await reject(socket, "first");
    const inner = await lease(socket);
    expect(inner).toMatchObject({ member: 2, channel: "jobs.$dead.g" });
    await settled(socket, "reject", [inner]);
    const [outer] = await deadLetters(hub, 1, "jobs.$dead.g.$dead.h");
    expect(outer?.headers).toMatchObject({
      "dogear-group": "h",
      "dogear-channel": "jobs.$dead.g",
      "dogear-offset": String(inner.offset),
    });
    await (await Operator.of(hub)).group("redrive", { group: "h" });
    expect(await lease(socket)).toMatchObject({ member: 2, channel: "jobs.$dead.g", data: "x" });
  });
});

describe("P-61: there is exactly one dead letter for each message given up", () => {
  /** Rejects so many and stops the hub in the middle of it, by `stop`; every rejection was confirmed. */
  async function rejected(
    many: number,
    stop: "restart" | "crash" | "delete-group" | "reset-group",
  ): Promise<unknown[]> {
    const data = temporaryFolder();
    const first = await startHub({ data });
    const socket = await worker(first, { window: 10_000 });
    const publisher = await greet(first);
    for (let at = 0; at < many; at += 1_000) {
      await publish(publisher, "jobs.a", ...count(at + 1, Math.min(at + 1_000, many)));
    }
    await settled(socket, "reject", await leases(socket, many));
    if (stop.endsWith("group")) {
      await (await Operator.of(first)).group(stop, stop === "reset-group" ? { to: "latest" } : {});
      return dataOf(await deadLetters(first, many));
    }
    const copy = stop === "crash" ? crashed(data) : data;
    await first.close();
    const hub = await startHub({ data: copy });
    await (await Operator.of(hub)).until(({ dead, lag }) => dead >= many && lag.messages === 0);
    return dataOf(await deadLetters(hub, many));
  }

  test.each([
    ["restart", 1],
    ["restart", 3_000],
    ["crash", 1],
    ["crash", 3_000],
    ["delete-group", 3_000],
    ["reset-group", 3_000],
  ] as const)("whatever happens at once after it was confirmed: %s, with %i of them", async (stop, many) => {
    expect(await rejected(many, stop)).toEqual(count(1, many));
  });

  test("also where a message is given up once more, because the group was reset", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    const operator = await Operator.of(hub);
    await publish(socket, "jobs.a", "x");
    await reject(socket, "first");
    await operator.until(({ dead }) => dead === 1);
    await operator.group("redrive");
    await settled(socket, "ack", [await lease(socket)]);
    await operator.group("reset-group", { to: "earliest" });
    await reject(socket, "second");
    const all = await deadLetters(hub, 2);
    expect(all.map(({ headers }) => headers?.["dogear-error"])).toEqual(["first", "second"]);
    expect((await operator.until(({ lag }) => lag.messages === 0)).dead).toBe(1);
  });

  test("also where another group of this name gave it up before", async () => {
    const hub = await startHub();
    const socket = await worker(hub);
    const operator = await Operator.of(hub);
    await publish(socket, "jobs.a", "x");
    await reject(socket, "first");
    await operator.until(({ dead }) => dead === 1);
    await operator.group("delete-group");
    await socket.next("left");
    socket.send(wanted());
    await socket.next("working");
    await reject(socket, "second");
    const all = await deadLetters(hub, 2);
    expect(all.map(({ headers }) => headers?.["dogear-error"])).toEqual(["first", "second"]);
  });

  test("whoever gives them up, and however many at a time", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    for (const i of count(1, 5)) await work(socket, { member: i, id: `${i}` });
    await publish(socket, "jobs.a", ...count(1, 500));
    for (let given = 0; given < 500; ) {
      for (const one of await leases(socket, 1)) {
        settle(socket, "reject", [one]);
        given++;
      }
    }
    const dead = await deadLetters(hub, 500);
    expect(dataOf(dead).sort((a, b) => Number(a) - Number(b))).toEqual(count(1, 500));
    expect(await (await Operator.of(hub)).show()).toMatchObject({ dead: 500, lag: { messages: 0 } });
  });
});
