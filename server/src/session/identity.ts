/** Who a session is, once it has said hello. */
import type { SessionReport } from "@dogear/shared";
import type { Principal } from "../access/principal.ts";
import type { Quota } from "../access/quotas.ts";
import type { Claimant } from "../hub/claimant.ts";
import type { Hub } from "../hub/hub.ts";
import { scoped } from "../hub/scope.ts";
import type { Sequencer } from "../hub/sequencer.ts";

export interface Identity {
  readonly principal: Principal;
  /** What its user takes of the hub, over all its sessions. */
  readonly quota: Quota;
  /** When it was welcomed. */
  readonly since: number;
  readonly subscriber: string | undefined;
  readonly producer: { readonly id: string; readonly sequencer: Sequencer | undefined } | undefined;
  /** Which of its client's connections it is, where that says so. */
  readonly connection: number | undefined;
}

/** As what it claims cursors and memberships. */
export function claimantOf({ principal, producer, connection }: Identity): Claimant | undefined {
  if (producer === undefined || connection === undefined) return undefined;
  return { client: scoped(principal.user, producer.id), connection };
}

/** Gives back what a session has of its user's, and its producer, when it ends. */
export function giveBack({ principal, quota, producer }: Identity, hub: Hub): void {
  quota.disconnect();
  if (producer !== undefined) hub.leaveProducer(principal.user, producer.id);
}

/** As much of it as an operator is told. */
export function reportOn({
  principal,
  subscriber,
  since,
}: Identity): Pick<SessionReport, "user" | "subscriber" | "since" | "expires"> {
  const { user, expires } = principal;
  return { user, since, ...(subscriber !== undefined && { subscriber }), ...(expires !== undefined && { expires }) };
}
