/** A state store in memory. */
import { checkChanges } from "../changes.ts";
import type { Change, Changed, Entry, KeyedEntry, State } from "../engine.ts";
import { Watchers } from "../watchers.ts";

export class MemoryState implements State {
  readonly #entries = new Map<string, Entry>();
  readonly #watchers = new Watchers();
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
    if (!asExpected) return undefined;
    const versions = changes.map((change) => this.#make(change));
    this.#watchers.changed(changes.map(({ key, value }, i) => ({ key, value, version: versions[i] as number })));
    return versions;
  }

  watch(prefix: string, signal: AbortSignal): AsyncIterable<Changed> {
    return this.#watchers.watch(prefix, signal, () => this.list(prefix));
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
