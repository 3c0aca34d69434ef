/** A TCP connection to a hub that can say what no WebSocket library would. */
import { createHash, randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { whenDone } from "../support/temp.ts";

export interface Frame {
  /** The final bit, the reserved bits and the opcode. */
  readonly first?: number;
  readonly masked?: boolean;
  /** Claims another length than the payload has. */
  readonly length?: number;
  /** What the payload is masked with. Zeros, the default, leave it as it is. */
  readonly mask?: readonly [number, number, number, number];
  /** How many bytes the length is written in, beside the seven bits; by default as few as it takes. */
  readonly lengthBytes?: 0 | 2 | 8;
}

const finalText = 0x81;

export class RawSocket {
  readonly socket: Socket;
  /** Everything that came, as text. */
  received = "";
  /** The hub has ended its half, or the connection is gone. */
  ended = false;
  closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.setEncoding("latin1").on("data", (text: string) => {
      this.received += text;
    });
    socket.on("end", () => {
      this.ended = true;
    });
    socket.on("close", () => {
      this.ended = true;
      this.closed = true;
    });
    whenDone(() => {
      socket.destroy();
    });
  }

  /** Connects, and says nothing. It does not end its half when the hub ends the other. */
  static async connect(hub: { readonly port: number }): Promise<RawSocket> {
    const socket = connect({ port: hub.port, host: "127.0.0.1", allowHalfOpen: true });
    const raw = new RawSocket(socket);
    await new Promise((resolve) => socket.once("connect", resolve));
    return raw;
  }

  /** Has become a WebSocket, and has said hello. */
  static async greet(hub: { readonly port: number }): Promise<RawSocket> {
    const raw = await RawSocket.connect(hub);
    raw.write(upgrade());
    await raw.untilText("101 Switching Protocols");
    raw.write(RawSocket.frame('{"is":"hello","protocol":1}'));
    await raw.untilText('"welcome"');
    return raw;
  }

  static frame(payload: string | Buffer, { first = finalText, masked = true, length, ...written }: Frame = {}): Buffer {
    const data = Buffer.from(payload);
    const { mask = [0, 0, 0, 0], lengthBytes = lengthBytesOf(length ?? data.length) } = written;
    const header = Buffer.alloc(2 + lengthBytes);
    const short = lengthBytes === 0 ? (length ?? data.length) : lengthBytes === 2 ? 126 : 127;
    header.set([first, (masked ? 0x80 : 0) | short]);
    if (lengthBytes === 2) header.writeUInt16BE(length ?? data.length, 2);
    if (lengthBytes === 8) header.writeBigUInt64BE(BigInt(length ?? data.length), 2);
    return Buffer.concat([header, Buffer.from(masked ? mask : []), masked ? applied(mask, data) : data]);
  }

  write(bytes: string | Buffer): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  /** Writes byte by byte, one every so many milliseconds. */
  async trickle(bytes: Buffer, everyMs: number): Promise<void> {
    for (const byte of bytes) {
      this.write(Buffer.of(byte));
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  /** Everything that came, once it holds a text. */
  async untilText(text: string): Promise<string> {
    await this.until(() => this.received.includes(text) || this.ended);
    return this.received;
  }

  /** Waits until something holds. */
  async until(holds: () => boolean, withinMs = 5_000): Promise<void> {
    const failure = new Error(`It did not happen within ${withinMs} ms. Received: ${this.received.slice(0, 1_000)}`);
    const deadline = performance.now() + withinMs;
    while (!holds()) {
      if (performance.now() > deadline) throw failure;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** The code of the close frame that came. */
  get closeCode(): number | undefined {
    const at = this.received.lastIndexOf("\x88");
    return at < 0 ? undefined : (this.received.charCodeAt(at + 2) << 8) | this.received.charCodeAt(at + 3);
  }
}

function lengthBytesOf(length: number): 0 | 2 | 8 {
  return length < 126 ? 0 : length < 0x1_0000 ? 2 : 8;
}

function applied(mask: readonly number[], data: Buffer): Buffer {
  return Buffer.from(data.map((byte, i) => byte ^ (mask[i % 4] as number)));
}

/** A request to become a WebSocket; lines can be left out or replaced. */
export function upgrade(headers: Readonly<Record<string, string | undefined>> = {}): string {
  const lines = {
    Host: "localhost",
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
    "Sec-WebSocket-Protocol": "dogear.v1.json",
    ...headers,
  };
  const written = Object.entries(lines).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\r\n`],
  );
  return `GET / HTTP/1.1\r\n${written.join("")}\r\n`;
}

export function acceptOf(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}
