/** Turns what a consumer gives into batches. */
import type { Offset } from "@dogear/shared";
import type { Batch } from "../engine.ts";
import { batchBudget } from "../follow.ts";
import { joinBodies, type Stored, timeOfBody } from "../text.ts";
import type { Subjects } from "./names.ts";
import type { OrderedConsumer } from "./ordered-consumer.ts";

export interface TimedBatch extends Batch {
  /** When its last message was appended. */
  readonly time: number;
}

/** What arrived together is one batch, or a few where it is much. Ends when the signal aborts. */
export async function* followConsumer(
  consumer: OrderedConsumer,
  subjects: Subjects,
  after: Offset,
  signal: AbortSignal,
): AsyncGenerator<TimedBatch> {
  let at = after;
  while (!signal.aborted) {
    let stored: Stored[] = [];
    let bytes = 0;
    for (const { offset, message } of await consumer.take(signal)) {
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

function batchOf(after: Offset, stored: readonly Stored[]): TimedBatch {
  const { offset, body } = stored.at(-1) as Stored;
  return { after, through: offset, messages: joinBodies(stored), time: timeOfBody(body) };
}
