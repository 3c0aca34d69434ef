/** State stores in JetStream for tests: several hubs' on the same servers, under a prefix of their own. */
import { Cluster } from "../../../server/src/engine/jetstream/cluster.ts";
import { JetStreamState } from "../../../server/src/engine/jetstream/jetstream-state.ts";
import { systemChance, systemClock } from "../../../server/src/runtime/clock.ts";
import { silentLogger } from "../../../server/src/runtime/logger.ts";
import { whenDone } from "../../support/temp.ts";

export interface StatesOptions {
  readonly servers: readonly string[];
  readonly replicas?: number;
  readonly prefix?: string;
}

let prefixes = 0;

/** Opens the store for as many hubs, until the test ends. */
export async function openStates(
  count: number,
  { servers, replicas = 1, prefix = `test-${++prefixes}` }: StatesOptions,
): Promise<readonly JetStreamState[]> {
  const parts = { clock: systemClock, logger: silentLogger };
  return Promise.all(
    Array.from({ length: count }, async () => {
      const cluster = await Cluster.open({ servers, prefix, replicas, monitors: [] }, parts);
      whenDone(() => cluster.close());
      return JetStreamState.open({ ...parts, cluster, chance: systemChance });
    }),
  );
}

export const bytes = (text: string): Uint8Array => Buffer.from(text);
export const textOf = (value: Uint8Array | undefined): string | undefined => value && Buffer.from(value).toString();
