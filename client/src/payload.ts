/**
 * Payloads where the codec does not look for them. It decodes those of `messages`; those of `leased` and of answers
 * come as they were sent, so that whoever takes them in decodes them.
 */
import { isJsonType } from "@dogear/shared";

/** A message's data for its user: a JSON value as it is, anything else as bytes. */
export function payloadOf({ type, data }: { readonly type?: string | undefined; readonly data?: unknown }): unknown {
  if (isJsonType(type) || typeof data !== "string") return data;
  return Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
}
