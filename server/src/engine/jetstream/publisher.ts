/**
 * Stores messages in a stream: one by itself, several as an atomic batch, which the stream stores one behind the other or
 * not at all. The server stages those of a batch until the last one commits them.
 */
import { dogearError, type Offset } from "@dogear/shared";
import { type MsgHdrs, MsgHdrsImpl } from "@nats-io/transport-node";
import type { Chance } from "../../runtime/clock.ts";
import { type Cluster, requestTimeoutMs } from "./cluster.ts";
import { type ApiFailure, codes, failure, translated } from "./failures.ts";

/** A message to be stored. */
export interface Outgoing {
  readonly subject: string;
  readonly body: Uint8Array;
  /** By which the stream recognises one that it has. */
  readonly id?: string | undefined;
  /** Stored only where this is the last message under a subject, its own where none is named; 0: where there is none. */
  readonly expects?: { readonly subject?: string; readonly last: Offset } | undefined;
  /** Other headers. */
  readonly fields?: Readonly<Record<string, readonly string[]>> | undefined;
}

/** What became of messages. All but `stored` means that nothing was stored. */
export type Outcome =
  /** The first one has this offset, the others follow it. */
  | { readonly is: "stored"; readonly first: Offset }
  /** The only one has the id of a message that is there. */
  | { readonly is: "duplicate"; readonly offset: Offset }
  /** One of several has the id of a message that is there. */
  | { readonly is: "some-duplicate" }
  /** An expectation was not met, or cannot be judged just now. */
  | { readonly is: "overtaken" }
  /** The stream does too much else just now. */
  | { readonly is: "busy" };

/** A server takes no more. */
export const batchMessagesMax = 1_000;

/** Something else was stored under the subject since, or is just being stored. */
const overtaken: readonly number[] = [...codes.wrongLastSequence, codes.lastSequenceNotReady];
/** An id is just being stored; the batch did not arrive as a whole, or is one too many. */
const busy: readonly number[] = [codes.duplicateInProcess, codes.batchIncomplete, codes.tooManyBatches];

/** More than the headers of a message in a log take besides its id and the subject it expects something of. */
const headerBytesMax = 400;

interface Acknowledgement {
  readonly error?: ApiFailure;
  readonly seq: number;
  readonly count?: number;
  readonly duplicate?: boolean;
}

export class Publisher {
  readonly #cluster: Cluster;
  readonly #chance: Chance;

  constructor(cluster: Cluster, chance: Chance) {
    this.#cluster = cluster;
    this.#chance = chance;
  }

  /** The most bytes that the body and the id of a message in a log may have together. */
  get bytesMax(): number {
    return this.#cluster.payloadBytesMax - headerBytesMax;
  }

  /** Rejects with `unavailable` where it is not known what became of them, with `disk-full` where there is no room. */
  async publish(messages: readonly Outgoing[]): Promise<Outcome> {
    const batch = messages.length > 1 ? this.#chance.id() : undefined;
    const last = messages.length - 1;
    try {
      for (let i = 0; i < last; i++) this.#send(messages[i] as Outgoing, batch, i + 1);
      return outcomeOf(await this.#finish(messages[last] as Outgoing, batch, messages.length), messages.length);
    } catch (error) {
      throw translated(error);
    }
  }

  #send(message: Outgoing, batch: string | undefined, sequence: number): void {
    this.#cluster.connection.publish(message.subject, message.body, {
      headers: headersOf(message, batch, sequence) as MsgHdrs,
    });
  }

  async #finish(message: Outgoing, batch: string | undefined, sequence: number): Promise<Acknowledgement> {
    const all = headersOf(message, batch, sequence, true);
    const options = { timeout: requestTimeoutMs, ...(all !== undefined && { headers: all }) };
    const answer = await this.#cluster.connection.request(message.subject, message.body, options);
    return answer.json<Acknowledgement>();
  }
}

function headersOf(
  { id, expects, fields }: Outgoing,
  batch: string | undefined,
  sequence: number,
  isLast = false,
): MsgHdrs | undefined {
  if (id === undefined && expects === undefined && fields === undefined && batch === undefined) return undefined;
  // Made at once: to add one after the other takes longer than all the rest of publishing.
  return MsgHdrsImpl.fromRecord({
    ...fields,
    ...(id !== undefined && { "Nats-Msg-Id": [id] }),
    ...(expects !== undefined && { "Nats-Expected-Last-Subject-Sequence": [`${expects.last}`] }),
    ...(expects?.subject !== undefined && { "Nats-Expected-Last-Subject-Sequence-Subject": [expects.subject] }),
    ...(batch !== undefined && { "Nats-Batch-Id": [batch], "Nats-Batch-Sequence": [`${sequence}`] }),
    ...(batch !== undefined && isLast && { "Nats-Batch-Commit": ["1"] }),
  });
}

function outcomeOf({ error, seq, count, duplicate }: Acknowledgement, length: number): Outcome {
  if (error !== undefined) return refusal(error);
  if (duplicate === true) return { is: "duplicate", offset: seq as Offset };
  if (length > 1 && count !== length) throw dogearError("unavailable", `The stream stored ${count} of ${length}.`);
  return { is: "stored", first: (seq - length + 1) as Offset };
}

function refusal(error: ApiFailure): Outcome {
  const code = error.err_code;
  if (overtaken.includes(code)) return { is: "overtaken" };
  if (code === codes.batchContainsDuplicate) return { is: "some-duplicate" };
  if (busy.includes(code)) return { is: "busy" };
  throw failure(error);
}
