/**
 * Finds where payloads lie in JSON text, so that they can be stored as they were written.
 *
 * The text has been accepted by JSON.parse, so nothing here has to doubt it: strings end, brackets match.
 */

/** Where the `data` of one envelope lies, and how deep it nests; `undefined` where it has none. */
export interface Payload {
  readonly start: number;
  readonly end: number;
  readonly depth: number;
}

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const colon = 0x3a;
const comma = 0x2c;
const spaceMax = 0x20;

/** Up to here a loop finds the end of a string sooner than a search that has to be called. */
const shortString = 24;

/** The payload of each envelope of a WebSocket message, in order. */
export function payloadsIn(text: Uint8Array): readonly (Payload | undefined)[] {
  const payloads: (Payload | undefined)[] = [];
  let at = skipSpace(text, 0);
  if (text[at] === openBrace) return [new Scanner(text, at).envelope()];
  at = skipSpace(text, at + 1);
  while (text[at] !== closeBracket) {
    const scanner = new Scanner(text, at);
    payloads.push(text[at] === openBrace ? scanner.envelope() : scanner.skip());
    at = skipSpace(text, scanner.at);
    if (text[at] === comma) at = skipSpace(text, at + 1);
  }
  return payloads;
}

/** A text that is one payload, and perhaps space around it. */
export function wholePayload(text: Uint8Array): Payload {
  const start = skipSpace(text, 0);
  const scanner = new Scanner(text, start);
  const depth = scanner.value();
  return { start, end: scanner.at, depth };
}

class Scanner {
  at: number;
  readonly #text: Uint8Array;

  constructor(text: Uint8Array, at: number) {
    this.#text = text;
    this.at = at;
  }

  /**
   * Reads an object and returns where its `data` is. Of several the last one counts, as for JSON.parse. Where a key is
   * written with escapes none is found: it could spell `data`, and then what was checked would not be what is stored.
   */
  envelope(): Payload | undefined {
    const text = this.#text;
    let payload: Payload | undefined;
    let escapes = false;
    this.at = skipSpace(text, this.at + 1);
    while (text[this.at] !== closeBrace) {
      const key = this.at;
      if (this.#key()) escapes = true;
      const isData = spellsData(text, key, this.at);
      this.at = skipSpace(text, this.at);
      if (text[this.at] === colon) this.at = skipSpace(text, this.at + 1);
      const start = this.at;
      const depth = this.value();
      if (isData) payload = { start, end: this.at, depth };
      this.at = skipSpace(text, this.at);
      if (text[this.at] === comma) this.at = skipSpace(text, this.at + 1);
    }
    this.at++;
    return escapes ? undefined : payload;
  }

  /** Passes over a value that is not an envelope. */
  skip(): undefined {
    this.value();
  }

  /** Passes over a value; returns how deep it nests. Does not recurse: depth is the sender's choice. */
  value(): number {
    const text = this.#text;
    let depth = 0;
    let deepest = 0;
    do {
      const byte = text[this.at];
      if (byte === quote) {
        this.#string();
      } else if (byte === openBrace || byte === openBracket) {
        depth++;
        if (depth > deepest) deepest = depth;
        this.at++;
      } else if (byte === closeBrace || byte === closeBracket) {
        depth--;
        this.at++;
      } else if (depth > 0) {
        this.at++;
      } else {
        this.#literal();
      }
    } while (depth > 0);
    return deepest;
  }

  /** Passes over a key; returns whether it is written with escapes. */
  #key(): boolean {
    const start = this.at;
    this.#string();
    for (let at = start; at < this.at; at++) if (this.#text[at] === backslash) return true;
    return false;
  }

  #string(): void {
    const text = this.#text;
    const looked = this.at + shortString;
    let at = this.at + 1;
    while (text[at] !== quote) {
      at += text[at] === backslash ? 2 : 1;
      if (at > looked) return this.#longString(at);
    }
    this.at = at + 1;
  }

  /** The rest of a string: the next quote ends it, unless the backslashes before it escape it. */
  #longString(from: number): void {
    const text = this.#text;
    let at = text.indexOf(quote, from);
    for (;;) {
      let before = at;
      while (before > from && text[before - 1] === backslash) before--;
      if ((at - before) % 2 === 0) break;
      at = text.indexOf(quote, at + 1);
    }
    this.at = at + 1;
  }

  /** A number, `true`, `false` or `null`, up to what ends it. */
  #literal(): void {
    const text = this.#text;
    for (; this.at < text.length; this.at++) {
      const byte = text[this.at] as number;
      if (byte <= spaceMax || byte === comma || byte === closeBrace || byte === closeBracket) return;
    }
  }
}

function skipSpace(text: Uint8Array, from: number): number {
  let at = from;
  while (at < text.length && (text[at] as number) <= spaceMax) at++;
  return at;
}

/** Whether a key is written `"data"`. */
function spellsData(text: Uint8Array, start: number, end: number): boolean {
  return (
    end - start === 6 &&
    text[start + 1] === 0x64 &&
    text[start + 2] === 0x61 &&
    text[start + 3] === 0x74 &&
    text[start + 4] === 0x61
  );
}
