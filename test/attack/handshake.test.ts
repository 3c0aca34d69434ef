/** Attacks on the way in: from foreign pages, through proxies, by headers, and by those who only hold the door. */
import { beforeAll, describe, expect, it } from "vitest";
import { RawSocket, upgrade } from "../protocol/raw-socket.ts";
import { greet, hello, startHub } from "../protocol/support.ts";
import { open } from "../support/bare-socket.ts";
import type { HubProcess } from "../support/hub-process.ts";
import { signed, tokenConfig } from "../support/tokens.ts";
import { besieged, expectUnharmed, root } from "./support.ts";

type Headers = Readonly<Record<string, string | undefined>>;

/** The status of the answer to a handshake, and all of it. */
async function handshake(hub: { readonly port: number }, headers: Headers) {
  const raw = await RawSocket.connect(hub);
  raw.write(upgrade(headers));
  const answer = await raw.untilText("\r\n\r\n");
  return { raw, answer, status: Number(answer.slice(9, 12)) };
}

describe("a page", () => {
  it("of a foreign origin gets no WebSocket, whatever it looks like (P-84)", async () => {
    const hub = await startHub({ ...tokenConfig, listen: { origins: ["https://app.example.com"] } });
    const status = async (Origin: string | undefined) => (await handshake(hub, { Origin })).status;
    for (const origin of [undefined, "https://app.example.com", "http://localhost"]) {
      expect(await status(origin)).toBe(101);
    }
    for (const origin of [
      "null",
      "https://evil.com",
      "https://app.example.com.evil.com",
      "https://app.example.com:444",
      "HTTPS://APP.EXAMPLE.COM",
      "https://evil.com https://app.example.com",
    ]) {
      const refused = await handshake(hub, { Origin: origin });
      expect([origin, refused.status]).toEqual([origin, 403]);
      expect(refused.answer).toContain("origin-refused");
    }
  });

  it("does not reach a hub without tokens by its own name (DNS rebinding)", async () => {
    const hub = await startHub({ listen: { hosts: ["hub.local"] } });
    for (const Host of ["evil.com", "evil.com:7600", "127.0.0.1.evil.com", "[fe80::1%eth0]", "[::1]x", ""]) {
      for (const Origin of [undefined, `http://${Host}`]) {
        expect([Host, (await handshake(hub, { Host, Origin })).status]).toEqual([Host, 403]);
      }
    }
    for (const Host of ["localhost", "127.0.0.1:7600", "[::1]:7600", "hub.local"]) {
      expect((await handshake(hub, { Host, Origin: `http://${Host}` })).status).toBe(101);
    }
    const http10 = await RawSocket.connect(hub);
    http10.write(upgrade({ Host: undefined }).replace("HTTP/1.1", "HTTP/1.0"));
    expect(await http10.untilText("\r\n\r\n")).not.toContain(" 101 ");
  });
});

describe("behind a trusted proxy", () => {
  const listen = { trustedProxies: ["127.0.0.1"] };

  it("each client has the connections of an address, and those of a whole IPv6 network are of one (P-84)", async () => {
    const hub = await startHub({ ...tokenConfig, listen, limits: { addressConnectionsMax: 2 } });
    const status = async (address: string) => (await handshake(hub, { "X-Forwarded-For": address })).status;
    expect(await status("203.0.113.7")).toBe(101);
    const second = await handshake(hub, { "X-Forwarded-For": "1.1.1.1, 203.0.113.7" });
    expect(second.status).toBe(101);
    const third = await handshake(hub, { "X-Forwarded-For": "2.2.2.2, 203.0.113.7" });
    expect(third.status).toBe(429);
    expect(third.answer).toMatch(/Retry-After: 1[\s\S]*too-many-connections/);
    expect(await status("203.0.113.8")).toBe(101);
    for (const [i, expected] of [101, 101, 429].entries()) {
      expect(await status(`2001:db8::${i}:1`)).toBe(expected);
    }
    second.raw.socket.destroy();
    await second.raw.until(() => second.raw.closed);
    await expect.poll(() => status("203.0.113.7")).toBe(101);
  });

  it("handshakes of an address come no faster than they may (P-84)", async () => {
    const hub = await startHub({ ...tokenConfig, listen, limits: { addressHandshakesPerSecondMax: 5 } });
    const flood = Array.from({ length: 30 }, () => handshake(hub, { "X-Forwarded-For": "203.0.113.7" }));
    const statuses = (await Promise.all(flood)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([101, 429]));
    await expect.poll(async () => (await handshake(hub, { "X-Forwarded-For": "203.0.113.7" })).status).toBe(101);
  });
});

