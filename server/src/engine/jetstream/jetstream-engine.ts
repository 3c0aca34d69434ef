/** What the JetStream engine is made of. */
import type { Chance, Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Metrics } from "../../runtime/metrics.ts";
import type { JetStreamSettings } from "./cluster.ts";

export interface JetStreamEngineParts {
  readonly settings: JetStreamSettings;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Called once a log has begun anew under the hub's feet: what was opened is of no use any more. */
  readonly renewed: (namespace: string) => void;
}
