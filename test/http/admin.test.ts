/** What operators ask for over HTTP. */
import { describe, expect, test } from "vitest";
import { greet, hello } from "../protocol/support.ts";
import { open } from "../support/bare-socket.ts";
import { ask, keys, publish, startHub, users } from "./support.ts";

test("cursors are listed, shown and moved, also those of users with strange names (P-81)", async () => {
  const hub = await startHub();
  await publish(hub, "a.b", "1");
  const socket = await greet(hub, { subscriber: "a/b %2F é" });
  socket.send({ is: "subscribe", subscription: 1, pattern: "a.>", cursor: true, from: "earliest" });
  await socket.next("caught-up");
  const { cursors } = (await ask(hub, "GET /admin/cursors")).json;
  expect(cursors).toMatchObject([{ user: "anonymous", subscriber: "a/b %2F é", pattern: "a.>", lag: { messages: 1 } }]);
  const at = `/admin/cursors/anonymous/${encodeURIComponent("a/b %2F é")}/${encodeURIComponent("a.>")}`;
  expect((await ask(hub, `GET ${at}`)).json).toEqual({ ...cursors[0], lag: expect.anything() });
  const moved = await ask(hub, `POST ${at}/reset`, { body: '{"to":"latest"}' });
  expect(moved.json).toMatchObject({ position: { offset: 1 }, lag: { messages: 0 } });
  expect(await socket.next("unsubscribed")).toMatchObject({ code: "cursor-reset" });
  const unknown = await ask(hub, "GET /admin/cursors/anonymous/nobody/a");
  expect([unknown.status, unknown.json.error.code]).toEqual([404, "unknown-cursor"]);
  expect((await ask(hub, `POST ${at}/reset`, { body: '{"to":7}' })).json.error.code).toBe("invalid-request");
  expect((await ask(hub, `POST ${at}/reset`, { body: "latest" })).json.error.code).toBe("invalid-payload");
  expect((await ask(hub, `POST ${at}/reset`, { body: `"${"x".repeat(70_000)}"` })).status).toBe(413);
});

test("groups are listed, shown, paused, browsed, moved, redriven and deleted (P-81)", async () => {
  const hub = await startHub();
  await publish(hub, "a", "1");
  const socket = await greet(hub);
  socket.send({ is: "work", member: 1, id: "m", group: "billing", pattern: "a" });
  await socket.next("leased");
  const said = async (what: string, body?: string) => {
    const { status, json } = await ask(hub, what, body === undefined ? {} : { body });
    return { status, ...json };
  };
  expect((await said("GET /admin/groups")).groups).toMatchObject([{ group: "billing", inFlight: 1 }]);
  expect(await said("GET /admin/groups/billing?namespace=default")).toMatchObject({ status: 200, paused: false });
  expect(await said("POST /admin/groups/billing/pause")).toMatchObject({ status: 200, paused: true });
  expect(await said("POST /admin/groups/billing/resume")).toMatchObject({ status: 200, paused: false });
  expect(await said("GET /admin/groups/billing/messages?limit=1&after=0")).toMatchObject({ messages: [{ data: 1 }] });
  expect(await said("POST /admin/groups/billing/reset", '{"to":"latest"}')).toMatchObject({ inFlight: 0 });
  expect(await said("POST /admin/groups/billing/redrive")).toMatchObject({ status: 200, dead: 0 });
  expect(await said("POST /admin/groups/billing/cancel-redrive")).toMatchObject({ status: 200 });
  expect(await said("DELETE /admin/groups/billing")).toMatchObject({ status: 200, group: "billing" });
  expect(await said("GET /admin/groups/billing")).toMatchObject({ status: 404, error: { code: "unknown-group" } });
  expect(await said("GET /admin/groups/b.c")).toMatchObject({ status: 400, error: { code: "invalid-group" } });
});

test("namespaces and channels are listed, a page at a time (P-81)", async () => {
  const hub = await startHub({ namespaces: { orders: {} } });
  for (const channel of ["b", "a", "orders.c"]) await publish(hub, channel, "1");
  const { namespaces } = (await ask(hub, "GET /admin/namespaces")).json;
  expect(namespaces.map(({ namespace }: { namespace: string }) => namespace)).toEqual(["default", "orders"]);
  const first = (await ask(hub, "GET /admin/channels?limit=2")).json;
  expect(first).toMatchObject({ channels: [{ channel: "a" }, { channel: "b" }], next: "b" });
  expect((await ask(hub, "GET /admin/channels?limit=2&after=b")).json).toMatchObject({
    channels: [{ channel: "orders.c" }],
  });
  const refused = await ask(hub, "GET /admin/channels?limit=1001");
  expect([refused.status, refused.json.error.code]).toEqual([400, "invalid-request"]);
});

describe("an operator", () => {
  test("needs `admin`, and is shown what its capabilities cover (P-81)", async () => {
    const hub = await startHub({ access: users() });
    await publish(hub, "orders.a", "1", { as: "writer" });
    for (const what of ["GET /admin/namespaces", "GET /admin/sessions", "GET /metrics", "POST /admin/groups/a/pause"]) {
      const { status, json } = await ask(hub, what, { as: "writer" });
      expect([status, json.error.code]).toEqual([403, "forbidden"]);
    }
    expect((await ask(hub, "GET /admin/channels", { as: "admin" })).json.channels.length).toBe(1);
    const metrics = await ask(hub, "GET /metrics", { as: "admin" });
    expect(metrics.headers["content-type"]).toMatch(/^text\/plain/);
    expect(metrics.text).toMatch(/^dogear_published_messages_total 1$/m);
  });

  test("ends sessions of WebSockets too, and revokes (P-81)", async () => {
    const hub = await startHub({ access: users() });
    const socket = await open(hub.url);
    socket.send(hello({ token: keys.reader }));
    const { session } = await socket.next("welcome");
    expect((await ask(hub, `DELETE /admin/sessions/${session}`, { as: "admin" })).status).toBe(204);
    expect(await socket.closed).toMatchObject({ code: 4006 });
    const gone = await ask(hub, `DELETE /admin/sessions/${session}`, { as: "admin" });
    expect([gone.status, gone.json.error.code]).toEqual([404, "unknown-session"]);
    const nobody = await ask(hub, "POST /admin/revocations", { as: "admin", body: "{}" });
    expect([nobody.status, nobody.json.error.code]).toEqual([400, "invalid-request"]);
  });
});
