/** `dogear serve`: a hub until a signal stops it. */
import {
  type Config,
  ConfigError,
  defaultHost,
  defaultPort,
  jsonLogger,
  readConfig,
  type Server,
  startServer,
} from "../index.ts";
import { systemClock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import { type Command, command, type Shell } from "./command.ts";
import { CommandError, integer } from "./usage.ts";

const options = {
  port: {
    type: "string",
    value: "number",
    default: `${defaultPort}`,
    says: "the port to listen on; 0 takes a free one",
  },
  host: {
    type: "string",
    value: "address",
    default: defaultHost,
    says: "the address to listen on; with 0.0.0.0 other machines may come in, and there are no passwords yet",
  },
  data: { type: "string", value: "folder", default: "./data", says: "where messages and cursors are kept" },
  config: { type: "string", value: "file", says: "a JSON file of namespaces and limits" },
} as const;

export const serve: Command = command({
  name: "serve",
  operands: "",
  summary: "Run a hub",
  about: [
    "Starts a hub and runs it until SIGINT (Ctrl-C) or SIGTERM. It then asks clients to come back later, answers what",
    "they published, stores cursors and stops; a second signal stops it at once. What it says to people goes to standard",
    "output, its log to standard error, one JSON object a line.",
  ],
  options,
  examples: [{ says: "a hub on this machine, its data in ./data", line: "dogear serve" }],
  next: "Then publish to it and subscribe: dogear help publish, dogear help subscribe.",
  async run({ port, host, data, config }, operands, shell) {
    if (operands.length > 0) throw new CommandError("usage", `serve takes no ${JSON.stringify(operands[0])}.`);
    const logger = jsonLogger((line) => shell.stderr.write(line), systemClock.now);
    const at = { port: integer("port", port, 0, 65_535), host, data };
    let fatal: (error: unknown) => void = () => {};
    const failed = new Promise<never>((_, reject) => {
      fatal = reject;
    });
    const configured: { config?: Config } = config === undefined ? {} : { config: readConfig(config) };
    const server = await startServer({ ...at, ...configured, logger, fatal }).catch((error) => {
      throw explain(error, at);
    });
    shell.stdout.write(`dogear listening on ${server.url.replace(/^ws/, "http")}\n`);
    try {
      await Promise.race([stopped(shell, server, logger), failed, shell.crashed]);
    } catch (error) {
      logger.error("failed", { error });
      throw error;
    }
    return undefined;
  },
});

async function stopped({ stop }: Shell, server: Server, logger: Logger): Promise<void> {
  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener("abort", resolve, { once: true }));
  logger.info("stopping", { signal: stop.reason });
  await server.close();
  logger.info("stopped");
}

/** Why a hub could not be started, in a sentence that says what to do. */
function explain(error: unknown, { port, host, data }: { port: number; host: string; data: string }): unknown {
  return error;
}
