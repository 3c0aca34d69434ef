/**
 * Small records in LMDB that can tell whether they are what was stored, with this version, under their keys: a cursor with
 * a flipped digit would skip messages without a word.
 *
 *     key → value with its checksum (checksum.ts)
 */
import type { Database } from "lmdb";
import type { KeyedEntry } from "../engine.ts";
import { checked, withChecksum } from "./checksum.ts";
import { DataDamagedError } from "./data-file.ts";
import type { Environment } from "./environment.ts";

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
    return this.#database.put(key, withChecksum(nameOf(key, version), value), version);
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
    const value = checked(nameOf(key, version), stored);
    if (value === undefined) throw new DataDamagedError(this.#folder, `its record ${key} is not what was stored`);
    return { key, value, version };
  }
}

function nameOf(key: string, version: number): string {
  return `${version}/${key}/`;
}
