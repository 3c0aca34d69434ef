/**
 * The hub is killed at named points: in the middle of what it does for each promise, where a random kill hardly ever hits. The
 * disk kills it (`test/disk/shim.c`), before or after a call of its own, so that the hub is the one its users run.
 *
 * That a kill came where it was meant to is proven each time, by the calls that the hub made before it and by what its
 * successor knows. One that came at another call, as when the hub stored something else just then, is a crash like any
 * other; the point is tried again until it is hit.
 *
 * `CRASH_ROUNDS` makes it longer, `CRASH_SEED` repeats a run's choices.
 */
import { expect, onTestFailed, test } from "vitest";
import { explain } from "../checker/violation.ts";
import { shimLibrary } from "../disk/shim.ts";
import { figure } from "../support/figures.ts";
import { seeded } from "../support/seeded.ts";
import { Doomed } from "./doomed.ts";
import { type Point, points } from "./points.ts";

const library = shimLibrary();
const rounds = Number(process.env.CRASH_ROUNDS ?? 1);
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);

/** How often points may be missed, on average. */
const triesMax = 3;

/** Crashes of each round while the data are opened, each at another call. */
const openings = 3;

test.skipIf(library === undefined)(
  `keeps its promises when it is killed at ${points.length} named points and while it opens its data (G1 to G11, G13)`,
  async () => {
    onTestFailed(() => console.error(`Repeat it with CRASH_SEED=${seed}`));
    const random = seeded(seed);
    const hub = await Doomed.prepare(library as string);
    for (let round = 0; round < rounds; round++) {
      await dieAtAll(hub, shuffled(points, random));
      for (let i = 0; i < openings; i++) await hub.dieOpening(random);
    }
    const violations = await hub.settle();
    figure("kills at named points", rounds * points.length);
    figure("kills while opening", rounds * openings);
    expect(explain(violations)).toBe("");
  },
  120_000 + rounds * 120_000,
);

async function dieAtAll(hub: Doomed, wanted: readonly Point[]): Promise<void> {
  const left = [...wanted];
  const before = hub.reached.length;
  for (let tries = 0; hub.reached.length < before + wanted.length; tries++) {
    const next = left.shift() ?? hub.missed.shift();
    if (next === undefined) await hub.live();
    else await hub.dieAt(next);
    if (tries > triesMax * wanted.length)
      throw new Error(`Not killed at all points, but only: ${namesOf(hub.reached)}.`);
  }
}

function namesOf(points: readonly Point[]): string {
  return points.map(({ name }) => name).join("; ");
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
