/** Requests that no client of good will makes, and what becomes of them. */
import { describe, expect, test } from "vitest";
import { RawSocket } from "../protocol/raw-socket.ts";
import { expectGoodService } from "../protocol/support.ts";
import { ask, publish, startHub, users } from "./support.ts";

/** Sends a request as it stands, and resolves with the first line of the answer. */
async function statusLine(hub: { readonly port: number }, text: string): Promise<string> {
  const raw = await RawSocket.connect(hub);
  raw.write(text.replaceAll("\n", "\r\n"));
  await raw.until(() => raw.received.includes("\r\n\r\n") || raw.ended);
  return raw.received.split("\r\n", 1)[0] as string;
}

describe("a path", () => {
  test.each([
    "GET /",
    "GET /nothing",
    "GET //messages?pattern=a",
    "GET /messages/",
    "GET /Messages?pattern=a",
    "GET /messages%2f?pattern=a",
    "POST /publish/",
    "POST /publish//a",
    "POST /publish/a/b",
    "GET /admin",
    "GET /admin/groups/a/b",
    "GET /%00",
    "GET /.well-known/x",
  ])("that leads nowhere is not found: %s (P-70)", async (what) => {
    const hub = await startHub();
    const { status, json } = await ask(hub, what);
    expect([status, json.error]).toMatchObject([404, { code: "not-found", retry: "no" }]);
  });

  test.each([
    ["PUT /publish/a", "POST, OPTIONS"],
    ["GET /publish", "POST, OPTIONS"],
    ["POST /messages?pattern=a", "GET, HEAD, OPTIONS"],
    ["DELETE /events", "GET, HEAD, OPTIONS"],
    ["GET /ticket", "POST, OPTIONS"],
    ["PATCH /admin/groups/a", "GET, DELETE, HEAD, OPTIONS"],
    ["TRACE /healthz", "GET, HEAD, OPTIONS"],
    ["PURGE /healthz", "GET, HEAD, OPTIONS"],
  ])("is told which methods it has: %s (P-70)", async (what, allow) => {
    const hub = await startHub({ access: users() });
    const { status, headers, json } = await ask(hub, what);
    expect([status, headers.allow, json.error.code]).toEqual([405, allow, "invalid-request"]);
  });

  test("with dots in it leads to what it spells, and no further than that allows (P-70)", async () => {
    const hub = await startHub({ access: users() });
    expect(await statusLine(hub, "GET /events/../admin/namespaces HTTP/1.1\nHost: a\n\n")).toBe(
      "HTTP/1.1 401 Unauthorized",
    );
    expect(await statusLine(hub, "GET /../../etc/passwd HTTP/1.1\nHost: a\n\n")).toBe("HTTP/1.1 404 Not Found");
  });

  test.each(["HEAD /healthz", "HEAD /messages?pattern=a", "HEAD /openapi.json"])(
    "%s is GET without a body (P-70)",
    async (what) => {
      const hub = await startHub();
      const [head, got] = [await ask(hub, what), await ask(hub, what.replace("HEAD", "GET"))];
      expect([head.status, head.text, head.headers["content-length"]]).toEqual([
        200,
        "",
        got.headers["content-length"],
      ]);
    },
  );
});

describe("a request", () => {
  test.each([
    [
      "a very long URL",
      `GET /messages?pattern=${"a".repeat(20_000)} HTTP/1.1\nHost: localhost\n\n`,
      /^HTTP\/1\.1 431 /,
    ],
    ["no host", "GET /healthz HTTP/1.1\n\n", /^HTTP\/1\.1 400 /],
    ["a host that is none", "GET /healthz HTTP/1.1\nHost: a b/c\n\n", /^HTTP\/1\.1 400 /],
    ["HTTP/1.0 and no host", "GET /healthz HTTP/1.0\n\n", /^HTTP\/1\.1 200 /],
    ["a whole URL", "GET http://localhost/healthz HTTP/1.1\nHost: localhost\n\n", /^HTTP\/1\.1 200 /],
    ["a star for a path", "OPTIONS * HTTP/1.1\nHost: localhost\n\n", /^HTTP\/1\.1 4\d\d /],
    ["a path that is none", "GET messages HTTP/1.1\nHost: localhost\n\n", /^HTTP\/1\.1 400 /],
    ["a backslash", "GET /\\messages HTTP/1.1\nHost: localhost\n\n", /^HTTP\/1\.1 4\d\d /],
    ["a tunnel in mind", "CONNECT a:1 HTTP/1.1\nHost: localhost\n\n", /^(?:HTTP\/1\.1 4\d\d |$)/],
    [
      "an expectation",
      "POST /publish/a HTTP/1.1\nHost: localhost\nExpect: miracles\nContent-Length: 1\n\n1",
      /^HTTP\/1\.1 4\d\d /,
    ],
    [
      "a body of more than may be",
      "POST /publish/a HTTP/1.1\nHost: localhost\nContent-Length: 99999999999\n\n",
      /^HTTP\/1\.1 413 /,
    ],
  ])("with %s is answered, and hurts nobody (P-70, P-83)", async (_what, text, status) => {
    const hub = await startHub();
    expect(await statusLine(hub, text)).toMatch(status);
    await expectGoodService(hub);
    expect(hub.failures.items).toEqual([]);
  });

  test("whose body has no end is refused as soon as it is too large (P-83)", async () => {
    const hub = await startHub();
    const raw = await RawSocket.connect(hub);
    raw.write("POST /publish/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    const chunk = `${(65_536).toString(16)}\r\n${"x".repeat(65_536)}\r\n`;
    for (let i = 0; i < 5; i++) raw.write(chunk);
    expect(await raw.untilText("\r\n\r\n")).toMatch(/^HTTP\/1\.1 413 /);
    await raw.until(() => {
      raw.write(chunk);
      return raw.ended;
    });
    await expectGoodService(hub);
  });

  test("whose body does not come is given up (P-83)", async () => {
    const hub = await startHub({ limits: { helloTimeoutMs: 200 } });
    const head = "POST /publish/a HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n1";
    expect(await statusLine(hub, head)).toMatch(/^HTTP\/1\.1 408 /);
    await expectGoodService(hub);
  });

  test("that is cut off in the middle hurts nobody, and is no error of the hub (P-83)", async () => {
    const hub = await startHub();
    const post = "POST /publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n1";
    const sent = [post.slice(0, 20), post, "GET /messages?pattern=a&waitMs=60000 HTTP/1.1\r\nHost: localhost\r\n\r\n"];
    for (const text of [...sent, "GET /events?pattern=a HTTP/1.1\r\nHost: localhost\r\n\r\n"]) {
      const raw = await RawSocket.connect(hub);
      raw.write(text);
      raw.socket.resetAndDestroy();
    }
    expect(await publish(hub, "a", "1")).toBe(1);
    await expectGoodService(hub);
    await expect.poll(async () => (await ask(hub, "GET /admin/sessions")).json.sessions.length).toBe(0);
    expect(hub.failures.items).toEqual([]);
  });

  test("that finds the hub failing is told so and no more, and the log says what, but not the query (P-70)", async () => {
    const elsewhere = () => {
      throw new Error("the details");
    };
    const hub = await startHub({ elsewhere });
    const { status, json, text } = await ask(hub, "GET /page?token=secret");
    expect([status, json.error.code, text.includes("details")]).toEqual([500, "internal", false]);
    const [[event, facts] = []] = hub.failures.items;
    expect([event, facts]).toMatchObject(["http.failed", { method: "GET", path: "/page" }]);
    expect(JSON.stringify(facts)).not.toContain("secret");
  });
});
