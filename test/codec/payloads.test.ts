/** Finding payloads in JSON text: for any JSON, written in any way that JSON allows, exactly what was written. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { payloadsIn } from "../../server/src/codec/payloads.ts";

const space = fc.string({ unit: fc.constantFrom(" ", "\n", "\r", "\t"), maxLength: 3 });

/** A string as JSON text, each character plain or escaped in one of the ways there are. */
function stringText(value: string): fc.Arbitrary<string> {
  const units = Array.from({ length: value.length }, (_, i) => value.charAt(i));
  return fc.tuple(...units.map(unitText)).map((written) => `"${written.join("")}"`);
}

function unitText(unit: string): fc.Arbitrary<string> {
  const plain = JSON.stringify(unit).slice(1, -1);
  const escaped = `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return fc.constantFrom(plain, plain, plain, escaped, unit === "/" ? "\\/" : plain);
}

/** Strings full of what a scanner could trip over, the short ones and the long ones that it passes over differently. */
const unit = fc.constantFrom('"', "\\", "{", "}", "[", "]", ":", ",", "/", "a", "\n", "é", "😀", "\ud800");
const tricky = fc.oneof(
  fc.string({ unit }),
  fc.string({ unit, minLength: 20, maxLength: 80 }),
  fc.string({ unit: fc.constantFrom("a", "a", "a", "\\", '"'), minLength: 20, maxLength: 80 }),
  fc.constantFrom("data", '"data":', '},{"data":1', "\\", '\\"', "]"),
);
const anyString = tricky.chain((value) => stringText(value));
const numberText = fc.constantFrom(
  "0",
  "-0",
  "1.0",
  "1e5",
  "1E+400",
  "-12.50e-7",
  "9007199254740993",
  "123456789012345678901",
);

/** JSON text of any value, with space wherever it may be. */
const { value: jsonText } = fc.letrec<{ value: string }>((tie) => {
  const value = tie("value");
  const spaced = fc.tuple(space, value, space).map((parts) => parts.join(""));
  const member = fc.tuple(space, anyString, space, spaced).map(([a, key, b, of]) => `${a}${key}${b}:${of}`);
  return {
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.oneof(anyString, numberText, fc.constantFrom("null", "true", "false", "[]", "{}")),
      fc.array(spaced, { maxLength: 4 }).map((items) => `[${items.join(",")}]`),
      fc.array(member, { maxLength: 4 }).map((items) => `{${items.join(",")}}`),
    ),
  };
});

/** A field of an envelope that is not its data. */
const otherKey = fc.constantFrom('"is"', '"number"', '"dat"', '"data "', '"Data"', '"headers"', '""', '"atad"');

interface Written {
  readonly text: string;
  /** The text of its data, if it has any. */
  readonly data: string | undefined;
}

const envelope: fc.Arbitrary<Written> = fc
  .tuple(
    fc.array(fc.tuple(fc.oneof(otherKey, fc.constant('"data"')), jsonText, space, space, space), { maxLength: 5 }),
    space,
  )
  .map(([fields, inner]) => {
    const members = fields.map(([key, of, a, b, c]) => `${a}${key}${b}:${c}${of}${a}`);
    const data = fields.filter(([key]) => key === '"data"').at(-1)?.[1];
    return { text: `{${members.join(",")}${fields.length === 0 ? inner : ""}}`, data };
  });

/** What stands in an array of envelopes: an envelope, or something that is none. */
const item: fc.Arbitrary<Written> = fc.oneof(
  { weight: 4, arbitrary: envelope },
  {
    weight: 1,
    arbitrary: jsonText.filter((text) => !text.startsWith("{")).map((text) => ({ text, data: undefined })),
  },
);

describe("the payload of an envelope", () => {
  it("is found as the exact text that was written, whatever it is and however it is spelled (P-20)", () => {
    fc.assert(
      fc.property(envelope, space, space, ({ text, data }, before, after) => {
        const message = `${before}${text}${after}`;
        expect(found(message)).toEqual([data]);
        if (data !== undefined) expect(JSON.parse(message).data).toEqual(JSON.parse(data));
      }),
      { numRuns: 400 },
    );
  });

  it("is found in each envelope of an array, in order (P-6, P-20)", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(item, space, space), { maxLength: 6 }), space, (items, outside) => {
        const message = `${outside}[${items.map(([{ text }, a, b]) => `${a}${text}${b}`).join(",")}]${outside}`;
        expect(found(message)).toEqual(items.map(([{ data }]) => data));
      }),
      { numRuns: 400 },
    );
  });

  it("is not found where any key is written with escapes, which could spell data (P-20)", () => {
    for (const key of ["\\u0064ata", "d\\u0061ta", "other\\n"]) {
      expect(found(`{"data":1,"${key}":2}`)).toEqual([undefined]);
      expect(found(`{"${key}":2,"data":1}`)).toEqual([undefined]);
    }
  });

  it("nests as deep as its brackets do, without recursion (P-21)", () => {
    const depths: readonly [string, number][] = [
      ["1", 0],
      ['"[[["', 0],
      ["[]", 1],
      ['{"a":[{}]}', 3],
      ["[[],[[]],[]]", 3],
      ["[".repeat(1_000_000) + "]".repeat(1_000_000), 1_000_000],
    ];
    for (const [text, depth] of depths) {
      expect(payloadsIn(Buffer.from(`{"x":[[[[]]]],"data":${text}}`))[0]?.depth).toBe(depth);
    }
  });
});

function found(message: string): (string | undefined)[] {
  const bytes = Buffer.from(message);
  // What could not be parsed never comes here.
  JSON.parse(message);
  return payloadsIn(bytes).map((payload) => payload && bytes.subarray(payload.start, payload.end).toString());
}
