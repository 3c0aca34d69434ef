/** What tests need of the machine: Debian's packages, and where that matters root. In CI they have to be here. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { ChildProcess, type StartOptions } from "./process.ts";

/** Where a program is, or nothing after a word about it. */
export function program(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  const found = folders.map((folder) => join(folder, name)).find(isExecutable);
  if (found === undefined) return missing(`${name} was not found. What needs it is skipped.`);
  return found;
}

export function root(): true | undefined {
  return process.getuid?.() === 0 ? true : missing("Not run as root. What needs that is skipped.");
}

/** Runs a command that has to succeed. */
export async function succeed(command: string, args: readonly string[], options: StartOptions = {}): Promise<void> {
  const running = new ChildProcess(command, args, options);
  const { code } = await running.exited;
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} failed.\n${running.stdout}${running.stderr}`);
}

/** Says what is not here; in CI that is an error. */
export function missing(message: string): undefined {
  if (process.env.CI === "true") throw new Error(message);
  console.warn(message);
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
