/** The SDK, the protocol, the hub and the in-memory engine under faults and a virtual clock; `npm run simulate` for more. */
import { describe, expect, onTestFailed, test } from "vitest";
import { figure } from "../support/figures.ts";
import { seeds } from "./seeds.ts";
import { simulate } from "./world.ts";

const seconds = Number(process.env.SIMULATION_SECONDS ?? 30);
/** The same ones in every run, so that a run says something of what changed; `npm run simulate` looks for new ones. */
const first = Number(process.env.SIMULATION_SEED ?? 1);

describe("under every fault that a simulation can make", () => {
  test("a seed is the same run each time", async () => {
    const [one, other] = [await simulate(seeds[0] as number), await simulate(seeds[0] as number)];
    expect(one.history.length).toBeGreaterThan(0);
    expect(other).toEqual(one);
  });

  test.each(seeds)("seed %i, which has found something once, keeps all promises", async (seed) => {
    expect((await simulate(seed)).wrong).toBe("");
  });

  test(
    "all promises are kept (G1 to G14)",
    async () => {
      let seed = first;
      onTestFailed(() => console.error(`Repeat it with \`npm run simulate -- --seed ${seed} --watch\``));
      const end = performance.now() + seconds * 1_000;
      for (; performance.now() < end; seed++) expect((await simulate(seed)).wrong).toBe("");
      console.log(`${seed - first} seeds from ${first} on`);
      figure("simulated seeds", seed - first);
    },
    seconds * 1_000 + 30_000,
  );
});
