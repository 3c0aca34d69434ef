/** What is shown of one channel: its points, in the order of the log. */
import type { Offset } from "@dogear/client";

export interface Point {
  /** Its place in the log. */
  readonly offset: Offset;
  /** When it was read, in milliseconds since 1970. */
  readonly time: number;
  readonly value: number;
}

export class Series {
  readonly unit: string;
  readonly #points: Point[] = [];

  constructor(unit: string) {
    this.unit = unit;
  }

  get points(): readonly Point[] {
    return this.#points;
  }

  /** Puts a point in its place: mostly the end, but what is recalled of the past arrives among what is new. */
  add(point: Point): void {
    const before = this.#points.findLastIndex(({ offset }) => offset < point.offset);
    this.#points.splice(before + 1, 0, point);
  }

  /** Forgets what was read before a time. */
  trim(time: number): void {
    const kept = this.#points.findIndex((point) => point.time >= time);
    this.#points.splice(0, kept < 0 ? this.#points.length : kept);
  }
}
