/** What comes to the hub's port and is no WebSocket, or is none for long. */
import { request } from "node:http";
import { describe, expect, it } from "vitest";
import { acceptOf, RawSocket, upgrade } from "./raw-socket.ts";
import { expectGoodService, greet, startHub } from "./support.ts";

describe("plain HTTP", () => {
  it.each(["GET", "POST", "HEAD", "OPTIONS", "DELETE"])("%s is answered, and hurts nobody", async (method) => {
    const hub = await startHub();
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const asked = request({ host: "127.0.0.1", port: hub.port, method, path: "/../../etc/passwd" });
      asked.on("response", (response) => resolve(response.resume().statusCode)).on("error", reject);
      asked.end(method === "POST" ? "x".repeat(10_000) : undefined);
    });
    expect(status).toBe(404);
    await expectGoodService(hub);
  });
});

describe("a handshake", () => {
  it("that is right is accepted by the rules of WebSocket", async () => {
    const raw = await RawSocket.connect(await startHub());
    const key = "dGhlIHNhbXBsZSBub25jZQ==";
    raw.write(upgrade({ "Sec-WebSocket-Key": key }));
    const answer = await raw.untilText("\r\n\r\n");
    expect(answer).toContain(`Sec-WebSocket-Accept: ${acceptOf(key)}`);
    expect(answer).not.toContain("Sec-WebSocket-Extensions");
  });

  it.each([
    ["no key", { "Sec-WebSocket-Key": undefined }],
    ["a key that is none", { "Sec-WebSocket-Key": "short" }],
    ["an old version", { "Sec-WebSocket-Version": "7" }],
    ["another upgrade", { Upgrade: "h2c" }],
    ["no subprotocol", { "Sec-WebSocket-Protocol": undefined }],
    ["an unknown subprotocol", { "Sec-WebSocket-Protocol": "mqtt, graphql-ws" }],
    ["a subprotocol twice", { "Sec-WebSocket-Protocol": "dogear.v1.json, dogear.v1.json" }],
    ["a subprotocol that is no token", { "Sec-WebSocket-Protocol": "dogear.v1.json, (" }],
    ["ten thousand subprotocols", { "Sec-WebSocket-Protocol": `a${",b".repeat(10_000)}` }],
    ["a very large header", { "X-Large": "x".repeat(20_000) }],
  ])("with %s is refused (P-5)", async (_what, headers) => {
    const hub = await startHub();
    const raw = await RawSocket.connect(hub);
    raw.write(upgrade(headers));
    await raw.until(() => raw.ended);
    expect(raw.received).toMatch(/^HTTP\/1\.1 4\d\d /);
    await expectGoodService(hub);
  });

  it("that was refused leaves nothing behind, also where the client does not hang up", async () => {
    const hub = await startHub();
    const raw = await RawSocket.connect(hub);
    raw.write(upgrade({ "Sec-WebSocket-Protocol": "mqtt" }));
    await raw.until(() => raw.ended);
    // Nobody is there any more: what is written now is answered by a reset.
    await raw.until(() => {
      raw.write("x");
      return raw.closed;
    });
  });

  it("that stops in the middle is given up in the time for a hello (P-8)", async () => {
    const hub = await startHub({ limits: { helloTimeoutMs: 200 } });
    const [silent, half] = [await RawSocket.connect(hub), await RawSocket.connect(hub)];
    half.write(upgrade().slice(0, 60));
    await half.until(() => half.ended && silent.ended);
    await expectGoodService(hub);
  });

  it("that is reset before and after it was answered hurts nobody", async () => {
    const hub = await startHub();
    for (const sent of ["", upgrade().slice(0, 60), upgrade(), upgrade({ "Sec-WebSocket-Protocol": "mqtt" })]) {
      for (let i = 0; i < 5; i++) {
        const raw = await RawSocket.connect(hub);
        raw.write(sent);
        raw.socket.resetAndDestroy();
      }
    }
    await expectGoodService(hub);
  });

  it("that is followed at once by the first envelopes loses none of them", async () => {
    const hub = await startHub();
    const raw = await RawSocket.connect(hub);
    const envelopes = ['{"is":"hello","protocol":1}', '{"is":"publish","number":1,"channel":"a","data":1}'];
    raw.write(Buffer.concat([Buffer.from(upgrade()), ...envelopes.map((envelope) => RawSocket.frame(envelope))]));
    expect(await raw.untilText('"published"')).toContain('"number":1');
  });
});

describe("bytes that are no HTTP", () => {
  it.each([
    ["zeros", Buffer.alloc(1_000)],
    ["TLS", Buffer.from("16030100c8010000c40303", "hex")],
    ["noise", Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * 7_919) % 256))],
    ["HTTP/2", Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")],
    [
      "a smuggled length",
      Buffer.from("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"),
    ],
  ])("such as %s are turned away", async (_what, bytes) => {
    const hub = await startHub();
    const raw = await RawSocket.connect(hub);
    raw.write(bytes);
    await raw.until(() => raw.ended);
    expect(raw.received === "" || raw.received.startsWith("HTTP/1.1 4")).toBe(true);
    await expectGoodService(hub);
  });
});

describe("a WebSocket that abuses the rules of WebSocket", () => {
  it("by pinging without reading the pongs costs little, and others are served", async () => {
    const hub = await startHub();
    const raw = await RawSocket.greet(hub);
    raw.socket.pause();
    const ping = RawSocket.frame("x".repeat(125), { first: 0x89 });
    const pings = Buffer.concat(Array.from({ length: 10_000 }, () => ping));
    for (let i = 0; i < 10; i++) raw.write(pings);
    await expectGoodService(hub);
  });

  it("by a message in very many fragments is closed, and others are served", async () => {
    const hub = await startHub();
    const raw = await RawSocket.greet(hub);
    const fragment = RawSocket.frame("", { first: 0x00 });
    raw.write(RawSocket.frame("{", { first: 0x01 }));
    for (let i = 0; i < 20; i++) raw.write(Buffer.concat(Array.from({ length: 1_000 }, () => fragment)));
    await raw.until(() => raw.closeCode !== undefined || raw.ended);
    expect(raw.closeCode).toBe(1008);
    await expectGoodService(hub);
  });

  it("by vanishing without a close ends its session (P-14)", async () => {
    const hub = await startHub({ limits: { heartbeatMs: 100, heartbeatGraceMs: 100 } });
    const raw = await RawSocket.greet(hub);
    const witness = await greet(hub);
    raw.write(RawSocket.frame('{"is":"subscribe","subscription":1,"pattern":"a"}'));
    raw.socket.pause();
    await witness.next("ping");
    raw.socket.resume();
    await raw.until(() => raw.closeCode !== undefined || raw.ended);
    expect(raw.closeCode).toBe(4003);
  });
});
