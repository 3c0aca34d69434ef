/**
 * The leases of a group against a reference that is kept the plain way, in whatever order things happen: no message is
 * lost, none is held twice, and whatever can be leased is leased. A failure prints its seed and its shortest story.
 */
import type { GroupPolicy } from "@dogear/shared";
import fc from "fast-check";
import { it } from "vitest";
import { policyOf } from "./support.ts";
import { type Step, World } from "./world.ts";

const who = fc.constantFrom("A", "B", "C");
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const error = optional(fc.constantFrom("no", "never"));

const settlement = fc.oneof(
  fc.record({ outcome: fc.constantFrom("ack" as const, "release" as const) }),
  fc.record({
    outcome: fc.constant("retry" as const),
    delayMs: optional(fc.constantFrom(0, 1, 50, 5_000)),
    error,
  }),
  fc.record({ outcome: fc.constant("reject" as const), error }),
  fc.record({ outcome: fc.constant("extend" as const), leaseMs: optional(fc.constantFrom(1, 37, 100, 101, 60_000)) }),
);

const one = <T extends string>(...names: T[]) => fc.constantFrom(...names);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: one("publish"),
      key: optional(one("a", "b")),
      ttlMs: fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined, freq: 3 }),
      redriven: fc.integer({ min: 0, max: 4 }).map((n) => n === 4),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: one("read"), count: fc.integer({ min: 1, max: 5 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: one("join"),
      who,
      window: fc.integer({ min: 1, max: 3 }),
      holding: fc.nat(63),
      opens: fc.integer({ min: 0, max: 3 }).map((n) => n > 0),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: one("open"), who }) },
  { weight: 2, arbitrary: fc.record({ do: one("close", "detach", "leave"), who }) },
  { weight: 6, arbitrary: fc.record({ do: one("grant"), atOnce: fc.constantFrom(100, 2, 3) }) },
  { weight: 3, arbitrary: fc.record({ do: one("flush") }) },
  { weight: 6, arbitrary: fc.record({ do: one("send"), which: fc.oneof(fc.constantFrom(-1, 0), fc.nat(255)) }) },
  { weight: 6, arbitrary: fc.record({ do: one("round") }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: one("settle"),
      who,
      fence: fc.nat(20),
      own: fc.integer({ min: 0, max: 4 }).map((n) => n > 0),
      as: settlement,
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: one("wait"), until: one("next", "any"), ms: fc.nat(150) }) },
  { weight: 2, arbitrary: fc.record({ do: one("bury"), which: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: one("retire", "discard"), which: fc.nat(8) }) },
  { weight: 2, arbitrary: fc.record({ do: one("crash"), downMs: fc.constantFrom(0, 1, 99, 100, 10_000) }) },
);

/** So that a story need not wait until there are members and messages. */
const opening: readonly Step[] = [
  ...["A", "B"].map((who): Step => ({ do: "join", who, window: 2, holding: 0, opens: true })),
  ...["a", "a", "b", undefined, "a"].map((key): Step => ({ do: "publish", key, ttlMs: undefined, redriven: false })),
];

const story = fc
  .tuple(fc.constantFrom([], opening), fc.array(step, { maxLength: 60, size: "max" }))
  .map(([before, steps]) => [...before, ...steps]);

const policy: fc.Arbitrary<GroupPolicy> = fc
  .record({
    order: one("none", "key", "all"),
    onFailure: one("block", "skip"),
    maxFailures: fc.integer({ min: 1, max: 3 }),
    type: one("fixed", "exponential"),
    minMs: fc.constantFrom(0, 40),
    jitter: fc.constantFrom(0, 0.5, 1),
  })
  .map(({ type, minMs, jitter, ...said }) =>
    policyOf({ ...said, leaseMs: 100, backoff: { type, minMs, maxMs: 60, jitter } }),
  );

const random = fc.constantFrom(0, 0.4, 0.999);

it("loses no message, leases none twice and lets none wait without reason, whatever happens (P-52 to P-60)", () => {
  fc.assert(
    fc.property(policy, random, story, (said, chance, steps) => {
      const world = new World(said, chance);
      for (const one of steps) world.step(one);
      world.finish();
    }),
    { numRuns: 3_000 },
  );
});
