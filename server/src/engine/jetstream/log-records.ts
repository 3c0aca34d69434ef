/** What a log keeps in the state beside its stream: JSON under `<kind>/<namespace>/…`, stored over the version it was read. */
import { dogearError } from "@dogear/shared";
import type { State } from "../engine.ts";

export interface Versioned<T> {
  /** `undefined`: there is none. */
  readonly value: T | undefined;
  /** 0: there is none. */
  readonly version: number;
}

/** How often somebody else may be faster before it counts as a failure. */
const attemptsMax = 20;

export async function readRecord<T>(state: State, key: string): Promise<Versioned<T>> {
  const entry = await state.get(key);
  return entry === undefined
    ? { value: undefined, version: 0 }
    : { value: parsed<T>(entry.value), version: entry.version };
}

export function encoded(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

export function parsed<T>(value: Uint8Array): T {
  return JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString()) as T;
}

/** Changes a record, whoever else does too. Where `change` returns nothing, it stays as it is. Resolves with what it is. */
export async function changeRecord<T>(
  state: State,
  key: string,
  change: (value: T | undefined) => T | undefined,
): Promise<T | undefined> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const { value, version } = await readRecord<T>(state, key);
    const changed = change(value);
    if (changed === undefined) return value;
    if ((await state.put(key, encoded(changed), version)) !== undefined) return changed;
  }
  throw dogearError("unavailable", `The record ${key} was changed by others ${attemptsMax} times in a row.`);
}
