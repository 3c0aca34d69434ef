/**
 * By what a schedule is known: `orders/k2…/4711`, the place where its draft was first stored. It stays the same when the
 * draft is stored again further on, and whoever retries the draft is given the same.
 */
import type { Epoch, Offset } from "@dogear/shared";
import type { Era } from "../../engine/engine.ts";
import type { Namespace } from "../namespace.ts";

export interface ScheduleId {
  readonly namespace: string;
  readonly epoch: Epoch;
  /** Where the draft was first stored. */
  readonly first: Offset;
}

const grammar = /^([^/]+)\/(.+)\/([1-9]\d{0,15})$/;

export function writeScheduleId(namespace: string, lineage: readonly Era[], first: Offset): string {
  return `${namespace}/${eraOf(lineage, first)?.epoch}/${first}`;
}

/** `undefined` where it is none. */
export function parseScheduleId(text: string): ScheduleId | undefined {
  const [, namespace, epoch, first] = grammar.exec(text) ?? [];
  if (namespace === undefined || epoch === undefined || first === undefined) return undefined;
  return { namespace, epoch: epoch as Epoch, first: Number(first) as Offset };
}

/** The id of a draft that waits in a namespace. */
export function scheduleIdOf({ policy, log }: Namespace, first: Offset): string {
  return writeScheduleId(policy.namespace, log.lineage, first);
}

/** Whether an id names a place in a log as it is today. */
export function isOf(lineage: readonly Era[], { epoch, first }: ScheduleId): boolean {
  return eraOf(lineage, first)?.epoch === epoch;
}

/** The incarnation that an offset belongs to: a later one takes over what it begins with. */
function eraOf(lineage: readonly Era[], offset: Offset): Era | undefined {
  return lineage.findLast(({ first }) => first <= offset);
}
