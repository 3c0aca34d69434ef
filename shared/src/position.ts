/** Places in a log. */

/**
 * A message's place in its namespace's log. Strictly increasing, not dense within a channel, never reused within
 * an epoch. The first message has offset 1; offset 0 is the place before everything.
 */
export type Offset = number & { readonly __offset: true };

/**
 * Names one incarnation of a log.
 *
 * The story that makes it necessary: a log holds offsets 1 to 9, a subscriber has seen 9, and then the disk is
 * replaced by last night's backup, which ends at 6. New messages get offsets 7, 8, 9, 10. Without an epoch the
 * subscriber would ask for what follows 9 and silently never see the new 7, 8 and 9.
 */
export type Epoch = string & { readonly __epoch: true };

/** "Everything that matches, up to and including here, has been seen." It need not be a matching message's offset. */
export interface Position {
  readonly epoch: Epoch;
  readonly offset: Offset;
}

/** The place before the first message. */
export const beginning = 0 as Offset;

/** What an acknowledged message survives. */
export type Durability =
  /** Nothing: it is gone when the hub stops. */
  | "memory"
  /** The hub's process being killed. */
  | "process"
  /** Power loss: it was flushed to the disk. */
  | "disk"
  /** The loss of a minority of nodes. */
  | "quorum";

/** Why a range of the log can no longer be given to a subscriber. */
export type GapReason =
  /** Retention removed it by age or by size. */
  | "retention"
  /** Its checksum failed. */
  | "corruption"
  /** The log began a new epoch: what the old one held after this point is gone. */
  | "epoch";

/** A range a subscriber can no longer be given: after `from`, up to and including `to`. */
export interface Gap {
  readonly from: Offset;
  /** `null` where nobody can know, as across an epoch. */
  readonly to: Offset | null;
  readonly reason: GapReason;
}
