/** Rows in columns: as wide as what is in them, and cut where the terminal is not. */
import widthOf from "string-width";
import { type Cell, text } from "./cell.ts";
import type { Output } from "./output.ts";

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

/** Rows become lines a page at a time: the width of a column is that of its widest cell so far. */
export class Table<T> {
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
