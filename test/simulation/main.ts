/**
 * Simulates for a while: `npm run simulate -- [--minutes 1] [--first 1] [--seed 42 [--watch]]`.
 *
 * Every seed that breaks a promise is printed with the promise and the events, and makes the exit code 1. `--seed` runs one
 * of them again; with `--watch` it says everything that happens. `--until-broken` ends with the first that is found.
 */
import { parseArgs } from "node:util";
import { figure } from "../support/figures.ts";
import { type Outcome, simulate } from "./world.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    first: { type: "string" },
    seed: { type: "string" },
    watch: { type: "boolean", default: false },
    "until-broken": { type: "boolean", default: false },
  },
});
let seed = Number(values.seed ?? values.first ?? Date.now() % 1_000_000_000);

// Somebody forgot to listen to a promise, which ends a user's process.
process.on("unhandledRejection", (error) => {
  console.error(`Seed ${seed} left a rejection unhandled.`, error);
  process.exit(1);
});
if (values.seed === undefined) await simulateFor(Number(values.minutes) * 60_000);
else report(await simulate(seed, { watch: values.watch ? console.log : undefined }));

async function simulateFor(ms: number): Promise<void> {
  const [first, begun] = [seed, performance.now()];
  let [events, broken] = [0, 0];
  for (; performance.now() - begun < ms; seed++) {
    const outcome = await simulate(seed);
    events += outcome.history.length;
    if (report(outcome) && ++broken > 0 && values["until-broken"]) return;
  }
  const count = seed - first;
  const perMinute = Math.round((count * 60_000) / (performance.now() - begun));
  console.log(`${count} seeds from ${first} on, ${perMinute} a minute, ${events} events: ${broken} broke a promise.`);
  figure("simulated seeds", count);
}

/** Says what is wrong, if anything is. */
function report({ seed, mode, circumstances, wrong }: Outcome): boolean {
  if (wrong === "") return false;
  console.log(`\nSeed ${seed} (${mode}; ${circumstances.join(", ")})\n${wrong}\n`);
  process.exitCode = 1;
  return true;
}
