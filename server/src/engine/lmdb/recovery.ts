/**
 * Opens the segments of a log after whatever happened to them: rebuilds what is kept in memory, verifies what the
 * crash may have touched, and says what it kept and what it lost.
 */
import { join } from "node:path";
import type { Epoch, Offset } from "@dogear/shared";
import type { Chance } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Era } from "../engine.ts";
import type { Producers } from "../producers.ts";
import type { RecentIds } from "../recent-ids.ts";
import type { Catalog, Facts } from "./catalog.ts";
import { ChannelIndex } from "./channel-index.ts";
import type { Chunk } from "./chunk.ts";
import { DataDamagedError } from "./data-file.ts";
import { readingFrom } from "./environment.ts";
import { Segment, segmentName } from "./segment.ts";
import { type SegmentInfo, Segments, segmentFile } from "./segments.ts";

/** A log without what is known of it: cursors are gone, and with them every reader's place. */
export class StateLostError extends DataDamagedError {
  constructor(folder: string) {
    super(folder, "there is a log, and nothing in the folder state says what it is");
    this.name = "StateLostError";
  }
}

export interface Recovered {
  readonly segments: Segments;
  readonly facts: Facts;
}

interface Recovery {
  readonly namespace: string;
  readonly folder: string;
  readonly catalog: Catalog;
  readonly producers: Producers;
  readonly ids: RecentIds;
  /** Ids older than this need not be remembered. */
  readonly idsSince: number;
  readonly chance: Chance;
  readonly logger: Logger;
}

export async function recover(recovery: Recovery): Promise<Recovered> {
  const { folder, catalog, chance } = recovery;
  const stored = catalog.facts();
  const found = await Segments.list(folder, stored?.oldest ?? (0 as Offset));
  const lineage = [...(stored?.lineage ?? [{ epoch: chance.id() as Epoch, first: 1 as Offset }])];
  const openFirst = found.at(-1) ?? stored?.oldest ?? (1 as Offset);
  const open = await openSegment(folder, openFirst);
  const scan = await readingFrom(open.path, () => scanOpen(recovery, open));
  open.useIndex(scan.index);
  if (stored === undefined && (found.length > 1 || scan.first !== undefined)) throw new StateLostError(folder);
  if (stored !== undefined) tellMissing(recovery, stored.oldest, found[0] ?? openFirst);
  const newest = scan.last?.last ?? ((openFirst - 1) as Offset);
  if (open.isEndUnfinished)
    recovery.logger.info("log.unfinished", { namespace: recovery.namespace, offset: newest + 1 });
  const began = newEra(recovery, newest, whyCut(scan, open, catalog.watermark() > newest));
  if (began !== undefined) lineage.push(began);

  const sealed = found.slice(0, -1);
  const infos = await sealedInfos(recovery, sealed, openFirst);
  const { bytes } = open;
  infos.push(openInfo(scan, { first: openFirst, last: newest, bytes }, infos.at(-1)?.lastTime ?? 0));
  await rememberOrigins(recovery, sealed, open, scan.origins);

  // As it was stored: where segments are missing at the beginning, what they held is lost and was not removed.
  const oldest = stored?.oldest ?? openFirst;
  const facts = { lineage, oldest, removedFloor: stored?.removedFloor ?? (0 as Offset) };
  await catalog.storeFacts(facts);
  // Only now, so that a crash in between does not hide that the log was cut.
  const [unreadable] = scan.unreadable;
  if (unreadable !== undefined) await open.cutOff(unreadable);
  // Where the segment after it vanished.
  if (open.sealed) await open.unseal();
  return { segments: Segments.start(folder, infos, open, tellHole(recovery)), facts };
}

/** Says so where the first segments of a log vanished. */
function tellMissing({ namespace, logger }: Recovery, oldest: Offset, first: Offset): void {
  if (first <= oldest) return;
  logger.error("log.corrupt", { namespace, offset: oldest, through: first - 1, why: "it is missing" });
}

function tellHole({ namespace, logger }: Recovery): (first: Offset, through: Offset) => void {
  return (offset, through) => logger.error("log.corrupt", { namespace, offset, through, why: "it cannot be read" });
}

/** What is known of the open segment; one that holds nothing is as old as what came before it. */
function openInfo(
  { first, last }: OpenScan,
  known: Pick<SegmentInfo, "first" | "last" | "bytes">,
  before: number,
): SegmentInfo {
  return { ...known, firstTime: first?.time ?? before, lastTime: last?.time ?? before, counts: new Map() };
}

interface OpenScan {
  readonly index: ChannelIndex;
  readonly first: Chunk | undefined;
  readonly last: Chunk | undefined;
  /** What cannot be read at the end, which is to be cut off. */
  readonly unreadable: readonly Offset[];
  readonly origins: readonly Origins[];
}

