/**
 * The message of every system: a JSON string of so many bytes, quotation marks included, that begins with its number.
 *
 *     "000000000042xxxxxxxx…"
 */

export const numberDigits = 12;

/** What follows the number, by size. */
const ends = new Map<number, string>();

export function message(number: number, bytes: number): string {
  let end = ends.get(bytes);
  if (end === undefined) {
    end = `${"x".repeat(bytes - numberDigits - 2)}"`;
    ends.set(bytes, end);
  }
  return `"${String(number).padStart(numberDigits, "0")}${end}`;
}

/** The number whose first digit is here; NaN where that is no number. */
export function numberAt(bytes: Buffer, at: number): number {
  let number = 0;
  for (let i = at; i < at + numberDigits; i++) {
    const digit = (bytes[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    number = number * 10 + digit;
  }
  return number;
}

/** Calls with the number of each message in a frame. The mark is what stands before each, and nowhere else. */
export function eachNumber(bytes: Buffer, mark: Buffer, take: (number: number) => void): void {
  eachMark(bytes, mark, (at) => take(numberAt(bytes, at)));
}

/**
 * Calls with the place after each mark. What is between two marks is nearly always as long as between the two before, so
 * the next is looked for there, and searched for only where it is not.
 */
export function eachMark(bytes: Buffer, mark: Buffer, take: (at: number) => void): void {
  let length = 0;
  for (let at = bytes.indexOf(mark); at >= 0; ) {
    take(at + mark.length);
    const guess = at + length;
    const next = length > 0 && isAt(bytes, mark, guess) ? guess : bytes.indexOf(mark, at + mark.length);
    length = next - at;
    at = next;
  }
}

/** The digits that begin here, as many as there are. */
export function digitsAt(bytes: Buffer, at: number): number {
  let number = 0;
  for (let i = at; ; i++) {
    const digit = (bytes[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return number;
    number = number * 10 + digit;
  }
}

export function isAt(bytes: Buffer, mark: Buffer, at: number): boolean {
  if (at + mark.length > bytes.length) return false;
  for (let i = 0; i < mark.length; i++) if (bytes[at + i] !== mark[i]) return false;
  return true;
}
