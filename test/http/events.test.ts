/** Streams of server-sent events. */
import { describe, expect, test } from "vitest";
import { greet, publishAll } from "../protocol/support.ts";
import { ask, begin, EventReader, publish, secret, startHub, tokenOf, users } from "./support.ts";

describe("a stream", () => {
  test("gives what there is and what comes, each with its position (P-78)", async () => {
    const hub = await startHub();
    await publish(hub, "a.b", '{"x": 1.0,\n\n"y":\r\n[\r2]}');
    const reader = await EventReader.open(hub, "/events?pattern=a.*&from=earliest");
    expect(reader.response.headers).toMatchObject({ "cache-control": "no-store", "x-accel-buffering": "no" });
    await publish(hub, "b", "1");
    await publish(hub, "a.c", "2.0");
    expect(await reader.messages(2)).toMatchObject([
      { offset: 1, channel: "a.b", data: { x: 1, y: [2] } },
      { offset: 3, channel: "a.c", data: 2 },
    ]);
    const [first, second] = reader.events.items;
    expect(first?.data).toContain('"data":{"x": 1.0,\n\n"y":\n[\n2]}');
    expect(second?.data).toContain('"data":2.0');
    expect([first?.id, second?.id]).toEqual([expect.stringMatching(/:1$/), expect.stringMatching(/:3$/)]);
    expect(await reader.retries.find((ms) => ms >= 1_000 && ms <= 2_000)).toBeDefined();
  });

  test("gives what a WebSocket subscriber is given, to the byte (P-78)", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    socket.send({ is: "subscribe", subscription: 1, pattern: "a" });
    await socket.next("caught-up");
    const readers = await Promise.all(
      Array.from({ length: 3 }, () => EventReader.open(hub, "/events?pattern=a&from=earliest")),
    );
    const texts = ["1.0", '"🐟"', "12345678901234567890123", '{"b" :\t[ ]}'];
    for (const text of texts) await publish(hub, "a", text);
    for (const reader of readers) {
      await reader.events.reach(texts.length);
      for (const { data } of reader.events.items) expect(socket.frames.join("\n")).toContain(data);
    }
  });

  test("goes on after the id that was read last, which wins over what the URL says (P-79)", async () => {
    const hub = await startHub();
    for (let i = 1; i <= 3; i++) await publish(hub, "a", `${i}`);
    const first = await EventReader.open(hub, "/events?pattern=a&from=earliest");
    await first.events.reach(3);
    const id = first.events.items[1]?.id as string;
    const again = await EventReader.open(hub, "/events?pattern=a&from=earliest", { headers: { "last-event-id": id } });
    expect(await again.messages(1)).toMatchObject([{ data: 3 }]);
    const after = await EventReader.open(hub, `/events?pattern=a&after=${id}&from=earliest`);
    expect(await after.messages(1)).toMatchObject([{ data: 3 }]);
    const wrong = await ask(hub, "GET /events?pattern=a", { headers: { "last-event-id": "7" } });
    expect([wrong.status, wrong.json.error.code]).toEqual([400, "invalid-request"]);
  });

  test("gives its reader a place before anything came, and moves it on while nothing matches (P-78)", async () => {
    const hub = await startHub({ limits: { heartbeatMs: 100 } });
    await publish(hub, "b", "1");
    const reader = await EventReader.open(hub, "/events?pattern=a");
    await reader.comments.reach(1);
    expect(reader.lastId).toMatch(/:1$/);
    await publish(hub, "b", "2");
    await expect.poll(() => reader.lastId).toMatch(/:2$/);
    expect(reader.events.items).toEqual([]);
  });

  test("tells of a gap, and where it goes on (P-43, P-78)", async () => {
    const hub = await startHub();
    await publish(hub, "a", "1");
    const reader = await EventReader.open(hub, "/events?pattern=a&after=another:7");
    await reader.events.reach(2);
    const [gap, message] = reader.events.items;
    expect(gap).toMatchObject({ event: "gap", id: expect.stringMatching(/:0$/) });
    expect(JSON.parse(gap?.data as string)).toMatchObject({ reason: "epoch", to: null });
    expect(message).toMatchObject({ event: "message", id: expect.stringMatching(/:1$/) });
  });

  test("whose reader is slow costs a bounded amount, delays nobody, and loses nothing (P-79)", async () => {
    const hub = await startHub({ limits: { outboxBytesMax: 65_536 } });
    const socket = await greet(hub);
    const slow = await EventReader.open(hub, "/events?pattern=a");
    const quick = await EventReader.open(hub, "/events?pattern=a");
    slow.response.pause();
    const total = 600;
    const drafts = Array.from({ length: total }, (_, i) => ({ channel: "a", data: `${i}${"x".repeat(50_000)}` }));
    for (let from = 0; from < total; from += 10) await publishAll(socket, drafts.slice(from, from + 10));
    await quick.events.reach(total);
    const { sessions } = (await ask(hub, "GET /admin/sessions")).json;
    expect(sessions.length).toBe(3);
    slow.response.resume();
    await slow.events.reach(total);
    const offsets = slow.events.items.map(({ data }) => JSON.parse(data).offset);
    expect(offsets).toEqual(Array.from({ length: total }, (_, i) => i + 1));
  }, 60_000);
});

