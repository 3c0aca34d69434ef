/** The hub held to RFC 6455 by a client that writes its frames itself. */
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Server } from "../../server/src/server.ts";
import { acceptOf, RawSocket, upgrade } from "../protocol/raw-socket.ts";
import { count, expectGoodService, greet, publish, Reader, startHub } from "../protocol/support.ts";
import { figure } from "../support/figures.ts";
import { type Case, cases } from "./cases.ts";
import { closing, fin, frame, framesIn, opcode, type Received } from "./frames.ts";

let hub: Server;

beforeAll(async () => {
  hub = await startHub();
});

afterAll(async () => {
  await expectGoodService(hub);
});

/** What came after the handshake, frame by frame. */
function received(raw: RawSocket): readonly Received[] {
  return framesIn(Buffer.from(raw.received.slice(raw.received.indexOf("\r\n\r\n") + 4), "latin1")).frames;
}

function payloadsOf(raw: RawSocket, kind: keyof typeof opcode): Buffer[] {
  return received(raw)
    .filter(({ first }) => first === (fin | opcode[kind]))
    .map(({ payload }) => payload);
}

/** The code of the first close frame; 1005 for one that has none. */
function closeCodeOf(raw: RawSocket): number | undefined {
  const [body] = payloadsOf(raw, "close");
  return body === undefined || body.length >= 2 ? body?.readUInt16BE(0) : 1005;
}

async function expectClosed(raw: RawSocket, code: number): Promise<void> {
  await raw.until(() => raw.ended);
  expect(closeCodeOf(raw)).toBe(code);
  // Section 5.5.1: after a close frame nothing is sent.
  expect(received(raw).at(-1)?.first).toBe(fin | opcode.close);
}

/** The session goes on: what was sent has been taken, in order, and a ping that comes last is answered. */
async function expectTaken(raw: RawSocket, { publishes = [], pongs = [] }: Case): Promise<void> {
  raw.write(frame("ping", "last"));
  await raw.until(() => payloadsOf(raw, "pong").some((payload) => payload.toString() === "last"));
  expect(payloadsOf(raw, "pong").slice(0, -1)).toEqual(pongs);
  const answers = () => raw.received.split('"is":"published"').length - 1;
  await raw.until(() => answers() === publishes.length);
  raw.write(frame("close", closing(1000)));
  await expectClosed(raw, 1000);
}

describe("the hub", () => {
  it.each(cases)("keeps to the rules over $what ($rule, P-15)", async (one) => {
    const reader = new Reader(await greet(hub));
    const place = await reader.subscribe({ pattern: "conformance" });
    const raw = await RawSocket.greet(hub);
    for (const bytes of one.sends) raw.write(bytes);
    if (one.closes === undefined) await expectTaken(raw, one);
    else await expectClosed(raw, one.closes);
    const { publishes = [] } = one;
    await reader.until(() => place.messages.length >= publishes.length);
    expect(place.messages.map(({ data }) => data)).toEqual(publishes);
    figure("WebSocket cases", 1);
  });

  it("does nothing that is asked for after a close (5.5.1)", async () => {
    const raw = await RawSocket.greet(hub);
    const draft = (number: number) => JSON.stringify({ is: "publish", number, channel: "after", data: number });
    raw.write(Buffer.concat([frame("text", draft(1)), frame("close", closing(1000)), frame("text", draft(2))]));
    await raw.until(() => raw.ended);
    const reader = new Reader(await greet(hub));
    const place = await reader.subscribe({ pattern: "after", from: "earliest" });
    await publish(await greet(hub), "after", "end");
    await reader.until(() => place.messages.at(-1)?.data === "end");
    expect(place.messages.map(({ data }) => data)).toEqual([1, "end"]);
  });

  it("answers a close while it sends, behind a whole frame (5.5.1)", async () => {
    const publisher = await greet(hub);
    for (const _ of count(1, 30)) await publish(publisher, "backlog", ...count(1, 10).map(() => "x".repeat(10_000)));
    const raw = await RawSocket.greet(hub);
    const window = { messages: 1_000, bytes: 10_000_000 };
    raw.write(
      frame("text", JSON.stringify({ is: "subscribe", subscription: 1, pattern: "backlog", from: "earliest", window })),
    );
    await raw.untilText('"messages"');
    raw.write(frame("close", closing(1001)));
    await expectClosed(raw, 1001);
    const stream = Buffer.from(raw.received.slice(raw.received.indexOf("\r\n\r\n") + 4), "latin1");
    expect(framesIn(stream).rest).toHaveLength(0);
    for (const { first, payload } of received(raw).slice(0, -1)) {
      expect(first).toBe(fin | opcode.text);
      JSON.parse(payload.toString());
    }
  });

  it("says of many pings at once that it has had the last (5.5.2)", async () => {
    const raw = await RawSocket.greet(hub);
    raw.write(Buffer.concat(count(1, 50).map((i) => frame("ping", `${i}`))));
    await raw.until(() => payloadsOf(raw, "pong").at(-1)?.toString() === "50");
  });
});

