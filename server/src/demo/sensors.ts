/** What this machine can say about itself. A sensor gives a figure, or nothing where the machine has no such thing. */
import { readdir, readFile, statfs } from "node:fs/promises";
import { cpus, freemem, totalmem } from "node:os";

export interface Figure {
  readonly value: number;
  readonly unit: string;
}

/** A figure, and when it was read in milliseconds since 1970: the message's own time says when it was published. */
export interface Reading extends Figure {
  readonly time: number;
}

export type Sensor = () => Figure | undefined | Promise<Figure | undefined>;

/** Every sensor by its metric, the last level of its channel. */
export function sensors(): ReadonlyMap<string, Sensor> {
  return new Map<string, Sensor>([
    ["cpu", cpu()],
    ["memory", memory],
    ["disk", disk],
    ["disk-writes", diskWrites()],
    ["temperature", temperature],
  ]);
}

/** Percent of the time since the last reading that the processors were busy, all together. */
function cpu(): Sensor {
  let last = cpuTimes();
  return () => {
    const now = cpuTimes();
    const figure = percent(now.busy - last.busy, now.total - last.total);
    last = now;
    return figure;
  };
}

function cpuTimes(): { readonly busy: number; readonly total: number } {
  let busy = 0;
  let idle = 0;
  for (const { times } of cpus()) {
    busy += times.user + times.nice + times.sys + times.irq;
    idle += times.idle;
  }
  return { busy, total: busy + idle };
}

/** Percent of memory in use. Linux counts its caches as used, but knows what could be had. */
async function memory(): Promise<Figure | undefined> {
  const info = await textOf("/proc/meminfo");
  const availableKiB = info?.match(/^MemAvailable:\s+(\d+) kB$/m)?.[1];
  const available = availableKiB === undefined ? freemem() : Number(availableKiB) * 1_024;
  return percent(totalmem() - available, totalmem());
}

/** Percent in use of the file system that the working folder is on. */
async function disk(): Promise<Figure | undefined> {
  const { blocks, bfree, bavail } = await statfs(".");
  const used = blocks - bfree;
  // As `df` counts: what is reserved for the system is neither used nor to be had.
  return percent(used, used + bavail);
}

/** A disk as a whole; its partitions and what is layered on it would count the same bytes again. */
const wholeDisk = /^(?:[shv]d[a-z]+|xvd[a-z]+|nvme\d+n\d+|mmcblk\d+)$/;
const sectorBytes = 512;

/** KiB per second written to all disks since the last reading. */
function diskWrites(): Sensor {
  let last: { readonly bytes: number; readonly ms: number } | undefined;
  return async () => {
    const table = await textOf("/proc/diskstats");
    if (table === undefined) return undefined;
    const now = { bytes: bytesWritten(table), ms: performance.now() };
    const figure = last && {
      value: rounded((now.bytes - last.bytes) / 1_024 / ((now.ms - last.ms) / 1_000)),
      unit: "KiB/s",
    };
    last = now;
    return figure;
  };
}

/** A line is `major minor name`, then the figures, of which the seventh is sectors written. */
function bytesWritten(table: string): number {
  let sectors = 0;
  for (const line of table.split("\n")) {
    const [, , name = "", ...figures] = line.trim().split(/\s+/);
    if (wholeDisk.test(name)) sectors += Number(figures[6]);
  }
  return sectors * sectorBytes;
}

/** The hottest of the machine's thermometers. */
async function temperature(): Promise<Figure | undefined> {
  const zones = await filesOf("/sys/class/thermal", /^thermal_zone\d+$/, /^temp$/);
  const files = zones.length > 0 ? zones : await filesOf("/sys/class/hwmon", /^hwmon\d+$/, /^temp\d+_input$/);
  const celsius = (await Promise.all(files.map(textOf))).map((text) => Number(text) / 1_000);
  // A thermometer that is not connected reads as an absurd value.
  const plausible = celsius.filter((value) => value > -50 && value < 150);
  return plausible.length > 0 ? { value: rounded(Math.max(...plausible)), unit: "°C" } : undefined;
}

async function filesOf(folder: string, folders: RegExp, files: RegExp): Promise<string[]> {
  const found = (await namesIn(folder)).filter((name) => folders.test(name)).map((name) => `${folder}/${name}`);
  const inside = await Promise.all(
    found.map(async (path) =>
      (await namesIn(path)).filter((name) => files.test(name)).map((name) => `${path}/${name}`),
    ),
  );
  return inside.flat();
}

function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

function textOf(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch(() => undefined);
}

function percent(part: number, whole: number): Figure | undefined {
  return whole > 0 ? { value: rounded((100 * part) / whole), unit: "%" } : undefined;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
