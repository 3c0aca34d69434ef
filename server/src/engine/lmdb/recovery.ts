/**
 * Opens the segments of a log after whatever happened to them: rebuilds what is kept in memory, verifies what the
 * crash may have touched, and says what it kept and what it lost.
 */
import type { Epoch, Offset } from "@dogear/shared";
import type { Chance } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Era } from "../engine.ts";
import type { Producers } from "../producers.ts";
import type { RecentIds } from "../recent-ids.ts";
import type { Catalog, Facts } from "./catalog.ts";
import { ChannelIndex } from "./channel-index.ts";
import type { Chunk } from "./chunk.ts";
import { Segment } from "./segment.ts";
import { type SegmentInfo, Segments, segmentBytes } from "./segments.ts";

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
  const found = (await Segments.list(folder)).filter((first) => first >= (stored?.oldest ?? 0));
  const lineage = [...(stored?.lineage ?? [{ epoch: chance.id() as Epoch, first: 1 as Offset }])];
  const openFirst = found.at(-1) ?? stored?.oldest ?? (1 as Offset);
  const open = Segment.open(folder, openFirst);

  const { index, first: firstChunk, last: lastChunk, cut, origins } = await scanOpen(recovery, open);
  open.useIndex(index);
  const newest = lastChunk?.last ?? ((openFirst - 1) as Offset);
  const began = newEra(recovery, newest, cut);
  if (began !== undefined) lineage.push(began);

  const infos = await sealedInfos(folder, found.slice(0, -1), openFirst);
  const before = infos.at(-1)?.lastTime ?? 0;
  infos.push({
    first: openFirst,
    last: newest,
    bytes: found.length === 0 ? 0 : await segmentBytes(folder, openFirst),
    firstTime: firstChunk?.time ?? before,
    lastTime: lastChunk?.time ?? before,
    counts: new Map(),
  });
  await rememberOrigins(recovery, found.slice(0, -1), open, origins);

  const facts = { lineage, oldest: infos[0]?.first ?? openFirst, removedFloor: stored?.removedFloor ?? (0 as Offset) };
  await catalog.storeFacts(facts);
  return { segments: await Segments.start(folder, infos, open), facts };
}

interface OpenScan {
  readonly index: ChannelIndex;
  readonly first: Chunk | undefined;
  readonly last: Chunk | undefined;
  /** Where the end was cut off, if it could not be read. */
  readonly cut: Offset | undefined;
  readonly origins: readonly Origins[];
}

/** Who published what, of one chunk. */
type Origins = Pick<Chunk, "origins" | "time">;

/** Verifies the open segment. A hole with good chunks after it stays a hole; an unreadable end is cut off. */
async function scanOpen({ namespace, logger }: Recovery, open: Segment): Promise<OpenScan> {
  const index = new ChannelIndex();
  let first: Chunk | undefined;
  let last: Chunk | undefined;
  let unreadable: Offset[] = [];
  const origins: Origins[] = [];
  for (const scanned of open.scan()) {
    if ("chunk" in scanned) {
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
  for (const offset of unreadable) await open.setAside(offset);
  return { index, first, last, cut: unreadable[0], origins };
}

/** A log that lost its end goes on under a new epoch, so that no offset ever names two messages. */
function newEra(
  { namespace, catalog, chance, logger }: Recovery,
  newest: Offset,
  cut: Offset | undefined,
): Era | undefined {
  const watermark = catalog.watermark();
  if (cut === undefined && watermark <= newest) return undefined;
  const era = { epoch: chance.id() as Epoch, first: (newest + 1) as Offset };
  const why = cut === undefined ? "it is shorter than it was known to be" : "its end could not be read";
  logger.error("log.cut", { namespace, why, keptThrough: newest, knownThrough: watermark, epoch: era.epoch });
  return era;
}

async function sealedInfos(folder: string, firsts: readonly Offset[], end: Offset): Promise<SegmentInfo[]> {
  const infos: SegmentInfo[] = [];
  for (const [i, first] of firsts.entries()) {
    const segment = Segment.open(folder, first);
    // A crash may have come between opening the next segment and sealing this one.
    if (!segment.sealed) await segment.seal();
    const last = ((firsts[i + 1] ?? end) - 1) as Offset;
    infos.push({
      first,
      last,
      bytes: await segmentBytes(folder, first),
      firstTime: segment.timeAt(first) ?? 0,
      lastTime: segment.timeAt(last) ?? 0,
      counts: new Map(),
    });
    await segment.close();
  }
  return infos;
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
    earliest = Segment.open(folder, sealed[i] as Offset);
    chain.unshift(earliest);
  }
  for (const segment of chain) {
    producers.restore(segment.producers() ?? []);
    for (const scanned of segment.scan()) if ("chunk" in scanned) remember(recovery, scanned.chunk);
    await segment.close();
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