describe("a stranger's word for whose it is", () => {
  it("counts nothing: there is no proxy that was told of", async () => {
    const hub = await startHub({ ...tokenConfig, limits: { addressConnectionsMax: 1 } });
    for (let i = 0; i < 4; i++) {
      const { status } = await handshake(hub, { "X-Forwarded-For": "203.0.113.7", "X-Forwarded-Host": "evil.com" });
      expect(status).toBe(101);
    }
  });
});

describe("connections", () => {
  it("are no more than the hub takes; one more is told so, and finds room when another has gone (P-84)", async () => {
    const hub = await startHub({ ...tokenConfig, limits: { connectionsMax: 3 } });
    const all = [await greet(hub, root), await greet(hub, root), await greet(hub, root)];
    const { status, answer } = await handshake(hub, {});
    expect(status).toBe(503);
    expect(answer).toContain("too-many-connections");
    all[0]?.terminate();
    await expect.poll(async () => (await handshake(hub, {})).status).toBe(101);
  });

  it("of one user are no more than it may have, and of others as many (P-84)", async () => {
    const hub = await startHub({ ...tokenConfig, limits: { userConnectionsMax: 2 } });
    const token = signed({ sub: "ada" });
    const [first] = [await greet(hub, { token }), await greet(hub, { token: signed({ sub: "ada", jti: "2" }) })];
    const third = await open(hub.url);
    third.send(hello({ token }));
    expect(await third.closed).toEqual({ code: 4007, reason: "too-many-connections" });
    await greet(hub, { token: signed({ sub: "bob" }) });
    first?.close();
    await first?.closed;
    await greet(hub, { token });
  });
});

describe("a hub that is besieged", () => {
  let hub: HubProcess;

  beforeAll(async () => {
    hub = await besieged({ limits: { helloTimeoutMs: 1_500 } });
  });

  it("gives up those who send their headers slowly, or nothing, or half a body (slowloris)", async () => {
    const slow = await Promise.all(Array.from({ length: 40 }, () => RawSocket.connect(hub)));
    const bytes = Buffer.from(`${upgrade().slice(0, -2)}X-Slow: ${"a".repeat(500)}`);
    for (const [i, raw] of slow.entries()) {
      if (i % 4 === 1) raw.write(upgrade().slice(0, 40));
      if (i % 4 === 2) void raw.trickle(bytes, 20);
      if (i % 4 === 3) raw.write("POST /publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{");
    }
    await expectUnharmed(hub);
    await Promise.all(slow.map((raw) => raw.until(() => raw.closed || raw.ended, 10_000)));
    await expectUnharmed(hub);
  });

  it.each([
    ["ten thousand headers", `${"X: y\r\n".repeat(10_000)}`],
    ["two thousand short ones", `${"a:b\r\n".repeat(2_100)}`],
    ["a header without end", `X: ${"y".repeat(1_000_000)}`],
    ["a name without end", "x".repeat(100_000)],
    ["a smuggled length", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"],
    ["a folded header", "X: a\r\n b\r\n\tc\r\n\r\n"],
    ["bare line feeds", "X: a\nY: b\n\n"],
    ["bytes that are no text", "X: \x00\x01\x7f\r\n\r\n"],
    ["a token that is no header", "Authorization: Bearer \r\nAuthorization: Bearer x\r\nCookie: dogear=\r\n\r\n"],
    ["JavaScript's own names", "__proto__: x\r\nconstructor: y\r\n\r\n"],
    ["ten thousand proxies", `X-Forwarded-For: ${"1.1.1.1,".repeat(1_500)}\r\n\r\n`],
    ["extensions without end", `Sec-WebSocket-Extensions: ${"permessage-deflate; a=b, ".repeat(400)}\r\n\r\n`],
    ["an extension that is none", 'Sec-WebSocket-Extensions: permessage-deflate; x="\\\r\n\r\n'],
  ])("answers %s or hangs up", async (_what, headers) => {
    const raw = await RawSocket.connect(hub);
    raw.write(upgrade().slice(0, -2) + headers);
    await raw.until(() => raw.ended || raw.received.includes("\r\n\r\n"), 12_000);
    raw.socket.destroy();
    await expectUnharmed(hub);
  });

  it("is not hurt by those who reset their connections at any point of the handshake", async () => {
    const request = upgrade();
    for (let cut = 0; cut <= request.length; cut += 9) {
      const raw = await RawSocket.connect(hub);
      raw.write(request.slice(0, cut));
      raw.socket.resetAndDestroy();
    }
    for (let i = 0; i < 20; i++) {
      const raw = await RawSocket.connect(hub);
      raw.write(`${request}GET / HTTP/1.1\r\n\r\n`);
      if (i % 2 === 0) await raw.untilText("101");
      raw.socket.resetAndDestroy();
    }
    await expectUnharmed(hub);
  });
});
