/**
 * What may be read in a log: no credentials, no payloads, no query strings; nothing that is endless, and nothing that a
 * terminal obeys. JSON escapes line breaks, so that nobody can write a line of their own.
 */

const hidden = "[redacted]";

/** Names of what is nobody's business: credentials, keys of any kind, and what messages carry. */
const secretNames =
  /(token|ticket|secret|password|credential|authorization|cookie|key|jwk|keyset|hash|signature)s?$|^(data|payload|body|headers)$/i;

const textLengthMax = 4_096;
const entriesMax = 100;
const depthMax = 6;
const causesMax = 5;

/** The same facts without what must not be in a log. */
export function redacted(facts: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return entriesOf(facts, 1);
}

function valueAt(value: unknown, depth: number): unknown {
  if (typeof value === "string") return textOf(value);
  if (value instanceof Error) return textOf(errorText(value));
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Date) return value.toJSON();
  if (value instanceof URL) return textOf(value.href);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depth >= depthMax) return "[…]";
  if (value instanceof Map) return entriesOf(Object.fromEntries(value), depth + 1);
  if (!Array.isArray(value) && !(value instanceof Set)) return entriesOf(value as Record<string, unknown>, depth + 1);
  const items = [...value];
  const kept = items.slice(0, entriesMax).map((item) => valueAt(item, depth + 1));
  return items.length > kept.length ? [...kept, `[${items.length - kept.length} more]`] : kept;
}

function entriesOf(object: Readonly<Record<string, unknown>>, depth: number): Record<string, unknown> {
  const entries = Object.entries(object);
  const kept = entries
    .slice(0, entriesMax)
    .map(([name, value]) => [
      textOf(name),
      secretNames.test(name) && value !== undefined ? hidden : valueAt(value, depth),
    ]);
  if (entries.length > kept.length) kept.push(["…", `[${entries.length - kept.length} more]`]);
  return Object.fromEntries(kept);
}

/** An error's stack, and that of each of its causes. */
function errorText(error: Error): string {
  const texts: string[] = [];
  let at: unknown = error;
  while (at !== undefined && texts.length < causesMax) {
    texts.push(at instanceof Error ? (at.stack ?? String(at)) : String(at));
    at = at instanceof Error ? at.cause : undefined;
  }
  return texts.join("\nCaused by: ");
}

/** What follows a question mark at once, as in a URL. */
const queries = /\?[^\s"'`<>]+/g;

/** A token, as an error that complains of it may quote it. */
const tokens = /\beyJ[\w-]{8,}(?:\.[\w-]*){1,4}|\bBearer\s+[^\s"',]+/gi;

/** Characters that terminals obey and JSON leaves as they are; among them those that turn the direction of writing. */
const controls = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function textOf(text: string): string {
  const kept =
    text.length > textLengthMax ? `${text.slice(0, textLengthMax)} [${text.length - textLengthMax} more]` : text;
  return kept
    .replace(tokens, hidden)
    .replace(queries, `?${hidden}`)
    .replace(controls, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
