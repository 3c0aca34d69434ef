import { describe, expect, test } from "vitest";
import { bench, type Report, rowsOf } from "./bench.ts";
import {
  type Figure,
  figuresOf,
  figuresOfAll,
  generatorBound,
  generatorCpu,
  limitsRow,
  type Measured,
  median,
} from "./figures.ts";
import { eachNumber, message, numberAt } from "./message.ts";
import { html, lines, merged, parse } from "./report.ts";
import { Once, Sequence } from "./sequence.ts";
import { type Running, type System, systemNames } from "./system.ts";
import { systems } from "./systems/index.ts";
import { slope } from "./workloads/idle.ts";
import { workloads } from "./workloads/index.ts";

const row = { workload: "fan-out-10", system: "dogear", durability: "flushed" } as const;
const ran = (value: number, of?: string) => ({ result: { "acks/s": { value, unit: "acks/s", ...(of && { of }) } } });

describe("a message", () => {
  test("is JSON text of its size that begins with its number", () => {
    for (const bytes of [100, 256]) {
      expect(message(42, bytes)).toHaveLength(bytes);
      expect(JSON.parse(message(42, bytes))).toMatch(/^000000000042x+$/);
      expect(numberAt(Buffer.from(message(42, bytes)), 1)).toBe(42);
    }
    expect(numberAt(Buffer.from('"no number at all"'), 1)).toBeNaN();
  });

  test("is found in a frame of messages whatever is between them", () => {
    const frame = [9, 10, 11, 12].map((number) => `{"offset":${number},"data":${message(number, 100)}}`).join(",");
    const numbers: number[] = [];
    eachNumber(Buffer.from(frame), Buffer.from('"data":"'), (number) => numbers.push(number));
    expect(numbers).toEqual([9, 10, 11, 12]);
  });
});

describe("a sequence", () => {
  const faultOf = (numbers: readonly number[], options = {}) => {
    const sequence = new Sequence(options);
    for (const number of numbers) sequence.take(number);
    return sequence.fault;
  };

  test("takes every number once and in order", () => {
    expect(faultOf([1, 2, 3])).toBeUndefined();
    expect(faultOf([7, 8], { late: true })).toBeUndefined();
  });

  test("notices what is lost, repeated, out of order, or no number", () => {
    for (const numbers of [[2], [1, 3], [1, 1], [1, 2, 1], [1, Number.NaN]]) expect(faultOf(numbers)).toBeDefined();
  });

  test("knows several channels apart", () => {
    expect(faultOf([1, 4, 3, 7, 6], { channels: 3 })).toBeUndefined();
    expect(faultOf([1, 7], { channels: 3 })).toBe("where number 4 was due, 7 came");
  });

  test("takes a run that was looked at before", () => {
    const sequence = new Sequence();
    sequence.takeRun(1, 10);
    sequence.take(11);
    expect([sequence.received, sequence.fault]).toEqual([11, undefined]);
    sequence.takeRun(13, 2);
    expect(sequence.fault).toBe("where number 12 was due, 13 came");
  });

  test("of a group's messages is in any order, each once", () => {
    const once = new Once();
    for (const number of [3, 1, 2]) once.take(number);
    expect(once.fault).toBeUndefined();
    once.take(1);
    expect(once.fault).toBe("number 1 was given twice");
  });
});

test("there is a report after each row of each run, and none is begun after the first that would end too late", async () => {
  const running = { pids: [], folder: "", version: "", url: "", client: {}, stop: async () => {} };
  const plan = {
    workloads: [{ name: "none", says: "", needs: [], limits: [], run: async () => ({}) }],
    systems: [{ ...(systems[0] as System), start: async () => running as unknown as Running }],
    ...{ absent: [], limits: [], runs: 3, full: false, say: () => {} },
  };
  const runsOf = ({ rows }: Report) => rows.at(-1)?.outcomes.length;
  expect(runsOf(await bench({ ...plan, limitS: 0 }))).toBe(1);
  const reports: Report[] = [];
  expect(runsOf(await bench({ ...plan, reported: (report) => reports.push(report) }))).toBe(3);
  expect(reports.map(runsOf)).toEqual([1, 2, 3]);
});

describe("figures", () => {
  test("are medians with their spread", () => {
    const [figure] = figuresOf(row, [ran(30), ran(10), ran(20)], new Map());
    expect(figure).toMatchObject({ metric: "acks/s", value: 20, min: 10, max: 30, runs: 3 });
    expect(median([1, 2, 4, 8])).toBe(3);
  });

  test("say which part they are of what the machine allows", () => {
    const [figure] = figuresOf(row, [ran(30, "flushes/s")], new Map([["flushes/s", 60]]));
    expect(figure?.limit).toEqual({ name: "flushes/s", value: 60, fraction: 0.5 });
  });

  test("are void, all of them, if one run is", () => {
    const figures = figuresOf(row, [ran(30), { void: "where number 4 was due, 7 came" }], new Map());
    expect(figures).toEqual([
      {
        ...row,
        metric: "void",
        value: 1,
        unit: "runs",
        min: 1,
        max: 1,
        runs: 2,
        reason: "where number 4 was due, 7 came",
      },
    ]);
  });

  test("say where the generator was the limit", () => {
    const result = (cpu: number) => ({ result: { ...ran(1).result, [generatorCpu]: { value: cpu, unit: "%" } } });
    const bound = (cpu: number) => {
      const figures = figuresOf(row, [result(cpu)], new Map());
      return generatorBound(figures, figures[0] as Figure);
    };
    expect([bound(99), bound(80)]).toEqual([true, false]);
  });

  test("of memory are a slope, whatever the server takes without connections", () => {
    expect(slope([500, 1_000, 5_000].map((x) => [x, 60e6 + 8_000 * x] as const))).toBeCloseTo(8_000);
  });
});

