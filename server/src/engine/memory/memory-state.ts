/** A state store in memory. */
import type { Entry, State } from "../engine.ts";

export class MemoryState implements State {
  readonly #entries = new Map<string, Entry>();

  async get(key: string): Promise<Entry | undefined> {
    return this.#entries.get(key);
  }

  async put(key: string, value: Uint8Array, version: number): Promise<number | undefined> {
    if ((this.#entries.get(key)?.version ?? 0) !== version) return undefined;
    this.#entries.set(key, { value, version: version + 1 });
    return version + 1;
  }

  async list(prefix: string): Promise<readonly (Entry & { readonly key: string })[]> {
    return [...this.#entries]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, entry]) => ({ key, ...entry }));
  }
}
