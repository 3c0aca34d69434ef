/** Damages what was right: in the ways in which bytes go wrong, and in those in which somebody makes them. */
import fc from "fast-check";

interface Damage {
  readonly do: "flip" | "set" | "remove" | "repeat" | "insert" | "cut" | "splice";
  /** Where, as a share of the length. */
  readonly at: number;
  readonly length: number;
  readonly byte: number;
  readonly word: string;
  /** Another entry of the corpus. */
  readonly other: number;
}

/** What hurts where it appears in JSON, in a name or in a path. */
const words = [
  '"__proto__":{"x":1},',
  '"constructor":',
  '"data":',
  '"d\\u0061ta":7,',
  '"is":"publish",',
  "[[[[[[[[",
  "{}",
  "null",
  "1e999",
  "-0",
  "9007199254740993",
  '"\\ud800"',
  "\\u0000",
  "%00",
  "%2e%2e/",
  "..",
  ".$dead.",
  ">",
  "*",
  ",",
  ":",
  '"',
  "\\",
  "\n",
] as const;

const damage: fc.Arbitrary<Damage> = fc.record({
  do: fc.constantFrom("flip", "set", "remove", "repeat", "insert", "cut", "splice"),
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  length: fc.integer({ min: 1, max: 40 }),
  byte: fc.oneof(fc.constantFrom(0, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 255 })),
  word: fc.constantFrom(...words),
  other: fc.nat(),
});

/** An entry of a corpus, damaged in up to so many ways; now and then it is whole. */
export function mutated(entries: readonly (string | Buffer)[], damagesMax = 5): fc.Arbitrary<Buffer> {
  const bytes = entries.map((entry) => Buffer.from(entry));
  return fc
    .tuple(fc.nat({ max: bytes.length - 1 }), fc.array(damage, { maxLength: damagesMax }))
    .map(([entry, damages]) => damages.reduce((text, one) => damaged(text, one, bytes), bytes[entry] as Buffer));
}

/** The same of text: what is no UTF-8 any more has been mended, as by whoever decoded it before. */
export function mutatedText(entries: readonly string[], damagesMax = 5): fc.Arbitrary<string> {
  return mutated(entries, damagesMax).map((bytes) => bytes.toString());
}

function damaged(bytes: Buffer, { do: how, at, length, byte, word, other }: Damage, all: readonly Buffer[]): Buffer {
  const start = Math.floor(at * bytes.length);
  const end = Math.min(bytes.length, start + length);
  const [before, within, after] = [bytes.subarray(0, start), bytes.subarray(start, end), bytes.subarray(end)];
  switch (how) {
    case "flip":
      return Buffer.concat([before, Buffer.of((bytes[start] ?? 0) ^ (1 << (byte % 8))), bytes.subarray(start + 1)]);
    case "set":
      return Buffer.concat([before, within.map(() => byte), after]);
    case "remove":
      return Buffer.concat([before, after]);
    case "repeat":
      return Buffer.concat([before, within, within, after]);
    case "insert":
      return Buffer.concat([before, Buffer.from(word), bytes.subarray(start)]);
    case "cut":
      return before;
    case "splice": {
      const from = all[other % all.length] as Buffer;
      return Buffer.concat([before, from.subarray(Math.floor(at * from.length))]);
    }
  }
}
