/** What capabilities cover, held against what patterns select when every channel is tried. */
import { type Channel, covers, isPattern, matcher, type Pattern } from "@dogear/shared";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Capabilities, capabilities, permissionsOf, rights } from "../../server/src/access/capabilities.ts";

/** Every channel of up to three levels of these. `z` is a name that no pattern spells. */
const levels = ["a", "b", "$a", "z"];
const channels: Channel[] = [];
for (const one of levels) {
  channels.push(one as Channel);
  for (const two of levels) {
    channels.push(`${one}.${two}` as Channel);
    for (const three of levels) {
      channels.push(`${one}.${two}.${three}` as Channel);
      for (const four of levels) channels.push(`${one}.${two}.${three}.${four}` as Channel);
    }
  }
}

const pattern = fc
  .tuple(fc.array(fc.constantFrom("a", "b", "$a", "*"), { maxLength: 3 }), fc.boolean())
  .map(([named, open]) => [...named, ...(open || named.length === 0 ? [">"] : [])].join("."))
  .filter(isPattern);

describe("a granted pattern covers another", () => {
  it("exactly where it selects every channel that the other can select (P-69)", () => {
    fc.assert(
      fc.property(pattern, pattern, (granted, asked) => {
        const [grants, asks] = [matcher(granted), matcher(asked)];
        return covers(granted, asked) === channels.filter(asks).every(grants);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ["a.*", "a.b", true],
    ["a.*", "a.*", true],
    ["a.*", "a.>", false],
    ["a.*", "a", false],
    ["a.*", "a.b.c", false],
    ["a.*", "ab", false],
    ["a.*", "a.$b", false],
    ["a", "ab", false],
    ["a.>", "a", false],
    ["a.>", "ab.c", false],
    ["a.>", "a.*.c", true],
    ["a.>", "a.b.$dead.x", false],
    ["a.*.c", "a.>", false],
    ["a.*.c", "a.*.>", false],
    [">", "a.>", true],
    [">", ">", true],
    [">", "$dead", false],
    [">", "a.$dead.billing", false],
    [">", "$scheduled.default", false],
    ["*", ">", false],
    ["*.>", ">", false],
    ["a.$dead.*", "a.$dead.billing", true],
    ["a.$dead.*", "a.b.billing", false],
  ])("%s and %s: %s (P-69)", (granted, asked, covered) => {
    expect(covers(granted as Pattern, asked as Pattern)).toBe(covered);
  });
});

describe("the capabilities of a user", () => {
  const may = (granted: Capabilities, user: string, right: (typeof rights)[number], name: string) =>
    permissionsOf(granted, user).may(right, name as Channel);

  it("are what is named and nothing else: no right is part of another (P-69)", () => {
    for (const given of rights) {
      const allowed = rights.filter((right) => may({ "a.>": [given] }, "ann", right, "a.b"));
      expect(allowed).toEqual([given]);
      expect(permissionsOf({ "a.>": [given] }, "ann").mayAnywhere(given)).toBe(true);
    }
    expect(rights.some((right) => permissionsOf({ a: [] }, "ann").mayAnywhere(right))).toBe(false);
  });

  it("put the user's name for the level {user}, and only for a whole level (P-69)", () => {
    const granted: Capabilities = { "inbox.{user}.>": ["subscribe"] };
    expect(may(granted, "ann", "subscribe", "inbox.ann.>")).toBe(true);
    expect(may(granted, "ann", "subscribe", "inbox.bob.x")).toBe(false);
    expect(may(granted, "ann", "subscribe", "inbox.{user}.x")).toBe(false);
    for (const wrong of ["{user", "x{user}", "{user}x", "{USER}", "{user}{user}", "{}", "{ user }"]) {
      expect(capabilities.safeParse({ [wrong]: ["publish"] }).success).toBe(false);
    }
  });

  it("give a user whose name is no level of a channel nothing by {user}, whatever it spells (P-69)", () => {
    const hostile = fc.oneof(
      fc.string({ unit: fc.constantFrom("a", ".", "*", ">", "$", "{user}", "/", "\n", "é") }),
      fc.constantFrom("*", ">", "a.b", "$a", "a.>", "{user}"),
    );
    fc.assert(
      fc.property(hostile, fc.constantFrom("x.{user}", "x.{user}.>", "{user}", "{user}.{user}"), (user, template) => {
        const { may } = permissionsOf({ [template]: ["publish"] }, user);
        const plain = /^[a-z]+$/.test(user);
        const own = template.replaceAll("{user}", user).replace(">", "y");
        expect(may("publish", own as Channel)).toBe(plain);
        for (const other of ["x.bob", "x.bob.y", "bob", "x.*", "x.>", ">", "*"]) {
          expect(may("publish", other as Channel)).toBe(false);
        }
      }),
    );
  });

  it("do not make names too long: a level that no longer fits grants nothing", () => {
    const template = `${"a".repeat(250)}.{user}`;
    expect(may({ [template]: ["publish"] }, "ann", "publish", `${"a".repeat(250)}.ann`)).toBe(true);
    expect(may({ [template]: ["publish"] }, "annabel", "publish", `${"a".repeat(250)}.annabel`)).toBe(false);
  });

  it("give the same answer however often and after however many others they are asked", () => {
    const { may } = permissionsOf({ "a.*": ["publish"], "b.>": ["subscribe"] }, "ann");
    for (let i = 0; i < 2_500; i++) {
      expect(may("publish", `a.${i}` as Channel)).toBe(true);
      expect(may("subscribe", `a.${i}` as Channel)).toBe(false);
    }
    expect(may("publish", "a.0" as Channel)).toBe(true);
    expect(may("publish", "b.0" as Channel)).toBe(false);
  });
});
