/** The protocol of NATS over a raw WebSocket: as much of it as the benchmark needs. */
import { RawSocket } from "../raw-socket.ts";
import { Remainder } from "./peer.ts";

const newline = 0x0a;
const space = 0x20;

/** One message as it lies in what was received, valid until the handler returns. */
export interface NatsMessage {
  readonly bytes: Buffer;
  /** Where `MSG …` begins and ends, without the end of the line. */
  readonly line: number;
  readonly lineEnd: number;
  /** Where headers begin, if there are any, and the payload begins and ends. */
  readonly headers: number;
  readonly payload: number;
  readonly end: number;
}

/** Words of a message's first line: subject, subscription, reply subject if there is one, sizes. */
export function words({ bytes, line, lineEnd }: NatsMessage): string[] {
  return bytes.toString("latin1", line, lineEnd).split(" ").slice(1);
}

/** The reply subject of a message, if it has one. */
export function replyOf(message: NatsMessage): string | undefined {
  const found = words(message);
  const sizes = message.headers === message.payload ? 1 : 2;
  return found.length > 2 + sizes ? found[2] : undefined;
}

export class NatsSocket {
  /** Takes each message; all of a connection's subscriptions come here. */
  onMessage: (message: NatsMessage) => void = () => {};
  /** Everything that came together was taken. */
  onEnd: () => void = () => {};
  onFault: (why: string) => void = () => {};
  readonly #socket: RawSocket;
  readonly #rest = new Remainder();
  readonly #message = { bytes: Buffer.alloc(0) as Buffer, line: 0, lineEnd: 0, headers: 0, payload: 0, end: 0 };
  #onPong: () => void = () => {};

  private constructor(socket: RawSocket) {
    this.#socket = socket;
    socket.onMessage = (payload) => this.#read(payload);
    socket.onClose = () => this.onFault("the connection was lost");
  }

  static async open(url: string, localAddress?: string): Promise<NatsSocket> {
    const socket = new NatsSocket(await RawSocket.open(url, undefined, localAddress));
    socket.send('CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1}\r\n');
    await socket.flush();
    return socket;
  }

  send(text: string): void {
    this.#socket.send(Buffer.from(text, "latin1"));
  }

  /** Resolves once the server has taken all that was sent before. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#onPong = resolve;
      this.send("PING\r\n");
    });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.onFault = () => {};
    this.#socket.close();
  }

  #read(data: Buffer): void {
    const bytes = this.#rest.with(data);
    if (bytes === undefined) return;
    let at = 0;
    let wanted = 0;
    while (at < bytes.length) {
      const lineEnd = bytes.indexOf(newline, at);
      if (lineEnd < 0) break;
      const first = bytes[at];
      // MSG and HMSG; all else is rare and on one line.
      if (first === 0x4d || first === 0x48) {
        const end = this.#takeMessage(bytes, at, lineEnd, first === 0x48);
        if (end > bytes.length) {
          wanted = end - at;
          break;
        }
        at = end;
      } else {
        this.#control(bytes.toString("latin1", at, lineEnd - 1));
        at = lineEnd + 1;
      }
    }
    this.#rest.keep(bytes, at, wanted);
    this.onEnd();
  }

  /** Takes a message if it is whole; returns where it ends. */
  #takeMessage(bytes: Buffer, line: number, newlineAt: number, hasHeaders: boolean): number {
    const lineEnd = newlineAt - 1;
    const total = numberBefore(bytes, lineEnd);
    const start = newlineAt + 1;
    const end = start + total;
    if (end + 2 > bytes.length) return end + 2;
    const message = this.#message;
    message.bytes = bytes;
    message.line = line;
    message.lineEnd = lineEnd;
    message.headers = start;
    message.payload = hasHeaders ? start + numberBefore(bytes, bytes.lastIndexOf(space, lineEnd - 1)) : start;
    message.end = end;
    this.onMessage(message);
    return end + 2;
  }

  #control(line: string): void {
    if (line === "PING") this.send("PONG\r\n");
    else if (line === "PONG") this.#onPong();
    else if (line.startsWith("-ERR")) this.onFault(line);
  }
}

/** The number that ends here. */
export function numberBefore(bytes: Buffer, end: number): number {
  let number = 0;
  let unit = 1;
  for (let i = end - 1; i >= 0; i--) {
    const digit = (bytes[i] as number) - 0x30;
    if (digit < 0 || digit > 9) break;
    number += digit * unit;
    unit *= 10;
  }
  return number;
}
