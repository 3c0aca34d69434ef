/**
 * Fuzzing: properties that hold whatever comes, over cases that are drawn from the structure of what is decoded and over
 * mutations of a corpus.
 *
 *     FUZZ_CASES=20000     cases of each property, instead of those of the short tier
 *     FUZZ_SEED=123        the seed that a failure has named
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { figure } from "../support/figures.ts";
import { repository } from "../support/sources.ts";

const cases = Number(process.env.FUZZ_CASES ?? 250);
const seed = process.env.FUZZ_SEED === undefined ? Date.now() % 2 ** 31 : Number(process.env.FUZZ_SEED);

/** What one case may take. Generous, since it is there for what does not end at all, or grows by the square. */
const caseMsMax = 5_000;

export interface FuzzOptions {
  /** How many cases for one of another property: less than one where each takes long. */
  readonly share?: number;
}

/**
 * Holds that a property is true of many cases: that it neither throws nor takes long, and that nothing is left behind in
 * JavaScript's own prototypes. A failure names the seed and the smallest case.
 */
export async function fuzz<T>(
  arbitrary: fc.Arbitrary<T>,
  holds: (one: T) => void | Promise<void>,
  { share = 1 }: FuzzOptions = {},
): Promise<void> {
  const numRuns = Math.max(1, Math.round(cases * share));
  const property = fc.asyncProperty(arbitrary, async (one) => {
    const began = performance.now();
    await holds(one);
    const tookMs = performance.now() - began;
    if (tookMs > caseMsMax) throw new Error(`One case took ${Math.round(tookMs)} ms.`);
    expectUnpolluted();
  });
  await fc.assert(property, { numRuns, seed, endOnFailure: false });
  figure("fuzz cases", numRuns);
}

function expectUnpolluted(): void {
  for (const prototype of [Object.prototype, Array.prototype]) {
    const [strange] = Object.keys(prototype);
    if (strange !== undefined) throw new Error(`A prototype was given ${strange}.`);
  }
}

/** What is kept of one kind: a line each, without comments. */
export function corpus(name: string): readonly string[] {
  const text = readFileSync(join(repository, "test/fuzz/corpus", name), "utf8");
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

/** JSON values as an attacker would choose them. */
export const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1.5, 2 ** 53, 1e308, "", "a", "a..b", "a.*", ">", "$a", [], {}),
  fc.constantFrom<unknown>("__proto__", "constructor", "\ud800", "x".repeat(300), -0, [null], { length: 1e9 }),
  fc.string({ unit: "binary" }),
  fc.jsonValue({ maxDepth: 3 }),
);

/** What throws anything but what it may is a mistake. Resolves with the error that it may throw, or what it gives. */
export function typed<T>(run: () => T, ...may: readonly (new (...args: never[]) => Error)[]): T | Error {
  try {
    return run();
  } catch (error) {
    if (may.some((kind) => error instanceof kind)) return error as Error;
    throw error;
  }
}
