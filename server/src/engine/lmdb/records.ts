/**
 * Small records in LMDB that can tell whether they are what was stored under their keys: LMDB itself has no checksums, and
 * a cursor with a flipped digit would skip messages without a word.
 *
 *     key → CRC-32 of key, version and value (4 bytes, little-endian), value
 */
import { crc32 } from "node:zlib";
import type { Database } from "lmdb";
import type { KeyedEntry } from "../engine.ts";
import { DataDamagedError } from "./data-file.ts";
import type { Environment } from "./environment.ts";

const checksumBytes = 4;

export class Records {
  readonly #folder: string;
  readonly #database: Database<Buffer, string>;

  /** Records of this name in the environment of a folder; each has a version, 0 where nobody gives it another. */
  constructor(environment: Environment, folder: string, name: string) {
    this.#folder = folder;
    this.#database = environment.openDB<Buffer, string>({ name, encoding: "binary", useVersions: true });
  }

  /** @throws DataDamagedError */
  get(key: string): KeyedEntry | undefined {
    const entry = this.#database.getEntry(key);
    return entry && this.#checked({ key, ...entry });
  }

  /**
   * Those from one key up to, not including, another, ordered by key.
   *
   * @throws DataDamagedError
   */
  *range(start: string, end: string): Generator<KeyedEntry> {
    for (const entry of this.#database.getRange({ start, end, versions: true })) yield this.#checked(entry);
  }

  /** Whether a record has a version; with 0, whether there is none. */
  has(key: string, version: number): boolean {
    // LMDB's word for "there is none" is a null version, which its types leave out.
    return this.#database.doesExist(key, version === 0 ? (null as unknown as number) : version);
  }

  put(key: string, value: Uint8Array, version = 0): Promise<boolean> {
    const stored = Buffer.allocUnsafe(checksumBytes + value.length);
    stored.writeUInt32LE(checksumOf(key, version, value), 0);
    stored.set(value, checksumBytes);
    return this.#database.put(key, stored, version);
  }

  remove(key: string): Promise<boolean> {
    return this.#database.remove(key);
  }

  batch(change: () => void): Promise<boolean> {
    return this.#database.batch(change);
  }

  /**
   * Looks at every record.
   *
   * @throws DataDamagedError
   */
  verify(): void {
    for (const entry of this.#database.getRange({ versions: true })) this.#checked(entry);
  }

  #checked({ key, value: stored, version = 0 }: { key: string; value: Buffer; version?: number }): KeyedEntry {
    const value = stored.subarray(checksumBytes);
    if (stored.length < checksumBytes || stored.readUInt32LE(0) !== checksumOf(key, version, value))
      throw new DataDamagedError(this.#folder, `its record ${key} is not what was stored`);
    return { key, value, version };
  }
}

function checksumOf(key: string, version: number, value: Uint8Array): number {
  return crc32(value, crc32(`${version}/${key}/`));
}
