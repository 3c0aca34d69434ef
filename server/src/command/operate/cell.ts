/** What a hub tells, as text for one line of a terminal or a file. */

/** A number is written as an amount; `null` is nothing to speak of. */
export type Cell = string | number | null;

/** A number with separators, where a person reads it. */
export function amount(number: number, terminal: boolean): string {
  return terminal ? number.toLocaleString("en") : String(number);
}

/** What a cell says: on a terminal as people read it. */
export function text(cell: Cell, terminal: boolean): string {
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