/** Who published what, of one chunk. */
type Origins = Pick<Chunk, "origins" | "time">;

/** Verifies the open segment. A hole with good chunks after it stays a hole; an unreadable end is cut off. */
function scanOpen({ namespace, logger }: Recovery, open: Segment): OpenScan {
  const index = new ChannelIndex();
  let first: Chunk | undefined;
  let last: Chunk | undefined;
  let unreadable: Offset[] = [];
  const origins: Origins[] = [];
  for (const scanned of open.scan()) {
    if ("chunk" in scanned) {
      for (const hole of unreadable) index.addHole(hole);
      index.add(scanned.chunk);
      origins.push({ origins: scanned.chunk.origins, time: scanned.chunk.time });
      first ??= scanned.chunk;
      last = scanned.chunk;
      unreadable = [];
    } else {
      unreadable.push(scanned.corrupt);
      logger.error("log.corrupt", { namespace, offset: scanned.corrupt, why: scanned.why });
    }
  }
  return { index, first, last, unreadable, origins };
}

/** Why a log is known to have lost its end, if it has. */
function whyCut({ unreadable }: OpenScan, open: Segment, isShorter: boolean): string | undefined {
  if (unreadable.length > 0) return "its end could not be read";
  // A segment is sealed when the next has begun.
  if (open.sealed) return "its last segment is missing";
  return isShorter ? "it is shorter than it was known to be" : undefined;
}

/** A log that lost its end goes on under a new epoch, so that no offset ever names two messages. */
function newEra(
  { namespace, catalog, chance, logger }: Recovery,
  newest: Offset,
  why: string | undefined,
): Era | undefined {
  if (why === undefined) return undefined;
  const era = { epoch: chance.id() as Epoch, first: (newest + 1) as Offset };
  const known = { keptThrough: newest, knownThrough: catalog.watermark() };
  logger.error("log.cut", { namespace, why, ...known, epoch: era.epoch });
  return era;
}

function openSegment(folder: string, first: Offset): Promise<Segment> {
  return readingFrom(join(folder, segmentName(first)), () => Segment.open(folder, first));
}

async function sealedInfos(recovery: Recovery, firsts: readonly Offset[], end: Offset): Promise<SegmentInfo[]> {
  const infos: SegmentInfo[] = [];
  for (const [i, first] of firsts.entries()) {
    const segment = await openSegment(recovery.folder, first);
    infos.push(
      await readingFrom(segment.path, () => sealedInfo(recovery, segment, ((firsts[i + 1] ?? end) - 1) as Offset)),
    );
    segment.close();
  }
  return infos;
}

/** `end` is where the next one says that it ends. */
async function sealedInfo(
  { namespace, folder, logger }: Recovery,
  segment: Segment,
  end: Offset,
): Promise<SegmentInfo> {
  const { first } = segment;
  // A crash may have come between opening the next segment and sealing this one.
  if (!segment.sealed) await segment.seal();
  const last = segment.last ?? end;
  if (last < end) logger.error("log.corrupt", { namespace, offset: last + 1, through: end, why: "it is missing" });
  const { bytes, writtenAt } = await segmentFile(folder, first);
  return {
    first,
    last: Math.min(last, end) as Offset,
    bytes,
    // Never too early, or retention would remove what can still be read.
    firstTime: segment.timeAt(first) ?? writtenAt,
    lastTime: segment.timeAt(last) ?? writtenAt,
    counts: new Map(),
  };
}

/** Reads back who published what, from the newest snapshot of producers on and as far back as ids are remembered. */
async function rememberOrigins(
  recovery: Recovery,
  sealed: readonly Offset[],
  open: Segment,
  ofOpen: readonly Origins[],
): Promise<void> {
  const { folder, producers, idsSince } = recovery;
  const chain: Segment[] = [];
  let earliest = open;
  const reachesBack = () =>
    earliest.producers() !== undefined && (earliest.timeAt(earliest.first) ?? Number.POSITIVE_INFINITY) < idsSince;
  for (let i = sealed.length - 1; i >= 0 && !reachesBack(); i--) {
    earliest = await openSegment(folder, sealed[i] as Offset);
    chain.unshift(earliest);
  }
  for (const segment of chain) {
    await readingFrom(segment.path, () => {
      producers.restore(segment.producers() ?? []);
      for (const scanned of segment.scan()) if ("chunk" in scanned) remember(recovery, scanned.chunk);
    });
    segment.close();
  }
  producers.restore(open.producers() ?? []);
  for (const chunk of ofOpen) remember(recovery, chunk);
}

function remember({ producers, ids, idsSince }: Recovery, { origins, time }: Origins): void {
  for (const { offset, provenance, id } of origins) {
    if (provenance !== undefined) producers.record(provenance.producer, provenance.number, offset, time);
    else if (id !== undefined && time >= idsSince) ids.record(id, offset, time);
  }
}
