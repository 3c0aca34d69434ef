import { describe, expect, test } from "vitest";
import { seeded } from "../support/seeded.ts";
import { growthOf, median, type Point, slopeOf } from "./slope.ts";

const MiB = 1_024 ** 2;
const tolerance = { share: 0.03, amount: MiB };

/** An hour of samples, one each ten seconds. */
function hour(value: (seconds: number) => number): Point[] {
  return Array.from({ length: 360 }, (_, i) => ({ seconds: i * 10, value: value(i * 10) }));
}

/** What a heap is after collections: about 60 MiB, give or take 3. */
function heap(seed: number): () => number {
  const random = seeded(seed);
  return () => (57 + 6 * random()) * MiB;
}

describe("the slope", () => {
  test("is that of the line through the points", () => {
    expect(slopeOf(hour((seconds) => 5 + 3 * seconds))).toBeCloseTo(3);
  });

  test("is not moved by a quarter of the points, wherever they are", () => {
    const random = seeded(1);
    const points = hour((seconds) => (random() < 0.25 ? 1e9 * random() : 100 + 2 * seconds));
    expect(slopeOf(points)).toBeGreaterThan(1.9);
    expect(slopeOf(points)).toBeLessThan(40);
  });

  test("of one point, or of none, is 0", () => {
    expect(slopeOf([])).toBe(0);
    expect(slopeOf([{ seconds: 1, value: 7 }])).toBe(0);
  });

  test("is a median that takes the middle of two", () => {
    expect([median([3]), median([1, 2]), median([3, 1, 2])]).toEqual([3, 1.5, 2]);
  });
});

describe("growth", () => {
  const seeds = Array.from({ length: 20 }, (_, seed) => seed);

  test.each(seeds)("is not seen in noise, nor in what filled up in the first half (seed %i)", (seed) => {
    const noise = heap(seed);
    const filling = (seconds: number) => 40 * MiB * Math.min(1, seconds / 1_700);
    expect(growthOf(hour(noise), tolerance).grows).toBe(false);
    expect(
      growthOf(
        hour((seconds) => noise() + filling(seconds)),
        tolerance,
      ).grows,
    ).toBe(false);
  });

  test.each(seeds)("is seen where 2 KiB a second leak below the same noise (seed %i)", (seed) => {
    const noise = heap(seed);
    expect(
      growthOf(
        hour((seconds) => noise() + 2_048 * seconds),
        tolerance,
      ),
    ).toMatchObject({ grows: true });
  });

  test("is seen where one descriptor a minute leaks, and not in connections that come and go", () => {
    const random = seeded(3);
    const connections = () => 2_000 + Math.round(4 * random());
    const exact = { share: 0, amount: 3 };
    expect(growthOf(hour(connections), exact).grows).toBe(false);
    expect(
      growthOf(
        hour((seconds) => connections() + Math.floor(seconds / 60)),
        exact,
      ).grows,
    ).toBe(true);
  });
});