describe("a handshake", () => {
  async function answerTo(request: string): Promise<string> {
    const raw = await RawSocket.connect(hub);
    raw.write(request);
    const answer = await raw.untilText("\r\n\r\n");
    raw.socket.destroy();
    return answer;
  }

  it.each([
    ["several options of a connection", { Connection: "keep-alive, Upgrade" }],
    ["capitals", { Upgrade: "WebSocket", Connection: "UPGRADE" }],
    ["extensions that the hub does not know", { "Sec-WebSocket-Extensions": "permessage-deflate, x-webkit-deflate" }],
    ["its subprotocol behind others", { "Sec-WebSocket-Protocol": "mqtt, dogear.v2.json, dogear.v1.json" }],
  ])("with %s is accepted (4.2.1, P-5)", async (_what, headers) => {
    const key = "dGhlIHNhbXBsZSBub25jZQ==";
    const answer = await answerTo(upgrade({ "Sec-WebSocket-Key": key, ...headers }));
    expect(answer).toMatch(/^HTTP\/1\.1 101 /);
    expect(answer).toContain(`Sec-WebSocket-Accept: ${acceptOf(key)}\r\n`);
    expect(answer.match(/Sec-WebSocket-Protocol: .*/g)).toEqual(["Sec-WebSocket-Protocol: dogear.v1.json"]);
    expect(answer).not.toContain("Sec-WebSocket-Extensions");
  });

  it.each([
    ["another method", (text: string) => text.replace("GET", "POST")],
    ["no host", (text: string) => text.replace(/Host: .*\r\n/, "")],
    ["a key twice", (text: string) => text.replace(/(Sec-WebSocket-Key: .*\r\n)/, "$1$1")],
    ["a key of 15 bytes", (text: string) => text.replace(/(?<=Key: ).*/, Buffer.alloc(15).toString("base64"))],
    ["a newer version", (text: string) => text.replace("Version: 13", "Version: 14")],
  ])("with %s is refused (4.2.1)", async (_what, change) => {
    expect(await answerTo(change(upgrade()))).toMatch(/^HTTP\/1\.1 4\d\d /);
  });

  it("of a version that the hub does not speak is told which it speaks (4.4)", async () => {
    const answer = await answerTo(upgrade({ "Sec-WebSocket-Version": "14" }));
    expect(answer).toMatch(/^Sec-WebSocket-Version: .*\b13\b/m);
  });

  it("that ends in the middle of a frame ends its session, and no other (7.1.1)", async () => {
    const raw = await RawSocket.greet(hub);
    raw.write(frame("text", "x".repeat(100)).subarray(0, 50));
    raw.socket.end();
    await once(raw.socket, "close");
  });
});
