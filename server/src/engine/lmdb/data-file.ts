/**
 * Looks at a data file before LMDB does. Where LMDB cannot open one it frees memory twice (lmdb-js 3.5.6), and where a
 * file is shorter than its pages a read ends the process: both without a word. Here they become errors that say which
 * file it is.
 *
 * Of a file's first page: flags u16 at 18, magic u32 at 24, version u32 at 28, bytes of a page u32 at 48, last page u64
 * at 144, transaction u64 at 152; the second page has the same, and the newer of the two counts.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { flushFolder, makeFolder } from "./folder.ts";

/** Data that cannot be read any more. */
export class DataDamagedError extends Error {
  constructor(path: string, why: string, options?: ErrorOptions) {
    super(
      `The data in ${path} cannot be read: ${why}. Restore the whole data folder from a backup, or, ` +
        `if it is a segment of a log, move it away: what it held is then told as lost.`,
      options,
    );
    this.name = "DataDamagedError";
  }
}

const magic = 0xbeefc0de;
const formatVersion = 2;
const metaFlag = 0x08;
const headBytes = 160;
const [pageBytesMin, pageBytesMax] = [256, 65_536] as const;

/** LMDB needs as many descriptors for one environment. */
const descriptors = 3;

/**
 * Makes sure that LMDB can open what is in a folder, or can begin something there. Throws what the system says, or a
 * DataDamagedError.
 */
export function prepareDataFile(folder: string, bytesMax: number): void {
  makeFolder(folder);
  const open: number[] = [];
  try {
    while (open.length < descriptors) open.push(openSync(join(folder, "data.mdb"), "a+", 0o664));
    if (fstatSync(open[0] as number).size === 0) flushFolder(folder);
    lengthen(folder, open[0] as number, bytesMax);
  } finally {
    for (const descriptor of open) closeSync(descriptor);
  }
}

/**
 * A file that was cut off gets its length back, as zeros, which are no pages: reading one is an error and not the end of
 * the process. LMDB itself leaves files shorter where their last pages are free; those zeros are never read.
 */
function lengthen(folder: string, file: number, bytesMax: number): void {
  const { size } = fstatSync(file);
  if (size === 0) return;
  const first = readHead(file, 0);
  const isHead = first?.flags === metaFlag && first.magic === magic && first.version === formatVersion;
  if (!isHead || first.pageBytes < pageBytesMin || first.pageBytes > pageBytesMax)
    throw new DataDamagedError(folder, "it does not begin as data of LMDB does");
  const second = readHead(file, first.pageBytes);
  if (second === undefined) {
    const isNew = first.transaction === 0n && first.lastPage === 1n;
    if (!isNew) throw new DataDamagedError(folder, "it ends where it begins");
    // It was cut off while LMDB began it, before it had a database to store anything in. An empty one is begun anew.
    return ftruncateSync(file, 0);
  }
  const { lastPage } = second.magic === magic && second.transaction > first.transaction ? second : first;
  const needed = (Number(lastPage) + 1) * first.pageBytes;
  if (needed > bytesMax) throw new DataDamagedError(folder, "it says that it is larger than it can be");
  if (size < needed) ftruncateSync(file, needed);
}

interface Head {
  readonly flags: number;
  readonly magic: number;
  readonly version: number;
  readonly pageBytes: number;
  readonly lastPage: bigint;
  readonly transaction: bigint;
}

function readHead(file: number, start: number): Head | undefined {
  const bytes = Buffer.alloc(headBytes);
  if (readSync(file, bytes, 0, headBytes, start) < headBytes) return undefined;
  return {
    flags: bytes.readUInt16LE(18),
    magic: bytes.readUInt32LE(24),
    version: bytes.readUInt32LE(28) & 0xffff,
    pageBytes: bytes.readUInt32LE(48),
    lastPage: bytes.readBigUInt64LE(144),
    transaction: bytes.readBigUInt64LE(152),
  };
}
