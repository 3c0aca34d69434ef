/** The errors that users of a client catch. */
import { clientSentences, DogearError, type ErrorCode } from "@dogear/shared";

/** An error that the client raises itself. */
export function failure(code: keyof typeof clientSentences, detail = "", options?: ErrorOptions): DogearError {
  return new DogearError(code, `${clientSentences[code]} ${detail}`.trim(), options);
}

interface Told {
  readonly code?: ErrorCode | undefined;
  readonly message?: string | undefined;
}

/** The error an envelope tells of. */
export function errorFrom({ code = "internal", message = "" }: Told): DogearError {
  return new DogearError(code, message);
}
