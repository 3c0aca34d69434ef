/**
 * What more connections need: `npm run growth -- [--deliveries 0.1] [--publishes 1000] [--namespaces 1]`.
 *
 * Measures what a connection, a delivery, a published message and a cursor cost a hub on JetStream, each by rows of the
 * benchmark, and reckons from that what a million and a hundred million connections need and what comes to its limit
 * first. One of its predictions is then checked by a run of ten times the size.
 *
 * In fan-out a message costs once and each delivery of it costs: two numbers of connections tell the two apart.
 */
import { parseArgs } from "node:util";
import { bench } from "./bench.ts";
import { type Figure, figuresOfAll } from "./figures.ts";
import type { System } from "./system.ts";
import { dogear, dogearJetstream } from "./systems/dogear.ts";
import { fanOut } from "./workloads/fan-out.ts";
import { workloads } from "./workloads/index.ts";

const { values } = parseArgs({
  options: {
    /** Messages that each connection is sent in a second; each is acknowledged, by a cursor of its own. */
    deliveries: { type: "string", default: "0.1" },
    /** Messages that are published in a second, in all. */
    publishes: { type: "string", default: "1000" },
    /** Over how many namespaces they are spread. */
    namespaces: { type: "string", default: "1" },
  },
});
const load = {
  deliveries: Number(values.deliveries),
  publishes: Number(values.publishes),
  namespaces: Number(values.namespaces),
};

/** What one hub is given: a core, of which it uses this share, and so much memory. */
const hubShare = 0.6;
const hubBytes = 8 * 1_024 ** 3;
/** `connectionsMax`, and descriptors. */
const hubConnections = 50_000;

interface Cost {
  readonly of: string;
  readonly value: number;
  readonly unit: string;
  readonly row: string;
}

/** What was found, by workload. */
const measured = new Map<string, readonly Figure[]>();

const engine: System = dogearJetstream.absence() === undefined ? dogearJetstream : dogear;

const connection = await measure("idle", engine, "KB/connection");
const few = await measure("fan-out-10", engine, "CPU s/million");
const more = await measure("fan-out-100", engine, "CPU s/million");
const fannedOut = (few.value - more.value) / (1 / 10 - 1 / 100);
const delivery: Cost = {
  ...more,
  value: more.value - fannedOut / 100,
  row: `fan-out-10 and -100, ${engine.name}, CPU s/million`,
};
const published = await measure("publish-256", engine, "CPU s/million");
const publishing = await measure("publish-4096", engine, "acks/s");
const stored = await measure("publish-4096", engine, "bytes/message");
const cursor = await measure("cursors", engine, "CPU s/million");

console.log("\nWhat it costs a hub\n");
console.log(lines([connection, delivery, published, cursor, stored].map(asRow)));
for (const connections of [1_000_000, 100_000_000]) console.log(`\n${needs(connections)}`);

const predicted = delivery.value + fannedOut / 1_000;
const found = await measure("fan-out-1000", engine, "CPU s/million");
console.log(
  `\nChecked: 10 and 100 connections predict ${predicted.toFixed(2)} CPU s per million deliveries to 1,000; ` +
    `measured ${found.value.toFixed(2)}, ${(found.value / predicted).toFixed(2)} of it.`,
);

async function measure(name: string, system: System, metric: string): Promise<Cost> {
  const found = measured.get(name) ?? (await run(name, system));
  measured.set(name, found);
  const figure = found.find((one) => one.metric === metric);
  if (figure === undefined) throw new Error(`${name} on ${system.name} did not find ${metric}.`);
  return { of: name, value: figure.value, unit: figure.unit, row: `${name}, ${system.name}, ${metric}` };
}

async function run(name: string, system: System): Promise<readonly Figure[]> {
  const workload = [...workloads, fanOut(100)].find((one) => one.name === name);
  if (workload === undefined) throw new Error(`There is no workload ${name}.`);
  const plan = {
    workloads: [workload],
    systems: [system],
    absent: [],
    limits: [],
    runs: 3,
    full: false,
    say: console.error,
  };
  return figuresOfAll((await bench(plan)).rows);
}

function asRow({ value, unit, row }: Cost): readonly string[] {
  return [value.toFixed(2), unit, row];
}

/** What so many connections need. */
function needs(connections: number): string {
  const deliveries = connections * load.deliveries;
  // What the row of cursors measures is a delivery and its acknowledgement.
  const cores = (deliveries * cursor.value + load.publishes * published.value) / 1e6;
  const byCpu = cores / hubShare;
  const byMemory = (connections * connection.value * 1_024) / hubBytes;
  const hubs = Math.ceil(Math.max(byCpu, byMemory, connections / hubConnections));
  const perNamespace = load.publishes / load.namespaces;
  return [
    `${connections.toLocaleString("en")} connections, ${deliveries.toLocaleString("en")} deliveries and ${load.publishes.toLocaleString("en")} publishes a second`,
    lines([
      ["hubs", `${hubs}`, first({ CPU: byCpu, memory: byMemory, connections: connections / hubConnections })],
      ["CPU of hubs", `${cores.toFixed(1)} cores`, "acknowledged deliveries, publishes"],
      ["memory of hubs", `${((connections * connection.value) / 1_024 ** 2).toFixed(0)} GB`, "idle connections"],
      [
        "cursors stored",
        `${deliveries.toLocaleString("en")} a second`,
        `in one bucket: ${share(deliveries, publishing.value)}`,
      ],
      [
        "each stream's leader stores",
        `${perNamespace.toLocaleString("en")} a second`,
        share(perNamespace, publishing.value),
      ],
      [
        "and sends to hubs",
        `${(perNamespace * hubs).toLocaleString("en")} messages a second`,
        "every hub follows every namespace it serves",
      ],
    ]),
  ].join("\n");
}

function first(limits: Readonly<Record<string, number>>): string {
  const [name] = Object.entries(limits).sort(([, a], [, b]) => b - a)[0] as [string, number];
  return `limited by ${name}`;
}

function share(wanted: number, most: number): string {
  return `${((100 * wanted) / most).toFixed(1)} % of the ${Math.round(most).toLocaleString("en")} that a stream stores (publish-4096)`;
}

function lines(rows: readonly (readonly string[])[]): string {
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  return rows
    .map(([a = "", b = "", c = ""]) => `  ${a.padEnd(widths[0] ?? 0)}  ${b.padEnd(widths[1] ?? 0)}  ${c}`)
    .join("\n");
}
