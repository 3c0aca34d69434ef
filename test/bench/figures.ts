/** What a benchmark finds, and how it is printed. */

export interface Figure {
  readonly workload: string;
  readonly system: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
}

/** What one run of a workload found: each metric with its unit. */
export type Result = Readonly<Record<string, { readonly value: number; readonly unit: string }>>;

/** The median of the runs, metric by metric. */
export function medians(workload: string, system: string, results: readonly Result[]): Figure[] {
  const [first = {}] = results;
  return Object.entries(first).map(([metric, { unit }]) => {
    const values = results.map((result) => result[metric]?.value ?? Number.NaN).sort((a, b) => a - b);
    return { workload, system, metric, value: values[Math.floor(values.length / 2)] as number, unit };
  });
}

export function table(figures: readonly Figure[]): string {
  const rows = [
    ["workload", "system", "metric", "value", "unit"],
    ...figures.map(({ workload, system, metric, value, unit }) => [workload, system, metric, readable(value), unit]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 3 ? cell.padStart(widths[i] as number) : cell.padEnd(widths[i] as number)))
        .join("  "),
    )
    .join("\n");
}

function readable(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(2);
}
