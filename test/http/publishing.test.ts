/** Publishing over HTTP: what is stored, what is answered, and what is refused. */
import { describe, expect, test } from "vitest";
import { greet } from "../protocol/support.ts";
import { ask, keys, publish, startHub, users } from "./support.ts";

const json = { "content-type": "application/json" };

describe("a message", () => {
  test.each([
    ["a number with a fraction of nothing", "1.0"],
    ["a large integer", "12345678901234567890123"],
    ["text of every kind", '"é, 漢, 🐟, \\u00e9 and \\" "'],
    ["JSON in lines", '{\n  "a": [1,\r\n 2],\r"b"\t: null\n}'],
    ["nothing", "null"],
    ["a key twice", '{"a":1,"a":2}'],
  ])("is stored as it was written: %s (P-73)", async (_what, text) => {
    const hub = await startHub();
    const socket = await greet(hub);
    socket.send({ is: "subscribe", subscription: 1, pattern: "a.b" });
    await socket.next("caught-up");
    const { status, json: answer } = await ask(hub, "POST /publish/a.b", { headers: json, body: ` ${text}\n` });
    expect([status, answer]).toEqual([
      200,
      { epoch: expect.any(String), offset: 1, duplicate: false, durability: "disk" },
    ]);
    await socket.next("messages");
    expect(socket.frames.at(-1)).toContain(`"data":${text}}`);
    const { text: page } = await ask(hub, "GET /messages?pattern=a.b&from=earliest");
    expect(page).toContain(`"data":${text}}`);
  });

  test("of another type is bytes (P-73)", async () => {
    const hub = await startHub();
    const bytes = Uint8Array.from([0, 255, 10, 13, 34]);
    for (const type of ["image/png", "text/plain; charset=latin1", undefined]) {
      const headers = type === undefined ? {} : { "content-type": type };
      expect((await ask(hub, "POST /publish/a", { headers, body: bytes })).status).toBe(200);
    }
    const { json } = await ask(hub, "GET /messages?pattern=a&from=earliest");
    const data = Buffer.from(bytes).toString("base64");
    expect(json.messages).toMatchObject([
      { type: "image/png", data },
      { type: "text/plain; charset=latin1", data },
      { type: "application/octet-stream", data },
    ]);
  });

  test("of a type that ends in +json is JSON (P-73)", async () => {
    const hub = await startHub();
    const headers = { "content-type": "Application/vnd.a+json; charset=UTF-8" };
    await ask(hub, "POST /publish/a", { headers, body: "1.0" });
    const { text } = await ask(hub, "GET /messages?pattern=a&from=earliest");
    expect(text).toContain('"type":"application/vnd.a+json","data":1.0');
  });

  test("has the key, headers and trace that came with it (P-74)", async () => {
    const hub = await startHub();
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const headers = { ...json, "Dogear-Header-Tenant": "x", traceparent, tracestate: "a=1" };
    await ask(hub, "POST /publish/a?key=k&ttlMs=60000", { headers, body: "1" });
    await ask(hub, "POST /publish/a", { headers: { ...json, traceparent: "00-x", tracestate: "a=1" }, body: "2" });
    const { json: page } = await ask(hub, "GET /messages?pattern=a&from=earliest");
    expect(page.messages).toMatchObject([
      { key: "k", expires: expect.any(Number), headers: { tenant: "x", traceparent, tracestate: "a=1" } },
      { data: 2 },
    ]);
    expect(page.messages[1]).not.toHaveProperty("headers");
  });

  test("with an Idempotency-Key is published once, also by a WebSocket (P-30, P-74)", async () => {
    const hub = await startHub({ access: users() });
    const asking = { as: "writer", headers: { ...json, "idempotency-key": "k-1" }, body: "1" } as const;
    const [first, again] = [
      await ask(hub, "POST /publish/open.a", asking),
      await ask(hub, "POST /publish/open.a", asking),
    ];
    expect([first.json.duplicate, again.json]).toEqual([false, { ...first.json, duplicate: true }]);
    const socket = await greet(hub, { token: keys.writer });
    socket.send({ is: "publish", number: 1, channel: "open.a", id: "k-1", data: 1 });
    expect(await socket.next("published")).toMatchObject({ offset: first.json.offset, duplicate: true });
    const elsewhere = await ask(hub, "POST /publish/open.b", asking);
    const another = await ask(hub, "POST /publish/open.a", { ...asking, as: "admin" });
    expect([elsewhere.json.duplicate, another.json.duplicate]).toEqual([false, false]);
  });

  test("that is to wait is scheduled, and can be taken back (P-74, P-81)", async () => {
    const hub = await startHub();
    const { status, json: answer } = await ask(hub, "POST /publish/a?delayMs=600000", { headers: json, body: "1" });
    expect([status, answer]).toEqual([
      202,
      { id: expect.any(String), due: expect.any(Number), duplicate: false, durability: "disk" },
    ]);
    const at = `DELETE /admin/schedules/${encodeURIComponent(answer.id)}`;
    expect([(await ask(hub, at)).status, (await ask(hub, at)).json.error.code]).toEqual([204, "not-scheduled"]);
  });

  test("is refused with what a WebSocket would be told (P-70, P-73)", async () => {
    const limits = { messageBytesMax: 100, payloadDepthMax: 2 };
    const namespaces = { short: { durability: "memory" } };
    const hub = await startHub({ limits, namespaces, access: users() });
    const refused = async (
      path: string,
      body: string | Uint8Array,
      headers: Readonly<Record<string, string>> = json,
    ) => {
      const { status, json: answer } = await ask(hub, `POST /publish/${path}`, { as: "admin", body, headers });
      expect(answer).toEqual({
        error: { code: answer.error.code, message: expect.any(String), retry: expect.any(String) },
      });
      return [status, answer.error.code];
    };
    expect(await refused("a..b", "1")).toEqual([400, "invalid-channel"]);
    expect(await refused("a%2Fb", "1")).toEqual([400, "invalid-channel"]);
    expect(await refused("$a", "1")).toEqual([403, "forbidden"]);
    expect(await refused("a.*", "1")).toEqual([400, "invalid-channel"]);
    expect(await refused("a", '"')).toEqual([400, "invalid-payload"]);
    expect(await refused("a", "")).toEqual([400, "invalid-payload"]);
    expect(await refused("a", "1 2")).toEqual([400, "invalid-payload"]);
    expect(await refused("a", Uint8Array.from([0x22, 0xc3, 0x28, 0x22]))).toEqual([400, "invalid-payload"]);
    expect(await refused("a", "1", { "content-type": "application/json; charset=utf-16" })).toEqual([
      400,
      "invalid-payload",
    ]);
    expect(await refused("a", "1", { "content-type": "text/plain; a=+json" })).toEqual([400, "invalid-request"]);
    expect(await refused("a", "1", { ...json, "content-encoding": "gzip" })).toEqual([400, "invalid-request"]);
    expect(await refused("a", "[[[1]]]")).toEqual([400, "payload-too-deep"]);
    expect(await refused("a", `"${"x".repeat(99)}"`)).toEqual([413, "message-too-large"]);
    expect(await refused("a", "x".repeat(80), { "content-type": "text/plain" })).toEqual([413, "message-too-large"]);
    expect(await refused("a?unknown=1", "1")).toEqual([400, "invalid-request"]);
    expect(await refused("a?key=a&key=b", "1")).toEqual([400, "invalid-request"]);
    expect(await refused("a?ttlMs=0", "1")).toEqual([400, "invalid-request"]);
    expect(await refused("a?ttlMs=1e3", "1")).toEqual([400, "invalid-request"]);
    expect(await refused("a?delayMs=1&deliverAt=1", "1")).toEqual([400, "invalid-request"]);
    expect(await refused("a", "1", { ...json, "dogear-header-dogear-due": "1" })).toEqual([400, "invalid-request"]);
    expect(await refused("a", "1", { ...json, "idempotency-key": "x".repeat(129) })).toEqual([400, "invalid-request"]);
    expect(await refused("short.a?delayMs=1", "1")).toEqual([409, "memory-namespace"]);
    expect((await ask(hub, "GET /messages?pattern=a&from=earliest", { as: "admin" })).json.messages).toEqual([]);
  });

  test("of the hub's own channels is refused to whoever may do everything (P-2, P-73)", async () => {
    const hub = await startHub();
    const { status, json: answer } = await ask(hub, "POST /publish/$a", { headers: json, body: "1" });
    expect([status, answer.error.code]).toEqual([403, "reserved-channel"]);
  });

  test("needs `publish`, and its user may have only so many in a second (P-70)", async () => {
    const hub = await startHub({ access: users({ userPublishBytesPerSecondMax: 1 }) });
    const asking = { as: "writer", headers: json, body: `"${"x".repeat(100)}"` } as const;
    const forbidden = await ask(hub, "POST /publish/secret.a", asking);
    expect([forbidden.status, forbidden.json.error]).toMatchObject([403, { code: "forbidden", retry: "no" }]);
    expect((await ask(hub, "POST /publish/open.a", asking)).status).toBe(200);
    const limited = await ask(hub, "POST /publish/open.a", asking);
    expect([limited.status, limited.json.error]).toMatchObject([429, { code: "rate-limited", retry: "later" }]);
    expect(Number(limited.headers["retry-after"])).toBeGreaterThan(0);
  });
});

