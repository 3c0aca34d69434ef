/**
 * `npm run prove -- [--minutes 60] [--only soak,fuzzing]`
 *
 * Runs every test of faults with as much of it as there is time for, one after the other, also where one has failed. Prints
 * what was done as a table for RELIABILITY.md, and ends with 1 where anything failed. What a step printed is
 * in `test/dist/prove/`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Figure, readFigures } from "../support/figures.ts";
import { commandOf, type Step, steps } from "./steps.ts";

const { values } = parseArgs({ options: { minutes: { type: "string", default: "60" }, only: { type: "string" } } });
const only = values.only?.split(",");

const repository = join(import.meta.dirname, "../../..");
const folder = join(repository, "test/dist/prove");

/** A step that takes so many times its share, and at least some minutes, has failed. */
const patience = 3;
const patienceSMin = 300;

/** Lines of a failed step's output that are shown at once. */
const shownLines = 40;

interface Result {
  readonly step: Step;
  readonly seconds: number;
  readonly figures: readonly Figure[];
  /** Why it failed, where it did. */
  readonly failure: string | undefined;
  /** What it left out, because the machine lacks something. */
  readonly skipped: readonly string[];
}

mkdirSync(folder, { recursive: true });
const results: Result[] = [];
for (const step of steps.filter(({ name }) => only?.includes(name) ?? true)) results.push(await run(step));
console.log(`\n${table(results)}`);
for (const line of new Set(results.flatMap(({ skipped }) => skipped))) console.log(`Left out: ${line}`);
process.exit(results.some(({ failure }) => failure !== undefined) ? 1 : 0);

async function run(step: Step): Promise<Result> {
  const given = step.share * Number(values.minutes) * 60;
  const file = join(folder, step.name.replaceAll(/\W+/g, "-"));
  const [log, figures] = [`${file}.log`, `${file}.figures`];
  writeFileSync(figures, "");
  console.log(`${step.name}: about ${Math.round(given)} s`);
  const begun = performance.now();
  const failure = missing(step) ?? (await start(step, { given, log, figures }));
  const seconds = (performance.now() - begun) / 1_000;
  if (failure !== undefined) console.log(`${step.name} failed: ${failure}\n${endOf(log)}`);
  return { step, seconds, figures: readFigures(figures), failure, skipped: skippedIn(log) };
}

function missing({ tests = [] }: Step): string | undefined {
  const name = tests.find((path) => !existsSync(join(repository, path)));
  return name === undefined ? undefined : `there is no ${name}`;
}

interface Running {
  readonly given: number;
  readonly log: string;
  readonly figures: string;
}

/** Runs a step to its end. Returns why it failed, where it did. */
async function start(step: Step, { given, log, figures }: Running): Promise<string | undefined> {
  const { command, args, env } = commandOf(step, given);
  const output = openSync(log, "w");
  // In a group of its own, so that what it has started ends with it.
  const child = spawn(command, args, {
    cwd: repository,
    env: { ...process.env, ...env, PROVE_FIGURES: figures },
    stdio: ["ignore", output, output],
    detached: true,
  });
  closeSync(output);
  const end = () => process.kill(-(child.pid as number), "SIGKILL");
  process.once("exit", end);
  const limitS = Math.max(patienceSMin, patience * given);
  const timer = setTimeout(end, limitS * 1_000);
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  clearTimeout(timer);
  process.off("exit", end);
  if (signal === "SIGKILL") return `it had not ended after ${Math.round(limitS)} s`;
  return code === 0 ? undefined : `it ended with ${code ?? signal}`;
}

function table(results: readonly Result[]): string {
  const rows = results.map(({ step: { name }, seconds, figures, failure }) => {
    const done = figures.map(({ name, count }) => `${Math.round(count).toLocaleString("en")} ${name}`).join(", ");
    return `| ${name} | ${done} | ${Math.round(seconds)} s | ${failure === undefined ? "passed" : `failed: ${failure}`} |`;
  });
  return ["| step | what was done | time | result |", "|---|---|---|---|", ...rows].join("\n");
}

function linesOf(log: string): readonly string[] {
  return existsSync(log) ? readFileSync(log, "utf8").split("\n") : [];
}

function endOf(log: string): string {
  return linesOf(log).slice(-shownLines).join("\n");
}

/** What tests say of what the machine lacks: see `support/machine.ts`. */
function skippedIn(log: string): readonly string[] {
  return linesOf(log).filter((line) => /(is|are) skipped\.$/.test(line));
}
