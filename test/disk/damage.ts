/** Harms a data file of a hub that is not running, in one of the ways in which disks do. */
import { closeSync, ftruncateSync, openSync, readdirSync, readSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";

const pageBytes = 4_096;

const ways = [
  "flip a bit",
  "zero a page",
  "zero the beginning",
  "copy a page",
  "cut off the end",
  "empty it",
  "remove it",
] as const;

/** Does one of them to one of the files; says what and where. */
export function damage(data: string, random: () => number): string {
  const below = (bound: number): number => Math.floor(random() * bound);
  // Its chunks as often as all else.
  const aFileOf = (segment = ""): string => {
    const folder = join("logs/default", segment);
    const others = readdirSync(join(data, folder)).filter((name) => name !== "chunks");
    return join(folder, others[below(2 * others.length)] ?? "chunks");
  };
  const segments = readdirSync(join(data, "logs/default")).sort();
  // State as often as segments, and of those the open one as often as another.
  const among = [join("state", "data.mdb"), aFileOf(segments.at(-1)), aFileOf(segments[below(segments.length - 1)])];
  const name = among[below(3)] as string;
  const way = ways[below(ways.length)] as (typeof ways)[number];
  return `${way} of ${name}${harm(join(data, name), way, below)}`;
}

function harm(file: string, way: (typeof ways)[number], below: (bound: number) => number): string {
  if (way === "remove it") {
    rmSync(file);
    return "";
  }
  const { size } = statSync(file);
  const [at, page] = [below(size), below(size / pageBytes)];
  const open = openSync(file, "r+");
  const rewrite = (start: number, length: number, change: (bytes: Buffer) => void): void => {
    const bytes = Buffer.alloc(length);
    readSync(open, bytes, 0, length, start);
    change(bytes);
    writeSync(open, bytes, 0, length, start);
  };
  let where = ` at ${at} of ${size}`;
  if (way === "flip a bit") {
    rewrite(at, 1, (bytes) => bytes.writeUInt8(bytes.readUInt8() ^ (1 << below(8))));
  } else if (way === "zero a page") {
    where = `, page ${page} of ${size / pageBytes}`;
    rewrite(page * pageBytes, pageBytes, (bytes) => bytes.fill(0));
  } else if (way === "zero the beginning") {
    where = "";
    rewrite(0, 2 * pageBytes, (bytes) => bytes.fill(0));
  } else if (way === "copy a page") {
    const other = below(size / pageBytes);
    where = `, page ${other} over ${page} of ${size / pageBytes}`;
    const source = Buffer.alloc(pageBytes);
    readSync(open, source, 0, pageBytes, other * pageBytes);
    rewrite(page * pageBytes, pageBytes, (bytes) => source.copy(bytes));
  } else {
    ftruncateSync(open, way === "empty it" ? 0 : at);
  }
  closeSync(open);
  return where;
}
