/**
 * The SDK over `ws`, held to RFC 6455 by a hub that misbehaves: what is right is taken, and over what is wrong the client
 * fails the connection, comes back and loses nothing (P-15, P-25).
 */
import type { ConnectionState } from "@dogear/client";
import { beforeAll, describe, expect, it } from "vitest";
import type { Server } from "../../server/src/server.ts";
import { RawSocket } from "../protocol/raw-socket.ts";
import { startHub } from "../protocol/support.ts";
import { figure } from "../support/figures.ts";
import { clientOf } from "../support/hub.ts";
import { closing, fin, opcode, rsv1, rsv2, rsv3 } from "./frames.ts";
import { hubFrame, type Misbehaviour, rightHandshake, rogueEpoch, startRogueHub } from "./rogue-hub.ts";

let hub: Server;

beforeAll(async () => {
  hub = await startHub();
});

/** Publishes once through a hub that misbehaves; resolves with what came of it. */
async function publishThrough(misbehaviour: Misbehaviour) {
  const rogue = await startRogueHub(hub.port, misbehaviour);
  const dogear = clientOf(rogue.url);
  const states: ConnectionState[] = [];
  dogear.addEventListener("state", ({ detail }) => states.push(detail));
  const { epoch } = await dogear.publish("conformance", "draft");
  figure("WebSocket cases", 1);
  return { rogue, states, byRogue: epoch === rogueEpoch };
}

/** A hub's text in pieces. */
function inPieces(text: Buffer | string, size: number): Buffer[] {
  const bytes = Buffer.from(text);
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );
  return pieces.map((piece, i) =>
    hubFrame(piece, (i === pieces.length - 1 ? fin : 0) | (i === 0 ? opcode.text : opcode.more)),
  );
}

const control = (kind: "ping" | "pong" | "close", payload: string | Buffer = "") =>
  hubFrame(payload, fin | opcode[kind]);

describe("a client takes", () => {
  const right: readonly [what: string, rule: string, says: (published: string) => readonly Buffer[]][] = [
    ["an answer in fragments of one byte", "5.4", (text) => inPieces(text, 1)],
    ["an answer in segments of one byte", "5.2", (text) => [...hubFrame(text)].map((byte) => Buffer.of(byte))],
    ["empty fragments", "5.4", (text) => [hubFrame("", opcode.text), hubFrame(text, opcode.more), hubFrame("", fin)]],
    ["a length of eight bytes", "5.2", (text) => [RawSocket.frame(text, { masked: false, lengthBytes: 8 })]],
    ["a pong that it did not ask for", "5.5.3", (text) => [control("pong", "x"), hubFrame(text)]],
    ["an answer before a close", "5.5.1", (text) => [hubFrame(text), control("close", closing(1001))]],
    [
      "a character in fragments",
      "8.1",
      (text) => inPieces(`[{"is":"error","code":"draining","message":"😀"},${text}]`, 1),
    ],
    ["a ping between fragments", "5.4", (text) => inPieces(text, 40).toSpliced(1, 0, control("ping", "between"))],
  ];

  it.each(right)("%s (%s)", async (_what, _rule, says) => {
    expect((await publishThrough({ says })).byRogue).toBe(true);
  });

  it("a ping of any bytes, and sends them back (5.5.2, 5.5.3)", async () => {
    const bytes = Buffer.from(Array.from({ length: 125 }, (_, i) => 255 - i));
    const { rogue } = await publishThrough({ says: (text) => [control("ping", bytes), hubFrame(text)] });
    const pong = await rogue.heard.find(({ first }) => first === (fin | opcode.pong));
    expect(pong.payload).toEqual(bytes);
  });
});

