/**
 * The report: one page that needs nothing else, made of what a run found, and that as a line of JSON each, so that the page
 * can be made again.
 */
import type { About, Report } from "./bench.ts";
import { type Figure, figuresOfAll, generatorBound, limitsRow, limitText, type Measured, readable } from "./figures.ts";
import { bars, escaped } from "./plots.ts";

/** What a workload is about first; the other metrics are in its table. */
const plotted = [
  "acks/s",
  "deliveries/s",
  "messages/s",
  "p99 ms",
  "p99 ms, delivered",
  "KB/connection",
  "s to all caught up",
];

export function lines({ about, rows }: Report): string {
  return [{ about }, ...rows].map((line) => `${JSON.stringify(line)}\n`).join("");
}

export function parse(text: string): Report {
  const [first, ...rest] = text.trimEnd().split("\n");
  const { about } = JSON.parse(first ?? "{}") as { about?: About };
  if (about === undefined) throw new Error("The first line does not say what was measured: this is not from --report.");
  return { about, rows: rest.map((line) => JSON.parse(line) as Measured) };
}

/**
 * One report of several, so that not all has to be measured at once: what is in more than one of them has the runs of all.
 * Throws if they are of different machines, or measured something else by the same name.
 */
export function merged([first, ...others]: readonly [Report, ...Report[]]): Report {
  const reports = [first, ...others];
  const different = others.find(({ about }) => about.machine !== first.about.machine);
  if (different !== undefined) {
    throw new Error(`Figures of two machines are not compared: ${first.about.machine}; ${different.about.machine}.`);
  }
  const all = <Key extends "systems" | "absent" | "workloads" | "leftOut">(key: Key) => {
    const found = reports.flatMap(({ about }): readonly unknown[] => about[key]).map((one) => JSON.stringify(one));
    return [...new Set(found)].map((one) => JSON.parse(one)) as unknown as About[Key];
  };
  const workloads = all("workloads");
  const twice = workloads.find(({ name }, i) => workloads.findIndex((one) => one.name === name) < i);
  if (twice !== undefined) throw new Error(`${twice.name} is not the same in all of them.`);
  const rows = new Map<string, Measured>();
  for (const row of reports.flatMap((report) => report.rows)) {
    const place = `${row.workload} ${row.system}`;
    rows.set(place, { ...row, outcomes: [...(rows.get(place)?.outcomes ?? []), ...row.outcomes] });
  }
  const lists = { systems: all("systems"), absent: all("absent"), workloads, leftOut: all("leftOut") };
  return { about: { ...first.about, ...lists }, rows: [...rows.values()] };
}

