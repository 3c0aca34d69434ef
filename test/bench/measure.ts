/** Small instruments. */
import { type Dirent, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createHistogram, monitorEventLoopDelay, performance, type RecordableHistogram } from "node:perf_hooks";
import { generatorCpu, type Result } from "./figures.ts";

export const seconds = (s: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, s * 1_000));

/** Resolves once a condition holds; asked every few milliseconds. */
export async function until(condition: () => boolean, what: string, limitS = 60): Promise<void> {
  if (!(await holdsWithin(limitS, condition))) throw new Error(`${what} took longer than ${limitS} s.`);
}

/** Resolves once a condition holds, or when this has not been so for as long as that. */
export async function holdsWithin(limitS: number, condition: () => boolean): Promise<boolean> {
  const end = performance.now() + limitS * 1_000;
  while (!condition()) {
    if (performance.now() > end) return false;
    await seconds(0.005);
  }
  return true;
}

/** Times in milliseconds: what a share of them does not exceed. */
export class Distribution {
  readonly #histogram: RecordableHistogram = createHistogram({ lowest: 1, highest: 3.6e12, figures: 3 });

  add(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * 1e6)));
  }

  get count(): number {
    return this.#histogram.count;
  }

  at(share: number): number {
    return this.#histogram.percentile(share * 100) / 1e6;
  }
}

/**
 * Sends so many a second at times fixed beforehand, whatever becomes of what it sent, and remembers those times: what waits
 * behind something slow counts as late. Message `n` is the `n`th that is sent, after those that were sent before.
 */
export class Schedule {
  readonly #perSecond: number;
  readonly #seconds: number;
  readonly #sentBefore: number;
  #start = 0;

  constructor(perSecond: number, seconds: number, sentBefore = 0) {
    this.#perSecond = perSecond;
    this.#seconds = seconds;
    this.#sentBefore = sentBefore;
  }

  /** What is due is sent together, every fifth of a millisecond or as often as this process can. */
  async run(send: (count: number) => void, signal?: AbortSignal): Promise<void> {
    const all = Math.floor(this.#perSecond * this.#seconds);
    this.#start = performance.now() + 10;
    for (let sent = 0; sent < all && !signal?.aborted; ) {
      const began = performance.now();
      const due = Math.min(all, Math.floor(((performance.now() - this.#start) / 1_000) * this.#perSecond));
      if (due > sent) send(due - sent);
      sent = Math.max(sent, due);
      await turn();
      // Timers are no finer than a millisecond. Whoever had enough to do meanwhile need not wait.
      if (performance.now() - began < pauseMs) Atomics.wait(never, 0, 0, pauseMs);
    }
  }

  /** How long ago message `n` was to be sent. */
  since(number: number): number {
    return performance.now() - this.#timeOf(number - this.#sentBefore);
  }

  #timeOf(nth: number): number {
    return this.#start + (nth * 1_000) / this.#perSecond;
  }
}

const pauseMs = 0.2;
const never = new Int32Array(new SharedArrayBuffer(4));

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What a stretch of a run cost the system, and how busy the generator was, which is this process. */
export class Load {
  readonly #pids: readonly number[];
  readonly #cpu: number;
  readonly #own = process.cpuUsage();
  readonly #stolen: number = stolenSeconds();
  readonly #start: number = performance.now();
  readonly #lag = monitorEventLoopDelay({ resolution: lagResolutionMs });

  constructor(pids: readonly number[]) {
    this.#pids = pids;
    this.#cpu = this.#cpuOf(pids);
    this.#lag.enable();
  }

  /** The figures that stand beside every other, for so many messages or deliveries. */
  end(count: number): Result {
    const elapsedMs = performance.now() - this.#start;
    const cpu = this.#cpuOf(this.#pids) - this.#cpu;
    const own = process.cpuUsage(this.#own);
    this.#lag.disable();
    const resident = this.#pids.reduce((sum, pid) => sum + residentBytes(pid), 0);
    return {
      "CPU s/million": { value: (cpu / count) * 1e6, unit: "s" },
      "server CPU %": { value: (cpu / elapsedMs) * 1e5, unit: "%" },
      "server MB": { value: resident / 2 ** 20, unit: "MB" },
      [generatorCpu]: { value: ((own.user + own.system) / 1_000 / elapsedMs) * 100, unit: "%" },
      "generator lag p99 ms": { value: Math.max(0, this.#lag.percentile(99) / 1e6 - lagResolutionMs), unit: "ms" },
      "taken by the host ms/s": { value: (stolenSeconds() - this.#stolen) / (elapsedMs / 1e6), unit: "ms/s" },
    };
  }

  #cpuOf(pids: readonly number[]): number {
    return pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  }
}

const lagResolutionMs = 5;

/** How much something grows per second over a stretch of time after a warm-up, and what that costs. */
export async function measured(
  pids: readonly number[],
  count: () => number,
  [warmUpS, measureS]: readonly [number, number],
  done: () => boolean = () => false,
): Promise<{ readonly perSecond: number; readonly load: Result }> {
  await seconds(warmUpS);
  const load = new Load(pids);
  const from = count();
  const start = performance.now();
  while (performance.now() - start < measureS * 1_000 && !done()) await seconds(0.01);
  const counted = count() - from;
  return { perSecond: (counted / (performance.now() - start)) * 1_000, load: load.end(counted) };
}

/** Resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1] ?? 0) * 1_024;
}

/** What the files of a folder take on the disk. They come and go while it is looked at. */
export function storedBytes(folder: string): number {
  let bytes = 0;
  for (const entry of entriesOf(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += storedBytes(path);
    else bytes += (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  }
  return bytes;
}

function entriesOf(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

const ticksPerSecond = 100;

/** CPU time a process has used, in seconds. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** How long all cores together had something to do and were not let by the host that this machine is a guest of, in seconds. */
function stolenSeconds(): number {
  const [all = ""] = readFileSync("/proc/stat", "utf8").split("\n", 1);
  return Number(all.trim().split(/\s+/)[8] ?? 0) / ticksPerSecond;
}
