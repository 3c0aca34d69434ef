/**
 * The proof that the proofs prove something: each patch beside this file is a bug on purpose, which has to be found, within
 * its time, by what its second line names: the simulation, or a file of tests.
 *
 * A mutant is looked for from a seed on that found it once, so that it takes seconds; `MUTANTS_FIRST` begins elsewhere.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { figure } from "../support/figures.ts";
import { repository } from "../support/sources.ts";
import { git, Scratch } from "./scratch.ts";

const folder = join(repository, "test/mutants");
const withinMs = 60_000;

describe.skipIf(git === undefined)("a bug on purpose is found", () => {
  const patches = readdirSync(folder).filter((file) => file.endsWith(".patch"));

  test.for(patches)("%s", { timeout: 2 * withinMs }, async (file) => {
    const patch = join(folder, file);
    const { says, by, seed } = read(patch);
    const scratch = await Scratch.with(patch);
    const first = Number(process.env.MUTANTS_FIRST ?? seed);
    const { found, said } = by === "simulation" ? await scratch.simulate(first, withinMs) : await scratch.test(by);
    expect(found, `${says}\n${said}`).toBe(true);
    figure("mutants found", 1);
  });

  test("there are enough of them", () => {
    expect(patches.length).toBeGreaterThanOrEqual(15);
  });
});

interface Mutant {
  readonly says: string;
  readonly by: string;
  /** From which on the simulation looks for it. */
  readonly seed: string | undefined;
}

function read(patch: string): Mutant {
  const [says = "", second = ""] = readFileSync(patch, "utf8").split("\n");
  const [, by, seed] = /^Found by: ([^,]+)(?:, seed (\d+))?$/.exec(second) ?? [];
  if (by === undefined) throw new Error(`${patch} does not say who finds it.`);
  return { says, by, seed };
}
