/** What a configuration file may say, and what it means. */
import { defaultLimits } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../server/src/config/config.ts";
import { ConfigError } from "../../server/src/config/mistakes.ts";

describe("a namespace's time to live", () => {
  it("is for ever where nothing is said (P-46)", () => {
    expect(ttls({})).toEqual({ default: undefined });
    expect(ttls({ namespaces: { orders: {} } })).toEqual({ default: undefined, orders: undefined });
  });

  it("is what the file says, also of the default namespace (P-46)", () => {
    expect(ttls({ namespaces: { default: { ttlMs: 5 }, typing: { durability: "memory", ttlMs: 10_000 } } })).toEqual({
      default: 5,
      typing: 10_000,
    });
  });

  it.each([0, -1, 1.5, "1s", null])("cannot be %j", (ttlMs) => {
    expect(() => parseConfig({ namespaces: { orders: { ttlMs } } })).toThrow(ConfigError);
    expect(() => parseConfig({ namespaces: { orders: { ttlMs } } })).toThrow("namespaces.orders.ttlMs");
  });
});

describe("a limit", () => {
  it("of what may wait for its time is one of those that the file can change (P-47)", () => {
    expect(parseConfig({}).limits).toEqual(defaultLimits);
    expect(parseConfig({ limits: { scheduledMax: 7 } }).limits).toEqual({ ...defaultLimits, scheduledMax: 7 });
  });
});

function ttls(file: object): Record<string, number | undefined> {
  return Object.fromEntries(parseConfig(file).policies.map(({ namespace, ttlMs }) => [namespace, ttlMs]));
}
