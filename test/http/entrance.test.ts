/** Who is let in over HTTP, by what, and from which pages. */
import { describe, expect, test } from "vitest";
import { type Asking, ask, begin, EventReader, keys, secret, startHub, tokenOf, users } from "./support.ts";

const readings = ["GET /messages?pattern=orders.a", "GET /events?pattern=orders.a"] as const;
const others = [
  "POST /publish/orders.a",
  "POST /publish",
  "POST /ticket",
  "GET /admin/namespaces",
  "GET /metrics",
] as const;

async function statusOf(
  hub: { readonly port: number },
  what: string,
  asking: Asking = {},
): Promise<number | undefined> {
  const response = await begin(hub, what, asking);
  response.destroy();
  return response.statusCode;
}

describe("somebody", () => {
  test.each([...readings, ...others])("who does not say who it is may not %s (P-71)", async (what) => {
    const hub = await startHub({ access: users() });
    const { status, headers, json } = await ask(hub, what);
    expect([status, json.error.code, headers["www-authenticate"]]).toEqual([401, "unauthorized", "Bearer"]);
  });

  test.each([
    ["no Bearer", "Basic a2V5"],
    ["nothing behind it", "Bearer "],
    ["two words", "Bearer a b"],
    ["an unknown key", "Bearer key-of-nobody"],
    ["a token that is none", "Bearer a.b.c"],
    ["a very long one", `Bearer ${"x".repeat(8_193)}`],
  ])("who shows %s is not let in (P-71)", async (_what, authorization) => {
    const hub = await startHub({ access: users() });
    const { status, json } = await ask(hub, readings[0], { headers: { authorization } });
    expect([status, json.error.code]).toEqual([401, "unauthorized"]);
  });

  test("whose token has expired is told so (P-70, P-71)", async () => {
    const hub = await startHub({ access: { tokens: { secrets: [secret] } } });
    const headers = { authorization: `Bearer ${await tokenOf("ann", {}, -1_000)}` };
    const { status, json } = await ask(hub, readings[0], { headers });
    expect([status, json.error]).toMatchObject([401, { code: "token-expired", retry: "reconnect" }]);
  });

  test("with a token in the URL is told nothing but that this is no way, and it is not logged (P-71)", async () => {
    const hub = await startHub({ access: users() });
    for (const name of ["token", "access_token", "key", "authorization"]) {
      const { status, text } = await ask(hub, `GET /messages?pattern=orders.a&${name}=${keys.reader}`);
      expect([status, text.includes(keys.reader)]).toEqual([401, false]);
    }
    const known = await ask(hub, `GET /messages?pattern=orders.a&token=${keys.reader}`, { as: "reader" });
    expect([known.status, known.text.includes(keys.reader)]).toEqual([400, false]);
    expect(hub.failures.items).toEqual([]);
  });

  test("without access control is everybody, but from a known host alone (P-71)", async () => {
    const hub = await startHub();
    expect((await ask(hub, "GET /messages?pattern=a")).status).toBe(200);
    const rebound = await ask(hub, "GET /messages?pattern=a", { headers: { host: "evil.example" } });
    expect([rebound.status, rebound.json.error.code]).toEqual([403, "origin-refused"]);
    expect((await ask(hub, "GET /healthz", { headers: { host: "evil.example" } })).status).toBe(200);
  });
});

describe("a cookie", () => {
  const cookie = { cookie: `other=1; dogear=${keys.reader}` };

  test.each(readings)("is enough to %s (P-71)", async (what) => {
    const hub = await startHub({ access: users() });
    expect(await statusOf(hub, what, { headers: cookie })).toBe(200);
    expect(await statusOf(hub, what, { headers: { ...cookie, "sec-fetch-site": "same-origin" } })).toBe(200);
    expect(await statusOf(hub, what, { headers: { ...cookie, "sec-fetch-site": "cross-site" } })).toBe(401);
    expect(await statusOf(hub, what, { headers: { ...cookie, origin: "https://evil.example" } })).toBe(403);
  });

  test.each(others)("is not enough to %s (P-71)", async (what) => {
    const hub = await startHub({ access: users() });
    expect(await statusOf(hub, what, { headers: { cookie: `dogear=${keys.admin}` } })).toBe(401);
  });

  test("has the name that was configured (P-71)", async () => {
    const hub = await startHub({ access: { ...users(), cookie: "session" } });
    expect(await statusOf(hub, readings[0], { headers: cookie })).toBe(401);
    expect(await statusOf(hub, readings[0], { headers: { cookie: `session=${keys.reader}` } })).toBe(200);
  });
});

