/** Reads in a trace of a hub's calls whether something left the process before it was on the disk. */
import type { TracedCall } from "./shim.ts";

/** How far what was written to one file has come. */
interface FileState {
  /** Written, and perhaps in memory only. */
  readonly written: Set<string>;
  /** Flushed, and not yet what the file's first pages point to. */
  readonly flushed: Set<string>;
}

/** Finds the things that are looked for, by name. */
export interface Watched {
  /** In what is written to a file. */
  stored(text: string): readonly string[];
  /** In what is sent: the same things, which by then must be on the disk. */
  sent(text: string): readonly string[];
}

export interface Order {
  /** How many different things were sent. */
  readonly sent: number;
  /** Those that were not on the disk by then. */
  readonly tooEarly: readonly string[];
}

/**
 * A log's chunks go to a file that is opened so that each write is flushed before it is done. LMDB commits in three steps: it
 * writes pages, flushes them, and writes the first page, which from then on points to them, to such a file.
 */
export function orderOf(calls: readonly TracedCall[], { stored, sent }: Watched): Order {
  const files = new Map<string, FileState>();
  const onDisk = new Set<string>();
  const seen = new Set<string>();
  const tooEarly: string[] = [];
  for (const { call, name, path, result, text } of calls) {
    if (call === "socket") {
      for (const what of sent(text)) {
        if (!onDisk.has(what)) tooEarly.push(what);
        seen.add(what);
      }
    } else if (result >= 0) {
      const file = files.get(path) ?? { written: new Set(), flushed: new Set() };
      files.set(path, file);
      if (call === "write") for (const what of stored(text)) file.written.add(what);
      else if (name === "fdatasync" || name === "fsync") move(file.written, file.flushed);
      else if (call === "flush") {
        move(file.flushed, onDisk);
        for (const what of stored(text)) onDisk.add(what);
      }
    }
  }
  return { sent: seen.size, tooEarly };
}

function move(from: Set<string>, to: Set<string>): void {
  for (const what of from) to.add(what);
  from.clear();
}
