/** What an acknowledgement of a stream means: see G14. */
import type { Durability } from "@dogear/shared";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { JetStreamSettings } from "./cluster.ts";

export interface DurabilityParts {
  readonly settings: JetStreamSettings;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** As many servers that one may be lost and most are left. */
const quorumReplicas = 3;
const monitorTimeoutMs = 2_000;

export interface Achieved {
  readonly durability: Durability;
  /** Why it is that, for people. */
  readonly because: string;
}

/** What a stream in files achieves. */
export async function fileDurability(parts: DurabilityParts): Promise<Achieved> {
  const { replicas, monitors } = parts.settings;
  if (replicas >= quorumReplicas) {
    return { durability: "quorum", because: `Most of ${replicas} servers have what is acknowledged.` };
  }
  if (monitors.length === 0) {
    return { durability: "process", because: "No monitor is configured that would say that servers flush always." };
  }
  const flushed = await Promise.all(monitors.map((monitor) => flushesAlways(monitor, parts)));
  return flushed.every(Boolean)
    ? { durability: "disk", because: "Every monitor says sync_interval: always." }
    : { durability: "process", because: "Not every monitor says sync_interval: always." };
}

/** Whether a server flushes each message before it acknowledges it. One that does not say so does not. */
async function flushesAlways(monitor: string, { clock, logger }: DurabilityParts): Promise<boolean> {
  const stop = new AbortController();
  const cancel = clock.after(monitorTimeoutMs, () => stop.abort());
  try {
    const answer = await fetch(new URL("/varz", monitor), { signal: stop.signal });
    const { jetstream } = (await answer.json()) as { jetstream?: { config?: { sync_always?: boolean } } };
    return jetstream?.config?.sync_always === true;
  } catch (error) {
    logger.warn("nats.monitor-does-not-answer", { monitor, error });
    return false;
  } finally {
    cancel();
  }
}