describe("a ticket", () => {
  test("is good once, and its browser comes back with a cookie (P-72)", async () => {
    const hub = await startHub({ access: users() });
    const { json } = await ask(hub, "POST /ticket", { as: "reader" });
    expect(json).toEqual({ ticket: expect.any(String), expiresInMs: 30_000 });
    const url = `/events?pattern=orders.a&ticket=${json.ticket}`;
    const reader = await EventReader.open(hub, url);
    const [set = ""] = reader.response.headers["set-cookie"] ?? [];
    expect(set.split("; ").sort()).toEqual(
      [`dogear=${keys.reader}`, "HttpOnly", "Max-Age=86400", "Path=/events", "SameSite=Strict"].sort(),
    );
    expect((await ask(hub, `GET ${url}`)).json.error.code).toBe("unauthorized");
    const again = await EventReader.open(hub, url, { headers: { cookie: set.split(";", 1)[0] as string } });
    expect(again.response.headers["set-cookie"]).toBeUndefined();
  });

  test("is exchanged for a cookie that goes over TLS alone where it came so, and lives as long as its token (P-72)", async () => {
    const hub = await startHub({
      listen: { trustedProxies: ["127.0.0.1"] },
      access: { tokens: { secrets: [secret] } },
    });
    const authorization = `Bearer ${await tokenOf("ann", { ">": ["subscribe"] }, 50_000)}`;
    const { json } = await ask(hub, "POST /ticket", { headers: { authorization } });
    const headers = { "x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.1" };
    const reader = await EventReader.open(hub, `/events?pattern=a&ticket=${json.ticket}`, { headers });
    const [set = ""] = reader.response.headers["set-cookie"] ?? [];
    expect(set.split("; ")).toContain("Secure");
    expect(Number(set.match(/Max-Age=(\d+)/)?.[1])).toBeLessThanOrEqual(50);
  });

  test("of a token that is too large for a cookie sets none (P-72)", async () => {
    const hub = await startHub({ access: { tokens: { secrets: [secret] } } });
    const capabilities = Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`channel-${i}.>`, ["subscribe"]]));
    const authorization = `Bearer ${await tokenOf("ann", capabilities)}`;
    expect(authorization.length).toBeGreaterThan(3_800);
    const { json } = await ask(hub, "POST /ticket", { headers: { authorization } });
    const reader = await EventReader.open(hub, `/events?pattern=channel-1.a&ticket=${json.ticket}`);
    expect(reader.response.headers["set-cookie"]).toBeUndefined();
  });

  test("opens no other door, and is worth nothing when it is old (P-72)", async () => {
    const hub = await startHub({ access: users(), limits: { ticketMs: 1 } });
    const { json } = await ask(hub, "POST /ticket", { as: "admin" });
    expect((await ask(hub, `GET /admin/namespaces?ticket=${json.ticket}`)).status).toBe(401);
    await expect
      .poll(async () => {
        const { ticket } = (await ask(hub, "POST /ticket", { as: "reader" })).json;
        return statusOf(hub, `GET /messages?pattern=orders.a&ticket=${ticket}`);
      })
      .toBe(401);
  });
});

describe("a page", () => {
  const listen = { origins: ["https://app.example"] };
  const origin = "https://app.example";

  test("of an origin that is allowed may ask, and read what it is answered (P-71)", async () => {
    const hub = await startHub({ listen, access: users() });
    const { status, headers } = await ask(hub, readings[0], { as: "reader", headers: { origin } });
    expect([status, headers.vary]).toEqual([200, "Origin"]);
    expect(headers["access-control-allow-origin"]).toBe(origin);
    expect(headers["access-control-allow-credentials"]).toBe("true");
    expect(headers["access-control-expose-headers"]).toBe("Retry-After");
    const refused = await ask(hub, readings[0], { headers: { origin } });
    expect([refused.status, refused.headers["access-control-allow-origin"]]).toEqual([401, origin]);
  });

  test.each([...readings, ...others])("of another origin may not %s, whoever it shows (P-71)", async (what) => {
    const hub = await startHub({ listen, access: users() });
    for (const foreign of ["https://evil.example", "null", "http://app.example", "https://app.example.evil.example"]) {
      const { status, json, headers } = await ask(hub, what, { as: "admin", headers: { origin: foreign } });
      expect([status, json.error.code]).toEqual([403, "origin-refused"]);
      expect(headers["access-control-allow-origin"]).toBeUndefined();
    }
  });

  test("is told before it asks what it may (P-71)", async () => {
    const hub = await startHub({ listen, access: users() });
    const preflight = (from: string) =>
      ask(hub, "OPTIONS /publish/a", {
        headers: {
          origin: from,
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization,dogear-header-x",
        },
      });
    const { status, headers } = await preflight(origin);
    expect([status, headers["access-control-allow-origin"], headers["access-control-allow-methods"]]).toEqual([
      204,
      origin,
      "POST, OPTIONS",
    ]);
    expect(headers["access-control-allow-headers"]).toBe("authorization,dogear-header-x");
    const foreign = await preflight("https://evil.example");
    expect([foreign.status, foreign.headers["access-control-allow-origin"]]).toEqual([403, undefined]);
  });

  test("of any origin may read where all are allowed, but not with anybody's cookie (P-71)", async () => {
    const hub = await startHub({ listen: { origins: ["*"] }, access: users() });
    const { headers } = await ask(hub, readings[0], { as: "reader", headers: { origin: "https://any.example" } });
    expect(headers["access-control-allow-origin"]).toBe("https://any.example");
    expect(headers["access-control-allow-credentials"]).toBeUndefined();
  });
});

test("who stays, behind a proxy, is counted by its own address (P-77)", async () => {
  const limits = { addressConnectionsMax: 1 };
  const hub = await startHub({ listen: { trustedProxies: ["127.0.0.1"] }, limits, access: users() });
  const from = (address: string) => ({ as: "reader", headers: { "x-forwarded-for": address } }) as const;
  await EventReader.open(hub, "/events?pattern=orders.a", from("192.0.2.1"));
  const second = await ask(hub, "GET /events?pattern=orders.a", from("192.0.2.1"));
  expect([second.status, second.json.error.code]).toEqual([429, "too-many-connections"]);
  await EventReader.open(hub, "/events?pattern=orders.a", from("192.0.2.2"));
});
