/**
 * A WebSocket client that costs as little as a client can: it frames by hand and looks only at frame headers, so that
 * what a benchmark measures is the server and not its own generator.
 */
import { connect, type Socket } from "node:net";

const emptyMask = Buffer.alloc(4);

export class RawSocket {
  /** Takes the payload of each text or binary frame; the buffer is valid until it returns. */
  onMessage: (payload: Buffer) => void = () => {};
  onClose: () => void = () => {};
  readonly #socket: Socket;
  /** The beginning of a frame, in pieces, and how long the frame is, where that is known. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #wanted = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("close", () => this.onClose());
    socket.on("error", () => {});
  }

  /** Opens a connection from one of the loopback addresses, because one address has too few ports. */
  static open(url: string, subprotocol?: string, localAddress?: string): Promise<RawSocket> {
    const { hostname, port, pathname, search } = new URL(url);
    const socket = connect({
      host: hostname,
      port: Number(port),
      noDelay: true,
      ...(localAddress && { localAddress }),
    });
    const offered = subprotocol === undefined ? "" : `Sec-WebSocket-Protocol: ${subprotocol}\r\n`;
    socket.write(
      `GET ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${offered}\r\n`,
    );
    const raw = new RawSocket(socket);
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      let head = Buffer.alloc(0);
      const onHead = (data: Buffer) => {
        head = Buffer.concat([head, data]);
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        socket.off("data", onHead);
        if (!head.toString("latin1").startsWith("HTTP/1.1 101")) return reject(new Error(head.toString("latin1")));
        socket.on("data", (chunk) => raw.#read(chunk));
        resolve(raw);
        if (end + 4 < head.length) queueMicrotask(() => raw.#read(head.subarray(end + 4)));
      };
      socket.on("data", onHead);
    });
  }

  /** Sends a frame: text, or binary what is bytes. A client must mask; a mask of zeros leaves the payload as it is. */
  send(data: string | Buffer): void {
    const payload = typeof data === "string" ? Buffer.from(data) : data;
    const { length } = payload;
    const size = length < 126 ? 2 : length < 65_536 ? 4 : 10;
    const header = Buffer.alloc(size);
    header[0] = typeof data === "string" ? 0x81 : 0x82;
    if (size === 2) header[1] = 0x80 | length;
    else if (size === 4) {
      header[1] = 0x80 | 126;
      header.writeUInt16BE(length, 2);
    } else {
      header[1] = 0x80 | 127;
      header.writeBigUInt64BE(BigInt(length), 2);
    }
    this.#socket.write(Buffer.concat([header, emptyMask, payload]));
  }

  /** What is sent meanwhile leaves together. */
  together(send: () => void): void {
    this.#socket.cork();
    send();
    this.#socket.uncork();
  }

  /** Stops reading, as a slow client does; the server's writes then back up. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Breaks the connection without a word, and leaves no port waiting. */
  close(): void {
    this.#socket.resetAndDestroy();
  }

  #read(data: Buffer): void {
    if (this.#waiting.length > 0) {
      this.#waiting.push(data);
      this.#waitingBytes += data.length;
      // A large frame comes in many pieces, which are joined once.
      if (this.#waitingBytes < this.#wanted) return;
    }
    const bytes = this.#waiting.length > 0 ? Buffer.concat(this.#waiting) : data;
    this.#waiting = [];
    this.#wanted = 0;
    let at = 0;
    while (at + 2 <= bytes.length) {
      const short = (bytes[at + 1] as number) & 0x7f;
      const header = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (at + header > bytes.length) break;
      const length =
        header === 2 ? short : header === 4 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
      if (at + header + length > bytes.length) {
        this.#wanted = header + length;
        break;
      }
      const kind = (bytes[at] as number) & 0x0f;
      if (kind === 1 || kind === 2) this.onMessage(bytes.subarray(at + header, at + header + length));
      at += header + length;
    }
    if (at === bytes.length) return;
    this.#waiting = [Buffer.from(bytes.subarray(at))];
    this.#waitingBytes = bytes.length - at;
  }
}
