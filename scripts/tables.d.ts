/** PROTOCOL.md with its tables of errors and limits as they should be. */
export function withTables(markdown: string): string;

/** OPERATIONS.md with its table of metrics as it should be. */
export function withMetricTable(
  markdown: string,
  metrics: Readonly<
    Record<string, { readonly type: string; readonly labels?: readonly string[]; readonly help: string }>
  >,
): string;
