/**
 * Reads a stream in order, without end. A consumer that is not heard of any more is given up and another goes on behind
 * the last message: the server that had it may never come back, and who waits for it would wait as long.
 */
import { DogearError, dogearError } from "@dogear/shared";
import {
  AckPolicy,
  type ConsumerConfig,
  type ConsumerInfo,
  DeliverPolicy,
  type JsMsg,
  jetstreamManager,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import type { Clock } from "../../runtime/clock.ts";
import type { Cluster } from "./cluster.ts";
import { codeOf, codes, translated } from "./failures.ts";

export interface OrderedReaderParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly stream: string;
  readonly filter: string;
  /** The first sequence to read; where it is left out, reading begins with the last message of each subject. */
  readonly from?: number | undefined;
}

/** How often a server says that there is nothing; missed twice, the consumer is given up. */
const heartbeatMs = 1_000;
/** How long a request for messages waits for them. */
const pullMs = 10_000;
/** What may wait here to be taken. */
const messagesMax = 500;
/** How long a server keeps a consumer that nobody asks. */
const inactiveMs = 30_000;
const retryMs = 250;
/**
 * How long the servers may take to make a consumer: at first not long, since one may be given to a server that is not there
 * any more, which the others notice late. Another attempt may meet another server.
 */
const makeMsMin = 1_000;
const makeMsMax = 4_000;

/**
 * Ends when the signal aborts; throws `unavailable` where the stream is another one than it was, or has lost its end.
 * What begins with the last message of each subject leaves out those that were superseded meanwhile.
 */
export async function* readInOrder(parts: OrderedReaderParts, signal: AbortSignal): AsyncGenerator<JsMsg> {
  const { cluster, clock, stream } = parts;
  let next = parts.from;
  let created: string | undefined;
  let makeMs = makeMsMin;
  while (!signal.aborted) {
    try {
      const jsm = await jetstreamManager(cluster.connection, { timeout: makeMs, checkAPI: false });
      makeMs = Math.min(2 * makeMs, makeMsMax);
      const info = await jsm.streams.info(stream);
      created ??= info.created;
      if (info.created !== created || info.state.last_seq + 1 < (next ?? 0)) throw begunAnew(stream);
      const consumer = await jsm.consumers.add(stream, configOf(parts, next));
      makeMs = makeMsMin;
      for await (const message of consumed(cluster, consumer, signal)) {
        next = message.seq + 1;
        yield message;
      }
    } catch (error) {
      if (isFinal(error, cluster)) throw translated(error);
    }
    await pause(clock, signal);
  }
}

/** The messages of one consumer for as long as it is heard of. */
async function* consumed(cluster: Cluster, consumer: ConsumerInfo, signal: AbortSignal): AsyncGenerator<JsMsg> {
  const messages = await cluster.js.consumers.getConsumerFromInfo(consumer).consume({
    max_messages: messagesMax,
    expires: pullMs,
    idle_heartbeat: heartbeatMs,
    abort_on_missing_resource: true,
  });
  const stop = () => messages.stop();
  signal.addEventListener("abort", stop);
  void stopWhenSilent();
  try {
    if (signal.aborted) return;
    let delivery = 0;
    for await (const message of messages) {
      if (signal.aborted) return;
      // One was lost on the way: another consumer brings it again.
      if (message.info.deliverySequence !== ++delivery) return;
      yield message;
    }
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
    cluster.jsm.consumers.delete(consumer.stream_name, consumer.name).catch(() => {});
  }

  async function stopWhenSilent(): Promise<void> {
    for await (const { type } of messages.status()) if (type === "heartbeats_missed") stop();
  }
}

function configOf({ filter }: OrderedReaderParts, next: number | undefined): Partial<ConsumerConfig> {
  const start =
    next === undefined
      ? { deliver_policy: DeliverPolicy.LastPerSubject }
      : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: next };
  return {
    ...start,
    ack_policy: AckPolicy.None,
    filter_subject: filter,
    inactive_threshold: nanos(inactiveMs),
    mem_storage: true,
    num_replicas: 1,
  };
}

/** Whether trying again would be of no use. */
function isFinal(error: unknown, { connection }: Cluster): boolean {
  return connection.isClosed() || error instanceof DogearError || codeOf(error) === codes.streamNotFound;
}

function begunAnew(stream: string): DogearError {
  return dogearError("unavailable", `The stream ${stream} is not the one it was.`);
}

async function pause(clock: Clock, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const end = () => {
      cancel();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const cancel = clock.after(retryMs, end);
    signal.addEventListener("abort", end);
  });
}
