/** Opens LMDB environments the one way that keeps the promises of this engine. */
import * as lmdb from "lmdb";
import { open, type RootDatabase } from "lmdb";
import { DataDamagedError, prepareDataFile } from "./data-file.ts";

export type Environment = RootDatabase<Buffer, number>;

/** Address space, not a quota. Without it the map grows by remapping. */
const mapBytes = 64 * 1_024 ** 3;

/** Throws what the system says, or a DataDamagedError. */
export function openEnvironment(path: string): Environment {
  prepareDataFile(path, mapBytes);
  // Named first, because the types do not know `safeRestore`.
  const options = {
    path,
    // A folder, also where a name in it has a dot.
    noSubdir: false,
    encoding: "binary" as const,
    // With overlapping syncs data can be read before it is durable, and a failing disk can produce a false
    // acknowledgement.
    overlappingSync: false,
    // After a crash go on from what was flushed, never from pages that a lost cache may have torn.
    safeRestore: true,
    // Batching whatever one turn writes makes promises of its own, and a failed commit rejects one that nobody can
    // handle. What belongs together is put into a `batch`.
    eventTurnBatching: false,
    mapSize: mapBytes,
    maxReaders: 1_024,
    maxDbs: 8,
  };
  return open<Buffer, number>(options);
}

/** Every database that was opened, by name; the types of lmdb-js leave it out. */
const { allDbs } = lmdb as unknown as { readonly allDbs: Map<string, { readonly env: unknown }> };

/**
 * Closes an environment for good. lmdb-js 3.5.6 keeps whatever it has ever opened in `allDbs`, each with a buffer of 64 KiB
 * for its writes: a log that rolls its segments would take more memory with each.
 */
export async function closeEnvironment(environment: Environment): Promise<void> {
  const { env } = environment as unknown as { readonly env: unknown };
  await environment.close();
  for (const [name, database] of allDbs) if (database.env === env) allDbs.delete(name);
}

/**
 * Waits for a write, or for a batch of them, and rejects with what LMDB met where it failed. LMDB says only that a
 * commit failed and rejects a second promise with the reason; left alone, that one would end the process.
 */
export async function flushed<T>(write: Promise<T>): Promise<T> {
  try {
    return await write;
  } catch (error) {
    const { commitError } = error as { readonly commitError?: Promise<unknown> };
    throw commitError === undefined ? error : await commitError.catch((reason: unknown) => reason);
  }
}

/** Corrupted; page not found; invalid; version mismatch; and a transaction that has met one of these already. */
const damageCodes: readonly unknown[] = [-30_796, -30_797, -30_793, -30_794, -30_782];

/** Whether an error says that what is stored is not as it was written. */
function isDamage(error: unknown): boolean {
  if (error instanceof DataDamagedError || error instanceof SyntaxError) return true;
  return damageCodes.includes((error as { readonly code?: unknown }).code);
}

/** Reads what is in a folder. Where it is damaged, the error says which folder that is. */
export async function readingFrom<T>(path: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof DataDamagedError || !isDamage(error)) throw error;
    throw new DataDamagedError(path, (error as Error).message, { cause: error });
  }
}
