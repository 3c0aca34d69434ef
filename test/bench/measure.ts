/** Small instruments. */
import { type Dirent, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";

export const seconds = (s: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, s * 1_000));

/** How much something grows per second over a stretch of time, after a warm-up. */
export async function rate(count: () => number, warmUpS: number, measureS: number): Promise<number> {
  await seconds(warmUpS);
  const from = count();
  const start = performance.now();
  await seconds(measureS);
  return ((count() - from) / (performance.now() - start)) * 1_000;
}

/** Resolves once a condition holds; asked every few milliseconds. */
export async function until(condition: () => boolean, what: string, limitS = 60): Promise<void> {
  const end = performance.now() + limitS * 1_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what} took longer than ${limitS} s.`);
    await seconds(0.005);
  }
}

/** What a share of the values does not exceed. */
class Distribution {
  readonly #values: number[] = [];

  add(value: number): void {
    this.#values.push(value);
  }

  at(share: number): number {
    const sorted = this.#values.sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  }
}

/** How long messages take, each from when it was to be sent: what waits behind something slow counts as late. */
export class Times {
  readonly acknowledged: Distribution = new Distribution();
  readonly delivered: Distribution = new Distribution();
  readonly #intended: number[] = [];

  toSendAt(time: number): void {
    this.#intended.push(time);
  }

  wasAcknowledged(index: number): void {
    this.acknowledged.add(performance.now() - (this.#intended[index] as number));
  }

  wasDelivered(index: number): void {
    this.delivered.add(performance.now() - (this.#intended[index] as number));
  }
}

/** Calls so many times a second, whatever becomes of the calls, for four seconds. */
export async function paced(perSecond: number, times: Times, send: () => void): Promise<void> {
  const start = performance.now();
  for (let i = 0; i < 4 * perSecond; i++) {
    const intended = start + (i * 1_000) / perSecond;
    while (performance.now() < intended) await seconds(0.001);
    times.toSendAt(intended);
    send();
  }
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

/** CPU time a process has used, in seconds. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const ticksPerSecond = 100;
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}
