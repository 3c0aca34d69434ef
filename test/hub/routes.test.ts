/** Patterns by the channels they select. */
import { type Channel, matcher, type Pattern } from "@dogear/shared";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Routes } from "../../server/src/hub/routes.ts";

const routesOf = (...patterns: readonly string[]) => {
  const routes = new Routes<{ readonly pattern: string }>();
  for (const pattern of patterns) routes.set(pattern as Pattern, { pattern });
  return routes;
};

const found = (routes: Routes<{ readonly pattern: string }>, channel: string) =>
  routes
    .find(channel as Channel)
    .map(({ pattern }) => pattern)
    .sort();

describe("routes", () => {
  it("finds what selects a channel, and nothing else", () => {
    const routes = routesOf("a.b", "a.*", "a.>", "*.b", ">", "a.b.>", "b.*", "a");
    expect(found(routes, "a.b")).toEqual(["*.b", ">", "a.*", "a.>", "a.b"]);
    expect(found(routes, "a")).toEqual([">", "a"]);
    expect(found(routes, "a.b.c")).toEqual([">", "a.>", "a.b.>"]);
  });

  it("does not show what is the hub's own to wildcards", () => {
    const routes = routesOf("a.>", "a.*", "a.$dead.>", "a.$dead.g", ">");
    expect(found(routes, "a.$dead.g")).toEqual(["a.$dead.>", "a.$dead.g"]);
    expect(found(routes, "a.$dead")).toEqual([]);
  });

  it("forgets what was taken out, and keeps what goes further the same way", () => {
    const routes = routesOf("a.*", "a.*.c", "a.>");
    routes.delete("a.*" as Pattern);
    routes.delete("a.b.never" as Pattern);
    expect(found(routes, "a.b")).toEqual(["a.>"]);
    expect(found(routes, "a.b.c")).toEqual(["a.*.c", "a.>"]);
    routes.delete("a.*.c" as Pattern);
    routes.delete("a.>" as Pattern);
    expect(routes.isEmpty).toBe(true);
  });

  it("says what a matcher of each pattern says", () => {
    const level = fc.constantFrom("a", "b", "$c", "*");
    const pattern = fc
      .tuple(fc.array(level, { maxLength: 4 }), fc.boolean())
      .map(([levels, open]) => [...levels, ...(open || levels.length === 0 ? [">"] : [])].join("."));
    const channel = fc.array(fc.constantFrom("a", "b", "$c"), { minLength: 1, maxLength: 5 }).map((l) => l.join("."));
    const [patterns, removed] = [fc.uniqueArray(pattern, { maxLength: 30 }), fc.array(fc.nat(29), { maxLength: 10 })];
    fc.assert(
      fc.property(patterns, removed, fc.array(channel), (all, gone, channels) => {
        const routes = routesOf(...all);
        for (const i of gone) if (all[i] !== undefined) routes.delete(all[i] as Pattern);
        const kept = all.filter((_, i) => !gone.includes(i));
        for (const name of channels) {
          const expected = kept.filter((one) => matcher(one as Pattern)(name as Channel)).sort();
          expect(found(routes, name)).toEqual(expected);
        }
      }),
    );
  });
});
