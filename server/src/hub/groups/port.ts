/** What a group and the connection of one of its members say to each other, on one hub or from one to another. */
import type { Epoch, ErrorCode, GroupPolicy, Offset, Pattern } from "@dogear/shared";
import type { LeasedText } from "../../codec/codec.ts";
import type { Claimant } from "../claimant.ts";
import type { Settlement } from "./leases.ts";

/** A member's connection, as its group sees it. */
export interface Port {
  /** Whose it is, where that is said. */
  readonly by: Claimant | undefined;
  /** Takes messages that were leased to the member. */
  lease(leased: readonly LeasedText[]): void;
  /** These settlements are durable. */
  settled(fences: readonly number[]): void;
  /** These were not the member's to settle. */
  lost(fences: readonly number[]): void;
  /** The member has ended: another connection took over, or the group is no more, or not here. */
  end(code: ErrorCode): void;
}

/** A group, as the connections of its members see it. */
export interface Workplace {
  readonly pattern: Pattern;
  /**
   * A member works over a connection. It gets messages once it is `open`.
   *
   * @throws DogearError `taken-over` the member works over a newer connection; `disk-full`, `unavailable`, `group-deleted`,
   *   `group-differs`
   */
  join(port: Port, id: string, window: number, holding: readonly Offset[]): Promise<Joined>;
  /** The connection takes more, or does not. */
  open(port: Port, id: string, open: boolean): void;
  /** Settles what a member holds. The port hears what became of it. */
  settle(port: Port, id: string, fences: readonly number[], settlement: Settlement): void;
  /**
   * A member gets no more, gives back all but what it still works on, and ends when that is settled; resolves once it
   * has, and that is durable.
   */
  leave(port: Port, id: string, holding: readonly Offset[]): Promise<void>;
  /** The connection of a member is gone. What it holds it keeps until its leases run out. */
  detach(port: Port, id: string): void;
}

/** What a member is told when it begins to work. */
export interface Joined {
  readonly epoch: Epoch;
  readonly policy: GroupPolicy;
  /** What it still holds of what it said it did. */
  readonly leases: readonly { readonly offset: Offset; readonly fence: number; readonly deliveries: number }[];
}
