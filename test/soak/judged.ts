/** What is watched in a soak: what must not grow while it lasts, and what must be gone when everybody has left. */
import type { Sample } from "./sampled-hub.ts";
import { type Growth, growthOf, type Tolerance } from "./slope.ts";

type Name = keyof Sample;

export interface SampleAt extends Sample {
  /** Since the start. */
  readonly seconds: number;
}

const KiB = 1_024;
const MiB = 1_024 * KiB;

/**
 * By how much each may seem to grow over the half that is judged. Connections are replaced all the time, and a look may
 * find some of them missing; a log is as large as retention leaves it, give or take a segment.
 */
const tolerances: Partial<Record<Name, Tolerance>> = {
  rss: { share: 0.05, amount: 8 * MiB },
  heapUsed: { share: 0.03, amount: 1 * MiB },
  external: { share: 0.05, amount: 1 * MiB },
  timers: { share: 0.01, amount: 5 },
  sockets: { share: 0.01, amount: 5 },
  files: { share: 0, amount: 8 },
  stateBytes: { share: 0.05, amount: 256 * KiB },
  logBytes: { share: 0.1, amount: 2 * MiB },
  sessions: { share: 0.01, amount: 5 },
  subscriptions: { share: 0.01, amount: 5 },
  members: { share: 0, amount: 2 },
};

/**
 * How much more there may be at the end than at the start. Of sealed segments that were read four stay open in each of
 * three namespaces, with three descriptors each.
 */
const leftMax: Partial<Record<Name, number>> = {
  timers: 0,
  sockets: 0,
  files: 36,
  sessions: 0,
  subscriptions: 0,
  members: 0,
  outboxBytes: 0,
};

export interface NamedGrowth extends Growth {
  readonly name: Name;
}

export function growths(samples: readonly SampleAt[]): NamedGrowth[] {
  return Object.entries(tolerances).map(([key, tolerance]) => {
    const name = key as Name;
    const points = samples.map((sample) => ({ seconds: sample.seconds, value: sample[name] }));
    return { name, ...growthOf(points, tolerance) };
  });
}

/** What there is more of at the end than there was before anybody came, in words. */
export function leftovers(start: Sample, end: Sample): string[] {
  return Object.entries(leftMax).flatMap(([key, allowed]) => {
    const [before, after] = [start[key as Name], end[key as Name]];
    return after > before + allowed ? [`${key}: ${before} before anybody came, ${after} after all had left`] : [];
  });
}
