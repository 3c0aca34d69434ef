/**
 * The benchmark: `npm run bench -- [--only publish-256,idle] [--systems dogear,ws] [--runs 3] [--full] [--json] [--report file.html]`.
 *
 * Servers and generator are separate processes. Limits, workloads and systems are interleaved run by run; figures are
 * medians with their spread, of three runs unless `--runs` says otherwise, or of fewer where a workload takes long; a row
 * in which anything was lost, repeated or out of order is void. `--report` writes a page with plots, and beside it what it
 * was made of, a line of JSON each; `--from` makes the page of such lines again, also of those of several
 * measurements on one machine (`--from a.jsonl,b.jsonl`), whose runs it takes together.
 * `--histories` measures nothing: it runs each workload small and checks all that was done and seen (`histories.ts`).
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { bench, type Plan, type Report, rowsOf } from "./bench.ts";
import { figuresOfAll, table } from "./figures.ts";
import { checkHistories } from "./histories.ts";
import { limits } from "./limits/index.ts";
import { html, lines, merged, parse } from "./report.ts";
import { systemNames } from "./system.ts";
import { systems } from "./systems/index.ts";
import { workloads } from "./workloads/index.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    systems: { type: "string" },
    runs: { type: "string" },
    full: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    report: { type: "string" },
    from: { type: "string" },
    histories: { type: "boolean", default: false },
  },
});
/** Where nobody says how many runs: as many as fit in this time, which for two systems is less than a minute. */
const runsMax = 3;
const secondsPerRow = 28;

const report = values.from === undefined ? await measure() : merged(read(values.from.split(",")));
const figures = figuresOfAll(report.rows);
if (values.json) for (const figure of figures) console.log(JSON.stringify(figure));
else console.log(`\n${report.about.machine}\n\n${table(figures)}`);
if (values.from !== undefined) write(report);

function write(report: Report): void {
  if (values.report === undefined) return;
  writeFileSync(values.report, html(report));
  if (values.from === undefined) writeFileSync(values.report.replace(/\.html$/, ".jsonl"), lines(report));
}

function read(files: readonly string[]): [Report, ...Report[]] {
  return files.map((file) => parse(readFileSync(file, "utf8"))) as [Report, ...Report[]];
}

async function measure(): Promise<Report> {
  const wanted = chosen("systems", values.systems, systemNames);
  const only = chosen(
    "only",
    values.only,
    workloads.map(({ name }) => name),
  );
  const candidates = wanted.map((name) => {
    const system = systems.find((one) => one.name === name);
    return { name, system, why: system === undefined ? "it is not part of this benchmark" : system.absence() };
  });
  const absent = candidates.flatMap(({ name, why }) => (why === undefined ? [] : [{ name, why }]));
  for (const { name, why } of absent) console.error(`Without ${name}: ${why}.`);
  const plan = {
    workloads: workloads.filter(({ name }) => only.includes(name)),
    systems: candidates.flatMap(({ system, why }) => (system === undefined || why !== undefined ? [] : [system])),
    absent,
    limits,
    runs: runs(),
    full: values.full,
    say: (what: string) => console.error(what),
    // At once, so that what ends a long measurement does not take with it what was measured.
    reported: write,
  };
  const rows = rowsOf(plan).length;
  if (rows === 0) fail("Nothing to measure: none of these systems has any of these workloads.");
  if (values.histories) process.exit((await checkHistories(recordable(plan), plan.say)) === 0 ? 0 : 1);
  return bench(values.runs === undefined ? { ...plan, limitS: rows * secondsPerRow } : plan);
}

function runs(): number {
  const asked = Number(values.runs ?? runsMax);
  if (!Number.isSafeInteger(asked) || asked < 1) fail(`--runs is a whole number from 1 on, not ${values.runs}.`);
  return asked;
}

/** Only Dogear's clients can be recorded. */
function recordable({ workloads, systems }: Plan): Pick<Plan, "workloads" | "systems"> {
  return { workloads, systems: systems.filter(({ name }) => name.startsWith("dogear")) };
}

function chosen(option: string, value: string | undefined, names: readonly string[]): readonly string[] {
  const asked = value?.split(",") ?? names;
  const unknown = asked.filter((name) => !names.includes(name));
  if (unknown.length > 0) fail(`--${option} does not know ${unknown.join(", ")}; it knows ${names.join(", ")}.`);
  return asked;
}

function fail(why: string): never {
  console.error(why);
  process.exit(64);
}
