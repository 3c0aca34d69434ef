/** A run of the benchmark: limits, systems and workloads in turn, as often as wanted, and what that makes. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { limitsRow, type Measured, type Outcome, type Result } from "./figures.ts";
import type { Limit } from "./limits/limit.ts";
import type { Running, System } from "./system.ts";
import type { Workload } from "./workloads/workload.ts";

/** Everything a report is made of. */
export interface Report {
  readonly about: About;
  readonly rows: readonly Measured[];
}

export interface About {
  readonly date: string;
  readonly machine: string;
  readonly full: boolean;
  readonly systems: readonly { readonly name: string; readonly version: string; readonly settings: string }[];
  readonly absent: readonly { readonly name: string; readonly why: string }[];
  readonly workloads: readonly { readonly name: string; readonly says: string }[];
  /** Rows that a system does not have, although it could. */
  readonly leftOut: readonly { readonly workload: string; readonly system: string; readonly why: string }[];
}

export interface Plan {
  readonly workloads: readonly Workload[];
  readonly systems: readonly System[];
  readonly absent: readonly { readonly name: string; readonly why: string }[];
  readonly limits: readonly Limit[];
  readonly runs: number;
  /** After the first, no run is begun that would not end within so many seconds. */
  readonly limitS?: number;
  readonly full: boolean;
  say(what: string): void;
  /** Called after each row of each run with the report of all so far. */
  reported?(report: Report): void;
}

interface Row {
  readonly workload: Workload;
  readonly system: System;
  readonly outcomes: Outcome[];
}

/** The rows of a plan: whoever can do what a workload needs, unless it leaves that out. */
export function rowsOf({ workloads, systems }: Pick<Plan, "workloads" | "systems">): Row[] {
  return workloads.flatMap((workload) =>
    systems
      .filter((system) => able(system, workload) && system.leavesOut?.[workload.name] === undefined)
      .map((system) => ({ workload, system, outcomes: [] })),
  );
}

function able(system: System, { needs }: Workload): boolean {
  return needs.every((need) => system.can.includes(need));
}

export async function bench(plan: Plan): Promise<Report> {
  const rows = rowsOf(plan);
  const asked = new Set(rows.flatMap(({ workload }) => workload.limits));
  const limits = plan.limits.filter(({ always, finds }) => always || finds.some((name) => asked.has(name)));
  const found: Outcome[] = [];
  const versions = new Map<string, string>();
  const begun = performance.now();
  const report = (): Report => ({
    about: about(plan, rows, versions),
    rows: [
      { ...limitsRow, outcomes: [...found] },
      ...rows.filter(({ outcomes }) => outcomes.length > 0).map(measuredOf),
    ],
  });
  let run = 0;
  do {
    run++;
    plan.say(`run ${run}: what this machine allows`);
    found.push({ result: await measureLimits(limits) });
    for (const row of rows) {
      plan.say(`run ${run}: ${row.workload.name} on ${row.system.name}: ${row.workload.says}`);
      const outcome = await once(row, plan.full, versions);
      if ("void" in outcome) plan.say(`void: ${outcome.void}`);
      row.outcomes.push(outcome);
      plan.reported?.(report());
    }
  } while (run < plan.runs && !wouldBeLate(begun, run, plan.limitS));
  return report();
}

function measuredOf({ workload, system, outcomes }: Row): Measured {
  return { workload: workload.name, system: system.name, durability: system.durability, outcomes: [...outcomes] };
}

/** Whether one more run, as long as those before, would end too late. */
function wouldBeLate(begun: number, runs: number, limitS = Number.POSITIVE_INFINITY): boolean {
  const elapsed = performance.now() - begun;
  return elapsed + elapsed / runs > limitS * 1_000;
}

async function measureLimits(limits: readonly Limit[]): Promise<Result> {
  let result: Result = {};
  for (const limit of limits) {
    const folder = newFolder();
    result = { ...result, ...(await limit.measure(folder)) };
    remove(folder);
  }
  return result;
}

/** Whatever goes wrong with a system is a row that does not count, and not the end of the others. */
async function once({ workload, system }: Row, full: boolean, versions: Map<string, string>): Promise<Outcome> {
  const folder = newFolder();
  let running: Running | undefined;
  try {
    running = await system.start(folder);
    versions.set(system.name, running.version);
    const stage = {
      system,
      full,
      running,
      size: (count: number) => count,
      async restart(between: () => void) {
        await stage.running.stop();
        between();
        stage.running = running = await system.start(folder);
      },
    };
    return { result: await within(full ? 1_800 : 300, workload.run(stage)) };
  } catch (error) {
    return { void: error instanceof Error ? error.message : String(error) };
  } finally {
    await running?.stop();
    remove(folder);
  }
}

/** A system that does not answer should not keep the others waiting. */
async function within<T>(limitS: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`It took longer than ${limitS} s.`)), limitS * 1_000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

export function newFolder(): string {
  const parent = process.env.BENCH_DIR ?? tmpdir();
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, "dogear-bench-"));
}

export function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

function about(
  { full, systems, absent, workloads }: Plan,
  rows: readonly Row[],
  versions: ReadonlyMap<string, string>,
): About {
  const there = systems.filter((system) => rows.some((row) => row.system === system));
  return {
    date: new Date().toISOString(),
    machine: `${cpus().length} cores of ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, Linux ${release()}, Node ${process.version}`,
    full,
    systems: there.map(({ name, settings }) => ({ name, settings, version: versions.get(name) ?? "" })),
    absent,
    workloads: workloads.map(({ name, says }) => ({ name, says })),
    leftOut: workloads.flatMap((workload) =>
      there.flatMap((system) => {
        const why = system.leavesOut?.[workload.name];
        return able(system, workload) && why !== undefined
          ? [{ workload: workload.name, system: system.name, why }]
          : [];
      }),
    ),
  };
}
