/**
 * What a log must remember beside its segments: its lineage, what retention removed, and how far it is known to have
 * come, so that a log that lost its end is noticed.
 */
import type { Channel, Offset } from "@dogear/shared";
import type { Era } from "../engine.ts";
import { Removed } from "../removed.ts";
import { flushed } from "./environment.ts";
import type { Records } from "./records.ts";

export interface Facts {
  readonly lineage: readonly Era[];
  /** The first offset that is not removed. */
  readonly oldest: Offset;
  /** Positions below this count as overtaken by retention, whatever their channel. */
  readonly removedFloor: Offset;
}

export class Catalog {
  readonly #records: Records;
  readonly #prefix: string;

  constructor(records: Records, namespace: string) {
    this.#records = records;
    this.#prefix = `${namespace}/`;
  }

  facts(): Facts | undefined {
    return this.#get<Facts>("facts");
  }

  async storeFacts(facts: Facts): Promise<void> {
    await flushed(this.#put("facts", facts));
  }

  /** An offset that the log has certainly reached. */
  watermark(): Offset {
    return this.#get<Offset>("watermark") ?? (0 as Offset);
  }

  async storeWatermark(newest: Offset): Promise<void> {
    await flushed(this.#put("watermark", newest));
  }

  removed(): Removed {
    const removed = new Removed();
    const prefix = `${this.#prefix}removed/`;
    const entries: [Channel, Offset][] = [];
    for (const { key, value } of this.#records.range(prefix, `${prefix}\uffff`)) {
      entries.push([key.slice(prefix.length) as Channel, parse(value) as Offset]);
    }
    entries.sort(([, a], [, b]) => a - b);
    removed.restore(this.facts()?.removedFloor ?? (0 as Offset), entries);
    return removed;
  }

  /** Stores the facts together with the highest offset now removed of some channels. */
  async storeRemoval(facts: Facts, channels: Iterable<readonly [Channel, Offset]>): Promise<void> {
    await flushed(
      this.#records.batch(() => {
        void this.#put("facts", facts);
        for (const [channel, offset] of channels) void this.#put(`removed/${channel}`, offset);
      }),
    );
  }

  #get<T>(key: string): T | undefined {
    const entry = this.#records.get(this.#prefix + key);
    return entry && (parse(entry.value) as T);
  }

  #put(key: string, value: unknown): Promise<boolean> {
    return this.#records.put(this.#prefix + key, Buffer.from(JSON.stringify(value)));
  }
}

function parse(value: Uint8Array): unknown {
  return JSON.parse(Buffer.from(value).toString());
}
