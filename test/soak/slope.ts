/**
 * Whether something grows. A straight line is laid through the second half of what was sampled, so that caches that fill and
 * code that is compiled do not count; its slope is the median of the slopes of all pairs (Theil and Sen), which a third
 * of the samples may miss by any distance without moving it.
 */

export interface Point {
  readonly seconds: number;
  readonly value: number;
}

/** What may look like growth and is none: what one collection leaves more than another, a segment just begun. */
export interface Tolerance {
  /** Of the median. */
  readonly share: number;
  readonly amount: number;
}

export interface Growth {
  /** Per hour. */
  readonly slope: number;
  /** By how much the line rises over the samples that were judged. */
  readonly rise: number;
  readonly median: number;
  readonly grows: boolean;
}

export function growthOf(points: readonly Point[], { share, amount }: Tolerance): Growth {
  const judged = points.slice(Math.floor(points.length / 2));
  const perSecond = slopeOf(judged);
  const [first, last] = [judged[0], judged.at(-1)];
  const seconds = first === undefined || last === undefined ? 0 : last.seconds - first.seconds;
  const middle = median(judged.map(({ value }) => value));
  const rise = perSecond * seconds;
  return { slope: perSecond * 3_600, rise, median: middle, grows: rise > Math.max(amount, share * Math.abs(middle)) };
}

/** By Theil and Sen, per second; 0 where there are fewer than two points. */
export function slopeOf(points: readonly Point[]): number {
  const slopes = points.flatMap((a, i) =>
    points.slice(i + 1).map((b) => (b.value - a.value) / (b.seconds - a.seconds)),
  );
  return slopes.length === 0 ? 0 : median(slopes);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = Number.NaN, high = low] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}