describe("the end of a stream", () => {
  test("comes within a second of its token's, and is told (P-80)", async () => {
    const hub = await startHub({ access: { tokens: { secrets: [secret] } } });
    const expires = Math.ceil(Date.now() / 1_000) * 1_000 + 1_000;
    const headers = { authorization: `Bearer ${await tokenOf("ann", { ">": ["subscribe"] }, expires - Date.now())}` };
    const reader = await EventReader.open(hub, "/events?pattern=a", { headers });
    await reader.ended;
    expect(Date.now()).toBeLessThan(expires + 1_000);
    expect(reader.events.items).toMatchObject([{ event: "closed" }]);
    expect(JSON.parse(reader.events.items[0]?.data as string)).toMatchObject({
      code: "token-expired",
      retry: "reconnect",
    });
  });

  test("comes when an operator ends it, or revokes its token (P-80, P-81)", async () => {
    const hub = await startHub({ access: { ...users(), tokens: { secrets: [secret] } } });
    const headers = { authorization: `Bearer ${await tokenOf("ann", { ">": ["subscribe"] })}` };
    const ended = await EventReader.open(hub, "/events?pattern=a", { headers });
    const { sessions } = (await ask(hub, "GET /admin/sessions", { as: "admin" })).json;
    expect(sessions).toMatchObject([{ user: "ann", subscriptions: 1, members: 0, address: "127.0.0.1" }]);
    expect((await ask(hub, `DELETE /admin/sessions/${sessions[0].session}`, { as: "admin" })).status).toBe(204);
    await ended.ended;
    const revoked = await EventReader.open(hub, "/events?pattern=a", { headers });
    const body = JSON.stringify({ user: "ann", before: Date.now() + 60_000 });
    expect((await ask(hub, "POST /admin/revocations", { as: "admin", body })).json).toEqual({ sessions: 1 });
    await revoked.ended;
    const codes = [ended, revoked].map(({ events }) => JSON.parse(events.items[0]?.data as string).code);
    expect(codes).toEqual(["disconnected", "revoked"]);
    expect((await ask(hub, "GET /events?pattern=a", { headers })).json.error.code).toBe("revoked");
  });

  test("comes with a time to come back at when the hub stops, and nothing is lost over it (P-80)", async () => {
    const hub = await startHub();
    const reader = await EventReader.open(hub, "/events?pattern=a&from=earliest");
    await publish(hub, "a", "1");
    await reader.events.reach(1);
    const closing = hub.close();
    await reader.ended;
    await closing;
    expect(reader.retries.items.length).toBe(2);
    const successor = await startHub({ data: hub.data, port: hub.port });
    await publish(successor, "a", "2");
    const again = await EventReader.open(successor, "/events?pattern=a&from=earliest", {
      headers: { "last-event-id": reader.lastId as string },
    });
    expect(await again.messages(1)).toMatchObject([{ data: 2 }]);
  });

  test("gives back what it took of its user's (P-77, P-78)", async () => {
    const hub = await startHub({ access: users({ userConnectionsMax: 2, userSubscriptionsMax: 1 }) });
    const reader = await EventReader.open(hub, "/events?pattern=orders.a", { as: "reader" });
    const second = () => begin(hub, "GET /events?pattern=orders.a", { as: "reader" });
    const refused = await ask(hub, "GET /events?pattern=orders.a", { as: "reader" });
    expect([refused.status, refused.json.error.code]).toEqual([429, "too-many-subscriptions"]);
    reader.response.destroy();
    await expect.poll(async () => (await second()).statusCode).toBe(200);
    expect(hub.failures.items).toEqual([]);
  });

  test("HEAD begins none (P-78)", async () => {
    const hub = await startHub();
    const { status, headers, text } = await ask(hub, "HEAD /events?pattern=a");
    expect([status, headers["content-type"], text]).toEqual([200, "text/event-stream", ""]);
    expect((await ask(hub, "GET /admin/sessions")).json.sessions).toEqual([]);
  });
});
