/** A hub in a process of its own, as its users run it. */
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { ChildProcess, type Exit } from "./process.ts";
import { temporaryFolder } from "./temp.ts";

export interface HubProcess {
  readonly url: string;
  readonly port: number;
  readonly process: ChildProcess;
  /** Ends it as a crash does, or by another signal, and waits for the end. */
  kill(signal?: NodeJS.Signals): Promise<Exit>;
  /** Asks it to stop, as a service manager does, and waits until it has. */
  stop(): Promise<Exit>;
}

export interface HubProcessOptions {
  readonly data: string;
  /** Any free port where none is named. Naming the port of a hub that ended starts its successor. */
  readonly port?: number;
  /** What its configuration file says. */
  readonly config?: object;
  readonly args?: readonly string[];
  /** Added to this process's own environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** A command that is to start it, as `nice` would. */
  readonly by?: readonly string[];
}

/** Starts a hub and waits until it listens. */
export async function startHubProcess(options: HubProcessOptions): Promise<HubProcess> {
  return hubOf(launchHub(options));
}

/** Starts a hub, which may end before it listens. */
export function launchHub({ data, port = 0, config, args = [], env = {}, by = [] }: HubProcessOptions): ChildProcess {
  const configured = config === undefined ? [] : ["--config", configFile(config)];
  const serve = [command(), "serve", "--port", `${port}`, "--data", data, ...configured, ...args];
  const [program, ...words] = [...by, process.execPath, ...serve] as [string, ...string[]];
  return new ChildProcess(program, words, { env: { ...process.env, ...env } });
}

/** Waits until a hub listens that was launched. */
export async function hubOf(process: ChildProcess): Promise<HubProcess> {
  return {
    ...(await listening(process)),
    process,
    kill: (signal) => process.kill(signal),
    stop: () => process.kill("SIGTERM"),
  };
}

/** Waits for the line that `dogear serve` prints once it can be connected to. */
export async function listening(hub: ChildProcess): Promise<{ readonly url: string; readonly port: number }> {
  const [, port] = await hub.untilLine(/listening on http:\/\/\S+:(\d+)/);
  return { url: `ws://127.0.0.1:${port}`, port: Number(port) };
}

/** The built command, wherever this file runs from. */
function command(): string {
  return join(dirname(createRequire(import.meta.url).resolve("@dogear/server")), "main.js");
}

function configFile(config: object): string {
  const file = join(temporaryFolder(), "dogear.json");
  writeFileSync(file, JSON.stringify(config));
  return file;
}
