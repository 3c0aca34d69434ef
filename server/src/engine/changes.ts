/** What a state store checks of the changes it is handed, before it looks at any record. */
import type { Change } from "./engine.ts";

/** LMDB's keys end at 1,978 bytes. */
export const keyBytesMax = 1_900;

const printable = /^[ -~]+$/;

/** Throws where changes could never be made, which is a mistake in the program. */
export function checkChanges(changes: readonly Change[]): void {
  const keys = new Set<string>();
  for (const { key } of changes) {
    if (key.length > keyBytesMax || !printable.test(key)) throw new Error(`${key} cannot be the key of a record.`);
    if (keys.has(key)) throw new Error(`${key} is changed twice at once.`);
    keys.add(key);
  }
}
