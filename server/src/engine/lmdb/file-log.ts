/**
 * The log of a namespace on disk. Appends are committed in groups and answered after the flush; readers see what is
 * durable and nothing else.
 */
import { type Durability, matcher, type Offset, type Pattern } from "@dogear/shared";
import type { Chance, Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Metrics } from "../../runtime/metrics.ts";
import { admit } from "../admission.ts";
import { listed } from "../channels.ts";
import { CommitQueue, payloadBytes, together } from "../commit-queue.ts";
import type {
  Appended,
  Batch,
  Bounds,
  Budget,
  ChannelCount,
  Draft,
  Era,
  Log,
  NamespacePolicy,
  Page,
} from "../engine.ts";
import { followedBytesMax, followTail } from "../follow.ts";
import { Messages } from "../messages.ts";
import { collectPage, remembering, type Stretch } from "../page.ts";
import { type ProducerRecord, Producers, type Provenance } from "../producers.ts";
import { RecentIds } from "../recent-ids.ts";
import { Removal } from "../removal.ts";
import type { Removed } from "../removed.ts";
import { Tail } from "../tail.ts";
import type { Catalog, Facts } from "./catalog.ts";
import { ChannelIndex } from "./channel-index.ts";
import { type Chunk, cutIntoChunks, type EncodedChunk, encodeChunk } from "./chunk.ts";
import { recover } from "./recovery.ts";
import type { Room } from "./room.ts";
import { Segment } from "./segment.ts";
import type { Segments } from "./segments.ts";
import type { Trouble } from "./trouble.ts";

export interface FileLogParts {
  readonly policy: NamespacePolicy;
  readonly folder: string;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly room: Room;
  readonly trouble: Trouble;
}

/** One segment ended and the next began, with what was known of producers then. */
interface Roll {
  readonly before: Segment;
  readonly next: Segment;
  readonly producers: readonly ProducerRecord[];
}

/** A segment is rolled at an eighth of what retention keeps, within these bounds. */
const segmentShare = 8;
const segmentBytesMax = 256 * 1_024 * 1_024;
const segmentBytesMin = 64 * 1_024;

/** How often retention and the watermark are seen to. */
const upkeepMs = 1_000;

export class FileLog implements Log {
  readonly durability: Durability = "disk";
  readonly #parts: FileLogParts;
  readonly #commits: CommitQueue<readonly Draft[], readonly Appended[]>;
  readonly #producers: Producers;
  readonly #ids: RecentIds;
  readonly #removed: Removed;
  readonly #removal: Removal;
  readonly #segments: Segments;
  readonly #tail: Tail;
  #facts: Facts;
  #index: ChannelIndex;
  #newest: Offset;
  #time: number;
  #watermark: Offset;
  /** What is not written down yet, oldest first: where it fails for want of room, it is tried again. */
  readonly #rolls: Roll[] = [];
  /** Upkeep that is under way; one at a time. */
  #upkeep: Promise<void> | undefined;
  #cancelUpkeep: () => void = () => {};
  #closed = false;

  static async open(parts: FileLogParts): Promise<FileLog> {
    const { policy, catalog, clock } = parts;
    let log: FileLog | undefined;
    const producers = new Producers((offset) => log?.provenanceAt(offset));
    const ids = new RecentIds(policy.deduplicationWindowMs, policy.deduplicationIdsMax);
    const idsSince = clock.now() - policy.deduplicationWindowMs;
    const { segments, facts } = await recover({ ...parts, namespace: policy.namespace, producers, ids, idsSince });
    log = new FileLog(parts, producers, ids, catalog.removed(), segments, facts);
    return log;
  }