export function html({ about, rows }: Report): string {
  const figures = figuresOfAll(rows);
  const workloads = about.workloads.filter(({ name }) => figures.some(({ workload }) => workload === name));
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Dogear: benchmark</title>
<style>${style}</style>
<h1>Dogear, beside its peers</h1>
${head(about, runsOf(rows))}
<h2 id="limits">What this machine allows</h2>
<p>Measured in the same run, beside the systems, without any of them.</p>
${table(
  figures.filter(({ workload }) => workload === limitsRow.workload),
  figures,
)}
${workloads.map((workload) => section(workload, about, figures)).join("\n")}
</html>
`;
}

/** How many runs the rows that count are of. */
function runsOf(rows: readonly Measured[]): string {
  const counted = rows.filter(({ outcomes }) => outcomes.every((outcome) => "result" in outcome));
  const counts = counted
    .filter(({ workload }) => workload !== limitsRow.workload)
    .map(({ outcomes }) => outcomes.length);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return least === most ? `${most} ${most === 1 ? "run" : "runs"}` : `${least} to ${most} runs`;
}

function head({ date, machine, systems, absent }: About, runs: string): string {
  const missing = absent.map(({ name, why }) => `<li><b>${escaped(name)}</b>: ${escaped(why)}</li>`).join("");
  return `${missing === "" ? "" : `<div class="absent"><p>Absent, and therefore not compared:</p><ul>${missing}</ul></div>`}
<p>${escaped(machine)}; ${date.slice(0, 10)}; medians of ${runs}, interleaved, with the smallest and the largest. Server and generator are separate processes
on the same machine. <i>Durability</i> is what an acknowledged message survives: <i>nothing</i> is acknowledged, or it survives nothing (<i>memory</i>), the <i>process</i>
killed, power loss (<i>flushed</i>), the loss of a machine (<i>replicated</i>). A row in which a message was lost, repeated or out of order is <b>void</b>.
<i>Generator-bound</i>: the process that made the load had no time left, and the system may be able to do more. Latencies count from when a message was to be sent.</p>
<table><thead><tr><th>system</th><th>version</th><th>set to</th></tr></thead><tbody>
${systems.map(({ name, version, settings }) => `<tr><td>${escaped(name)}</td><td>${escaped(version)}</td><td>${escaped(settings)}</td></tr>`).join("\n")}
</tbody></table>`;
}

function section({ name, says }: About["workloads"][number], about: About, figures: readonly Figure[]): string {
  const own = figures.filter(({ workload }) => workload === name);
  const plots = plotted.map((metric) => plot(metric, own)).join("");
  const out = about.leftOut
    .filter(({ workload }) => workload === name)
    .map(({ system, why }) => `<li>without ${escaped(system)}: ${escaped(why)}</li>`);
  return `<h2 id="${name}">${name}</h2>
<p>${escaped(says)}.</p>
${out.length === 0 ? "" : `<ul>${out.join("")}</ul>`}
${plots}
<details><summary>All figures</summary>${table(own, figures)}</details>`;
}

/** A bar for each system that has the metric, and a word for each that is void. */
function plot(metric: string, own: readonly Figure[]): string {
  const measured = own.filter((figure) => figure.metric === metric);
  if (measured.length === 0) return "";
  const voids = own.filter((figure) => figure.metric === "void");
  return bars(
    `${metric}${measured.some(({ limit }) => limit) ? `, line: ${measured.find(({ limit }) => limit)?.limit?.name}` : ""}`,
    [...measured, ...voids].map((figure) => ({
      name: figure.system,
      note: figure.metric === "void" ? `void: ${figure.reason}` : note(figure, own),
      value: figure.metric === "void" ? 0 : figure.value,
      min: figure.metric === "void" ? 0 : figure.min,
      max: figure.metric === "void" ? 0 : figure.max,
      own: figure.system.startsWith("dogear"),
    })),
    measured.find(({ limit }) => limit)?.limit?.value,
  );
}

function note(figure: Figure, own: readonly Figure[]): string {
  const bound = generatorBound(own, figure) ? "generator-bound" : "";
  return [readable(figure.value), figure.durability, limitText(figure), bound].filter(Boolean).join(" · ");
}

function table(rows: readonly Figure[], all: readonly Figure[]): string {
  const body = rows.map((figure) => {
    const { system, durability, metric, value, unit, min, max, runs, reason } = figure;
    const beside = [limitText(figure), generatorBound(all, figure) ? "generator-bound" : ""].filter(Boolean).join(", ");
    const cells = [
      system,
      durability,
      metric,
      readable(value),
      unit,
      reason ?? `${readable(min)}–${readable(max)}`,
      `${runs}`,
      beside,
    ];
    return `<tr>${cells.map((cell, i) => `<td${i === 3 ? ' class="number"' : ""}>${escaped(cell)}</td>`).join("")}</tr>`;
  });
  const titles = ["system", "durability", "metric", "value", "unit", "spread", "runs", "of this machine's limit"];
  return `<table><thead><tr>${titles.map((title) => `<th>${title}</th>`).join("")}</tr></thead><tbody>
${body.join("\n")}
</tbody></table>`;
}

const style = `
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd } h1, h2 { line-height: 1.2 }
table { border-collapse: collapse; font-size: 13px } td, th { text-align: left; padding: 2px 12px 2px 0; vertical-align: top }
.number { text-align: right; font-variant-numeric: tabular-nums } svg { display: block; max-width: 100%; margin: 0.8rem 0 }
.absent { border-left: 4px solid #c60; padding: 0.2rem 1rem; background: #fff6ee }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } h2 { border-color: #444 } .absent { background: #2a2015 } }
`;
