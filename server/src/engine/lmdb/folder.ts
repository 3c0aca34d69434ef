/** Folders and small files that are still there after a loss of power. */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";

/** Makes a folder, so that a loss of power does not take its name. What is flushed in it may be confirmed. */
export function makeFolder(path: string, mode = 0o777): void {
  const folder = resolve(path);
  const first = mkdirSync(folder, { recursive: true, mode });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) flushFolder(dirname(made));
}

/** Flushes the names in a folder. */
export function flushFolder(folder: string): void {
  // Windows opens no folders.
  if (process.platform === "win32") return;
  const opened = openSync(folder, "r");
  try {
    fsyncSync(opened);
  } finally {
    closeSync(opened);
  }
}

/** What a small file holds; nothing where there is none. */
export function readSmallFile(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Writes a small file: after a loss of power it is all there, or not at all. */
export async function storeSmallFile(path: string, content: Uint8Array): Promise<void> {
  const unfinished = `${path}.new`;
  const file = await open(unfinished, "w");
  try {
    await file.writeFile(content);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(unfinished, path);
}

/** Removes a small file for good; one that is not there is removed already. */
export async function removeSmallFile(path: string): Promise<void> {
  await rm(path, { force: true });
  flushFolder(dirname(path));
}
