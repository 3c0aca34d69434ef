/**
 * The benchmark: `npm run bench -- [--only publish-256,idle] [--systems dogear,ws] [--runs 3] [--json]`.
 *
 * Server and generator are separate processes. Workloads and systems are interleaved run by run, figures are medians,
 * and a run in which anything was lost, repeated or out of order fails instead of counting.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { type Figure, medians, type Result, table } from "./figures.ts";
import { absence, type SystemName, start, systemNames } from "./systems.ts";
import { type Workload, workloads } from "./workloads.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    systems: { type: "string" },
    runs: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
});
const only = values.only?.split(",");
const absent = systemNames.flatMap((system) => {
  const why = absence(system);
  return why === undefined ? [] : [{ system, why }];
});
for (const { system, why } of absent) console.error(`Without ${system}: ${why}.`);
const systems = (values.systems?.split(",") ?? systemNames).filter((name) =>
  absent.every(({ system }) => system !== name),
);

const rows = workloads
  .filter(({ name }) => only?.includes(name) ?? true)
  .flatMap((workload) =>
    workload.systems
      .filter((system) => systems.includes(system))
      .map((system) => ({ workload, system, results: [] as Result[] })),
  );
if (rows.length === 0) {
  const names = workloads.map(({ name }) => name).join(", ");
  console.error(`Nothing to measure. Workloads: ${names}; systems: ${systemNames.join(", ")}.`);
  process.exit(64);
}

for (let run = 1; run <= Number(values.runs); run++) {
  for (const { workload, system, results } of rows) {
    if (!values.json) console.error(`run ${run}: ${workload.name} on ${system}: ${workload.says}`);
    results.push(await measure(workload, system));
  }
}
const figures: Figure[] = rows.flatMap(({ workload, system, results }) => medians(workload.name, system, results));
if (values.json) for (const figure of figures) console.log(JSON.stringify(figure));
else console.log(`\n${cpus().length} cores, ${cpus()[0]?.model}, Node ${process.version}\n\n${table(figures)}`);

async function measure(workload: Workload, system: SystemName): Promise<Result> {
  const running = await start(system);
  try {
    return await workload.run(running);
  } finally {
    await running.stop();
  }
}