describe("a batch", () => {
  test("is answered one by one and in order, and refuses only what is wrong (P-75)", async () => {
    const hub = await startHub({ access: users(), namespaces: { open: {} } });
    const body = `[
      {"channel":"open.a","data": 1.00 ,"key":"k"}, {"channel":"orders.a","data":{"b" : 12345678901234567890}},
      {"channel":"secret.a","data":1}, {"channel":"open.a","data":"AA==","type":"image/png"},
      {"channel":"open.a","data":"?","type":"image/png"}, {"channel":"open.a"}, {"channel":"open.a","data":1,"number":1},
      {"channel":"a..b","data":1}, 7, {"channel":"open.a","data":2,"delayMs":600000}, {"channel":"orders.a","id":"x","data":3},
      {"channel":"orders.a","id":"x","data":3}]`;
    const { status, json: answers } = await ask(hub, "POST /publish", { as: "writer", headers: json, body });
    expect(status).toBe(200);
    const said = answers.map((one: { error?: { code: string }; offset?: number; due?: number; duplicate?: boolean }) =>
      one.error ? one.error.code : one.due ? "scheduled" : one.duplicate ? "duplicate" : "published",
    );
    expect(said).toEqual([
      "published",
      "published",
      "forbidden",
      "published",
      "invalid-payload",
      "invalid-request",
      "invalid-request",
      "invalid-channel",
      "invalid-request",
      "scheduled",
      "published",
      "duplicate",
    ]);
    expect(answers[1]).toEqual({ epoch: expect.any(String), offset: 1, duplicate: false, durability: "disk" });
    const { text } = await ask(hub, "GET /messages?pattern=open.>&from=earliest", { as: "admin" });
    expect(text).toContain('"key":"k","data":1.00}');
    const orders = await ask(hub, "GET /messages?pattern=orders.>&from=earliest", { as: "writer" });
    expect(orders.text).toContain('"data":{"b" : 12345678901234567890}}');
  });

  test("shares a flush (P-75)", async () => {
    const hub = await startHub();
    const body = JSON.stringify(Array.from({ length: 500 }, (_, i) => ({ channel: "a", data: i })));
    const { json: answers } = await ask(hub, "POST /publish", { headers: json, body });
    expect(answers.map(({ offset }: { offset: number }) => offset)).toEqual(
      Array.from({ length: 500 }, (_, i) => i + 1),
    );
    const metrics = (await ask(hub, "GET /metrics")).text;
    expect(metrics).toMatch(/^dogear_log_flush_seconds_count 1$/m);
    expect(metrics).toMatch(/^dogear_published_messages_total 500$/m);
  });

  test("that is none is refused whole (P-75)", async () => {
    const hub = await startHub({ limits: { frameEnvelopesMax: 2, frameBytesMax: 300_000 } });
    const refused = async (body: string, headers: Readonly<Record<string, string>> = json) => {
      const { status, json: answer } = await ask(hub, "POST /publish", { headers, body });
      return [status, answer.error.code];
    };
    expect(await refused("{}")).toEqual([400, "invalid-request"]);
    expect(await refused("[")).toEqual([400, "invalid-payload"]);
    expect(await refused("[1,2,3]")).toEqual([400, "invalid-request"]);
    expect(await refused("[]", { "content-type": "text/plain" })).toEqual([400, "invalid-request"]);
    expect(await refused(`[${" ".repeat(300_000)}]`)).toEqual([413, "message-too-large"]);
    expect((await ask(hub, "POST /publish", { headers: json, body: "[]" })).json).toEqual([]);
    expect(await publish(hub, "a", "1")).toBe(1);
  });
});