describe("a plan", () => {
  test("has a row for each system that can do what a workload needs, and does not leave it out", () => {
    const leavesOut = { idle: "it has no connections" };
    const bare: System = { ...(systems.find(({ name }) => name === "ws") as System), leavesOut };
    const names = rowsOf({ workloads, systems: [bare] }).map(({ workload }) => workload.name);
    expect(names).toContain("fan-out-10");
    expect(names).not.toContain("idle");
    expect(names).not.toContain("publish-1");
  });

  test("knows every system by a name of its own", () => {
    const names = systems.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(systemNames).toContain(name);
  });
});

describe("the report", () => {
  const report: Report = {
    about: {
      ...{ date: "2026-01-01T00:00:00.000Z", machine: "2 cores <fast>", full: false, leftOut: [] },
      systems: [{ name: "dogear", version: "1", settings: "as it comes" }],
      absent: [{ name: "kafka", why: "no Java" }],
      workloads: [{ name: "fan-out-10", says: "ten" }],
    },
    rows: [
      { ...limitsRow, outcomes: [{ result: { "flushes/s": { value: 60, unit: "1/s" } } }] },
      { ...row, outcomes: [ran(30, "flushes/s")] },
      { ...row, system: "ws", outcomes: [{ void: "lost & gone" }] },
    ],
  };

  test("can be made again from its lines", () => {
    expect(parse(lines(report))).toEqual(report);
    expect(html(parse(lines(report)))).toBe(html(report));
  });

  test("is one of several, with the runs of all", () => {
    const other: Report = {
      about: { ...report.about, workloads: [...report.about.workloads, { name: "idle", says: "nothing" }] },
      rows: [
        { ...limitsRow, outcomes: [{ result: { "flushes/s": { value: 100, unit: "1/s" } } }] },
        { ...row, outcomes: [ran(40, "flushes/s"), ran(90, "flushes/s")] },
        { ...row, workload: "idle", outcomes: [ran(5)] },
      ],
    };
    const { about, rows } = merged([report, other]);
    expect(about.workloads.map(({ name }) => name)).toEqual(["fan-out-10", "idle"]);
    expect([about.systems.length, about.absent.length]).toEqual([1, 1]);
    const figures = figuresOfAll(rows);
    expect(figures.map(({ workload, system }) => `${workload} ${system}`)).toEqual([
      "limits machine",
      "fan-out-10 dogear",
      "fan-out-10 ws",
      "idle dogear",
    ]);
    const limit = { name: "flushes/s", value: 80, fraction: 0.5 };
    expect(figures[1]).toMatchObject({ value: 40, min: 30, max: 90, runs: 3, limit });
    expect(merged([report])).toEqual(report);
  });

  test("says how many runs the rows that count are of", () => {
    const [limits, counted, isVoid] = report.rows as [Measured, Measured, Measured];
    const runs = (count: number) => ({ ...counted, system: `of ${count}`, outcomes: new Array(count).fill(ran(30)) });
    const page = (...rows: Measured[]) => html({ ...report, rows: [limits, isVoid, ...rows] });
    expect(page(runs(1))).toContain("medians of 1 run,");
    expect(page(runs(3), runs(2))).toContain("medians of 2 to 3 runs,");
  });

  test("is not one of two machines, nor of two workloads of one name", () => {
    const [workload] = report.about.workloads;
    const elsewhere = { ...report, about: { ...report.about, machine: "4 cores" } };
    const changed = {
      ...report,
      about: { ...report.about, workloads: [{ ...workload, name: "fan-out-10", says: "11" }] },
    };
    expect(() => merged([report, elsewhere])).toThrow("two machines");
    expect(() => merged([report, changed])).toThrow("fan-out-10 is not the same");
  });

  test("says who is absent, what is void, what an acknowledgement means, and what the limit is", () => {
    const page = html(report);
    expect(page.indexOf("no Java")).toBeLessThan(page.indexOf("<svg"));
    for (const text of ["void: lost &amp; gone", "30.00 · flushed · 50 % of flushes/s", "2 cores &lt;fast&gt;"]) {
      expect(page).toContain(text);
    }
    expect(page).not.toMatch(/(src|href)="http/);
  });
});
