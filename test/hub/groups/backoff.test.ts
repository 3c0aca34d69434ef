/** How long a failed message waits. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoffMs } from "../../../server/src/hub/groups/backoff.ts";
import { policyOf } from "./support.ts";

describe("the backoff", () => {
  const { backoff } = policyOf();

  it("doubles with each failure, up to its limit (P-57)", () => {
    const delays = [1, 2, 3, 4, 5, 1_000].map((failures) => backoffMs({ ...backoff, maxMs: 7_000 }, failures, 0));
    expect(delays).toEqual([1_000, 2_000, 4_000, 7_000, 7_000, 7_000]);
  });

  it("is always the same where it is fixed (P-57)", () => {
    const fixed = { ...backoff, type: "fixed", minMs: 700 } as const;
    expect([1, 2, 50].map((failures) => backoffMs(fixed, failures, 0.9))).toEqual([700, 700, 700]);
  });

  it("leaves a share to chance, and never more (P-57)", () => {
    const half = { ...backoff, type: "fixed", minMs: 1_000, jitter: 0.5 } as const;
    expect([0, 0.5, 0.999_999].map((random) => backoffMs(half, 1, random))).toEqual([1_000, 750, 500]);
    const ms = fc.integer({ min: 0, max: 604_800_000 });
    const jitter = fc.double({ min: 0, max: 1, noNaN: true });
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(
        ms,
        ms,
        jitter,
        random,
        fc.integer({ min: 1, max: 5_000 }),
        (minMs, more, jitter, random, failures) => {
          const maxMs = minMs + more;
          const delay = backoffMs({ type: "exponential", minMs, maxMs, jitter }, failures, random);
          const full = Math.min(minMs * 2 ** (failures - 1), maxMs) || 0;
          expect(Number.isSafeInteger(delay)).toBe(true);
          expect(delay).toBeLessThanOrEqual(full);
          expect(delay).toBeGreaterThanOrEqual(Math.floor(full * (1 - jitter)));
        },
      ),
    );
  });
});
