/** A state store whose changes wait, until the test says what becomes of them. */
import type { Change, Entry, KeyedEntry, State } from "../../../server/src/engine/engine.ts";

/** Changes on their way. */
export interface Call {
  readonly changes: readonly Change[];
  store(): void;
  /** Nothing is stored, and whoever asked hears of it. */
  fail(): void;
  /** The first ones are stored, and nobody hears of it. */
  crash(kept: number): void;
}

export const failure: Error = new Error("the disk is full");

export class HeldState implements State {
  readonly calls: Call[] = [];
  readonly #entries = new Map<string, Entry>();
  #version = 0;

  get keys(): readonly string[] {
    return [...this.#entries.keys()].sort();
  }

  async get(key: string): Promise<Entry | undefined> {
    return this.#entries.get(key);
  }

  async put(key: string, value: Uint8Array, version: number): Promise<number | undefined> {
    return this.#make([{ key, value, version }])?.[0];
  }

  async list(prefix: string, after = "", limit = Number.POSITIVE_INFINITY): Promise<readonly KeyedEntry[]> {
    const keys = this.keys.filter((key) => key.startsWith(prefix) && key > after).slice(0, limit);
    return keys.map((key) => ({ key, ...(this.#entries.get(key) as Entry) }));
  }

  async *watch(): AsyncGenerator<never> {}

  /** What is stored now, apart from what becomes of it here. */
  copy(): HeldState {
    const copy = new HeldState();
    for (const [key, entry] of this.#entries) copy.#entries.set(key, entry);
    copy.#version = this.#version;
    return copy;
  }

  putAll(changes: readonly Change[]): Promise<readonly number[] | undefined> {
    return new Promise((resolve, reject) => {
      const take = (settle: () => void): void => {
        this.calls.splice(this.calls.indexOf(call), 1);
        settle();
      };
      const call: Call = {
        changes,
        store: () => take(() => resolve(this.#make(changes))),
        fail: () => take(() => reject(failure)),
        crash: (kept) => take(() => this.#make(changes.slice(0, kept))),
      };
      this.calls.push(call);
    });
  }

  /** Makes the changes in order, up to the first that expects another version. */
  #make(changes: readonly Change[]): readonly number[] | undefined {
    const versions: number[] = [];
    for (const { key, value, version } of changes) {
      if ((this.#entries.get(key)?.version ?? 0) !== version) return undefined;
      if (value === undefined) this.#entries.delete(key);
      else this.#entries.set(key, { value, version: ++this.#version });
      versions.push(value === undefined ? 0 : this.#version);
    }
    return versions;
  }
}

/** Lets everything happen that waits for nothing outside. */
export async function soon(): Promise<void> {
  for (let turn = 0; turn < 24; turn++) await undefined;
}