describe("a client fails the connection, comes back and publishes once, over", () => {
  const cut = (text: string) => Buffer.from(text).subarray(0, 20);
  const wrong: readonly [what: string, rule: string, closes: number, says: (published: string) => readonly Buffer[]][] =
    [
      ["a masked frame", "5.1", 1002, (text) => [RawSocket.frame(text)]],
      ["the first reserved bit", "5.2", 1002, (text) => [hubFrame(text, fin | rsv1 | opcode.text)]],
      ["the second reserved bit", "5.2", 1002, (text) => [hubFrame(text, fin | rsv2 | opcode.text)]],
      ["the third reserved bit", "5.2", 1002, (text) => [hubFrame(text, fin | rsv3 | opcode.text)]],
      ["an unknown opcode", "5.2", 1002, (text) => [hubFrame(text, fin | 0x3)]],
      ["an unknown control opcode", "5.2", 1002, () => [hubFrame("", fin | 0xb)]],
      ["a continuation of nothing", "5.4", 1002, (text) => [hubFrame(text, fin | opcode.more)]],
      ["a text inside a message", "5.4", 1002, (text) => [hubFrame("[", opcode.text), hubFrame(text)]],
      ["a ping in fragments", "5.5", 1002, () => [hubFrame("", opcode.ping)]],
      ["a ping of 126 bytes", "5.5", 1002, () => [control("ping", "x".repeat(126))]],
      ["a length with the top bit", "5.2", 1009, () => [Buffer.from("817f8000000000000001", "hex")]],
      ["a length that no memory has", "5.2", 1009, () => [Buffer.from("817f0010000000000000", "hex")]],
      ["text that is no UTF-8", "8.1", 1007, () => [hubFrame(Buffer.of(0x22, 0xc3, 0x28, 0x22))]],
      ["a character that a fragment cuts off", "8.1", 1007, () => inPieces(Buffer.of(0x22, 0xf0, 0x9f, 0x22), 3)],
      ["a close with 999", "7.4", 1002, () => [control("close", closing(999))]],
      ["a close with 1005", "7.4", 1002, () => [control("close", closing(1005))]],
      ["a close with 1006", "7.4", 1002, () => [control("close", closing(1006))]],
      ["a close of one byte", "5.5.1", 1002, () => [control("close", "x")]],
      ["a close whose reason is no UTF-8", "8.1", 1007, () => [control("close", closing(1000, Buffer.of(0xff)))]],
      // From here on the frames are right and what they hold is not: the client hangs up as one that has finished.
      ["an empty message", "P-6", 1000, () => [hubFrame("")]],
      ["half an envelope", "P-6", 1000, (text) => [hubFrame(cut(text))]],
      ["null", "P-6", 1000, () => [hubFrame("null")]],
      ["an answer in a binary message", "P-6", 1000, (text) => [hubFrame(text, fin | opcode.binary)]],
    ];

  it.each(wrong)("%s (%s)", async (_what, _rule, closes, says) => {
    // What comes behind the mistake is right, and too late.
    const { rogue, states, byRogue } = await publishThrough({ says: (text) => [...says(text), hubFrame(text)] });
    expect(byRogue).toBe(false);
    expect(states.map(({ name }) => name)).toContain("waiting");
    const { payload } = await rogue.heard.find(({ first }) => first === (fin | opcode.close));
    expect(payload.readUInt16BE(0)).toBe(closes);
    await rogue.gone;
  });

  it("what comes after a close (5.5.1)", async () => {
    const says = (text: string) => [control("close", closing(1001)), hubFrame(text)];
    expect((await publishThrough({ says })).byRogue).toBe(false);
  });
});

describe("a client does not trust a handshake, and comes back, where", () => {
  const wrong: readonly [what: string, handshake: (accept: string) => string][] = [
    ["the key is not answered", () => rightHandshake("dGhlIHNhbXBsZSBub25jZQ==")],
    ["it has no answer to the key", (accept) => rightHandshake(accept).replace(/Sec-WebSocket-Accept.*\r\n/, "")],
    ["the status is 200", (accept) => rightHandshake(accept).replace("101 Switching Protocols", "200 OK")],
    ["it leads elsewhere", () => "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"],
    ["it is refused", () => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"],
    ["no subprotocol is chosen", (accept) => rightHandshake(accept).replace(/Sec-WebSocket-Protocol.*\r\n/, "")],
    ["another subprotocol is chosen", (accept) => rightHandshake(accept).replace("dogear.v1.json", "mqtt")],
    ["it upgrades to something else", (accept) => rightHandshake(accept).replace("Upgrade: websocket", "Upgrade: h2c")],
    [
      "an extension is chosen that nobody offered",
      (accept) => rightHandshake(accept).replace("\r\n", "\r\nSec-WebSocket-Extensions: x-unknown\r\n"),
    ],
    ["it is no HTTP", () => "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
  ];

  it.each(wrong)("%s (4.1)", async (_what, handshake) => {
    const { byRogue, states } = await publishThrough({ handshake, says: (text) => [hubFrame(text)] });
    expect(byRogue).toBe(false);
    expect(states.map(({ name }) => name)).toContain("waiting");
  });
});
