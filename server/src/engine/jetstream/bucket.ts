/**
 * The stream that keeps the state: a bucket as NATS knows them, whose records can also be changed several at a time. It is
 * made where there is none, and refused where it is not what it should be.
 */
import { type DogearError, dogearError } from "@dogear/shared";
import {
  DiscardPolicy,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from "@nats-io/jetstream";
import { errors, headers } from "@nats-io/transport-node";
import type { Clock } from "../../runtime/clock.ts";
import type { Cluster } from "./cluster.ts";
import { codeOf, codes, translated } from "./failures.ts";
import { bucketName } from "./names.ts";

export interface Bucket {
  readonly stream: string;
  /** What stands before the key in a subject. */
  readonly root: string;
}

/** The stream and the subjects of a bucket, as NATS's own tools name them. */
export function bucketOf(prefix: string): Bucket {
  const name = bucketName(prefix);
  return { stream: `KV_${name}`, root: `$KV.${name}.` };
}

export async function openBucket({ connection, settings }: Cluster): Promise<Bucket> {
  const bucket = bucketOf(settings.prefix);
  const needed = configOf(bucket, settings.replicas);
  const jsm = await jetstreamManager(connection, { timeout: makeMs, checkAPI: false });
  for (let tries = 1; ; tries++) {
    try {
      check((await infoOf(jsm, bucket.stream))?.config ?? (await jsm.streams.add(needed)).config, needed);
      return bucket;
    } catch (error) {
      // Where several hubs make it at once, one of them may be told that there is one, or nothing at all.
      const isThere = codeOf(error) === codes.streamNameInUse || error instanceof errors.TimeoutError;
      if (!isThere || tries === triesMax) throw error;
    }
  }
}

/** How long the servers may take to make it, and how often they are asked to. */
const makeMs = 2_000;
const triesMax = 5;
const reachTriesMax = 20;
const reachRetryMs = 250;

function configOf({ stream, root }: Bucket, replicas: number) {
  return {
    name: stream,
    subjects: [`${root}>`],
    description: "What Dogear hubs remember beside their logs",
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    num_replicas: replicas,
    max_msgs_per_subject: 1,
    discard: DiscardPolicy.New,
    deny_delete: true,
    allow_rollup_hdrs: true,
    allow_direct: true,
    allow_atomic: true,
    allow_msg_ttl: true,
  } satisfies Partial<StreamConfig>;
}

type Needed = ReturnType<typeof configOf>;

async function infoOf(jsm: JetStreamManager, stream: string): Promise<StreamInfo | undefined> {
  try {
    return await jsm.streams.info(stream);
  } catch (error) {
    if (codeOf(error) === codes.streamNotFound) return undefined;
    throw error;
  }
}

/** Resolves once the stream is heard of where this hub is connected, which may be a little after it was made elsewhere. */
export async function untilReached({ connection }: Cluster, { root }: Bucket, clock: Clock): Promise<void> {
  const refused = headers();
  refused.set("Nats-Expected-Stream", "none");
  for (let tries = 1; ; tries++) {
    try {
      await connection.request(`${root}reached`, undefined, { headers: refused, timeout: makeMs });
      return;
    } catch (error) {
      const isHeardOf = !(error instanceof errors.RequestError && error.isNoResponders());
      if (isHeardOf || tries === reachTriesMax) throw error;
    }
    await new Promise<void>((resolve) => void clock.after(reachRetryMs, resolve));
  }
}

/** Says why the stream is another one than when it was first asked, or has lost its end; nothing while it is the same. */
export function sameBucket({ jsm }: Cluster, { stream }: Bucket) {
  let created: string | undefined;
  return async (reached: number | undefined): Promise<DogearError | undefined> => {
    const info = await infoOf(jsm, stream).catch((error: unknown) => {
      throw translated(error);
    });
    created ??= info?.created;
    const isSame = info !== undefined && info.created === created && info.state.last_seq >= (reached ?? 0);
    return isSame ? undefined : dogearError("unavailable", `The stream ${stream} is not the one it was.`);
  };
}

/** What has to be as it should. Whatever else an operator has set is theirs. */
const essential = [
  "storage",
  "num_replicas",
  "max_msgs_per_subject",
  "allow_direct",
  "allow_atomic",
  "allow_msg_ttl",
] as const satisfies readonly (keyof StreamConfig)[];

function check(config: StreamConfig, needed: Needed): void {
  for (const key of essential) {
    if (config[key] === needed[key]) continue;
    const detail =
      `The stream ${needed.name} has ${key} ${config[key]}, and Dogear needs ${needed[key]}. ` +
      `Change it ("nats stream edit ${needed.name}"), or name another with jetstream.prefix.`;
    throw dogearError("unavailable", detail);
  }
}
