/** `dogear serve`: a hub that runs until a signal stops it. */
import { demoFolder, startSensors } from "../demo/demo.ts";
import {
  ConfigError,
  defaultHost,
  defaultPort,
  files,
  jsonLogger,
  readConfig,
  type Server,
  type ServerOptions,
  startServer,
} from "../index.ts";
import { systemClock } from "../runtime/clock.ts";
import { type Command, command, stopped } from "./command.ts";
import { CommandError, integer, noMore } from "./usage.ts";

export const serve: Command = command({
  name: "serve",
  operands: "",
  summary: "Run a hub",
  about: [
    "Runs a hub until Ctrl-C or SIGTERM. It then asks its clients to come back later, answers what they published, " +
      "stores cursors and stops; a second signal ends it at once. Killed without warning, it loses nothing that it " +
      "has confirmed.",
    "Where it listens goes to standard output, its log to standard error, one JSON object a line.",
    "The configuration is JSON, all of which may be left out. For each namespace (the first level of channels that are " +
      'kept together) it says "durability", disk or memory, and "retention", "ageMs" and "bytes"; and it may change ' +
      'the "limits" that PROTOCOL.md names.',
  ],
  options: {
    port: { type: "string", value: "number", default: `${defaultPort}`, says: "where to listen; 0 is any free port" },
    host: {
      type: "string",
      value: "address",
      default: defaultHost,
      says: "0.0.0.0 lets any machine in, without a password",
    },
    data: { type: "string", value: "folder", default: "./data", says: "where messages and cursors are kept" },
    config: { type: "string", value: "file", says: "namespaces and limits (default: none)" },
    demo: { type: "boolean", says: "also publish this machine's sensors, and serve a page that shows them" },
  },
  examples: [
    { says: "A hub for this machine", line: "dogear serve" },
    { says: "A hub with something to look at", line: "dogear serve --demo" },
    {
      says: "Chats are forgotten after a day",
      line: `echo '{"namespaces":{"chat":{"retention":{"ageMs":86400000}}}}' > dogear.json
  dogear serve --config dogear.json`,
    },
  ],
  next: 'Then talk to it: "dogear help publish", "dogear help subscribe".',
  async run(values, operands, shell) {
    noMore(operands, "serve takes options only.");
    const { host, data, config, demo } = values;
    const logger = jsonLogger((line) => shell.stderr.write(line), systemClock.now);
    let fatal: (error: unknown) => void = () => {};
    const failed = new Promise<never>((_, reject) => {
      fatal = (error) => reject(new CommandError("internal", `The log cannot be written: ${error}.`, { cause: error }));
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
  },
});

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

/** Starts it, or says why it cannot be and what to do. */
async function start(options: ServerOptions & { readonly port: number }): Promise<Server> {
  const { port, host, data } = options;
  try {
    return await startServer(options);
  } catch (cause) {
    const { code, syscall, message } = cause as NodeJS.ErrnoException;
    const cannot = (why: string): CommandError => new CommandError("unavailable", why, { cause });
    if (code === "EADDRINUSE") {
      throw cannot(`Port ${port} is taken. Stop what listens there, or take another with --port.`);
    }
    if (code === "EACCES" && syscall === "listen")
      throw cannot(`Port ${port} is not for this user. Take another with --port.`);
    if (code === "EADDRNOTAVAIL" || syscall === "getaddrinfo") {
      throw cannot(`This machine has no address ${host}. Take another with --host.`);
    }
    if (syscall !== undefined)
      throw cannot(`The data cannot be kept in ${data}: ${message}. Take another folder with --data.`);
    if (/^Another hub/.test(message)) throw cannot(message);
    if (/^The namespace/.test(message)) throw new CommandError("config", message, { cause });
    throw cause;
  }
}
