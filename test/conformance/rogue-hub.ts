/**
 * A hub that misbehaves over its first connection, byte by byte as a test says. Later connections lead to a real one, so
 * that whoever comes back is served.
 *
 *     first connection     client ◄────► rogue
 *     those after it       client ◄──────────────► hub
 */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { jsonSubprotocol } from "@dogear/shared";
import { acceptOf, RawSocket } from "../protocol/raw-socket.ts";
import { whenDone } from "../support/temp.ts";
import { Collected } from "../support/waiting.ts";
import { framesIn, opcode, type Received } from "./frames.ts";

/** The epoch that a rogue's answers name, which no hub's does. */
export const rogueEpoch = "rogue";

export interface Misbehaviour {
  /** Answers the handshake, instead of as the RFC wants it; whatever follows is its own business. */
  readonly handshake?: (accept: string) => string;
  /** What it says when it has a draft; `published` is the right answer to it. */
  readonly says?: (published: string) => readonly Buffer[];
}

export interface RogueHub {
  readonly url: string;
  /** The frames that came over the first connection. */
  readonly heard: Collected<Received>;
  /** The first connection is gone. */
  readonly gone: Promise<void>;
}

/** The headers of a handshake as they should be. */
export function rightHandshake(accept: string): string {
  const headers = ["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`];
  return `HTTP/1.1 101 Switching Protocols\r\n${headers.join("\r\n")}\r\nSec-WebSocket-Protocol: ${jsonSubprotocol}\r\n\r\n`;
}

/** What a hub says, as a hub frames it. */
export function hubFrame(payload: string | Buffer, first = 0x80 | opcode.text): Buffer {
  return RawSocket.frame(payload, { first, masked: false });
}

export async function startRogueHub(port: number, misbehaviour: Misbehaviour): Promise<RogueHub> {
  const heard = new Collected<Received>();
  const sockets: Socket[] = [];
  let left = (): void => {};
  const gone = new Promise<void>((resolve) => {
    left = resolve;
  });
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    if (sockets.length > 1) return passOn(socket, port);
    socket.once("close", left);
    misbehave(socket, misbehaviour, heard);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  whenDone(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, heard, gone };
}

function passOn(near: Socket, port: number): void {
  const far = connect({ port, host: "127.0.0.1", noDelay: true });
  far.on("error", () => {});
  far.on("close", () => near.destroy());
  near.on("close", () => far.destroy());
  near.pipe(far).pipe(near);
}

function misbehave(
  socket: Socket,
  { handshake = rightHandshake, says }: Misbehaviour,
  heard: Collected<Received>,
): void {
  let bytes = Buffer.alloc(0);
  let upgraded = false;
  socket.on("data", (more: Buffer) => {
    bytes = Buffer.concat([bytes, more]);
    if (!upgraded) {
      const end = bytes.indexOf("\r\n\r\n");
      if (end < 0) return;
      const key = /Sec-WebSocket-Key: (.*)\r\n/i.exec(bytes.toString("latin1"))?.[1] ?? "";
      socket.write(handshake(acceptOf(key)), "latin1");
      bytes = bytes.subarray(end + 4);
      upgraded = true;
    }
    const { frames, rest } = framesIn(bytes);
    bytes = Buffer.from(rest);
    for (const frame of frames) hear(frame);
  });
  const hear = (frame: Received): void => {
    heard.add(frame);
    // Section 7.1.1: it is the server that closes the connection.
    if (frame.first === (0x80 | opcode.close)) socket.end();
    const text = frame.payload.toString();
    if (text.includes('"hello"')) socket.write(hubFrame(JSON.stringify({ ...welcome, time: Date.now() })));
    if (!text.includes('"publish"')) return;
    for (const said of says?.(JSON.stringify(published)) ?? []) socket.write(said);
  };
}

const welcome = {
  is: "welcome",
  protocol: 1,
  hub: "rogue",
  session: "s",
  user: "u",
  heartbeatMs: 25_000,
  limits: { messageBytesMax: 262_144, draftBytesMax: 1_000_000, producerMemoryMs: 1_000_000, windowMessagesMax: 1_000 },
};

const published = { is: "published", number: 1, epoch: rogueEpoch, offset: 7, duplicate: false, durability: "disk" };
