/** The built command in processes of its own, as people run it. */
import { chmodSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ChildProcess } from "../support/process.ts";
import { temporaryFolder } from "../support/temp.ts";

const main = fileURLToPath(new URL("../../server/dist/main.js", import.meta.url));

/** What a command left behind. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A line that `dogear subscribe` prints. */
export interface Printed {
  readonly offset: number;
  readonly epoch: string;
  readonly channel: string;
  readonly time: number;
  readonly data: unknown;
}

export interface CommandOptions {
  /** The hub's URL. */
  readonly url?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** Starts `dogear` with these arguments. */
export function start(args: readonly string[], options: CommandOptions = {}): ChildProcess {
  return new ChildProcess(process.execPath, [main, ...args], surroundings(options));
}

/** Runs `dogear` with these arguments to its end. */
export function dogear(args: readonly string[], options: CommandOptions = {}): Promise<Finished> {
  return finished(start(args, options));
}

/** Starts a line of shell that knows the command as `dogear`. */
export function startShell(line: string, options: CommandOptions = {}): ChildProcess {
  const bin = temporaryFolder();
  const script = join(bin, "dogear");
  writeFileSync(script, `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`);
  chmodSync(script, 0o755);
  const { env, cwd } = surroundings(options);
  const PATH = `${bin}${delimiter}${env.PATH ?? ""}`;
  return new ChildProcess("sh", ["-c", line], { env: { ...env, PATH }, cwd });
}

/** Runs a line of shell to its end. */
export function shell(line: string, options: CommandOptions = {}): Promise<Finished> {
  return finished(startShell(line, options));
}

export async function finished(child: ChildProcess): Promise<Finished> {
  const { code } = await child.exited;
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/** The JSON of each line. */
export function jsonLines<T = Printed>(text: string): T[] {
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as T]));
}

/** The payloads of what was printed. */
export function payloads(stdout: string): unknown[] {
  return jsonLines(stdout).map(({ data }) => data);
}

function surroundings({ url, env, cwd }: CommandOptions): { env: NodeJS.ProcessEnv; cwd: string } {
  // What the tests themselves run under is not the command's: a debugger, say, or a hub of the developer's own.
  const { NODE_OPTIONS: _, DOGEAR_URL: __, DEBUG: ___, ...own } = process.env;
  return { env: { ...own, ...(url !== undefined && { DOGEAR_URL: url }), ...env }, cwd: cwd ?? temporaryFolder() };
}
