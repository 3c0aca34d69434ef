/** Bytes that can tell whether they are what was written: a CRC-32 of all that follows, then the bytes. Little-endian. Of no bytes there is none. */
import { crc32 } from "node:zlib";

const checksumBytes = 4;

export function withChecksum(bytes: Uint8Array): Buffer {
  const value = Buffer.allocUnsafe(checksumBytes + bytes.length);
  value.writeUInt32LE(crc32(bytes), 0);
  value.set(bytes, checksumBytes);
  return value;
}

/** The bytes, not copied; nothing where they are not what was written. */
export function checked(value: Buffer): Buffer | undefined {
  // Zeros are what a disk gives for what it has lost, and the checksum of nothing is zero.
  if (value.length <= checksumBytes) return undefined;
  const bytes = value.subarray(checksumBytes);
  return crc32(bytes) === value.readUInt32LE(0) ? bytes : undefined;
}
