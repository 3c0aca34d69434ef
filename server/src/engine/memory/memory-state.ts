/** A state store in memory. */
import { checkChanges } from "../changes.ts";
import type { Change, Entry, KeyedEntry, State } from "../engine.ts";

export class MemoryState implements State {
  readonly #entries = new Map<string, Entry>();
  /** The version given last. */
  #version = 0;

  async get(key: string): Promise<Entry | undefined> {
    return this.#entries.get(key);
  }

  async put(key: string, value: Uint8Array, version: number): Promise<number | undefined> {
    return (await this.putAll([{ key, value, version }]))?.[0];
  }

  async putAll(changes: readonly Change[]): Promise<readonly number[] | undefined> {
    checkChanges(changes);
    const asExpected = changes.every(({ key, version }) => (this.#entries.get(key)?.version ?? 0) === version);
    return asExpected ? changes.map((change) => this.#make(change)) : undefined;
  }

  async list(prefix: string, after = "", limit: number = Number.POSITIVE_INFINITY): Promise<readonly KeyedEntry[]> {
    return [...this.#entries]
      .filter(([key]) => key.startsWith(prefix) && key > after)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, limit)
      .map(([key, entry]) => ({ key, ...entry }));
  }

  #make({ key, value }: Change): number {
    if (value === undefined) {
      this.#entries.delete(key);
      return 0;
    }
    this.#entries.set(key, { value, version: ++this.#version });
    return this.#version;
  }
}
