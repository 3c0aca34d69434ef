/**
 * Bytes that can tell whether they are what was written, and under that name: LMDB itself has no checksums.
 *
 *     CRC-32 of name and bytes (4 bytes, little-endian), bytes
 *
 * The name must not be empty. Zeros are what a disk gives for what it has lost, and the checksum of nothing is zero.
 */
import { crc32 } from "node:zlib";

const checksumBytes = 4;

export function withChecksum(name: string, bytes: Uint8Array): Buffer {
  const value = Buffer.allocUnsafe(checksumBytes + bytes.length);
  value.writeUInt32LE(checksumOf(name, bytes), 0);
  value.set(bytes, checksumBytes);
  return value;
}

/** The bytes, not copied; nothing where they are not what was written. */
export function checked(name: string, value: Buffer): Buffer | undefined {
  const bytes = value.subarray(checksumBytes);
  return value.length >= checksumBytes && value.readUInt32LE(0) === checksumOf(name, bytes) ? bytes : undefined;
}

function checksumOf(name: string, bytes: Uint8Array): number {
  return crc32(bytes, crc32(name));
}
