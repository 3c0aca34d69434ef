/** Turns what a consumer gives into batches. */
import { dogearError, type Offset } from "@dogear/shared";
import type { Batch } from "../engine.ts";
import { batchBudget } from "../follow.ts";
import { joinBodies, type Stored, timeOfBody } from "../text.ts";
import type { LogStream } from "./log-stream.ts";
import type { OrderedConsumer } from "./ordered-consumer.ts";

export interface TimedBatch extends Batch {
  /** When its last message was appended. */
  readonly time: number;
}

/**
 * What arrived together is one batch, or a few where it is much. Ends when the signal aborts, and rejects where a message
 * was left out that the leader has.
 */
export async function* followConsumer(
  consumer: OrderedConsumer,
  stream: LogStream,
  after: Offset,
  signal: AbortSignal,
): AsyncGenerator<TimedBatch> {
  const { subjects } = stream;
  let at = after;
  let expected = after + 1;
  while (!signal.aborted) {
    let stored: Stored[] = [];
    let bytes = 0;
    for (const { offset, message } of await consumer.take(signal)) {
      if (offset !== expected) await checkHole(stream, expected, offset);
      expected = offset + 1;
      const body = message.data;
      stored.push({ offset, channel: subjects.channelOf(message.subject), body });
      bytes += body.length;
      if (bytes < batchBudget.bytes && stored.length < batchBudget.messages) continue;
      yield batchOf(at, stored);
      at = offset;
      stored = [];
      bytes = 0;
    }
    if (stored.length === 0) continue;
    const batch = batchOf(at, stored);
    yield batch;
    at = batch.through;
  }
}

/** What is not there was removed, or there is an error. */
async function checkHole(stream: LogStream, from: number, to: Offset): Promise<void> {
  const next = await stream.nextFrom(from, stream.subjects.all);
  if (next !== undefined && next.offset < to) {
    throw dogearError("unavailable", `A consumer left out ${next.offset} of the stream ${stream.name}.`);
  }
}

function batchOf(after: Offset, stored: readonly Stored[]): TimedBatch {
  const { offset, body } = stored.at(-1) as Stored;
  return { after, through: offset, messages: joinBodies(stored), time: timeOfBody(body) };
}
