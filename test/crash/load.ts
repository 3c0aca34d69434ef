/** What the processes of the crash tests publish, and how each message tells what it is. */
import { createHash } from "node:crypto";
import type { Message, PublishOptions, ScheduleOptions } from "@dogear/client";
import { type Channel, hubHeaderPrefix, type Pattern } from "@dogear/shared";
import type { Content } from "../checker/history.ts";

export const hubConfig = { namespaces: { metrics: {} } };
export const namespaces = ["default", "metrics"];

const channels = ["orders.eu", "orders.us", "orders.us.late", "sensors.hall", "metrics.cpu.0", "metrics.cpu.1"];

/** After all else, one of these goes to each; every pattern below selects one of them. */
export const endChannels = ["orders.eu", "metrics.cpu.0"];

/** The subscribers; those with a name are durable. */
export const subscribers = [
  { name: "everything", subscriber: "everything", patterns: [">", "orders.>", "metrics.>"] },
  { name: "some", subscriber: "some", patterns: ["orders.*", "*.eu", "metrics.cpu.*"] },
  { name: "one", subscriber: "one", patterns: ["orders.eu"] },
  { name: "visitor", subscriber: undefined, patterns: [">", "metrics.>"] },
] as const;

/** The group that shares the orders. A lease is short, because its holders are killed as well. */
export const crew = {
  pattern: "orders.>" as Pattern,
  deadChannel: "orders.$dead.crew",
  workers: 3,
  options: { group: "crew", leaseMs: 1_000, maxFailures: 3, backoff: { type: "fixed", minMs: 50, jitter: 0 } },
} as const;

export interface WorkerTask {
  readonly url: string;
  readonly process: string;
  readonly history: string;
  readonly seed: number;
}

export interface PublisherTask {
  readonly url: string;
  readonly process: string;
  readonly history: string;
  readonly seed: number;
  readonly inFlight: number;
  /** The longest it rests after each answer; by default it does not. */
  readonly restMsMax?: number | undefined;
  /** Now and then a draft is scheduled, up to this long ahead; by default none is. */
  readonly delayMsMax?: number | undefined;
}

export interface SubscriberTask {
  readonly url: string;
  readonly process: string;
  readonly history: string;
  readonly subscriber: string | undefined;
  readonly patterns: readonly string[];
}

/** Comes back quickly, as the hub does. */
export const backoff = { baseMs: 20, capMs: 200 };

export interface LoadDraft {
  readonly channel: string;
  readonly data: unknown;
  readonly options: PublishOptions | ScheduleOptions;
  /** The hub refuses it. */
  readonly isTooLong?: boolean;
}

/**
 * Drafts of any size, now and then of more than the hub takes. They go to one channel for a while and then to another,
 * so that both namespaces get runs of them as well as single ones.
 */
export function* anyDrafts(
  { process, delayMsMax }: Pick<PublisherTask, "process" | "delayMsMax">,
  random: () => number,
): Generator<LoadDraft, never> {
  const below = (bound: number): number => Math.floor(random() * bound);
  let channel = channels[0] as string;
  for (let count = 1; ; count++) {
    const draft = `${process}/${count}`;
    if (below(10) === 0) channel = channels[below(channels.length)] as string;
    const key = below(5) === 0 ? { key: `key ${below(10)}` } : {};
    const isLater = delayMsMax !== undefined && below(20) === 0;
    const options = isLater ? { ...key, delayMs: below(delayMsMax) } : key;
    const size = random();
    const length = below(size < 0.01 ? 60_000 : size < 0.1 ? 5_000 : 300);
    if (below(500) === 0) {
      yield { channel, data: { draft, tooLong }, options, isTooLong: true };
    } else if (below(4) === 0) {
      const data = Uint8Array.from({ length }, () => below(256));
      yield { channel, data, options: { ...options, headers: { draft } } };
    } else {
      yield { channel, data: { draft, text: characters.repeat(length / characters.length) }, options };
    }
  }
}

/** More than the hub takes, but not so much that the SDK knows. */
const tooLong = "x".repeat(262_200);

/** Of one to four bytes, and such as JSON escapes. */
const characters = 'aß€😀"\\\n';

export function endDraft(channel: string): LoadDraft & { readonly options: PublishOptions } {
  return { channel, data: { draft: `end of ${channel}` }, options: { headers: { end: "yes" } } };
}

/** What a draft is, as its publisher knows it. */
export function contentOf({ channel, data, options: { key, headers } }: LoadDraft): Content {
  const type = data instanceof Uint8Array ? "application/octet-stream" : "application/json";
  return content({ channel: channel as Channel, data, type, key, headers });
}

/** What a message is, as a reader finds it. */
export function content({
  channel,
  type,
  key,
  headers,
  data,
}: Pick<Message, "channel" | "type" | "key" | "headers" | "data">): Content {
  const { draft } = headers?.draft ? headers : (data as { readonly draft: string });
  const payload = createHash("sha1").update(JSON.stringify([type, key, ...publishersOf(headers)]));
  payload.update(data instanceof Uint8Array ? data : JSON.stringify(data));
  return { channel, draft: String(draft), payload: payload.digest("base64") };
}

/** The headers that are not the hub's. */
function publishersOf(headers: Message["headers"]): [name: string, value: string][] {
  return Object.entries(headers ?? {}).filter(([name]) => !name.startsWith(hubHeaderPrefix));
}
