/** How keys are written in subjects. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeKey, encodeKey, encodePrefix } from "../../../server/src/engine/jetstream/keys.ts";

const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
const key = fc.string({ unit: fc.oneof(fc.constantFrom(...printable), fc.constantFrom("/", ".")), minLength: 1 });

test("a key is read as it was written, and is one that a bucket may have", () => {
  fc.assert(
    fc.property(key, (text) => {
      const encoded = encodeKey(text);
      expect(decodeKey(encoded)).toBe(text);
      // NATS's own rule for keys of a bucket, and for tokens of a subject.
      expect(encoded).toMatch(/^[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*$/);
    }),
  );
});

test("no two keys are written alike, and none more than twice as long as it is", () => {
  const specials = printable.map((character) => encodeKey(character));
  expect(new Set(specials).size).toBe(95);
  expect(encodeKey("*".repeat(1_900)).length).toBe(3_800);
});

test("a prefix selects by its whole segments", () => {
  expect(encodePrefix("cursor/")).toBe("cursor.>");
  expect(encodePrefix("cursor/ada/ph")).toBe("cursor.ada.>");
  expect(encodePrefix("cur")).toBe(">");
  expect(encodeKey("cursor/")).toBe("cursor.=");
});
