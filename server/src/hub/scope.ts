/**
 * Names that clients choose are their user's: a producer, a member, an explicit id. Joined so that no user can spell
 * another's.
 */
import type { Channel } from "@dogear/shared";

export function scoped(user: string, name: string): string {
  return `${encodeURIComponent(user)}/${name}`;
}

/** An explicit id of a draft: its user's, and of one channel. */
export function scopedId(user: string, channel: Channel, id: string | undefined): string | undefined {
  return id === undefined ? undefined : scoped(user, `${channel}/${id}`);
}
