/** The token that says who a client is: where it comes from. */
import { failure } from "./failure.ts";

/** Brings a token: one that is new, or good for a while yet. */
export type FetchToken = () => string | Promise<string>;

/** Rejects with `token-failed`, whatever the function throws. */
export async function fetchToken(fetch: FetchToken): Promise<string> {
  try {
    return await fetch();
  } catch (cause) {
    throw failure("token-failed", String(cause), { cause });
  }
}
