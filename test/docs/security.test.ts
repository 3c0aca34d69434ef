/** Holds SECURITY.md's checklist to the tests: each that it names is there. */
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { repository } from "../support/sources.ts";

test("every test that SECURITY.md names is there", () => {
  const checklist = readFileSync(`${repository}SECURITY.md`, "utf8").split("## The checklist")[1] ?? "";
  const named = Array.from(checklist.matchAll(/`([a-z]+\/[a-z-]+(?:\.try)?)`/g), ([, path]) => path as string);
  expect(named.length).toBeGreaterThan(30);
  const missing = named.filter(
    (path) => !existsSync(`${repository}test/${path}.test.ts`) && !existsSync(`${repository}test/${path}.ts`),
  );
  expect(missing).toEqual([]);
});
