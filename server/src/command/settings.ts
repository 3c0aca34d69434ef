/** The configuration that a command is given: by its options, by the environment and by a file, in that order. */
import type { ConfigFlag, LoadedConfig } from "../index.ts";
import type { Shell } from "./command.ts";
import { CommandError, integer } from "./usage.ts";

/** The options of every command that goes by the configuration. */
export const configOptions = {
  config: { type: "string", value: "file", says: "the configuration (default: $DOGEAR_CONFIG, or none)" },
  set: {
    type: "string",
    multiple: true,
    value: "path=value",
    says: "say one thing of it here: --set limits.errorsMax=10",
  },
} as const;

/** Short ones for what a hub is told most often. */
export const hubConfigOptions = {
  port: { type: "string", value: "number", says: "where to listen (default: 7600); 0 is any free port" },
  host: {
    type: "string",
    value: "address",
    says: "the address to listen on (default: 127.0.0.1); others need access control",
  },
  data: { type: "string", value: "folder", says: "where messages and cursors are kept (default: ./data)" },
  engine: {
    type: "string",
    value: "engine",
    says: "where logs are kept: lmdb (default), or NATS: nats://a:4222,b:4222",
  },
  "log-level": { type: "string", value: "level", says: "debug, info (default), warn, error or silent" },
} as const;

export interface ConfigValues {
  readonly config: string | undefined;
  readonly set: readonly string[] | undefined;
  readonly port?: string | undefined;
  readonly host?: string | undefined;
  readonly data?: string | undefined;
  readonly engine?: string | undefined;
  readonly "log-level"?: string | undefined;
}

/** The configuration, or why there is none. */
export async function configuration(
  values: ConfigValues,
  { env }: Shell,
  more: readonly ConfigFlag[] = [],
): Promise<LoadedConfig> {
  const flags = [...flagsOf(values), ...more];
  // Loaded here, so that no other command waits for the hub to load.
  const { ConfigError, loadConfig } = await import("../index.ts");
  try {
    return loadConfig({ file: values.config, env, flags });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new CommandError("config", `${error.message} See "dogear help config".`, { cause: error });
  }
}

function flagsOf({ port, host, data, engine, "log-level": level, set = [] }: ConfigValues): ConfigFlag[] {
  if (port !== undefined) integer("port", port, 0, 65_535);
  const named: [flag: string, path: string, text: string | undefined][] = [
    ["--port", "listen.port", port],
    ["--host", "listen.host", host],
    ["--data", "data", data],
    ["--engine", "engine", engine],
    ["--log-level", "log.level", level],
  ];
  return [
    ...named.flatMap(([flag, path, text]) => (text === undefined ? [] : [{ flag, path, text }])),
    ...set.map(assignment),
  ];
}

/** What is set may be a secret, so that nothing repeats it. */
function assignment(text: string): ConfigFlag {
  const [, path, value] = text.match(/^([^=]+)=(.*)$/s) ?? [];
  if (path === undefined || value === undefined) {
    throw new CommandError("usage", "--set is a path=value such as limits.errorsMax=10.");
  }
  return { flag: "--set", path, text: value };
}
