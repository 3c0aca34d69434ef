/**
 * What a hub tells, printed: as a table for people, or as JSON for programs. It is printed while it arrives, so that
 * there may be more of it than fits into memory.
 */
import { type Cell, text } from "./cell.ts";
import type { Column } from "./columns.ts";
import type { Operator } from "./operator.ts";
import type { Output } from "./output.ts";

/** Prints all rows, or says that there are none. Resolves with how many were printed, which is all if all were read. */
export async function printAll<T>(
  rows: AsyncIterable<T>,
  columns: readonly Column<T>[],
  { output, json, say }: Pick<Operator, "output" | "json" | "say">,
  none: string,
  inJson: (row: T) => unknown = (row) => row,
): Promise<number> {
  const count = await (json ? printJson(rows, inJson, output) : printTable(rows, columns, output));
  if (count === 0) say(none);
  return count;
}

async function printJson<T>(rows: AsyncIterable<T>, inJson: (row: T) => unknown, output: Output): Promise<number> {
  let count = 0;
  for await (const row of rows) {
    count++;
    if (!(await output.write(`${JSON.stringify(inJson(row))}\n`))) break;
  }
  return count;
}

/** The head of a table comes with its first rows. */
async function printTable<T>(rows: AsyncIterable<T>, columns: readonly Column<T>[], output: Output): Promise<number> {
  // Loaded here, so that no other command waits for what knows how wide text is.
  const { Table } = await import("./columns.ts");
  const table = new Table(columns, output);
  let count = 0;
  for await (const row of rows) {
    count++;
    table.add(row);
    if (table.isPage && !(await output.write(table.page()))) return count;
  }
  if (count > 0) await output.write(table.page());
  return count;
}

/** As many rows as the limit says, of those that are asked for. */
export async function* first<T>(
  limit: number,
  rows: AsyncIterable<T>,
  asked: (row: T) => boolean = () => true,
): AsyncGenerator<T, void, undefined> {
  let count = 0;
  for await (const row of rows) {
    if (!asked(row)) continue;
    yield row;
    if (++count === limit) return;
  }
}

/** Prints what there is to say of one thing, a line for each. */
export async function printFacts(facts: readonly (readonly [string, Cell])[], output: Output): Promise<void> {
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, value]) => `${name.padEnd(width)}  ${text(value, output.terminal)}\n`);
  await output.write(lines.join(""));
}
