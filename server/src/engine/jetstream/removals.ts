/**
 * What was removed from a log, for all hubs: the highest offset removed of each channel, stored before anything is removed.
 *
 *     removed/<namespace>        how far was removed
 *     removed/<namespace>/<n>    channels and their highest offsets, one shard of them
 *
 * Each says of which epoch it is: what was stored of a log that is gone says nothing of the one that took its place.
 */
import { createHash } from "node:crypto";
import type { Channel, Epoch, Offset, Pattern } from "@dogear/shared";
import type { Change, Era, State } from "../engine.ts";
import { epochOf, isOfToday } from "../lineage.ts";
import { Removed } from "../removed.ts";
import { encoded, parsed, readRecord } from "./log-records.ts";

interface Head {
  readonly epoch: Epoch;
  readonly through: Offset;
  /** Positions below this count as overtaken, whatever their channel. */
  readonly floor: Offset;
}

interface Shard {
  readonly epoch: Epoch;
  readonly channels: Readonly<Record<string, Offset>>;
}

const shards = 64;

export class Removals {
  readonly #state: State;
  readonly #key: string;
  readonly #lineage: readonly Era[];
  #removed = new Removed();
  #through = 0 as Offset;
  #versions = new Map<string, number>();

  static async open(state: State, namespace: string, lineage: readonly Era[]): Promise<Removals> {
    const removals = new Removals(state, namespace, lineage);
    await removals.#load();
    return removals;
  }

  private constructor(state: State, namespace: string, lineage: readonly Era[]) {
    this.#state = state;
    this.#lineage = lineage;
    this.#key = `removed/${namespace}`;
  }

  /** Everything up to and including this was removed, or is about to be. */
  get through(): Offset {
    return this.#through;
  }

  /** The highest offset after `after` that matched and was removed from a log that now begins at `oldest`. */
  async of(pattern: Pattern, after: Offset, oldest: Offset): Promise<Offset | undefined> {
    if (oldest <= after + 1) return undefined;
    // Another hub removed something.
    if (this.#through < oldest - 1) await this.#load();
    // Somebody else removed something, and said nothing.
    if (this.#through < oldest - 1) return (oldest - 1) as Offset;
    const through = this.#removed.through(pattern, after);
    return through === undefined ? undefined : (Math.min(through, oldest - 1) as Offset);
  }

  /**
   * Stores that everything up to and including an offset is removed, with the highest offsets of the channels concerned.
   * Resolves with whether it did: another hub may have been faster.
   */
  async store(through: Offset, channels: ReadonlyMap<Channel, Offset>): Promise<boolean> {
    // Of the shards that change, all must be known as they are.
    const touched = new Set([...channels.keys()].map(shardOf));
    const removed = new Removed();
    removed.restore(this.#removed.floor, this.#removed.entries());
    for (const [channel, offset] of inOrder(channels)) removed.record(channel, offset);
    const contents = new Map<number, Record<string, Offset>>();
    for (const shard of touched) contents.set(shard, {});
    for (const [channel, offset] of removed.entries()) {
      const content = contents.get(shardOf(channel));
      if (content !== undefined) content[channel] = offset;
    }
    const epoch = epochOf(this.#lineage);
    const changes: Change[] = [...contents].map(([shard, content]) =>
      this.#change(`${this.#key}/${shard}`, { epoch, channels: content } satisfies Shard),
    );
    // What decides comes last.
    changes.push(this.#change(this.#key, { epoch, through, floor: removed.floor } satisfies Head));
    const versions = await this.#state.putAll(changes);
    if (versions === undefined) {
      await this.#load();
      return false;
    }
    for (const [i, { key }] of changes.entries()) this.#versions.set(key, versions[i] as number);
    this.#removed = removed;
    this.#through = through;
    return true;
  }

  #change(key: string, value: unknown): Change {
    return { key, value: encoded(value), version: this.#versions.get(key) ?? 0 };
  }

  async #load(): Promise<void> {
    // The head first: what it says was stored after the shards, so they are no older.
    const { value: head, version: headVersion } = await readRecord<Head>(this.#state, this.#key);
    const versions = new Map([[this.#key, headVersion]]);
    const removed = new Removed();
    const entries: (readonly [Channel, Offset])[] = [];
    const isValid = head !== undefined && isOfToday(this.#lineage, { epoch: head.epoch, offset: head.through });
    for (const { key, value, version } of await this.#state.list(`${this.#key}/`)) {
      versions.set(key, version);
      if (isValid) entries.push(...this.#entriesIn(parsed<Shard>(value)));
    }
    removed.restore(isValid ? head.floor : (0 as Offset), inOrder(entries));
    this.#versions = versions;
    this.#removed = removed;
    this.#through = isValid ? head.through : (0 as Offset);
  }

  #entriesIn({ epoch, channels }: Shard): readonly (readonly [Channel, Offset])[] {
    const entries = Object.entries(channels) as [Channel, Offset][];
    return entries.filter(([, offset]) => isOfToday(this.#lineage, { epoch, offset }));
  }
}

function inOrder(entries: Iterable<readonly [Channel, Offset]>): readonly (readonly [Channel, Offset])[] {
  return [...entries].sort(([, a], [, b]) => a - b);
}

function shardOf(channel: Channel): number {
  return createHash("sha256").update(channel).digest().readUInt16BE(0) % shards;
}
