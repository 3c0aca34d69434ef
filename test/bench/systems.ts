/** The systems that are measured: how each is started, as a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

export type SystemName = "dogear" | "ws";

export interface Running {
  readonly system: SystemName;
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

export async function start(system: SystemName): Promise<Running> {
  return system === "dogear" ? startDogear() : startBroadcast();
}

async function startDogear(): Promise<Running> {
  const data = mkdtempSync(join(process.env.DOGEAR_BENCH_DIR ?? tmpdir(), "dogear-bench-"));
  const command = join(dirname(createRequire(import.meta.url).resolve("@dogear/server")), "main.js");
  const child = node([command, "serve", "--port", "0", "--data", data]);
  const running = await listening("dogear", child);
  return {
    ...running,
    stop: async () => {
      await running.stop();
      rmSync(data, { recursive: true, force: true });
    },
  };
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
