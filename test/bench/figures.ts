/** What a benchmark finds, and how it is printed. */
import type { Durability } from "./system.ts";

export interface Value {
  readonly value: number;
  readonly unit: string;
  /** What this machine allows at most, or at least takes: the name of a limit. */
  readonly of?: string;
}

/** What one run of a workload found, by metric. */
export type Result = Readonly<Record<string, Value>>;

/** A run that counts, or why it does not. */
export type Outcome = { readonly result: Result } | { readonly void: string };

/** A line of `--json`. Of a void row there is only the metric `void`: how many of its runs were, and why. */
export interface Figure {
  readonly workload: string;
  readonly system: string;
  readonly metric: string;
  /** The median of the runs. */
  readonly value: number;
  readonly unit: string;
  readonly durability: Durability;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
  /** The limit of this machine that the figure is held against, and the figure as a fraction of it. */
  readonly limit?: { readonly name: string; readonly value: number; readonly fraction: number };
  /** Why the row is void. */
  readonly reason?: string;
}

export interface Row {
  readonly workload: string;
  readonly system: string;
  readonly durability: Durability;
}

/** A row with what each run of it found. */
export interface Measured extends Row {
  readonly outcomes: readonly Outcome[];
}

/** The row of what this machine allows. */
export const limitsRow: Row = { workload: "limits", system: "machine", durability: "nothing" };

/** What stands beside a figure where the process that makes the load was what ended it. */
export const generatorCpu = "generator CPU %";
export const generatorBoundFrom = 95;

/** The medians of all rows, those of what this machine allows among them. */
export function figuresOfAll(rows: readonly Measured[]): Figure[] {
  const found = rows.filter(({ workload }) => workload === limitsRow.workload).flatMap(({ outcomes }) => outcomes);
  const limits = new Map(figuresOf(limitsRow, found, new Map()).map(({ metric, value }) => [metric, value]));
  return rows.flatMap(({ outcomes, ...row }) => figuresOf(row, outcomes, limits));
}

/** The medians of a row, metric by metric. One run that does not count makes the row void. */
export function figuresOf(row: Row, outcomes: readonly Outcome[], limits: ReadonlyMap<string, number>): Figure[] {
  const voids = outcomes.flatMap((outcome) => ("void" in outcome ? [outcome.void] : []));
  const { length } = voids;
  if (length > 0) {
    const [reason = ""] = voids;
    return [
      { ...row, metric: "void", value: length, unit: "runs", min: length, max: length, runs: outcomes.length, reason },
    ];
  }
  const results = outcomes.flatMap((outcome) => ("result" in outcome ? [outcome.result] : []));
  const metrics = new Map(results.flatMap((result) => Object.entries(result)));
  return [...metrics].map(([metric, { unit, of }]) => {
    const values = results.flatMap((result) => result[metric]?.value ?? []).sort((a, b) => a - b);
    const value = median(values);
    const most = of === undefined ? undefined : limits.get(of);
    return {
      ...{ workload: row.workload, system: row.system, metric, value, unit, durability: row.durability },
      ...{ min: values[0] as number, max: values.at(-1) as number, runs: values.length },
      ...(of !== undefined && most !== undefined && { limit: { name: of, value: most, fraction: value / most } }),
    };
  });
}

/** The middle one; of an even number, the mean of the two. */
export function median(sorted: readonly number[]): number {
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}

/** Rows whose generator had no time left: the system may be able to do more. */
export function generatorBound(figures: readonly Figure[], { workload, system }: Figure): boolean {
  return figures.some(
    (one) =>
      one.workload === workload &&
      one.system === system &&
      one.metric === generatorCpu &&
      one.value >= generatorBoundFrom,
  );
}

export function table(figures: readonly Figure[]): string {
  const head = [
    "workload",
    "system",
    "acknowledged means",
    "metric",
    "value",
    "unit",
    "spread",
    "of this machine's limit",
  ];
  const rows = [
    head,
    ...figures.map((figure) => [
      figure.workload,
      figure.system,
      figure.durability,
      figure.metric,
      readable(figure.value),
      figure.unit,
      figure.reason ?? `${readable(figure.min)}–${readable(figure.max)}`,
      [limitText(figure), generatorBound(figures, figure) ? "generator-bound" : ""].filter(Boolean).join(", "),
    ]),
  ];
  const widths = head.map((_, column) =>
    Math.max(...rows.map((row) => (column < 7 || row === head ? (row[column] as string).length : 0))),
  );
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 4 ? cell.padStart(widths[i] as number) : cell.padEnd(widths[i] as number)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export function limitText({ limit }: Figure): string {
  if (limit === undefined) return "";
  const { fraction, name } = limit;
  return fraction >= 2 ? `${fraction.toFixed(1)} × ${name}` : `${Math.round(100 * fraction)} % of ${name}`;
}

export function readable(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return value.toFixed(2);
}
