/** The state store in LMDB: records with LMDB's own versions. Puts that wait for a flush share the next one. */
import type { Database } from "lmdb";
import type { Entry, State } from "../engine.ts";
import { flushed } from "./environment.ts";

export class LmdbState implements State {
  readonly #records: Database<Buffer, string>;

  /** The database must have been opened with `useVersions`. */
  constructor(records: Database<Buffer, string>) {
    this.#records = records;
  }

  async get(key: string): Promise<Entry | undefined> {
    const entry = this.#records.getEntry(key);
    return entry === undefined ? undefined : { value: entry.value, version: entry.version ?? 0 };
  }

  async put(key: string, value: Uint8Array, version: number): Promise<number | undefined> {
    // LMDB's word for "only if there is none" is a null version, which its types leave out.
    const expected = version === 0 ? (null as unknown as number) : version;
    const stored = await flushed(this.#records.put(key, Buffer.from(value), version + 1, expected));
    return stored ? version + 1 : undefined;
  }

  async list(prefix: string): Promise<readonly (Entry & { readonly key: string })[]> {
    const found: (Entry & { readonly key: string })[] = [];
    for (const { key, value, version } of this.#records.getRange({
      start: prefix,
      end: `${prefix}\uffff`,
      versions: true,
    })) {
      found.push({ key, value, version: version ?? 0 });
    }
    return found;
  }
}
