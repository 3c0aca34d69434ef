/** From the errors a hub sends to the errors a user catches. */
import { DogearError, type ErrorCode, errors, isErrorCode } from "@dogear/shared";

interface Told {
  readonly code?: ErrorCode | undefined;
  readonly message?: string | undefined;
}

/** The error an envelope tells of. A code this client has never heard of is a refusal: trying again is no use. */
export function errorFrom({ code = "internal", message = "" }: Told): DogearError {
  if (!isErrorCode(code)) return new DogearError("invalid-envelope", `${code}: ${message}`);
  // The error itself adds the registry's sentence.
  return new DogearError(code, message.replace(errors[code].says, "").trim() || undefined);
}
