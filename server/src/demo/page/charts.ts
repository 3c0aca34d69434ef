/** The charts of all channels, over the same span of time. */
import { Chart, rankOf } from "./chart.ts";
import { part } from "./dom.ts";
import { type Readings, shownMs } from "./readings.ts";

/** The charts show at least this much, so that a new machine's first points are not a sliver at the edge. */
const spanMinMs = 60_000;

export class Charts {
  readonly #place = part("charts");
  readonly #readings: Readings;
  readonly #charts = new Map<string, Chart>();

  constructor(readings: Readings) {
    this.#readings = readings;
  }

  draw(): void {
    const { series } = this.#readings;
    for (const [channel, { unit }] of series) if (!this.#charts.has(channel)) this.#add(channel, unit);
    const to = Date.now();
    const first = Math.min(to, ...[...series.values()].map(({ points }) => points[0]?.time ?? to));
    const from = Math.max(to - shownMs, Math.min(first, to - spanMinMs));
    for (const chart of this.#charts.values()) chart.draw({ from, to });
  }

  /** Puts a chart where it belongs among the others. */
  #add(channel: string, unit: string): void {
    const chart = new Chart(channel, unit, this.#readings);
    this.#charts.set(channel, chart);
    const ordered = [...this.#charts.keys()].sort((a, b) => (rankOf(a) < rankOf(b) ? -1 : 1));
    const next = ordered[ordered.indexOf(channel) + 1] ?? "";
    this.#place.insertBefore(chart.element, this.#charts.get(next)?.element ?? null);
  }
}
