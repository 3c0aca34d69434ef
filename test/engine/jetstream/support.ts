/** JetStream engines for tests, and a hand in what they keep. */
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterEach } from "vitest";
import type { JetStreamSettings } from "../../../server/src/engine/jetstream/cluster.ts";
import { JetStreamEngine } from "../../../server/src/engine/jetstream/jetstream-engine.ts";
import { systemChance } from "../../../server/src/runtime/clock.ts";
import { type Logger, silentLogger } from "../../../server/src/runtime/logger.ts";
import { Metrics } from "../../../server/src/runtime/metrics.ts";
import { contractClock, type EngineUnderTest } from "../../contract/support.ts";

export interface OpenOptions {
  readonly settings?: Partial<JetStreamSettings>;
  readonly logger?: Logger;
  readonly renewed?: (namespace: string) => void;
}

export interface JetStreamUnderTest extends EngineUnderTest {
  readonly engine: JetStreamEngine;
  reopen(): Promise<JetStreamUnderTest>;
  another(): Promise<JetStreamEngine>;
}

/** A prefix that nothing else has on its server. */
export function freshPrefix(): string {
  return `t${systemChance.id()}`;
}

/** Opens an engine, which the test closes. */
export async function openJetStream(
  url: string,
  prefix: string,
  { settings = {}, logger = silentLogger, renewed = () => {} }: OpenOptions = {},
): Promise<JetStreamUnderTest> {
  const clock = contractClock();
  const parts = {
    settings: { servers: [url], prefix, replicas: 1, monitors: [], ...settings },
    clock,
    chance: systemChance,
    logger,
    metrics: new Metrics(),
    renewed,
  };
  const engine = await JetStreamEngine.open(parts);
  return {
    engine,
    advance: clock.advance,
    another: () => JetStreamEngine.open(parts),
    async reopen() {
      await engine.close();
      return openJetStream(url, prefix, { settings, logger, renewed });
    },
  };
}

/** Engines that are closed after the test they were opened in. */
export function engines(): { open: typeof openJetStream; keep(engine: JetStreamEngine): JetStreamEngine } {
  const opened: JetStreamEngine[] = [];
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((engine) => engine.close()));
  });
  const keep = (engine: JetStreamEngine) => {
    opened.push(engine);
    return engine;
  };
  return {
    keep,
    async open(...args) {
      const under = await openJetStream(...args);
      keep(under.engine);
      return { ...under, another: async () => keep(await under.another()) };
    },
  };
}

/** Does something with JetStream that is not the engine's doing. */
export async function tamper<T>(url: string, use: (jsm: JetStreamManager) => Promise<T>): Promise<T> {
  const connection = await connect({ servers: url });
  try {
    return await use(await jetstreamManager(connection));
  } finally {
    await connection.close();
  }
}
