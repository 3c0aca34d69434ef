/** What NATS and JetStream say when something does not work, in the words of the seam. */

import { DogearError, dogearError } from "@dogear/shared";
import { JetStreamApiError } from "@nats-io/jetstream";

/** An error of the JetStream API as it stands in an answer. */
export interface ApiFailure {
  readonly code: number;
  readonly err_code: number;
  readonly description: string;
}

/** Codes of the API that Dogear knows what to do about. */
export const codes = {
  consumerNotFound: 10_014,
  noMessageFound: 10_037,
  /** There is such a stream already, with another configuration. */
  streamNameInUse: 10_058,
  streamNotFound: 10_059,
  /** Somebody else stored something under the subject since. */
  wrongLastSequence: [10_071, 10_164],
  /** Something under the subject is just being stored. */
  lastSequenceNotReady: 10_163,
  /** An id of the draft is just being stored. */
  duplicateInProcess: 10_158,
  batchContainsDuplicate: 10_201,
  /** Of a batch something did not arrive, or the server had no room for it: it stored nothing. */
  batchIncomplete: 10_176,
  tooManyBatches: 10_210,
} as const;

/** Of the account or of the server: there is no room. 10077 and 10122 name a limit of the stream. */
const noRoom: readonly number[] = [10_002, 10_023, 10_028, 10_047, 10_122];
const noRoomText =
  /no space left|maximum (bytes|messages|messages per subject) exceeded|insufficient (storage |memory )?resources/;

/** The code that the API gives a failure, where it is one of the API. */
export function codeOf(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}

export function failure({ code, err_code, description }: ApiFailure): JetStreamApiError {
  return new JetStreamApiError({ code, err_code, description });
}

/** What the hub is told: `disk-full` where there is no room, else `unavailable`. An error of ours stays as it is. */
export function translated(error: unknown): DogearError {
  if (error instanceof DogearError) return error;
  const full = error instanceof Error && (noRoom.includes(codeOf(error) ?? 0) || noRoomText.test(error.message));
  return dogearError(full ? "disk-full" : "unavailable", undefined, { cause: error });
}
