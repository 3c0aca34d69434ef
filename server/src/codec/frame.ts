/**
 * WebSocket framing of what the hub sends (RFC 6455, section 5.2): one final, unmasked text frame. The hub frames
 * for itself so that a message sent to a thousand connections is framed once and written to each in one piece.
 */

const finalText = 0x81;
const length16 = 126;
const length64 = 127;

/** A buffer from so many bytes on is sent as it is, where a frame may be in pieces; smaller ones are copied together. */
const wholeFrom = 4 * 1_024;

/** What a frame is made of. Strings must be ASCII. */
export type FramePart = string | Buffer;

/** A text frame in one buffer: for what is sent to many. */
export function textFrame(parts: readonly FramePart[]): Buffer {
  return joined([headerFor(parts), ...parts]);
}

/** A text frame that does not copy what is large: for what is sent once. */
export function textFrameInPieces(parts: readonly FramePart[]): readonly Buffer[] {
  const pieces: Buffer[] = [];
  let small: FramePart[] = [headerFor(parts)];
  for (const part of parts) {
    if (typeof part === "string" || part.length < wholeFrom) {
      small.push(part);
      continue;
    }
    if (small.length > 0) pieces.push(joined(small));
    pieces.push(part);
    small = [];
  }
  if (small.length > 0) pieces.push(joined(small));
  return pieces;
}

function headerFor(parts: readonly FramePart[]): Buffer {
  const length = lengthOf(parts);
  if (length < length16) return Buffer.from([finalText, length]);
  if (length < 0x1_0000) return Buffer.from([finalText, length16, length >> 8, length & 0xff]);
  const header = Buffer.from([finalText, length64, 0, 0, 0, 0, 0, 0, 0, 0]);
  header.writeBigUInt64BE(BigInt(length), 2);
  return header;
}

function joined(parts: readonly FramePart[]): Buffer {
  const bytes = Buffer.allocUnsafe(lengthOf(parts));
  let at = 0;
  for (const part of parts) at += typeof part === "string" ? bytes.write(part, at, "latin1") : part.copy(bytes, at);
  return bytes;
}

function lengthOf(parts: readonly FramePart[]): number {
  let length = 0;
  for (const part of parts) length += part.length;
  return length;
}
