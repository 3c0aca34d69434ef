/** The demo: a page for the hub to serve, and a process that publishes this machine's sensors for it to show. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Logger, silentLogger } from "../runtime/logger.ts";

/** The folder of the page, to be served at `/`. It is there once the page has been built. */
export function demoFolder(): string {
  return fileURLToPath(new URL("./page", import.meta.url));
}

export interface SensorsOptions {
  readonly logger?: Logger;
}

export interface Sensors {
  /** Lets the process publish what it has read, and waits until it has ended. */
  stop(): Promise<void>;
}

/** How long to wait before a process that died is started again. */
const pauseMs = 2_000;

/** How long a process may take to stop. */
const stopWithinMs = 3_000;

/** Starts the sensor client in a process of its own, and again whenever it dies. It ends with this process. */
export function startSensors(url: string, { logger = silentLogger }: SensorsOptions = {}): Sensors {
  const script = fileURLToPath(new URL("./sensor-client.js", import.meta.url));
  let stopping = false;
  let child: ChildProcess | undefined;
  let pause: NodeJS.Timeout | undefined;

  const start = (): void => {
    // Not with this process's own flags: a debugger's port, for one, is taken.
    const started = fork(script, [url], { execArgv: [], stdio: ["ignore", "ignore", "inherit", "ipc"] });
    const died = (facts: object): void => {
      if (child !== started) return;
      child = undefined;
      if (stopping) return;
      logger.warn("sensors.died", { ...facts, restartInMs: pauseMs });
      pause = setTimeout(start, pauseMs);
    };
    started.once("exit", (code, signal) => died({ code, signal }));
    // Where a process cannot even be started, there is no exit.
    started.once("error", (error) => died({ error }));
    child = started;
  };

  start();
  return {
    stop: async () => {
      stopping = true;
      clearTimeout(pause);
      if (child) await ended(child);
    },
  };
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    const kill = setTimeout(() => child.kill("SIGKILL"), stopWithinMs);
    child.once("exit", () => {
      clearTimeout(kill);
      resolve();
    });
    child.kill("SIGTERM");
  });
}
