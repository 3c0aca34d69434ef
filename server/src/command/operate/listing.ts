/**
 * What a hub tells, printed: as a table for people, or as JSON for programs. It is printed while it arrives, so that
 * there may be more of it than fits into memory.
 */
import widthOf from "string-width";
import type { Operator } from "./operator.ts";
import type { Output } from "./output.ts";

/** A number is written as an amount; `null` is nothing to speak of. */
export type Cell = string | number | null;

export interface Column<T> {
  readonly title: string;
  readonly of: (row: T) => Cell;
  /** To the right, as amounts are; not the last one. */
  readonly right?: boolean;
  /** It may be cut where the line is too short. */
  readonly cut?: boolean;
}

/** How many rows are a page, and how much text. */
const pageRowsMax = 1_000;
const pageLengthMax = 1_024 * 1_024;

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

/** Rows become lines a page at a time: the width of a column is that of its widest cell so far. */
class Table<T> {
  readonly #columns: readonly Column<T>[];
  readonly #output: Output;
  #widths: readonly number[] = [];
  #rows: string[][];
  #length = 0;

  constructor(columns: readonly Column<T>[], output: Output) {
    this.#columns = columns;
    this.#output = output;
    this.#rows = [columns.map(({ title }) => title.toUpperCase())];
  }

  add(row: T): void {
    const { terminal, width } = this.#output;
    // No more is kept than a line can show.
    const cells = this.#columns.map(({ of }) => cutTo(text(of(row), terminal), width));
    this.#rows.push(cells);
    this.#length += cells.reduce((sum, cell) => sum + cell.length, 0);
  }

  get isPage(): boolean {
    return this.#rows.length >= pageRowsMax || this.#length >= pageLengthMax;
  }

  /** The lines of what was added since the last page. */
  page(): string {
    const rows = this.#rows;
    this.#widths = this.#columns.map((_, i) => Math.max(this.#widths[i] ?? 0, this.#widest(rows, i)));
    const widths = fit(this.#widths, this.#columns, this.#output.width);
    this.#rows = [];
    this.#length = 0;
    return rows.map((row) => line(row, this.#columns, widths)).join("");
  }

  #widest(rows: readonly string[][], i: number): number {
    // The longest texts are last: where a line has no end, what they take need not be known.
    if (i === this.#columns.length - 1 && this.#output.width === Number.POSITIVE_INFINITY) return this.#output.width;
    return Math.max(...rows.map((row) => widthOf(row[i] ?? "")));
  }
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

/** A number with separators, where a person reads it. */
export function amount(number: number, terminal: boolean): string {
  return terminal ? number.toLocaleString("en") : String(number);
}

function text(cell: Cell, terminal: boolean): string {
  if (cell === null || cell === "") return "-";
  return typeof cell === "number" ? amount(cell, terminal) : harmless(cell);
}

/** What messages say is not for the terminal to obey, and is to stay in its line, from left to right. */
function harmless(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu, (control) => {
    const code = control.charCodeAt(0).toString(16).padStart(4, "0");
    return shortEscapes[control] ?? `\\u${code}`;
  });
}

const shortEscapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Narrower than this a column tells nothing. */
const cutWidthMin = 12;
const gap = "  ";

/** Takes from the widest of the columns that may be cut until the line fits, or they tell nothing. */
function fit<T>(widths: readonly number[], columns: readonly Column<T>[], lineWidth: number): number[] {
  const fitting = [...widths];
  let over = fitting.reduce((sum, width) => sum + width, gap.length * (fitting.length - 1)) - lineWidth;
  for (; over > 0; over--) {
    const cut = columns.map(({ cut }, i) => (cut ? (fitting[i] ?? 0) : 0));
    const widest = Math.max(...cut);
    if (widest <= cutWidthMin) break;
    fitting[cut.indexOf(widest)] = widest - 1;
  }
  return fitting;
}

function line<T>(cells: readonly string[], columns: readonly Column<T>[], widths: readonly number[]): string {
  const padded = cells.map((cell, i) => {
    const width = widths[i] ?? 0;
    const shown = cutTo(cell, width);
    if (i === cells.length - 1) return shown;
    const space = " ".repeat(Math.max(0, width - widthOf(shown)));
    return columns[i]?.right ? space + shown : shown + space;
  });
  return `${padded.join(gap)}\n`;
}

const graphemes = new Intl.Segmenter();

/** Looks no further than a line goes: the text may be very long. */
function cutTo(text: string, width: number): string {
  if (width === Number.POSITIVE_INFINITY) return text;
  let end = 0;
  let used = 0;
  for (const { segment, index } of graphemes.segment(text)) {
    used += widthOf(segment);
    if (used > width) return `${text.slice(0, end)}…`;
    if (used < width) end = index + segment.length;
  }
  return text;
}
