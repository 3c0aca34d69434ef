/** What RFC 6455 says of frames, as cases: what a client sends after its hello, and what the hub makes of it. */
import { RawSocket } from "../protocol/raw-socket.ts";
import { closing, fin, fragments, frame, opcode, rsv1, rsv2, rsv3 } from "./frames.ts";

export interface Case {
  readonly what: string;
  /** The section of RFC 6455, or the rule of PROTOCOL.md, that it is about. */
  readonly rule: string;
  readonly sends: readonly Buffer[];
  /** The code of the hub's close frame; nothing where the session goes on. 1005: it has none. */
  readonly closes?: number;
  /** What drafts it publishes, in order: their `data`. */
  readonly publishes?: readonly unknown[];
  /** The payloads of pongs, in order. */
  readonly pongs?: readonly Buffer[];
}

function draft(data: unknown): string {
  return JSON.stringify({ is: "publish", number: 1, channel: "conformance", data });
}

/** The text of a draft as bytes, cut before each of these offsets from where its data begins. */
function cutInData(data: string, ...cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(draft(data));
  const start = bytes.indexOf('"data":"') + 8;
  const ends = [...cuts.map((cut) => start + cut), bytes.length];
  return ends.map((end, i) => bytes.subarray(i === 0 ? 0 : ends[i - 1], end));
}

/** A message of JSON whose string holds these bytes. */
function textOf(...bytes: readonly number[]): Buffer {
  return Buffer.concat([Buffer.from('{"is":"pong","x":"'), Buffer.from(bytes), Buffer.from('"}')]);
}

/** The data that makes a draft so long. */
function dataFor(length: number): string {
  return "x".repeat(length - draft("").length);
}

const pong = '{"is":"pong"}';
const header = (first: number) => RawSocket.frame(pong, { first });

const framing: readonly Case[] = [
  { what: "an unmasked message", rule: "5.1", sends: [RawSocket.frame(pong, { masked: false })], closes: 1002 },
  {
    what: "an unmasked ping",
    rule: "5.1",
    sends: [RawSocket.frame("x", { masked: false, first: fin | opcode.ping })],
    closes: 1002,
  },
  { what: "the first reserved bit", rule: "5.2", sends: [header(fin | rsv1 | opcode.text)], closes: 1002 },
  { what: "the second reserved bit", rule: "5.2", sends: [header(fin | rsv2 | opcode.text)], closes: 1002 },
  { what: "the third reserved bit", rule: "5.2", sends: [header(fin | rsv3 | opcode.text)], closes: 1002 },
  { what: "a reserved bit in a ping", rule: "5.2", sends: [header(fin | rsv1 | opcode.ping)], closes: 1002 },
  {
    what: "a reserved bit in a continuation",
    rule: "5.2",
    sends: [RawSocket.frame("{", { first: opcode.text }), header(fin | rsv1 | opcode.more)],
    closes: 1002,
  },
  ...[0x3, 0x7, 0xb, 0xf].map((unknown) => ({
    what: `the opcode ${unknown}`,
    rule: "5.2",
    sends: [header(fin | unknown)],
    closes: 1002,
  })),
  ...[2, 8].map((lengthBytes) => ({
    // The RFC wants as few bytes as it takes of whoever writes; whoever reads loses nothing by being kind.
    what: `a length in ${lengthBytes} bytes that needs none`,
    rule: "5.2",
    sends: [RawSocket.frame(draft(lengthBytes), { lengthBytes: lengthBytes as 2 | 8 })],
    publishes: [lengthBytes],
  })),
  ...[125, 126, 127, 65_535, 65_536].map((length) => ({
    what: `a message of ${length} bytes`,
    rule: "5.2",
    sends: [frame("text", draft(dataFor(length)))],
    publishes: [dataFor(length)],
  })),
  {
    what: "a mask of ones",
    rule: "5.3",
    sends: [RawSocket.frame(draft("masked"), { mask: [255, 255, 255, 255] })],
    publishes: ["masked"],
  },
  {
    what: "several messages in one segment",
    rule: "5.2",
    sends: [Buffer.concat([1, 2, 3].map((data) => frame("text", draft(data))))],
    publishes: [1, 2, 3],
  },
  {
    what: "a message in segments of one byte",
    rule: "5.2",
    sends: [...frame("text", draft("bytes"))].map((byte) => Buffer.of(byte)),
    publishes: ["bytes"],
  },
  { what: "an empty message", rule: "P-6", sends: [frame("text")], closes: 4500 },
  { what: "a binary message", rule: "P-6", sends: [frame("binary", draft(1))], closes: 4500 },
  { what: "a binary message in fragments", rule: "P-6", sends: fragments("binary", ["{", "}"]), closes: 4500 },
];

