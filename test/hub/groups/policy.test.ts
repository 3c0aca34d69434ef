/** What a group is declared to be, and what later members may say of it. */
import type { DeclaredPolicy, Pattern } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import { complete, deadChannelOf, defaultPolicy, differences } from "../../../server/src/hub/groups/policy.ts";

const orders = "orders.>" as Pattern;

describe("a declaration", () => {
  it("that says nothing has every default (P-51)", () => {
    expect(complete({})).toEqual({
      order: "none",
      onFailure: "block",
      maxFailures: 10,
      leaseMs: 30_000,
      backoff: { type: "exponential", minMs: 1_000, maxMs: 300_000, jitter: 0.5 },
    });
    expect(complete({ order: undefined, backoff: undefined })).toEqual(defaultPolicy);
  });

  it("has the defaults only where it says nothing, also within its backoff (P-51)", () => {
    expect(complete({ order: "key", leaseMs: 500, backoff: { minMs: 0, jitter: 0, maxMs: undefined } })).toEqual({
      ...defaultPolicy,
      order: "key",
      leaseMs: 500,
      backoff: { ...defaultPolicy.backoff, minMs: 0, jitter: 0 },
    });
  });
});

describe("a later member", () => {
  const stored = { pattern: orders, policy: complete({ order: "key", backoff: { minMs: 20 } }) };
  const differ = (policy: DeclaredPolicy, pattern = orders) => differences(stored, { pattern, policy });

  it("may leave out anything, or say what is so (P-51)", () => {
    expect(differ({})).toEqual([]);
    expect(differ({ order: undefined, backoff: {} })).toEqual([]);
    expect(differ({ order: "key", backoff: { minMs: 20, type: "exponential" } })).toEqual([]);
    expect(differ(stored.policy)).toEqual([]);
  });

  it("is told each field in which it differs, and how (P-51)", () => {
    expect(differ({ order: "all", maxFailures: 10, leaseMs: 100 })).toEqual([
      '`order` is "key", not "all"',
      "`leaseMs` is 30000, not 100",
    ]);
    expect(differ({ backoff: { minMs: 1_000, jitter: 0.5, type: "fixed" } })).toEqual([
      "`backoff.minMs` is 20, not 1000",
      '`backoff.type` is "exponential", not "fixed"',
    ]);
    expect(differ({}, "orders.*" as Pattern)).toEqual(['`pattern` is "orders.>", not "orders.*"']);
  });
});

describe("the channel of dead letters", () => {
  it.each([
    ["orders.>", "orders.$dead.billing"],
    ["orders.*.paid", "orders.$dead.billing"],
    ["orders.eu.*.>", "orders.eu.$dead.billing"],
    ["emails", "emails.$dead.billing"],
    ["emails.out", "emails.out.$dead.billing"],
    [">", "shop.$dead.billing"],
    ["*.x", "shop.$dead.billing"],
  ])("of %s is %s (P-61)", (pattern, channel) => {
    expect(deadChannelOf("shop", pattern as Pattern, "billing")).toBe(channel);
  });
});
