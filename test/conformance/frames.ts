/** Frames of WebSocket (RFC 6455, section 5.2) as tests write and read them: each bit of them can be wrong. */
import { RawSocket } from "../protocol/raw-socket.ts";

export const fin = 0x80;
export const rsv1 = 0x40;
export const rsv2 = 0x20;
export const rsv3 = 0x10;
export const opcode = { more: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

/** One frame as it came. */
export interface Received {
  readonly first: number;
  readonly payload: Buffer;
}

/** A final frame of a kind, masked as a client does. */
export function frame(kind: keyof typeof opcode, payload: string | Buffer = ""): Buffer {
  return RawSocket.frame(payload, { first: fin | opcode[kind], mask: [0x5a, 0xa5, 0x0f, 0xf0] });
}

/** A message in fragments. */
export function fragments(kind: "text" | "binary", pieces: readonly (string | Buffer)[]): Buffer[] {
  return pieces.map((piece, i) => {
    const last = i === pieces.length - 1 ? fin : 0;
    return RawSocket.frame(piece, { first: last | (i === 0 ? opcode[kind] : opcode.more) });
  });
}

/** The payload of a close frame. */
export function closing(code: number, reason: string | Buffer = ""): Buffer {
  return Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)]);
}

/** The whole frames of a stream of bytes, masked or not, and what is left behind the last of them. */
export function framesIn(bytes: Buffer): { readonly frames: readonly Received[]; readonly rest: Buffer } {
  const frames: Received[] = [];
  let rest = bytes;
  for (;;) {
    const size = sizeOf(rest);
    if (size === undefined || rest.length < size.header + size.payload) return { frames, rest };
    const end = size.header + size.payload;
    const payload = Buffer.from(rest.subarray(size.header, end));
    if (size.masked) for (let i = 0; i < payload.length; i++) unmask(payload, i, rest.subarray(size.header - 4));
    frames.push({ first: rest[0] as number, payload });
    rest = rest.subarray(end);
  }
}

function unmask(payload: Buffer, i: number, mask: Buffer): void {
  payload[i] = (payload[i] as number) ^ (mask[i % 4] as number);
}

/** How long a frame is, as far as that has come. */
function sizeOf(bytes: Buffer): { header: number; payload: number; masked: boolean } | undefined {
  const short = (bytes[1] ?? 0) & 0x7f;
  const masked = ((bytes[1] ?? 0) & 0x80) !== 0;
  const lengthBytes = short < 126 ? 0 : short === 126 ? 2 : 8;
  const header = 2 + lengthBytes + (masked ? 4 : 0);
  if (bytes.length < header) return undefined;
  if (lengthBytes === 0) return { header, payload: short, masked };
  const payload = lengthBytes === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  return { header, payload, masked };
}
