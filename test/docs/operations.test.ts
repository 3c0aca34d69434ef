/** Holds OPERATIONS.md to the code. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { withMetricTable } from "../../scripts/tables.js";
import { logLevels } from "../../server/src/runtime/logger.ts";
import { metricTable } from "../../server/src/runtime/metric-table.ts";
import { repository } from "../support/sources.ts";

const page = readFileSync(`${repository}OPERATIONS.md`, "utf8");

test("the table of metrics is what the code says; scripts/tables.js writes it", () => {
  expect(page).toBe(withMetricTable(page, metricTable));
});

test("every metric that is spoken of exists", () => {
  const series = Object.entries(metricTable).flatMap(([name, { type }]) =>
    type === "histogram" ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  );
  const spokenOf = Array.from(page.matchAll(/\bdogear_\w+/g), ([name]) => name);
  expect(spokenOf.filter((name) => !series.includes(name))).toEqual([]);
});

test("every level of the log is named", () => {
  expect(logLevels.filter((level) => !page.includes(`\`${level}\``))).toEqual([]);
});
