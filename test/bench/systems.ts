/** The systems that are measured: how each is started, as a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { until } from "./measure.ts";

/** `jetstream` is a client of NATS without a hub; it and `dogear-jetstream` have a nats-server of their own. */
export type SystemName = "dogear" | "dogear-jetstream" | "jetstream" | "ws";

export const systemNames: readonly SystemName[] = ["dogear", "dogear-jetstream", "jetstream", "ws"];

export interface Running {
  readonly system: SystemName;
  readonly url: string;
  readonly pid: number;
  /** Where it stores, if it does. */
  readonly folder?: string;
  stop(): Promise<void>;
}

/** Whether a system speaks Dogear's protocol. */
export function isDogear(system: SystemName): boolean {
  return system === "dogear" || system === "dogear-jetstream";
}

/** Why a system cannot be measured on this machine; `undefined` where it can. */
export function absence(system: SystemName): string | undefined {
  const needsNats = system === "dogear-jetstream" || system === "jetstream";
  return needsNats && natsServer() === undefined ? "nats-server was not found: see NATS_SERVER" : undefined;
}

export async function start(system: SystemName): Promise<Running> {
  if (system === "ws") return startBroadcast();
  const folder = mkdtempSync(join(process.env.DOGEAR_BENCH_DIR ?? tmpdir(), "dogear-bench-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  if (system === "dogear") return { ...followedBy(await startDogear(system, ["--data", folder]), remove), folder };
  const nats = followedBy(await startNats(folder), remove);
  if (system === "jetstream") return { ...nats, folder };
  return { ...followedBy(await startDogear(system, ["--engine", nats.url]), nats.stop), folder };
}

function followedBy(running: Running, after: () => void | Promise<void>): Running {
  return {
    ...running,
    stop: async () => {
      await running.stop();
      await after();
    },
  };
}

async function startDogear(system: SystemName, args: readonly string[]): Promise<Running> {
  const command = join(dirname(createRequire(import.meta.url).resolve("@dogear/server")), "main.js");
  return listening(system, node([command, "serve", "--port", "0", ...args]));
}

function natsServer(): string | undefined {
  const onPath = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "nats-server"));
  return [process.env.NATS_SERVER, ...onPath].find((path) => path !== undefined && existsSync(path));
}

/** One nats-server, which acknowledges what it has written and flushes it later, as it does by default. */
async function startNats(folder: string): Promise<Running> {
  const args = ["-js", "-sd", folder, "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", folder];
  const child = spawn(natsServer() as string, args, { stdio: "ignore" });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  let urls: string[] = [];
  await until(() => {
    const file = readdirSync(folder).find((name) => name.endsWith(".ports"));
    urls = file === undefined ? [] : (JSON.parse(readFileSync(join(folder, file), "utf8") || "{}").nats ?? []);
    return urls.length > 0;
  }, "starting nats-server");
  const stop = async () => {
    child.kill("SIGTERM");
    await exited;
  };
  return { system: "jetstream", url: urls[0] as string, pid: child.pid as number, stop };
}

/** What most people write first: every message is sent to every connection. */
async function startBroadcast(): Promise<Running> {
  const script = `
    const { WebSocketServer } = require("ws");
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
    server.on("connection", (socket) => {
      socket.on("message", (message) => {
        for (const client of server.clients) if (client !== socket) client.send(message, { binary: false });
      });
    });
    server.on("listening", () => console.log("listening on http://127.0.0.1:" + server.address().port));`;
  return listening("ws", node(["-e", script]));
}

function node(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"], cwd: import.meta.dirname });
}

async function listening(system: SystemName, child: ChildProcess): Promise<Running> {
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const port = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      const match = /listening on http:\/\/\S+:(\d+)/.exec(line);
      if (match !== null) resolve(match[1] as string);
    });
    child.once("exit", () => reject(new Error(`${system} did not start.`)));
  });
  return {
    system,
    url: `ws://127.0.0.1:${port}`,
    pid: child.pid as number,
    stop: async () => {
      child.kill("SIGTERM");
      await exited;
    },
  };
}
