/**
 * How the key of a record is written in a subject. A segment of the key is a token of the subject, so that a prefix of
 * whole segments is one that the server can select by:
 *
 *     cursor/ada/phone/sensors.*     cursor.ada.phone.sensors/=j
 *
 * Letters, digits, `-` and `_` stay; `/` and `.` change places; any other character is `=` and a letter, and an empty
 * segment is `=` alone. That is what a key in a bucket may consist of, at most twice as long as it was.
 */
const special = " !\"#$%&'()*+,:;<=>?@[\\]^`{|}~";
const letters = "abcdefghijklmnopqrstuvwxyzABC";

export function encodeKey(key: string): string {
  const encoded = key.replace(/[^A-Za-z0-9_-]/g, (character) => {
    if (character === "/") return ".";
    return character === "." ? "/" : `=${letters[special.indexOf(character)]}`;
  });
  return encoded.replace(/^(?=\.|$)|(?<=\.)(?=\.|$)/g, "=");
}

export function decodeKey(encoded: string): string {
  return encoded.replace(/=([A-Za-z])?|[./]/g, (text, letter: string | undefined) => {
    if (letter !== undefined) return special[letters.indexOf(letter)] as string;
    if (text === "=") return "";
    return text === "." ? "/" : ".";
  });
}

/** The wildcard that selects all keys with a prefix, and perhaps more: all that have its whole segments. */
export function encodePrefix(prefix: string): string {
  const end = prefix.lastIndexOf("/");
  return end < 0 ? ">" : `${encodeKey(prefix.slice(0, end))}.>`;
}