  private constructor(
    parts: FileLogParts,
    producers: Producers,
    ids: RecentIds,
    removed: Removed,
    segments: Segments,
    facts: Facts,
  ) {
    this.#parts = parts;
    this.#producers = producers;
    this.#ids = ids;
    this.#removed = removed;
    this.#segments = segments;
    this.#facts = facts;
    this.#index = segments.open.index();
    this.#newest = segments.openInfo.last;
    this.#time = segments.openInfo.lastTime;
    this.#watermark = this.#newest;
    this.#tail = new Tail(this.#newest, followedBytesMax);
    const commit = together((drafts: readonly Draft[]) => this.#commit(drafts));
    this.#commits = new CommitQueue(commit, payloadBytes, parts.clock);
    const released = () => this.#doUpkeep(() => this.#retain());
    this.#removal = new Removal({ ...parts, namespace: parts.policy.namespace, released });
    this.#scheduleUpkeep();
  }

  get lineage(): readonly Era[] {
    return this.#facts.lineage;
  }

  append(drafts: readonly Draft[]): Promise<readonly Appended[]> {
    return this.#commits.submit(drafts);
  }

  async read(pattern: Pattern, after: Offset, budget: Budget): Promise<Page> {
    const removed = this.#removed.through(pattern, after);
    const start = Math.max(removed ?? after, this.#facts.oldest - 1) as Offset;
    const page = collectPage(this.#stretches(pattern, start), remembering(matcher(pattern)), after, budget, removed);
    // What was passed over at the start held nothing of the pattern.
    return page.through < start ? { ...page, through: start } : page;
  }

  follow(after: Offset, signal: AbortSignal): AsyncIterable<Batch> {
    const everything = () => true;
    const readAll = async (from: Offset, budget: Budget) =>
      collectPage(this.#segments.stretches("everything", from), everything, from, budget);
    return followTail(readAll, this.#tail, after, signal);
  }

  async bounds(): Promise<Bounds> {
    return { oldest: this.#facts.oldest, newest: this.#newest };
  }

  async count(pattern: Pattern, after: Offset): Promise<number> {
    const turn = () => new Promise<void>((resolve) => this.#parts.clock.soon(resolve));
    return this.#segments.count(pattern, Math.max(after, this.#facts.oldest - 1) as Offset, turn);
  }

  async channels(after: string, limit: number): Promise<readonly ChannelCount[]> {
    const turn = () => new Promise<void>((resolve) => this.#parts.clock.soon(resolve));
    return listed(await this.#segments.channels(turn), after, limit);
  }

  async offsetAt(time: number): Promise<Offset> {
    return this.#segments.offsetAt(time);
  }

  async lastNumber(producer: string): Promise<number> {
    this.#forgetProducers();
    this.#producers.touch(producer, this.#parts.clock.now());
    return this.#producers.last(producer).number;
  }

  beforeRemoval(call: (through: Offset) => Promise<void>): void {
    this.#removal.listen(call);
  }

  /** What a stored message says of its producer; nothing where it cannot be read, which must not fail a whole commit. */
  provenanceAt(offset: Offset): Provenance | undefined {
    if (offset < this.#facts.oldest) return undefined;
    const chunk = this.#segments.chunkAt(offset);
    return chunk?.origins.find((origin) => origin.offset === offset && origin.provenance !== undefined)?.provenance;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelUpkeep();
    // Before the commits, because the listener may append.
    await this.#removal.close();
    await this.#commits.idle();
    await this.#upkeep;
    await this.#parts.catalog.storeWatermark(this.#newest);
    this.#segments.close();
  }

  *#stretches(pattern: Pattern, after: Offset): Iterable<Stretch> {
    const recent = this.#tail.start <= after ? this.#tail.pieces(after) : undefined;
    if (recent === undefined) yield* this.#segments.stretches(pattern, after);
    else {
      yield* recent;
      yield { messages: Messages.none, through: this.#newest };
    }
  }

  async #commit(drafts: readonly Draft[]): Promise<readonly Appended[]> {
    this.#parts.trouble.check();
    if (this.#isFull()) await this.#onDisk(async () => this.#roll());
    this.#time = Math.max(this.#time, this.#parts.clock.now());
    const first = (this.#newest + 1) as Offset;
    const memory = { producers: this.#producers, ids: this.#ids };
    const { accepted, answers, settle } = admit(drafts, first, this.#time, memory);
    const written = cutIntoChunks(accepted).map((run) => encodeChunk(run, this.#time));
    if (written.length > 0) await this.#onDisk(() => this.#write(written, accepted.length));
    // Also where nothing was accepted: a draft that its id gave away has used up its number.
    settle();
    for (const { chunk } of written) this.#appended(chunk);
    return answers;
  }

  /** Does what may fail because of the disk. */
  async #onDisk(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw await this.#parts.trouble.meet(`log of ${this.#parts.policy.namespace}`, error);
    }
  }

  async #write(written: readonly EncodedChunk[], count: number): Promise<void> {
    const { room, clock, metrics } = this.#parts;
    room.take(written.reduce((sum, { value }) => sum + value.length, 0));
    const begun = clock.monotonic();
    await this.#segments.open.append(written);
    metrics.committed(count, clock.monotonic() - begun);
  }

  #appended(chunk: Chunk): void {
    const info = this.#segments.openInfo;
    if (info.last < info.first) info.firstTime = chunk.time;
    info.bytes += chunk.bytes;
    info.last = chunk.last;
    info.lastTime = chunk.time;
    this.#index.add(chunk);
    this.#newest = chunk.last;
    this.#tail.push(chunk.messages, chunk.last);
  }

  /**
   * Begins another segment. Between commits only: what goes into one segment must not be counted to the next. And before
   * one, so that where it fails nothing more is written than the next segment begins with.
   */
  #roll(): void {
    const next = Segment.open(this.#parts.folder, (this.#newest + 1) as Offset);
    this.#index = new ChannelIndex();
    next.useIndex(this.#index);
    const before = this.#segments.roll(next);
    this.#forgetProducers();
    this.#rolls.push({ before, next, producers: this.#producers.snapshot() });
    this.#doUpkeep(() => this.#retain());
  }

  #isFull(): boolean {
    const { bytes, ageMs } = this.#parts.policy.retention;
    const { first, last, bytes: size, firstTime } = this.#segments.openInfo;
    // What holds nothing has no age, and the next one would be itself.
    if (last < first) return false;
    const sizeMax = Math.min(segmentBytesMax, Math.max(segmentBytesMin, (bytes ?? Infinity) / segmentShare));
    const oldAge = (ageMs ?? Infinity) / segmentShare;
    return size >= sizeMax || this.#parts.clock.now() - firstTime >= oldAge;
  }

  #scheduleUpkeep(): void {
    this.#cancelUpkeep = this.#parts.clock.after(upkeepMs, () => {
      if (this.#closed) return;
      this.#doUpkeep(async () => {
        // A commit of nothing: it rolls. Once the log is closed nobody would wait for what that brings with it.
        if (this.#isFull() && !this.#closed) await this.#commits.submit([]);
        await this.#retain();
        this.#segments.closeIdle();
        if (this.#watermark !== this.#newest) {
          this.#watermark = this.#newest;
          await this.#parts.catalog.storeWatermark(this.#newest);
        }
      });
      this.#scheduleUpkeep();
    });
  }

  #doUpkeep(work: () => Promise<void>): void {
    const { trouble, policy } = this.#parts;
    this.#upkeep = (this.#upkeep ?? Promise.resolve()).then(work).catch(async (error: unknown) => {
      // A full disk only delays upkeep.
      await trouble.meet(`upkeep of ${policy.namespace}`, error);
    });
  }

  /** Writes down what was rolled, and removes sealed segments that are too old or too much and that nobody needs any more. */
  async #retain(): Promise<void> {
    await this.#finishRolls();
    const { bytes = Infinity, ageMs = Infinity } = this.#parts.policy.retention;
    const wanted = this.#segments.excess(bytes, this.#parts.clock.now() - ageMs);
    if (wanted === undefined) return;
    const through = this.#removal.allowed(wanted);
    // One that was rolled a moment ago is sealed next, and must be there for it.
    while (this.#segments.oldest.last <= through && this.#segments.isOldestSealed) {
      await this.#removeOldest();
    }
  }

  async #finishRolls(): Promise<void> {
    // Not those that come meanwhile: retention has its turn however quickly they do.
    for (const roll of [...this.#rolls]) {
      await roll.before.seal();
      await roll.next.storeProducers(roll.producers);
      this.#rolls.shift();
    }
  }

  async #removeOldest(): Promise<void> {
    const last = this.#segments.throughOldest;
    const known = this.#segments.lastOffsetsOfOldest();
    const removed = [...(known ?? [])];
    // Remembered first: a segment must not vanish before what it held is known to have been removed.
    for (const [channel, offset] of removed) this.#removed.record(channel, offset);
    // Any channel may have lost something with one that cannot be read.
    if (known === undefined) this.#removed.raiseFloor(last);
    this.#facts = { ...this.#facts, oldest: (last + 1) as Offset, removedFloor: this.#removed.floor };
    await this.#parts.catalog.storeRemoval(this.#facts, removed);
    await this.#segments.removeOldest();
    this.#parts.logger.info("log.removed", { namespace: this.#parts.policy.namespace, through: last });
  }

  #forgetProducers(): void {
    this.#producers.forgetBefore(this.#parts.clock.now() - this.#parts.policy.producerMemoryMs);
  }
}
