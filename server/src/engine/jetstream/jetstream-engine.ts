/** The distributed engine: logs and state in JetStream, for one hub or several. */
import { dogearError } from "@dogear/shared";
import type { Chance, Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Metrics } from "../../runtime/metrics.ts";
import type { Engine, Health, Log, NamespacePolicy } from "../engine.ts";
import { Cluster, type JetStreamSettings } from "./cluster.ts";
import { JetStreamLog } from "./jetstream-log.ts";
import { JetStreamPeers } from "./jetstream-peers.ts";
import { JetStreamState } from "./jetstream-state.ts";
import { Openings } from "./openings.ts";

export interface JetStreamEngineParts {
  readonly settings: JetStreamSettings;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** The largest message that clients may publish, in bytes, which the servers must take. */
  readonly messageBytesMax?: number;
  /** Called once a log has begun anew under the hub's feet: what was opened is of no use any more. */
  readonly renewed: (namespace: string) => void;
}

export class JetStreamEngine implements Engine {
  readonly state: JetStreamState;
  readonly peers: JetStreamPeers;
  readonly #parts: JetStreamEngineParts;
  readonly #cluster: Cluster;
  /** What logs keep beside their streams. */
  readonly #records: JetStreamState;
  readonly #openings: Openings;
  readonly #logs = new Map<string, JetStreamLog>();

  static async open(parts: JetStreamEngineParts): Promise<JetStreamEngine> {
    const cluster = await Cluster.open(parts.settings, parts);
    try {
      checkPayload(cluster, parts.messageBytesMax ?? 0);
      const state = await JetStreamState.open({ ...parts, cluster }, "hub");
      const records = await JetStreamState.open({ ...parts, cluster }, "log");
      const engine = new JetStreamEngine(parts, cluster, state, records);
      // From now on others are heard.
      await cluster.attempt(() => cluster.connection.flush());
      return engine;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  private constructor(parts: JetStreamEngineParts, cluster: Cluster, state: JetStreamState, records: JetStreamState) {
    this.#parts = parts;
    this.#cluster = cluster;
    this.state = state;
    this.#records = records;
    this.peers = new JetStreamPeers({ ...parts, cluster });
    this.#openings = new Openings(this.peers, parts.clock);
  }

  async open(policy: NamespacePolicy): Promise<Log> {
    const { namespace, durability } = policy;
    // One that has begun anew is opened again.
    await this.#logs.get(namespace)?.close();
    const inMemory = durability === "memory";
    const anew = inMemory && !(await this.#openings.isOpenElsewhere(namespace));
    try {
      const log = await this.#openLog(policy, anew);
      if (inMemory) this.#openings.add(namespace);
      return log;
    } catch (error) {
      if (inMemory) this.#openings.remove(namespace);
      throw error;
    }
  }

  health(): Health {
    return this.#cluster.health();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#logs.values()].map((log) => log.close()));
    await Promise.all([this.state.idle(), this.#records.idle()]);
    await this.peers.close();
    await this.#cluster.close();
  }

  async #openLog(policy: NamespacePolicy, anew: boolean): Promise<JetStreamLog> {
    const { namespace } = policy;
    const log = await JetStreamLog.open({
      ...this.#parts,
      cluster: this.#cluster,
      state: this.#records,
      policy,
      anew,
      renewed: () => this.#parts.renewed(namespace),
    });
    this.#logs.set(namespace, log);
    return log;
  }
}

/** More than a message takes besides what its publisher counts: headers, channel and time. */
const messageOverheadBytes = 8 * 1_024;

function checkPayload({ connection }: Cluster, messageBytesMax: number): void {
  const payloadMax = connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
  const needed = messageBytesMax + messageOverheadBytes;
  if (payloadMax >= needed) return;
  throw dogearError(
    "unavailable",
    `nats-server takes ${payloadMax} bytes at most: raise its max_payload to ${needed}, or lower limits.messageBytesMax.`,
  );
}
