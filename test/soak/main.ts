/**
 * `npm run soak -- [--minutes 60] [--connections 2000] [--seed n] [--leak memory|timers|descriptors]`
 *
 * Prints a line for each look at the hub, and a verdict. Ends with 1 where something grew, was left, or was broken.
 * What it samples in less than ten minutes says nothing of growth, and is not judged by it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { figure } from "../support/figures.ts";
import type { NamedGrowth, SampleAt } from "./judged.ts";
import type { Leak } from "./sampled-hub.ts";
import { type Progress, type SoakReport, soak } from "./soak.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    connections: { type: "string", default: "2000" },
    /** How often the hub is looked at, and how long a scene of the checker is. */
    sample: { type: "string", default: "10000" },
    scene: { type: "string", default: "30000" },
    /** How long the hub may take to let go of those who have gone. */
    gone: { type: "string", default: "60000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    leak: { type: "string" },
  },
});

const judgedMinutesMin = 10;
const MiB = 1_024 ** 2;

const minutes = Number(values.minutes);
const folder = mkdtempSync(join(tmpdir(), "dogear-soak-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
console.log(`Soaking for ${minutes} minutes with ${values.connections} connections, seed ${values.seed}.`);
const report = await soak({
  program: join(import.meta.dirname, "hub.js"),
  data: join(folder, "data"),
  minutes,
  connections: Number(values.connections),
  sampleMs: Number(values.sample),
  sceneMs: Number(values.scene),
  seed: Number(values.seed),
  goneMs: Number(values.gone),
  leak: values.leak as Leak | undefined,
  onSample: (sample, progress) => console.log(line(sample, progress)),
});
console.log(verdict(report));
figure("soak minutes", minutes);
figure("soak messages checked", report.progress.checked.messages);
process.exit(failures(report).length > 0 ? 1 : 0);

function line(sample: SampleAt, { published, delivered, gaps, replaced, scenes }: Progress): string {
  const { seconds, timers, sockets, files, sessions, members, delayMs, delayMsMax } = sample;
  const [rss, heap, external, outbox] = [sample.rss, sample.heapUsed, sample.external, sample.outboxBytes].map(inMiB);
  const [state, log] = [sample.stateBytes, sample.logBytes].map(inMiB);
  return (
    `${seconds.toFixed(0)} s: rss ${rss} heap ${heap} external ${external} outbox ${outbox} state ${state} log ${log} MiB; ` +
    `timers ${timers} sockets ${sockets} files ${files} sessions ${sessions} members ${members}; ` +
    `loop ${delayMs.toFixed(0)}/${delayMsMax.toFixed(0)} ms; published ${published} delivered ${delivered} ` +
    `gaps ${gaps} replaced ${replaced} scenes ${scenes}`
  );
}

function verdict(report: SoakReport): string {
  const { checked, scenes } = report.progress;
  const rows = report.growths.map(
    ({ name, median, slope, rise }) => `| ${name} | ${rounded(median)} | ${rounded(slope)} | ${rounded(rise)} |`,
  );
  return [
    "",
    "| what | median | growth an hour | growth in the half that is judged |",
    "|---|---|---|---|",
    ...rows,
    "",
    `${scenes} scenes were checked: ${checked.messages} messages, ${checked.deliveries} deliveries, ${checked.leases} leases.`,
    ...failures(report).map((failure) => `FAILED: ${failure}`),
    failures(report).length === 0 ? "Nothing grew, nothing was left, nothing was broken." : "",
  ].join("\n");
}

function failures({ growths, left, violations }: SoakReport): string[] {
  const growing = minutes < judgedMinutesMin ? [] : growths.filter(({ grows }) => grows);
  return [
    ...growing.map(({ name, rise }: NamedGrowth) => `${name} grew by ${rounded(rise)}`),
    ...left.map((what) => `left: ${what}`),
    ...violations.slice(0, 20),
    ...(violations.length > 20 ? [`${violations.length} violations in all`] : []),
  ];
}

function inMiB(bytes: number): string {
  return (bytes / MiB).toFixed(1);
}

function rounded(value: number): string {
  return Math.round(value).toLocaleString("en");
}
