/**
 * What tests did, for `npm run prove` to count: how many kills, seeds, faults. One JSON line each, appended to the file
 * that `PROVE_FIGURES` names; nothing where none is named.
 */
import { appendFileSync, readFileSync } from "node:fs";

export interface Figure {
  /** In words, with the unit where it is no plain count: "random kills", "soak minutes". */
  readonly name: string;
  readonly count: number;
}

export function figure(name: string, count: number): void {
  const file = process.env.PROVE_FIGURES;
  if (file) appendFileSync(file, `${JSON.stringify({ name, count } satisfies Figure)}\n`);
}

/** What was appended, in the order in which the names came first; what came more than once added up. */
export function readFigures(file: string): Figure[] {
  const sums = new Map<string, number>();
  for (const line of readFileSync(file, "utf8").split("\n")) {
    if (line === "") continue;
    const { name, count } = JSON.parse(line) as Figure;
    sums.set(name, (sums.get(name) ?? 0) + count);
  }
  return [...sums].map(([name, count]) => ({ name, count }));
}
