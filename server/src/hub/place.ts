/** Where in a namespace's log somebody starts. */
import type { Epoch, Gap, Offset, Position } from "@dogear/shared";
import type { Log } from "../engine/engine.ts";
import { epochOf, locate } from "../engine/lineage.ts";

/** Where somebody wants to start. */
export type From = "latest" | "earliest" | Position | { readonly time: number };

/** A place in a log today, and what is lost for whoever comes there. */
export interface Start {
  readonly epoch: Epoch;
  readonly offset: Offset;
  readonly gap: Gap | undefined;
}

export async function startIn(log: Log, from: From): Promise<Start> {
  const bounds = await log.bounds();
  const epoch = epochOf(log.lineage);
  if (from === "latest") return { epoch, offset: bounds.newest, gap: undefined };
  if (from === "earliest") return { epoch, offset: (bounds.oldest - 1) as Offset, gap: undefined };
  if ("time" in from) return { epoch, offset: await log.offsetAt(from.time), gap: undefined };
  return { epoch, ...locate(log.lineage, bounds, from) };
}
