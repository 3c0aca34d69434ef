/**
 * The state store in JetStream: a record is the last message of a subject, its version the sequence of that message. A
 * change is stored only if the last message of its subject is still the one that it names; several are one batch.
 *
 * A record that was removed leaves a marker behind for a while, so that those who watch hear of it. To the server that is
 * a message like any other: whoever stores the record again, and is refused for it, looks and names the marker.
 */
import { dogearError, type Offset } from "@dogear/shared";
import type { Chance, Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { checkChanges } from "../changes.ts";
import type { Change, Changed, Entry, KeyedEntry, State } from "../engine.ts";
import { type Bucket, openBucket, sameBucket, untilReached } from "./bucket.ts";
import type { Cluster } from "./cluster.ts";
import { KeyedTurns } from "./keyed-turns.ts";
import { encodePrefix } from "./keys.ts";
import { OrderedConsumer } from "./ordered-consumer.ts";
import { batchMessagesMax, type Outgoing, Publisher } from "./publisher.ts";
import { Records, recordIn } from "./records.ts";
import { Slots } from "./slots.ts";

export interface JetStreamStateParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
}

/** How long it can be seen that a record was removed: longer than anybody is kept from watching. */
const removedFields = { "KV-Operation": ["DEL"], "Nats-TTL": ["24h"] };

/** How often a change is tried that was refused although its record is as expected, and how long between tries at most. */
const triesMax = 20;
const retryMs = 50;

/** Batches under way at once: a server takes 50 for a stream, from all hubs. */
const batchesMax = 8;
const batchBytesMax = 8 * 1_024 * 1_024;

export class JetStreamState implements State {
  readonly #parts: JetStreamStateParts;
  readonly #bucket: Bucket;
  readonly #records: Records;
  readonly #publisher: Publisher;
  /** A server refuses a change of a record while another is under way, so that they go one after the other. */
  readonly #turns = new KeyedTurns();
  readonly #batches = new Slots(batchesMax);

  /** Opens the store of the hub's records, or the one of what logs keep beside their streams: neither sees the other's. */
  static async open(parts: JetStreamStateParts, part: "hub" | "log" = "hub"): Promise<JetStreamState> {
    const { cluster, clock } = parts;
    const { stream, root } = await cluster.attempt(async () => {
      const bucket = await openBucket(cluster);
      await untilReached(cluster, bucket, clock);
      return bucket;
    });
    return new JetStreamState(parts, { stream, root: `${root}${part}.` });
  }

  private constructor(parts: JetStreamStateParts, bucket: Bucket) {
    this.#parts = parts;
    this.#bucket = bucket;
    this.#records = new Records(parts.cluster, bucket);
    this.#publisher = new Publisher(parts.cluster, parts.chance);
  }

  async get(key: string): Promise<Entry | undefined> {
    const { value, revision = 0 } = (await this.#parts.cluster.attempt(() => this.#records.last(key))) ?? {};
    return value && { value, version: revision };
  }

  async put(key: string, value: Uint8Array, version: number): Promise<number | undefined> {
    return (await this.putAll([{ key, value, version }]))?.[0];
  }

  async putAll(changes: readonly Change[]): Promise<readonly number[] | undefined> {
    checkChanges(changes);
    const keys = changes.map(({ key }) => key);
    return this.#turns.take(keys, async () => {
      const versions: number[] = [];
      for (const batch of batchesOf(changes)) {
        const made = await this.#make(batch);
        if (made === undefined) return undefined;
        versions.push(...made);
      }
      return versions;
    });
  }

  list(prefix: string, after = "", limit: number = Number.POSITIVE_INFINITY): Promise<readonly KeyedEntry[]> {
    return this.#parts.cluster.attempt(() => this.#records.list(prefix, after, limit));
  }

  async *watch(prefix: string, signal: AbortSignal): AsyncGenerator<Changed> {
    const consumer = new OrderedConsumer({
      ...this.#parts,
      stream: this.#bucket.stream,
      after: "last-of-each",
      subject: this.#bucket.root + encodePrefix(prefix),
      check: sameBucket(this.#parts.cluster, this.#bucket),
    });
    try {
      while (!signal.aborted) {
        for (const { offset, message } of await consumer.take(signal)) {
          const key = this.#records.keyOf(message.subject);
          if (!key.startsWith(prefix)) continue;
          const value = recordIn(message.headers, message.data);
          yield { key, value, version: value === undefined ? 0 : offset };
          if (signal.aborted) return;
        }
      }
    } finally {
      consumer.close();
    }
  }

  /** Resolves when every change has been answered. */
  async idle(): Promise<void> {
    await this.#turns.idle();
  }

  /** Makes all of the changes or none. */
  async #make(changes: readonly Change[]): Promise<readonly number[] | undefined> {
    let revisions: readonly number[] | undefined = changes.map(({ version }) => version);
    for (let tries = 0; tries < triesMax; tries++) {
      const first = await this.#publish(changes, revisions);
      if (first !== undefined) return changes.map(({ value }, i) => (value === undefined ? 0 : first + i));
      if (tries > 0) await this.#pause();
      revisions = await this.#revisions(changes);
      if (revisions === undefined) return undefined;
    }
    throw dogearError("unavailable", "The records are being changed all the time.");
  }

  /** The sequence of the first; nothing where the server has stored none of them, because of what else there is. */
  async #publish(changes: readonly Change[], revisions: readonly number[]): Promise<number | undefined> {
    this.#parts.cluster.checkWritable();
    const messages = changes.map((change, i) => this.#messageOf(change, revisions[i] as number));
    const publish = () => this.#publisher.publish(messages);
    const outcome = await (messages.length === 1 ? publish() : this.#batches.use(publish));
    return outcome.is === "stored" ? outcome.first : undefined;
  }

  #messageOf({ key, value }: Change, revision: number): Outgoing {
    return {
      subject: this.#records.subjectOf(key),
      body: value ?? new Uint8Array(),
      expects: { last: revision as Offset },
      fields: value === undefined ? removedFields : undefined,
    };
  }

  /** The last messages of the records, markers included; nothing where a record has another version than expected. */
  async #revisions(changes: readonly Change[]): Promise<readonly number[] | undefined> {
    const { cluster } = this.#parts;
    const found = await cluster.attempt(() => Promise.all(changes.map(({ key }) => this.#records.last(key))));
    const asExpected = changes.every(
      ({ version }, i) => version === (found[i]?.value === undefined ? 0 : found[i].revision),
    );
    return asExpected ? found.map((stored) => stored?.revision ?? 0) : undefined;
  }

  #pause(): Promise<void> {
    const { clock, chance } = this.#parts;
    return new Promise((resolve) => void clock.after(retryMs * chance.random(), resolve));
  }
}

function batchesOf(changes: readonly Change[]): (readonly Change[])[] {
  const batches: Change[][] = [];
  let bytes = 0;
  for (const change of changes) {
    const size = change.key.length + (change.value?.length ?? 0);
    const last = batches.at(-1);
    if (last === undefined || last.length >= batchMessagesMax || bytes + size > batchBytesMax) {
      batches.push([change]);
      bytes = size;
    } else {
      last.push(change);
      bytes += size;
    }
  }
  return batches;
}
