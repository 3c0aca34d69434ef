/** What a configuration says, and who says which part of it. */

/** Where something was said. */
export interface Origin {
  /** The file, the variable or the flag, as mistakes name it. */
  readonly name: string;
  /** The folder from which the files named there are found. */
  readonly folder: string;
}

export class Given {
  readonly values: unknown;
  readonly #base: Origin;
  /** Who said what is at a path, where it is not the base. */
  readonly #origins = new Map<string, Origin>();

  constructor(values: unknown, base: Origin) {
    this.values = structuredClone(values);
    this.#base = base;
  }

  /** Puts a value at a path, in place of all that was there. */
  set(path: readonly string[], value: unknown, origin: Origin): void {
    let holder = this.values;
    for (const key of path.slice(0, -1)) {
      // What is no object where one should be stays, so that it is found to be a mistake.
      if (!isObject(holder)) return;
      if (!Object.hasOwn(holder, key)) holder[key] = {};
      holder = holder[key];
    }
    if (!isObject(holder)) return;
    holder[path.at(-1) as string] = value;
    const replaced = keyOf(path);
    for (const key of this.#origins.keys()) if (key.startsWith(`${replaced}\0`)) this.#origins.delete(key);
    this.#origins.set(replaced, origin);
  }

  /** Who said what is at a path, or else what is around it. */
  origin(path: readonly string[]): Origin {
    for (let length = path.length; length > 0; length--) {
      const origin = this.#origins.get(keyOf(path.slice(0, length)));
      if (origin !== undefined) return origin;
    }
    return this.#base;
  }
}

/** Undefined where there is nothing. */
export function valueAt(values: unknown, path: readonly string[]): unknown {
  let value = values;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function keyOf(path: readonly string[]): string {
  return path.join("\0");
}
