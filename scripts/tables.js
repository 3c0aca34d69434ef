/**
 * PROTOCOL.md's tables of errors and limits and OPERATIONS.md's of metrics, generated from the code, so that the pages
 * cannot say anything else. Run as a script, after a build, it writes them; `test/docs` holds the pages to them.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defaultLimits, errors, sentences } from "@dogear/shared";

/**
 * The page with its tables as they should be; all that is not between the markers stays.
 *
 * @param {string} markdown
 * @returns {string}
 */
export function withTables(markdown) {
  return fill(fill(markdown, "errors", errorTable()), "limits", limitTable());
}

/**
 * The same for the page with the table of metrics.
 *
 * @param {string} markdown
 * @param {Readonly<Record<string, { type: string, labels?: readonly string[], help: string }>>} metrics
 * @returns {string}
 */
export function withMetricTable(markdown, metrics) {
  const rows = Object.entries(metrics).map(([name, { type, labels = [], help }]) => [
    `\`${name}\``,
    type,
    labels.map((label) => `\`${label}\``).join(", "),
    help,
  ]);
  return fill(markdown, "metrics", table(["metric", "type", "labels", "says"], rows));
}

function errorTable() {
  const rows = Object.entries(errors).map(([code, { closeCode, retry }]) => [
    `\`${code}\``,
    closeCode ?? "",
    retry,
    sentences[code].replaceAll("|", "\\|"),
  ]);
  return table(["error", "closes with", "retry", "meaning"], rows);
}

function limitTable() {
  const rows = Object.entries(defaultLimits).map(([name, value]) => [`\`${name}\``, quantity(name, value)]);
  return table(["limit", "default"], rows);
}

/** A value in the largest unit that leaves it whole. A limit's name ends with what it counts. */
function quantity(name, value) {
  if (/Ms(Max)?$/.test(name)) return inUnits(value, durations);
  if (/Bytes(PerSecond)?(Max)?$/.test(name)) return inUnits(value, sizes);
  return value.toLocaleString("en");
}

const durations = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
  [1, "ms"],
];

const sizes = [
  [1_048_576, "MiB"],
  [1_024, "KiB"],
  [1, "bytes"],
];

function inUnits(value, units) {
  const [size, unit] = units.find(([size]) => value % size === 0);
  return `${value / size} ${unit}`;
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function fill(markdown, name, text) {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [start, end] = [markdown.indexOf(open), markdown.indexOf(close)];
  if (start < 0 || end < start) throw new Error(`The page has no place for its table of ${name}: ${open} … ${close}`);
  return `${markdown.slice(0, start + open.length)}\n${text}\n${markdown.slice(end)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { metricTable } = await import("../server/dist/runtime/metric-table.js");
  rewrite("PROTOCOL.md", withTables);
  rewrite("OPERATIONS.md", (page) => withMetricTable(page, metricTable));
}

function rewrite(name, change) {
  const page = fileURLToPath(new URL(`../${name}`, import.meta.url));
  writeFileSync(page, change(readFileSync(page, "utf8")));
}
