/** Embeds a hub in a Node program. */
export { type Authenticate, type Authenticated, type Authorize, isOpen } from "./access/access.ts";
export type { Capabilities, Right } from "./access/capabilities.ts";
export { isCapabilities, issueKey, issueToken, type TokenClaims, type TokenShape } from "./access/issue.ts";
export type { AccessPolicy, KeyPolicy, TokenPolicy, UserLimits } from "./access/policy.ts";
export { type Credentials, isUser } from "./access/principal.ts";
export { type Config, parseConfig, readConfig } from "./config/config.ts";
export { checkExposure } from "./config/exposure.ts";
export { ConfigError } from "./config/mistakes.ts";
export { jsonSchema } from "./config/schema.ts";
export { type ConfigFlag, type ConfigSources, type LoadedConfig, loadConfig } from "./config/sources.ts";
export type { NamespacePolicy } from "./engine/engine.ts";
export { DataDamagedError } from "./engine/lmdb/data-file.ts";
export { DataInUseError } from "./engine/lmdb/lock.ts";
export { files } from "./http/files.ts";
export { SplitNamespaceError } from "./hub/hub.ts";
export {
  type JsonLoggerOptions,
  jsonLogger,
  type Logger,
  type LogLevel,
  logLevels,
  silentLogger,
} from "./runtime/logger.ts";
export { type Server, type ServerOptions, startServer, version } from "./server.ts";
