/** Reads the records of the state as they are now: never from a server that may not have heard of the last change. */
import type { MsgHdrs } from "@nats-io/transport-node";
import type { KeyedEntry } from "../engine.ts";
import type { Bucket } from "./bucket.ts";
import { type Cluster, requestTimeoutMs } from "./cluster.ts";
import { decodeKey, encodeKey, encodePrefix } from "./keys.ts";

/** The last message of a key. */
export interface Stored {
  readonly revision: number;
  /** `undefined`: it says that the record was removed. */
  readonly value: Uint8Array | undefined;
}

/** How many records are asked for at once, and how long their names may be together. */
const pageMax = 256;
const pageBytesMax = 128 * 1_024;

export class Records {
  readonly #cluster: Cluster;
  readonly #bucket: Bucket;

  constructor(cluster: Cluster, bucket: Bucket) {
    this.#cluster = cluster;
    this.#bucket = bucket;
  }

  subjectOf(key: string): string {
    return this.#bucket.root + encodeKey(key);
  }

  keyOf(subject: string): string {
    return decodeKey(subject.slice(this.#bucket.root.length));
  }

  /** What the leader has last. */
  async last(key: string): Promise<Stored | undefined> {
    const subject = this.subjectOf(key);
    const message = await this.#cluster.ask(() =>
      this.#cluster.asking.streams.getMessage(this.#bucket.stream, { last_by_subj: subject }),
    );
    return message === null ? undefined : { revision: message.seq, value: recordIn(message.header, message.data) };
  }

  /**
   * The leader knows which keys there are. Their records any server can tell, if it has come as far as the leader had: it
   * says how far.
   */
  async list(prefix: string, after: string, limit: number): Promise<readonly KeyedEntry[]> {
    const { state } = await this.#cluster.jsm.streams.info(this.#bucket.stream, {
      subjects_filter: this.#bucket.root + encodePrefix(prefix),
    });
    const keys = Object.keys(state.subjects ?? {})
      .map((subject) => this.keyOf(subject))
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort((a, b) => (a < b ? -1 : 1));
    const found: KeyedEntry[] = [];
    for (let at = 0; at < keys.length && found.length < limit; ) {
      const page = pageOf(keys, at, limit - found.length);
      const stored = await this.#lastOf(page, state.last_seq);
      for (const key of page) {
        const { value, revision = 0 } = stored.get(key) ?? {};
        if (value !== undefined) found.push({ key, value, version: revision });
      }
      at += page.length;
    }
    return found;
  }

  /** The last messages of some keys, by a server that has all up to and including `through`. */
  async #lastOf(keys: readonly string[], through: number): Promise<ReadonlyMap<string, Stored>> {
    const found = await this.#toldBy(keys, through);
    const missing = keys.filter((key) => !found.has(key));
    for (const [i, stored] of (await Promise.all(missing.map((key) => this.last(key)))).entries()) {
      if (stored !== undefined) found.set(missing[i] as string, stored);
    }
    return found;
  }

  /** What any one server tells of some keys; nothing where it is behind. */
  async #toldBy(keys: readonly string[], through: number): Promise<Map<string, Stored>> {
    const found = new Map<string, Stored>();
    const answers = await this.#cluster.connection.requestMany(
      `$JS.API.DIRECT.GET.${this.#bucket.stream}`,
      JSON.stringify({ multi_last: keys.map((key) => this.subjectOf(key)), batch: keys.length }),
      { strategy: "timer", maxWait: requestTimeoutMs },
    );
    for await (const { headers, data } of answers) {
      if (headers === undefined) continue;
      if (headers.code !== 0) return Number(headers.get("Nats-UpTo-Sequence")) >= through ? found : new Map();
      const stored = { revision: Number(headers.get("Nats-Sequence")), value: recordIn(headers, data) };
      found.set(this.keyOf(headers.get("Nats-Subject")), stored);
    }
    return new Map();
  }
}

/** Nothing where the message says that the record was removed. */
export function recordIn(headers: MsgHdrs | undefined, data: Uint8Array): Uint8Array | undefined {
  const isRecord = headers === undefined || !(headers.has("KV-Operation") || headers.has("Nats-Marker-Reason"));
  // A copy, so that a small record does not keep all that arrived with it.
  return isRecord ? new Uint8Array(data) : undefined;
}

function pageOf(keys: readonly string[], start: number, countMax: number): readonly string[] {
  let end = start;
  for (let bytes = 0; end < keys.length && end - start < Math.min(countMax, pageMax) && bytes < pageBytesMax; end++) {
    bytes += 2 * (keys[end] as string).length;
  }
  return keys.slice(start, end);
}
