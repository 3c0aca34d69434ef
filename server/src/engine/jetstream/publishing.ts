/**
 * Messages that are stored together or not at all: an atomic batch of JetStream, whose messages the server stages until
 * the last one commits them. A message alone needs none of that.
 */
import type { JetStreamApiError } from "@nats-io/jetstream";
import type { MsgHdrs, NatsConnection } from "@nats-io/transport-node";
import { type ApiFailure, failure } from "./failures.ts";

export interface Outgoing {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs;
}

/** The server's own limit. */
export const batchMessagesMax = 1_000;

interface Acknowledgement {
  readonly seq: number;
  readonly error?: ApiFailure;
}

/**
 * Publishes messages in order and resolves with the sequence of the first; the others follow it without a gap. Rejects with
 * a `JetStreamApiError` where the server stored none of them; with another error it is not known whether it did.
 */
export async function publishTogether(
  connection: NatsConnection,
  messages: readonly Outgoing[],
  batch: string,
  timeout: number,
): Promise<number> {
  const last = messages.at(-1);
  if (last === undefined || messages.length > batchMessagesMax) throw new Error(`${messages.length} is no batch.`);
  if (messages.length > 1) {
    for (const [i, { headers }] of messages.entries()) {
      headers.set("Nats-Batch-Id", batch);
      headers.set("Nats-Batch-Sequence", `${i + 1}`);
    }
    last.headers.set("Nats-Batch-Commit", "1");
  }
  for (const { subject, data, headers } of messages.slice(0, -1)) connection.publish(subject, data, { headers });
  const answer = await connection.request(last.subject, last.data, { headers: last.headers, timeout });
  const { seq, error } = answer.json<Acknowledgement>();
  if (error !== undefined) throw failure(error) satisfies JetStreamApiError;
  return seq - messages.length + 1;
}
