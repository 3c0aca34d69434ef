/** One channel, drawn: its name, its latest value, and its last minutes. */
import uPlot from "uplot";
import { create, say } from "./dom.ts";
import { palette } from "./palette.ts";
import type { Readings } from "./readings.ts";
import type { Point } from "./series.ts";
import { clock, decimal } from "./words.ts";

/** What people call a metric; any other goes by its own name. */
const names: Readonly<Record<string, string>> = {
  cpu: "Processor",
  memory: "Memory",
  disk: "Disk",
  "disk-writes": "Disk writes",
  temperature: "Temperature",
};

const height = 168;

/** Readings further apart than this are not joined by a line: nobody measured in between. */
const joinedMs = 3_000;

/** The times that all charts show, in milliseconds since 1970. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Where charts come in the page: by machine, and then as listed above. */
export function rankOf(channel: string): string {
  const metric = metricOf(channel);
  const rank = Object.keys(names).indexOf(metric);
  return `${channel.slice(0, -metric.length)}${rank < 0 ? 9 : rank}${metric}`;
}

function metricOf(channel: string): string {
  return channel.slice(channel.lastIndexOf(".") + 1);
}

export class Chart {
  readonly element: HTMLElement;
  readonly #value = create("span", "value");
  readonly #time = create("span", "time");
  readonly #readings: Readings;
  readonly #channel: string;
  readonly #plot: uPlot;
  #span: Span = { from: 0, to: 1 };
  /** The points drawn; nothing where the line is broken. */
  #points: readonly (Point | undefined)[] = [];

  constructor(channel: string, unit: string, readings: Readings) {
    this.#channel = channel;
    this.#readings = readings;
    const metric = metricOf(channel);
    const name = names[metric] ?? metric;
    const drawing = create("div", "drawing");
    drawing.setAttribute("role", "img");
    drawing.setAttribute("aria-label", `${name} over the last minutes, in ${unit}`);
    this.element = create(
      "article",
      "chart",
      create("h2", "", name),
      create("p", "latest", this.#time, this.#value, create("span", "unit", unit)),
      create("code", "channel", channel),
      drawing,
    );
    this.#plot = new uPlot(this.#options(unit), [[], [], []], drawing);
    new ResizeObserver(() => this.#plot.setSize({ width: drawing.clientWidth, height })).observe(drawing);
  }

  draw(span: Span): void {
    this.#span = span;
    this.#points = broken(this.#readings.series.get(this.#channel)?.points ?? []);
    this.#plot.setData(this.#columns());
    this.#tell();
  }

  /** The time of every point, its value, and its value again where it was delivered late. */
  #columns(): uPlot.AlignedData {
    const times: number[] = [];
    const values: (number | null)[] = [];
    const late: (number | null)[] = [];
    let last = 0;
    for (const point of this.#points) {
      last = point?.time ?? last + 1;
      times.push(last / 1_000);
      values.push(point?.value ?? null);
      late.push(point && this.#readings.isLate(point.offset) ? point.value : null);
    }
    return [times, values, late];
  }

  #options(unit: string): uPlot.Options {
    const axis: uPlot.Axis = {
      stroke: () => palette.muted,
      grid: { stroke: () => palette.line, width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    return {
      width: 300,
      height,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: "time", scales: ["x", null] } },
      scales: {
        x: { range: () => [this.#span.from / 1_000, this.#span.to / 1_000] },
        y: { range: (_plot, low, high) => rangeOf(unit, low ?? 0, high ?? 0) },
      },
      axes: [
        { ...axis, space: 80, size: 26, values: labels },
        { ...axis, space: 36, size: 44 },
      ],
      series: [
        {},
        { stroke: () => palette.live, fill: () => palette.liveFill, width: 1.5, points: { show: false } },
        {
          stroke: () => palette.late,
          width: 2,
          points: { show: true, size: 5, width: 0, fill: () => palette.late },
        },
      ],
      hooks: {
        drawAxes: [(plot) => this.#drawAbsences(plot)],
        setCursor: [() => this.#tell()],
      },
    };
  }

  /** Shades the times in which the page was away, and folds a corner where it left. */
  #drawAbsences(plot: uPlot): void {
    const { ctx, bbox } = plot;
    const right = bbox.left + bbox.width;
    const pixel = devicePixelRatio;
    ctx.save();
    for (const { since, until = this.#span.to } of this.#readings.absences) {
      const from = Math.max(bbox.left, plot.valToPos(since / 1_000, "x", true));
      const to = Math.min(right, plot.valToPos(until / 1_000, "x", true));
      if (to <= bbox.left) continue;
      ctx.fillStyle = palette.away;
      ctx.fillRect(from, bbox.top, to - from, bbox.height);
      ctx.fillStyle = palette.late;
      ctx.fillRect(from, bbox.top, pixel, bbox.height);
      ctx.beginPath();
      ctx.moveTo(from, bbox.top);
      ctx.lineTo(from + 9 * pixel, bbox.top);
      ctx.lineTo(from, bbox.top + 9 * pixel);
      ctx.fill();
    }
    ctx.restore();
  }

  /** Says the value under the pointer, or the latest. */
  #tell(): void {
    const { idx } = this.#plot.cursor;
    const pointed = typeof idx === "number" ? this.#points[idx] : undefined;
    const point = pointed ?? this.#points.at(-1);
    say(this.#time, pointed ? clock(pointed.time) : "");
    say(this.#value, point ? decimal(point.value) : "–");
  }
}

/** Times of day; none so close to the edge that it would be cut off. */
function labels(plot: uPlot, times: number[]): string[] {
  const right = plot.bbox.width / devicePixelRatio - 24;
  return times.map((time) => (plot.valToPos(time, "x") < right ? clock(time * 1_000) : ""));
}

/** The points, with a break between those that no line may join. */
function broken(points: readonly Point[]): (Point | undefined)[] {
  return points.flatMap((point, index) => {
    const last = points[index - 1];
    return last && point.time - last.time > joinedMs ? [undefined, point] : [point];
  });
}

/** Percent fills its scale; a temperature is looked at closely; all else begins with zero. */
function rangeOf(unit: string, low: number, high: number): uPlot.Range.MinMax {
  if (unit === "%") return [0, 100];
  if (unit === "°C") return [Math.floor(low) - 2, Math.ceil(high) + 2];
  return [0, Math.max(1, high * 1.15)];
}
