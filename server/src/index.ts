/** Embeds a hub in a Node program. */
export { type Config, ConfigError, parseConfig, readConfig } from "./config.ts";
export type { NamespacePolicy } from "./engine/engine.ts";
export { DataInUseError } from "./engine/lmdb/lock.ts";
export { SplitNamespaceError } from "./hub/hub.ts";
export { jsonLogger, type Logger, silentLogger } from "./runtime/logger.ts";
export { defaultHost, defaultPort, type Server, type ServerOptions, startServer, version } from "./server.ts";
export { files } from "./socket/http.ts";
