/** Puts a hub together: engine, hub, sessions, listener. Nothing is decided here but what is connected to what. */

import { readFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import type { Authenticate, Authorize } from "./access/access.ts";
import { Origins } from "./access/origins.ts";
import { hubJsonCodec } from "./codec/json.ts";
import { type Config, parseConfig } from "./config/config.ts";
import { checkExposure } from "./config/exposure.ts";
import type { Engine } from "./engine/engine.ts";
import type { JetStreamSettings } from "./engine/jetstream/cluster.ts";
import { LmdbEngine } from "./engine/lmdb/lmdb-engine.ts";
import { createDoor } from "./http/door.ts";
import { Hub } from "./hub/hub.ts";
import { type Chance, type Clock, systemChance, systemClock } from "./runtime/clock.ts";
import { type Logger, silentLogger } from "./runtime/logger.ts";
import { Metrics } from "./runtime/metrics.ts";
import { handle } from "./session/handlers.ts";
import { Heartbeats } from "./session/heartbeats.ts";
import { readCertificate, watchCertificate } from "./socket/certificate.ts";
import { Listener } from "./socket/listener.ts";
import { Proxies } from "./socket/peer.ts";

export interface ServerOptions {
  /** What `readConfig`, `loadConfig` or `parseConfig` makes; the options below are stronger than what it says. */
  readonly config?: Config;
  /** The folder of the data, created where it is missing; `./data` by default. With NATS there is none. */
  readonly data?: string;
  /** 7600 by default; 0 takes a free one. */
  readonly port?: number;
  /** `127.0.0.1` by default. Any but a loopback address needs a configuration with tokens or keys. */
  readonly host?: string;
  /** Says who comes with a token, instead of the tokens and keys of the configuration. */
  readonly authenticate?: Authenticate;
  /** Says what they may do, instead of their capabilities. */
  readonly authorize?: Authorize;
  readonly logger?: Logger;
  /** What answers requests over HTTP that are none of the hub's own; by default nothing is found. */
  readonly http?: RequestListener;
  /** Called where the disk is not to be trusted any more. By default the error is thrown, which ends the process. */
  readonly fatal?: (error: unknown) => void;
  /**
   * Called where a log on NATS is not the one it was any more: its stream was made again, or has lost its end. What the hub
   * knows of it is void: close the server and start another. By default `fatal` is called.
   */
  readonly renewed?: () => void;
}

export interface Server {
  readonly host: string;
  readonly port: number;
  /** Where clients connect: `ws://127.0.0.1:7600`. */
  readonly url: string;
  /** What it counts, for Prometheus: `await hub.metrics.text()`. OPERATIONS.md says what is in it. */
  readonly metrics: Pick<Metrics, "text" | "contentType">;
  /** Asks clients to come back later, answers what they published, stores cursors, and stops. */
  close(): Promise<void>;
}

/**
 * Starts a hub on the engine that the configuration chooses. Rejects where the data, NATS or the port cannot be had, and with
 * a `ConfigError` where other machines could come in without access control.
 */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const { logger = silentLogger, config = parseConfig({}), authenticate, authorize } = options;
  const { data = config.data, port = config.listen.port, host = config.listen.host } = options;
  const access = { policy: config.access, authenticate, authorize };
  checkExposure(access, host);
  const metrics = new Metrics();
  const fatal = options.fatal ?? throwLater;
  const runtime = { clock: systemClock, chance: systemChance, logger, metrics };
  const engine = await openEngine({
    ...runtime,
    data,
    jetstream: config.jetstream,
    messageBytesMax: config.limits.messageBytesMax,
    fatal,
    renewed: options.renewed ?? (() => fatal(new Error("A log on NATS is not the one it was: start the hub anew."))),
  });
  metrics.watch({ engine: () => engine.health() });
  const { limits, policies, listen } = config;
  const codec = hubJsonCodec(limits);
  let hub: Hub | undefined;
  try {
    const opened = await Hub.open({
      ...runtime,
      engine,
      policies,
      limits,
      access,
      hit: (limit) => metrics.limitHit(limit),
      login: (outcome) => metrics.login(outcome),
    });
    hub = opened;
    const session = {
      ...runtime,
      hub: opened,
      limits,
      heartbeats: new Heartbeats(systemClock),
      name: `dogear/${version}`,
      handle,
    };
    const proxies = new Proxies(listen.trustedProxies);
    const origins = new Origins({ ...listen, isOpen: opened.access.isOpen });
    const door = createDoor({
      session,
      origins,
      peerOf: (request) => proxies.peerOf(request),
      unready: () => (engine.health().writable ? undefined : "the log cannot be written"),
      version,
      elsewhere: options.http,
    });
    const listener = new Listener({
      host,
      port,
      tls: listen.tls && readCertificate(listen.tls),
      proxies,
      origins,
      codecs: new Map([[codec.subprotocol, codec]]),
      session,
      http: door.listener,
    });
    metrics.watch({
      sessions: () => listener.counts(),
      catchingUp: () => opened.turns.waiting,
      groups: () => opened.administration.lags(),
    });
    const bound = await listener.listen();
    if (opened.access.isOpen) logger.warn("access.none", { host });
    const stopWatching = listen.tls && watchCertificate(listen.tls, runtime, (renewed) => listener.renew(renewed));
    return serving({ host, port: bound, secure: listen.tls !== undefined, metrics }, async () => {
      stopWatching?.();
      await Promise.all([listener.drain(), door.drain()]);
      listener.close();
      await opened.close();
      await engine.close();
    });
  } catch (error) {
    await hub?.close();
    await engine.close();
    throw error;
  }
}

interface EngineParts {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly data: string;
  readonly jetstream: JetStreamSettings | undefined;
  readonly messageBytesMax: number;
  readonly fatal: (error: unknown) => void;
  readonly renewed: () => void;
}

/** The engine that the configuration chooses. What speaks to NATS is loaded only where it does. */
async function openEngine({ data, jetstream, fatal, ...runtime }: EngineParts): Promise<Engine> {
  if (jetstream === undefined) return LmdbEngine.open({ ...runtime, data, fatal });
  const { JetStreamEngine } = await import("./engine/jetstream/jetstream-engine.ts");
  return JetStreamEngine.open({ ...runtime, settings: jetstream });
}

interface Where {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly metrics: Metrics;
}

function serving({ host, port, secure, metrics }: Where, close: () => Promise<void>): Server {
  let closing: Promise<void> | undefined;
  return {
    host,
    port,
    url: `${secure ? "wss" : "ws"}://${host.includes(":") ? `[${host}]` : host}:${port}`,
    metrics,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** The version of this package. */
export const version: string = (
  JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
).version;
