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

/**
 * Calls for each message in a frame. The mark is what stands before each number; it must not occur elsewhere. Messages are nearly all
 * of one length, so the next mark is looked for where that length says, and searched for only if it is not there.
 */
export function eachNumber(bytes: Buffer, mark: Buffer, take: (number: number) => void): void {
  let at = bytes.indexOf(mark);
  let length = 0;
  while (at >= 0) {
    take(numberAt(bytes, at + mark.length));
    const guess = at + length;
    const next = length > 0 && isAt(bytes, mark, guess) ? guess : bytes.indexOf(mark, at + mark.length + numberDigits);
    length = next - at;
    at = next;
  }
}

function isAt(bytes: Buffer, mark: Buffer, at: number): boolean {
  if (at + mark.length > bytes.length) return false;
  for (let i = 0; i < mark.length; i++) if (bytes[at + i] !== mark[i]) return false;
  return true;
}
