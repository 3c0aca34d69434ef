/** How systems are started: each as a process of its own that says where it listens. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";

export interface Process {
  readonly pids: readonly number[];
  readonly url: string;
  stop(): Promise<void>;
}

/** A program for Node that prints `listening on http://…:<port>`. */
export async function node(args: readonly string[], cwd: string = import.meta.dirname): Promise<Process> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"], cwd });
  const port = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      const match = /listening on http:\/\/\S+:(\d+)/.exec(line);
      if (match !== null) resolve(match[1] as string);
    });
    child.once("exit", (code) => reject(new Error(`It ended with ${code} before it listened.`)));
  });
  return { ...stopped(child), url: `ws://127.0.0.1:${port}` };
}

/** What is stopped by a signal, and killed if it does not stop in ten seconds. */
export function stopped(child: ChildProcess): Pick<Process, "pids" | "stop"> {
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    pids: [child.pid as number],
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await exited;
      clearTimeout(late);
    },
  };
}

/** Where a program is: what a variable says, or on the path. */
export function program(name: string, variable: string): string | undefined {
  const onPath = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, name));
  return [process.env[variable], ...onPath].find((path) => path !== undefined && existsSync(path));
}

/** The version of a package of the project. */
export function versionOf(name: string): string {
  const entry = createRequire(import.meta.url).resolve(name);
  for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (!existsSync(file)) continue;
    const about = JSON.parse(readFileSync(file, "utf8")) as { name?: string; version?: string };
    if (about.name === name) return about.version ?? "";
  }
  return "";
}
