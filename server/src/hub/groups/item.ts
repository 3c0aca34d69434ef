/** A message that a group has taken in and not settled. */
import type { Offset } from "@dogear/shared";

/** Why a group gave a message up (P-61). */
export type DeathReason = "rejected" | "max-failures" | "ttl" | "retention";

/**
 *                    ┌──────────── released ───────────┐
 *                    ↓                                 │
 *     taken in ──► waiting ──────── granted ────────► leased ──► acknowledged: it is gone
 *                    ↑                                 │
 *                    └── due ── delayed ◄── failed ────┤
 *                                                      └──────► dying ──► a dead letter: it is gone
 */
export type Stage = "waiting" | "leased" | "delayed" | "dying";

export interface Item {
  readonly offset: Offset;
  /** What orders it: messages of one key are leased one at a time. */
  readonly key: string | undefined;
  /** About how long its text is. */
  readonly bytes: number;
  /** When it expires, in wall time. */
  readonly expires: number | undefined;
  /** It is a dead letter that was given to the group once more. */
  readonly redriven: boolean;
  stage: Stage;
  deliveries: number;
  failures: number;
  /** What the last failure said. */
  error: string | undefined;
  /** While it is leased. */
  lease: Lease | undefined;
  /** While it is delayed: when it is due, by the monotonic clock. */
  due: number;
  /** While it is dying. */
  reason: DeathReason | undefined;
}

export interface Lease {
  readonly fence: number;
  /** The member's id. */
  readonly holder: string;
  /** How long it lasts when it is sent or extended. */
  readonly leaseMs: number;
  /** When it runs out, by the monotonic clock; never, as long as it is not sent. */
  until: number;
  /**
   * It was held when the hub stopped, and its member has not come back for it. If it runs out that was the hub's
   * doing, and no failure.
   */
  readonly orphaned: boolean;
}
