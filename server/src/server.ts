/** Puts a hub together: engine, hub, sessions, listener. Nothing is decided here but what is connected to what. */

import { readFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { Origins } from "./access/origins.ts";
import { hubJsonCodec } from "./codec/json.ts";
import { type Config, parseConfig } from "./config/config.ts";
import { checkExposure, isOpen } from "./config/exposure.ts";
import { LmdbEngine } from "./engine/lmdb/lmdb-engine.ts";
import { Hub } from "./hub/hub.ts";
import { systemChance, systemClock } from "./runtime/clock.ts";
import { type Logger, silentLogger } from "./runtime/logger.ts";
import { handle } from "./session/handlers.ts";
import { Heartbeats } from "./session/heartbeats.ts";
import { notFound } from "./socket/http.ts";
import { Listener } from "./socket/listener.ts";
import { Proxies } from "./socket/peer.ts";

export interface ServerOptions {
  /** What `readConfig`, `loadConfig` or `parseConfig` makes; the options below are stronger than what it says. */
  readonly config?: Config;
  /** The folder of the data, created where it is missing; `./data` by default. */
  readonly data?: string;
  /** 7600 by default; 0 takes a free one. */
  readonly port?: number;
  /** `127.0.0.1` by default. Any but a loopback address needs a configuration with tokens or keys. */
  readonly host?: string;
  readonly logger?: Logger;
  /** What answers plain HTTP requests; by default nothing is found. */
  readonly http?: RequestListener;
  /** Called where the disk is not to be trusted any more. By default the error is thrown, which ends the process. */
  readonly fatal?: (error: unknown) => void;
}

export interface Server {
  readonly host: string;
  readonly port: number;
  /** Where clients connect: `ws://127.0.0.1:7600`. */
  readonly url: string;
  /** Asks clients to come back later, answers what they published, stores cursors, and stops. */
  close(): Promise<void>;
}

/**
 * Starts a hub on the embedded engine. Rejects where the data or the port cannot be had, and with a `ConfigError` where
 * other machines could come in without access control.
 */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const { logger = silentLogger, config = parseConfig({}) } = options;
  const { data = config.data, port = config.listen.port, host = config.listen.host } = options;
  checkExposure(config.access, host);
  const runtime = { clock: systemClock, chance: systemChance, logger };
  const engine = await LmdbEngine.open({ ...runtime, data, fatal: options.fatal ?? throwLater });
  const { limits, policies } = config;
  const codec = hubJsonCodec(limits);
  let hub: Hub | undefined;
  try {
    hub = await Hub.open({ ...runtime, engine, policies, limits });
    const listener = new Listener({
      host,
      port,
      tls: undefined,
      proxies: new Proxies([]),
      origins: new Origins({ origins: [], hosts: [], isOpen: hub.access.isOpen }),
      codecs: new Map([[codec.subprotocol, codec]]),
      session: { ...runtime, hub, limits, heartbeats: new Heartbeats(systemClock), name: `dogear/${version}`, handle },
      http: options.http ?? notFound,
    });
    const bound = await listener.listen();
    if (isOpen(config.access)) logger.warn("access.none", { host });
    return serving(host, bound, listener, hub, engine);
  } catch (error) {
    await hub?.close();
    await engine.close();
    throw error;
  }
}

function serving(host: string, port: number, listener: Listener, hub: Hub, engine: LmdbEngine): Server {
  let closing: Promise<void> | undefined;
  const close = async () => {
    await listener.drain();
    listener.close();
    await hub.close();
    await engine.close();
  };
  return {
    host,
    port,
    url: `ws://${host.includes(":") ? `[${host}]` : host}:${port}`,
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
