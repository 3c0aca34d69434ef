/** The errors that users of a client catch. */
import { clientSentences, DogearError, type ErrorCode, isErrorCode } from "@dogear/shared";

/** An error that the client raises itself. */
export function failure(code: keyof typeof clientSentences, detail = "", options?: ErrorOptions): DogearError {
  return new DogearError(code, `${clientSentences[code]} ${detail}`.trim(), options);
}

interface Told {
  readonly code?: ErrorCode | undefined;
  readonly message?: string | undefined;
}

/** The error an envelope tells of. A code this client has never heard of is a refusal: trying again is no use. */
export function errorFrom({ code = "internal", message = "" }: Told): DogearError {
  return isErrorCode(code)
    ? new DogearError(code, message)
    : new DogearError("invalid-envelope", `${code}: ${message}`);
}
