/** Bars as SVG: one for each name, with its spread, and a line for what is the most there can be. */

export interface Bar {
  readonly name: string;
  readonly note: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  /** Drawn in the colour of one's own. */
  readonly own: boolean;
}

const width = 1_040;
const left = 130;
/** Where the longest bar ends; notes are right of the bars. */
const longest = 400;
const rowHeight = 24;
const top = 24;

export function bars(title: string, all: readonly Bar[], line?: number): string {
  const most = Math.max(...all.map(({ max }) => max), 0);
  // A limit far away would leave nothing of the bars.
  const drawn = line !== undefined && line <= 4 * most ? line : undefined;
  const scale = longest / (Math.max(most, drawn ?? 0) || 1);
  const height = top + all.length * rowHeight + 6;
  const rows = all.map((bar, i) => row(bar, top + i * rowHeight, scale)).join("");
  const at = left + (drawn ?? 0) * scale;
  const mark =
    drawn === undefined
      ? ""
      : `<line x1="${px(at)}" y1="${top - 4}" x2="${px(at)}" y2="${height - 6}" stroke="#c33" stroke-dasharray="4 3"/>`;
  return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}" font-family="system-ui, sans-serif" font-size="12" fill="currentColor">
<text x="0" y="14" font-weight="600">${escaped(title)}</text>
${rows}${mark}</svg>
`;
}

function row({ name, note, value, min, max, own }: Bar, y: number, scale: number): string {
  const middle = y + rowHeight / 2 - 2;
  const end = left + value * scale;
  const spread =
    max > min
      ? `<line x1="${px(left + min * scale)}" y1="${middle}" x2="${px(left + max * scale)}" y2="${middle}" stroke="currentColor"/>`
      : "";
  return `<text x="${left - 8}" y="${middle + 4}" text-anchor="end">${escaped(name)}</text>
<rect x="${left}" y="${y + 2}" width="${px(end - left)}" height="${rowHeight - 8}" fill="${own ? "#2a7ade" : "#9aa5b1"}"/>${spread}
<text x="${left + longest + 12}" y="${middle + 4}">${escaped(note)}</text>
`;
}

const px = (value: number): string => value.toFixed(1);

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

export function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => entities[character] as string);
}
