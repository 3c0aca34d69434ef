/** The hub of `dogear serve`: started, or the reason why not; and stopped in good order. */
import { demoFolder, startSensors } from "../demo/demo.ts";
import {
  ConfigError,
  DataInUseError,
  files,
  jsonLogger,
  readConfig,
  type Server,
  type ServerOptions,
  SplitNamespaceError,
  startServer,
} from "../index.ts";
import { systemClock } from "../runtime/clock.ts";
import { type Shell, stopped } from "./command.ts";
import { CommandError, integer } from "./usage.ts";

export interface ServeValues {
  readonly port: string;
  readonly host: string;
  readonly data: string;
  readonly config: string | undefined;
  readonly demo: boolean | undefined;
}

export async function serveUntilStopped(values: ServeValues, shell: Shell): Promise<void> {
  const { host, data, config, demo } = values;
  const logger = jsonLogger((line) => shell.stderr.write(line), systemClock.now);
  let fatal: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fatal = (cause) => reject(new CommandError("internal", `The log cannot be written any more: ${cause}.`, { cause }));
  });
  const server = await start({
    port: integer("port", values.port, 0, 65_535),
    host,
    data,
    logger,
    fatal,
    ...(config !== undefined && { config: configuration(config) }),
    ...(demo && { http: files(demoFolder()) }),
  });
  const sensors = demo ? startSensors(local(server).replace("http", "ws"), { logger }) : undefined;
  shell.stdout.write(`dogear listening on ${server.url.replace("ws", "http")}\n`);
  if (demo) shell.stdout.write(`See this machine at ${local(server)}; the data is in ${data}.\n`);

  const untilStopped = async (): Promise<void> => {
    await stopped(shell);
    logger.info("stopping", { signal: shell.stop.reason.signal });
    await sensors?.stop();
    await server.close();
    logger.info("stopped");
  };
  try {
    await Promise.race([untilStopped(), failed, shell.crashed]);
  } catch (error) {
    logger.error("failed", { error: (error as Error).cause ?? error });
    throw error;
  }
}

/** Where to find the hub from this machine: every address is none to connect to. */
function local({ host, port, url }: Server): string {
  const every = host === "0.0.0.0" || host === "::";
  return every ? `http://localhost:${port}` : url.replace("ws", "http");
}

function configuration(file: string): NonNullable<ServerOptions["config"]> {
  try {
    return readConfig(file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new CommandError("config", `${error.message}. See "dogear help serve".`, { cause: error });
  }
}

async function start(options: Where & ServerOptions): Promise<Server> {
  try {
    return await startServer(options);
  } catch (error) {
    throw explain(error as NodeJS.ErrnoException, options);
  }
}

interface Where {
  readonly port: number;
  readonly host: string;
  readonly data: string;
}

/** Why a hub cannot be started, and what to do. */
function explain(cause: NodeJS.ErrnoException, { port, host, data }: Where): Error {
  const { code, syscall, message } = cause;
  const unavailable = (why: string): CommandError => new CommandError("unavailable", why, { cause });
  if (code === "EADDRINUSE") {
    return unavailable(`Port ${port} is taken. Stop what listens there, or take another with --port.`);
  }
  if (code === "EACCES" && syscall === "listen") {
    return unavailable(`Port ${port} is not for this user. Take another with --port.`);
  }
  if (code === "EADDRNOTAVAIL" || syscall === "getaddrinfo") {
    return unavailable(`This machine has no address ${host}. Take another with --host.`);
  }
  if (syscall !== undefined) {
    return unavailable(`The data cannot be kept in ${data}: ${message}. Take another folder with --data.`);
  }
  if (cause instanceof DataInUseError) return unavailable(message);
  if (cause instanceof SplitNamespaceError) return new CommandError("config", message, { cause });
  return cause;
}
