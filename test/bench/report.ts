/** The report as a page. */
import type { Report } from "./bench.ts";
export function html(report: Report): string {
  return JSON.stringify(report);
}
export function lines({ about, figures }: Report): string {
  return [{ about }, ...figures].map((line) => `${JSON.stringify(line)}\n`).join("");
}
export function parse(text: string): Report {
  const [first, ...rest] = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { about: first.about, figures: rest };
}