const fragmentation: readonly Case[] = [
  { what: "a continuation of nothing", rule: "5.4", sends: [header(fin | opcode.more)], closes: 1002 },
  {
    what: "a continuation of what has ended",
    rule: "5.4",
    sends: [...fragments("text", [pong.slice(0, 4), pong.slice(4)]), header(fin | opcode.more)],
    closes: 1002,
  },
  {
    what: "a new text inside a message",
    rule: "5.4",
    sends: [RawSocket.frame("{", { first: opcode.text }), header(fin | opcode.text)],
    closes: 1002,
  },
  {
    what: "a new binary message inside a message",
    rule: "5.4",
    sends: [RawSocket.frame("{", { first: opcode.text }), header(fin | opcode.binary)],
    closes: 1002,
  },
  {
    what: "a message with an empty first and an empty last fragment",
    rule: "5.4",
    sends: fragments("text", ["", draft("empty"), ""]),
    publishes: ["empty"],
  },
  {
    what: "a message in fragments of one byte",
    rule: "5.4",
    sends: fragments("text", [...draft("pieces")]),
    publishes: ["pieces"],
  },
  {
    what: "a ping and a pong between fragments",
    rule: "5.4",
    sends: fragments("text", cutInData("between", 3)).toSpliced(1, 0, frame("ping", "now"), frame("pong", "what")),
    publishes: ["between"],
    pongs: [Buffer.from("now")],
  },
];

const everyByte = Buffer.from(Array.from({ length: 125 }, (_, i) => (i * 2) % 256));

const control: readonly Case[] = [
  { what: "a ping of 126 bytes", rule: "5.5", sends: [frame("ping", "x".repeat(126))], closes: 1002 },
  { what: "a ping in fragments", rule: "5.5", sends: [RawSocket.frame("x", { first: opcode.ping })], closes: 1002 },
  { what: "a close in fragments", rule: "5.5", sends: [RawSocket.frame("", { first: opcode.close })], closes: 1002 },
  { what: "an empty ping", rule: "5.5.2", sends: [frame("ping")], pongs: [Buffer.alloc(0)] },
  { what: "a ping of 125 bytes of any kind", rule: "5.5.2", sends: [frame("ping", everyByte)], pongs: [everyByte] },
  { what: "a pong that nobody asked for", rule: "5.5.3", sends: [frame("pong", "hello"), frame("pong")], pongs: [] },
];

const face = "😀";

const utf8: readonly Case[] = [
  ...[1, 2, 3].map((cut) => ({
    what: `a character cut after its byte ${cut}`,
    rule: "8.1",
    sends: fragments("text", cutInData(face, cut)),
    publishes: [face],
  })),
  {
    what: "a character in four fragments, and an empty one in it",
    rule: "8.1",
    sends: fragments("text", cutInData(face, 1, 2, 2, 3)),
    publishes: [face],
  },
  {
    what: "a character whose last byte is missing, as the fragment after it shows",
    rule: "8.1",
    sends: fragments("text", [textOf(0xf0, 0x9f, 0x98).subarray(0, -2), '"}']),
    closes: 1007,
  },
  { what: "a message that ends in a character", rule: "8.1", sends: [frame("text", textOf(0xe2, 0x82))], closes: 1007 },
  { what: "half a surrogate pair", rule: "8.1", sends: [frame("text", textOf(0xed, 0xa0, 0x80))], closes: 1007 },
  { what: "a slash in two bytes", rule: "8.1", sends: [frame("text", textOf(0xc0, 0xaf))], closes: 1007 },
  { what: "U+110000", rule: "8.1", sends: [frame("text", textOf(0xf4, 0x90, 0x80, 0x80))], closes: 1007 },
  { what: "a byte that begins nothing", rule: "8.1", sends: [frame("text", textOf(0x80))], closes: 1007 },
  { what: "a byte that is in no character", rule: "8.1", sends: [frame("text", textOf(0xff))], closes: 1007 },
];

const close: readonly Case[] = [
  { what: "a close without a body", rule: "5.5.1", sends: [frame("close")], closes: 1005 },
  { what: "a close of one byte", rule: "5.5.1", sends: [frame("close", "x")], closes: 1002 },
  {
    what: "a close with the longest reason",
    rule: "5.5.1",
    sends: [frame("close", closing(1000, "x".repeat(123)))],
    closes: 1000,
  },
  {
    what: "a close with a reason of one byte more",
    rule: "5.5",
    sends: [frame("close", closing(1000, "x".repeat(124)))],
    closes: 1002,
  },
  {
    what: "a close whose reason is no UTF-8",
    rule: "8.1",
    sends: [frame("close", closing(1000, Buffer.of(0xc3, 0x28)))],
    closes: 1007,
  },
  ...[1000, 1001, 1003, 1011, 1014, 3000, 3999, 4000, 4999].map((code) => ({
    what: `a close with ${code}, which may be said`,
    rule: "7.4",
    sends: [frame("close", closing(code, "bye"))],
    closes: code,
  })),
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map((code) => ({
    what: `a close with ${code}, which may not be said`,
    rule: "7.4",
    sends: [frame("close", closing(code))],
    closes: 1002,
  })),
  {
    what: "a close inside a message",
    rule: "5.4",
    sends: [RawSocket.frame("{", { first: opcode.text }), frame("close", closing(1000))],
    closes: 1000,
  },
  {
    what: "two closes",
    rule: "5.5.1",
    sends: [Buffer.concat([frame("close", closing(1000)), frame("close", closing(1001))])],
    closes: 1000,
  },
];

export const cases: readonly Case[] = [...framing, ...fragmentation, ...control, ...utf8, ...close];
