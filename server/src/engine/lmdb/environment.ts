/** Opens LMDB environments the one way that keeps the promises of this engine. */
import { open, type RootDatabase } from "lmdb";

export type Environment = RootDatabase<Buffer, number>;

export function openEnvironment(path: string): Environment {
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
    // Address space, not a quota. Without it the map grows by remapping.
    mapSize: 64 * 1_024 ** 3,
    maxReaders: 1_024,
    maxDbs: 8,
  };
  return open<Buffer, number>(options);
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
