/**
 * WebSocket framing of what the hub sends (RFC 6455, section 5.2): one final, unmasked text frame. The hub frames
 * for itself so that a message sent to a thousand connections is framed once and written to each in one piece.
 */

const finalText = 0x81;
const length16 = 126;
const length64 = 127;

/** A text frame made of parts, in one buffer. Strings must be ASCII. */
export function textFrame(parts: readonly (string | Buffer)[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const header = length < length16 ? 2 : length < 0x1_0000 ? 4 : 10;
  const frame = Buffer.allocUnsafe(header + length);
  frame[0] = finalText;
  if (header === 2) {
    frame[1] = length;
  } else if (header === 4) {
    frame[1] = length16;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = length64;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  let at = header;
  for (const part of parts) at += typeof part === "string" ? frame.write(part, at, "latin1") : part.copy(frame, at);
  return frame;
}
