/** Holds PROTOCOL.md to the code, and the code's citations of it to PROTOCOL.md. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { withTables } from "../../scripts/tables.js";
import { filesIn, repository } from "../support/sources.ts";

const page = readFileSync(`${repository}PROTOCOL.md`, "utf8");
const rules = Array.from(page.matchAll(/\*\*P-(\d+)\*\*/g), ([, number]) => Number(number));

test("the rules of the protocol are numbered in order and without holes", () => {
  expect(rules).toEqual(rules.map((_, index) => index + 1));
});

test("every rule that is cited exists", () => {
  const citing = ["shared/src", "client/src", "server/src", "test"].flatMap(filesIn);
  const unknown = citing.flatMap(citationsIn).filter(({ rule }) => !rules.includes(rule));
  expect(unknown.map(({ where, rule }) => `${where} cites P-${rule}`)).toEqual([]);
});

test("every rule is cited under test/", () => {
  const cited = new Set(
    filesIn("test")
      .flatMap(citationsIn)
      .map(({ rule }) => rule),
  );
  const missing = rules.filter((rule) => !cited.has(rule));
  expect(missing.map((rule) => `nothing under test/ cites P-${rule}`)).toEqual([]);
});

test("the tables of errors and limits are what the code says; scripts/tables.js writes them", () => {
  expect(page).toBe(withTables(page));
});

function citationsIn(path: string): { where: string; rule: number }[] {
  const lines = readFileSync(repository + path, "utf8").split("\n");
  // Three numbers are curves (FIPS 186-5) and no rules.
  return lines.flatMap((line, index) =>
    Array.from(line.matchAll(/\bP-(?!256|384|521)(\d+)\b/g), ([, number]) => ({
      where: `${path}:${index + 1}`,
      rule: Number(number),
    })),
  );
}
