/** Names: what is one, what a pattern selects, and what becomes of both on NATS, held to the words of PROTOCOL.md. */
import { type Channel, isChannel, isPattern, matcher, namespaceOf, type Pattern } from "@dogear/shared";
import fc from "fast-check";
import { expect, it } from "vitest";
import { decodeKey, encodeKey } from "../../server/src/engine/jetstream/keys.ts";
import { Subjects, selectsExactly } from "../../server/src/engine/jetstream/names.ts";
import { mutatedText } from "./mutation.ts";
import { fuzz } from "./support.ts";

const examples = [
  "a",
  "a.b",
  "$sys",
  "a.$dead.b",
  "a.*",
  "*.b.>",
  ">",
  "a.>",
  "A-b_9.c",
  "x".repeat(255),
  "a.".repeat(15),
];
const word = fc.constantFrom("a", "b", "ab", "$a", "$dead", "*", ">", "", "_", "-", "a b", "é");
const anyName = fc.oneof(
  mutatedText(examples),
  fc.array(word, { minLength: 1, maxLength: 18 }).map((levels) => levels.join(".")),
);
const level = fc.constantFrom("a", "b", "$a", "$dead");
const channel = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join(".") as Channel);
const pattern = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("*")), { maxLength: 4 }), fc.boolean())
  .map(([levels, open]) => (open || levels.length === 0 ? [...levels, ">"] : levels).join(".") as Pattern);

/** P-1 and P-3, level by level. */
function isName(name: string, wild: boolean): boolean {
  const levels = name.split(".");
  const isLevel = (one: string, i: number) => {
    if (wild && (one === "*" || (one === ">" && i === levels.length - 1))) return true;
    const plain = one.startsWith("$") ? one.slice(1) : one;
    return plain !== "" && [...plain].every((character) => /[A-Za-z0-9_-]/.test(character));
  };
  return Buffer.byteLength(name) <= 255 && levels.length <= 16 && levels.every(isLevel);
}

/** P-3, by recursion over what is left of both. */
function selects([wanted, ...others]: readonly string[], [named, ...left]: readonly string[]): boolean {
  if (wanted === undefined || named === undefined) return wanted === named;
  if (wanted === ">") return [named, ...left].every((one) => !one.startsWith("$"));
  return (wanted === "*" ? !named.startsWith("$") : wanted === named) && selects(others, left);
}

it("a text is a channel or a pattern exactly where the page says so (P-1, P-3)", async () => {
  await fuzz(
    anyName,
    (name) => {
      expect([isChannel(name), isPattern(name)]).toEqual([isName(name, false), isName(name, true)]);
    },
    { share: 4 },
  );
});

it("a pattern selects what the page says, whatever is tried (P-3)", async () => {
  await fuzz(
    fc.tuple(pattern, channel),
    ([wanted, named]) => {
      expect(matcher(wanted)(named)).toBe(selects(wanted.split("."), named.split(".")));
    },
    { share: 4 },
  );
});

it("a name is in the namespace that its first level names, and in the default one otherwise (P-4)", async () => {
  await fuzz(fc.tuple(fc.subarray(["a", "ab", "constructor"]), channel), ([configured, name]) => {
    const first = name.split(".")[0] as string;
    expect(namespaceOf(name, new Set(configured))).toBe(configured.includes(first) ? first : "default");
  });
});

it("on NATS the subject of a pattern selects what it matches, and nothing else where it says so", async () => {
  const subjects = new Subjects("dogear", "default");
  /** By the rules of NATS, where `$` is nothing special. */
  const filter = (wanted: string) => matcher(wanted.replaceAll("$", "S") as Pattern);
  await fuzz(
    fc.tuple(pattern, channel),
    ([wanted, named]) => {
      const subject = subjects.of(named, "_");
      expect(subjects.channelOf(subject)).toBe(named);
      const selected = filter(subjects.matching(wanted))(subject.replaceAll("$", "S") as Channel);
      if (matcher(wanted)(named)) expect(selected).toBe(true);
      else if (selectsExactly(wanted)) expect(selected).toBe(false);
    },
    { share: 2 },
  );
});

it("no subject is read as the key of a record without an answer, and every key comes back as it was", async () => {
  await fuzz(mutatedText(["cursor.ada.phone.sensors/=j", "=", "group.default.g", "=z=C.=="]), (subject) => {
    const key = decodeKey(subject);
    const isPrintable = /^[ -~]*$/.test(key);
    if (isPrintable && key !== "") expect(decodeKey(encodeKey(key))).toBe(key);
  });
});
