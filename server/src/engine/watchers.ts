/** Those who watch the records of an embedded state store: each is told what a record is now, not what it was between. */
import type { Changed, KeyedEntry } from "./engine.ts";

interface Watcher {
  readonly prefix: string;
  /** What changed and was not taken yet, by key. */
  readonly waiting: Map<string, Changed>;
  wake: () => void;
}

export class Watchers {
  readonly #watchers = new Set<Watcher>();

  /** Records were stored or removed. */
  changed(changes: Iterable<Changed>): void {
    if (this.#watchers.size === 0) return;
    for (const change of changes) {
      for (const { prefix, waiting, wake } of this.#watchers) {
        if (!change.key.startsWith(prefix)) continue;
        waiting.set(change.key, change);
        wake();
      }
    }
  }

  /** What `list` has, then what changes. */
  async *watch(
    prefix: string,
    signal: AbortSignal,
    list: (prefix: string) => Promise<readonly KeyedEntry[]>,
  ): AsyncGenerator<Changed> {
    const watcher: Watcher = { prefix, waiting: new Map(), wake: () => {} };
    const stop = () => watcher.wake();
    signal.addEventListener("abort", stop);
    this.#watchers.add(watcher);
    try {
      // What changes meanwhile is told again.
      for (const entry of await list(prefix)) {
        if (signal.aborted) return;
        yield entry;
      }
      while (!signal.aborted) {
        const [[key, change] = []] = watcher.waiting;
        if (key === undefined || change === undefined) {
          await new Promise<void>((resolve) => {
            watcher.wake = resolve;
          });
        } else {
          watcher.waiting.delete(key);
          yield change;
        }
      }
    } finally {
      this.#watchers.delete(watcher);
      signal.removeEventListener("abort", stop);
    }
  }
}
