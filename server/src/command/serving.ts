/** The hub of `dogear serve`: started, or the reason why not; and stopped in good order. */
import { DogearError } from "@dogear/shared";
import { demoFolder, startSensors } from "../demo/demo.ts";
import {
  type Config,
  ConfigError,
  DataDamagedError,
  DataInUseError,
  files,
  isOpen,
  jsonLogger,
  type Server,
  type ServerOptions,
  SplitNamespaceError,
  startServer,
} from "../index.ts";
import { keepDraftsYoung } from "./collector.ts";
import { type Shell, stopped } from "./command.ts";
import { type ConfigValues, configuration } from "./settings.ts";
import { CommandError } from "./usage.ts";

export interface ServeValues extends ConfigValues {
  readonly demo: boolean | undefined;
}

export async function serveUntilStopped({ demo, ...values }: ServeValues, shell: Shell): Promise<void> {
  const { config } = await configuration(values, shell);
  const open = isOpen({ policy: config.access });
  if (demo && !open) throw new CommandError("usage", "--demo goes without access control: its page has no token.");
  keepDraftsYoung();
  const logger = jsonLogger({ level: config.log.level, destination: shell.stderr });
  let fatal: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fatal = (cause) => reject(new CommandError("internal", `The log cannot be written any more: ${cause}.`, { cause }));
  });
  const options = { config, logger, fatal, ...(demo && { http: files(demoFolder()) }) };
  let { server, renewed } = await start(options);
  const sensors = demo ? startSensors(local(server).replace("http", "ws"), { logger }) : undefined;
  shell.stdout.write(`dogear listening on ${server.url.replace("ws", "http")}\n`);
  if (config.jetstream) shell.stdout.write(`${onNats(config.jetstream)}\n`);
  if (open) shell.stdout.write(withoutAccessControl);
  if (demo)
    shell.stdout.write(
      `See this machine at ${local(server)}${config.jetstream ? "" : `; the data is in ${config.data}`}.\n`,
    );

  const stop = stopped(shell).then(() => false);
  try {
    // Clients come back to the same port, and find the log as it is now.
    while (await Promise.race([renewed, stop, failed, shell.crashed])) {
      logger.warn("beginning-anew");
      await server.close();
      ({ server, renewed } = await start({ ...options, port: server.port }));
    }
    logger.info("stopping", { signal: shell.stop.reason.signal });
    await sensors?.stop();
    await Promise.race([server.close(), failed, shell.crashed]);
    logger.info("stopped");
  } catch (error) {
    logger.error("failed", { error: (error as Error).cause ?? error });
    throw error;
  }
}

/** Said loudly, because whoever forgets access control should notice before others do. */
const withoutAccessControl =
  "There is no access control: everybody on this machine may read, write and administer everything.\n" +
  'To let other machines in, configure tokens or keys: "dogear help token", "dogear help key".\n';

/** Where the data is. Who the hub is to NATS is not said. */
function onNats({ servers, prefix, replicas }: NonNullable<Config["jetstream"]>): string {
  const copies = replicas === 1 ? "one copy" : `${replicas} copies`;
  return `The data is on NATS JetStream at ${servers.join(",")}, in ${copies} under ${prefix}.`;
}

/** Where to find the hub from this machine: every address is none to connect to. */
function local({ host, port, url }: Server): string {
  const every = host === "0.0.0.0" || host === "::";
  return every ? `http://localhost:${port}` : url.replace("ws", "http");
}

interface Started {
  readonly server: Server;
  /** Resolves with true where the server must make place for another, because its log is not the one it was. */
  readonly renewed: Promise<true>;
}

async function start(options: ServerOptions & { readonly config: Config }): Promise<Started> {
  let renew: (renewed: true) => void = () => {};
  const renewed = new Promise<true>((resolve) => {
    renew = resolve;
  });
  try {
    return { server: await startServer({ ...options, renewed: () => renew(true) }), renewed };
  } catch (error) {
    throw explain(error as NodeJS.ErrnoException, options.config);
  }
}

/** Why a hub cannot be started, and what to do. */
function explain(
  cause: NodeJS.ErrnoException & { readonly port?: number },
  { data, listen: { host, port } }: Config,
): Error {
  const { code, syscall, message } = cause;
  const unavailable = (why: string): CommandError => new CommandError("unavailable", why, { cause });
  if (code === "EADDRINUSE") {
    return unavailable(`Port ${port} is taken. Stop what listens there, or take another with --port.`);
  }
  // The data is locked by listening as well, on a file.
  if (code === "EACCES" && syscall === "listen" && (cause.port ?? -1) >= 0) {
    return unavailable(`Port ${port} is not for this user. Take another with --port.`);
  }
  if (code === "EADDRNOTAVAIL" || syscall === "getaddrinfo") {
    return unavailable(`This machine has no address ${host}. Take another with --host.`);
  }
  if (cause instanceof DogearError) return unavailable(cause.message);
  if (isOfLmdb(cause)) {
    return unavailable(
      `The data in ${data} cannot be read: ${message}. Restore it from a backup, or take another folder with --data.`,
    );
  }
  // What the system told LMDB is a number.
  if (syscall !== undefined || typeof code === "number") {
    return unavailable(`The data cannot be kept in ${data}: ${message}. Take another folder with --data.`);
  }
  if (cause instanceof DataInUseError || cause instanceof DataDamagedError) return unavailable(message);
  if (cause instanceof ConfigError || cause instanceof SplitNamespaceError)
    return new CommandError("config", message, { cause });
  return cause;
}

/** LMDB's own errors have negative numbers. */
function isOfLmdb({ code }: { readonly code?: unknown }): boolean {
  return typeof code === "number" && code < 0;
}
