/** Parts of groups for tests: policies, messages and a group's head as they begin. */
import type { Channel, Epoch, GroupPolicy, Offset, Pattern } from "@dogear/shared";
import type { Item } from "../../../server/src/hub/groups/item.ts";
import { defaultPolicy } from "../../../server/src/hub/groups/policy.ts";
import type { GroupHead } from "../../../server/src/hub/groups/record.ts";

/** Fails with a sentence. Properties ask many thousand times, and `expect` takes its time. */
export function must(holds: boolean, otherwise: () => string): asserts holds {
  if (!holds) throw new Error(otherwise());
}

/** An offset of a test's number. */
export const at = (offset: number): Offset => offset as Offset;

/** A message as it is taken in. */
export function newItem(offset: number, facts: Partial<Item> = {}): Item {
  return {
    offset: at(offset),
    key: undefined,
    bytes: 100,
    expires: undefined,
    redriven: false,
    stage: "waiting",
    deliveries: 0,
    failures: 0,
    error: undefined,
    lease: undefined,
    due: 0,
    reason: undefined,
    ...facts,
  };
}

/** The default policy, but without chance, and with what is said. */
export function policyOf({ backoff = {}, ...said }: Partial<Omit<GroupPolicy, "backoff">> & Backoff = {}): GroupPolicy {
  return { ...defaultPolicy, ...said, backoff: { ...defaultPolicy.backoff, jitter: 0, ...backoff } };
}

interface Backoff {
  readonly backoff?: Partial<GroupPolicy["backoff"]>;
}

/** What is remembered of a group that has not begun. */
export function newHead(policy: GroupPolicy): GroupHead {
  return {
    pattern: "orders.>" as Pattern,
    policy,
    deadChannel: "orders.$dead.billing" as Channel,
    incarnation: "i1",
    epoch: "k2" as Epoch,
    position: at(0),
    redriven: at(0),
    redrive: undefined,
    buried: at(0),
    fence: 0,
    paused: false,
    lost: 0,
  };
}
