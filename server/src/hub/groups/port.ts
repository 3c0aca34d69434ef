/** What a group and the connection of one of its members say to each other. */
import type { Epoch, ErrorCode, GroupPolicy, Offset } from "@dogear/shared";
import type { LeasedText } from "../../codec/codec.ts";

/** A member's connection, as its group sees it. */
export interface Port {
  /** Takes messages that were leased to the member. */
  lease(leased: readonly LeasedText[]): void;
  /** These settlements are durable. */
  settled(fences: readonly number[]): void;
  /** The member has ended: another connection took over, or the group is no more. */
  end(code: ErrorCode): void;
}

/** What a member is told when it begins to work. */
export interface Joined {
  readonly epoch: Epoch;
  readonly policy: GroupPolicy;
  /** What it still holds of what it said it did. */
  readonly leases: readonly { readonly offset: Offset; readonly fence: number }[];
}
