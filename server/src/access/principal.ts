/** Somebody who was let in: who it is, what it may do, and until when. */
import { nameLengthMax } from "@dogear/shared";
import type { Permissions } from "./capabilities.ts";
import type { UserLimits } from "./policy.ts";

export interface Principal {
  readonly user: string;
  readonly permissions: Permissions;
  /** When its token expires, in milliseconds since 1970. */
  readonly expires?: number | undefined;
  /** When its token was issued, in milliseconds since 1970, and by what name it can be revoked. */
  readonly issued?: number | undefined;
  readonly tokenId?: string | undefined;
  /** Whether it came with a token, which can be revoked; a key is taken out of the configuration instead. */
  readonly revocable: boolean;
  /** Limits of its own; `"none"` where it is the hub's own machine. */
  readonly limits: Partial<UserLimits> | "none";
}

/** With what somebody asks to be let in. */
export interface Credentials {
  readonly token: string | undefined;
  /** The client's, as far as the hub can know it. */
  readonly address: string;
}

/** A user is part of the keys of its cursors, which have a longest length. */
const userBytesMax = 384;

/** Whether something can be the name of a user: text that is not too long. */
export function isUser(user: unknown): user is string {
  return (
    isText(user) && user.length > 0 && user.length <= nameLengthMax && encodeURIComponent(user).length <= userBytesMax
  );
}

/** Whether something is text, and has UTF-8, so that it can be part of a key. */
export function isText(text: unknown): text is string {
  return typeof text === "string" && !/\p{Surrogate}/u.test(text);
}
