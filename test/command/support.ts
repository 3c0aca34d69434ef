/**
 * The command: in the test's own process, where what it says and does is looked at, and built, in processes of its own,
 * where pipes, signals or a working directory are.
 */
import { chmodSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Dogear, Message } from "@dogear/client";
import { dogear as command } from "../../server/src/command/dogear.ts";
import { Interrupted } from "../../server/src/command/usage.ts";
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
  /** What is on standard input, where anything is. */
  readonly input?: string;
}

export interface ProcessOptions extends Omit<CommandOptions, "input"> {
  readonly cwd?: string;
}

/** Runs `dogear` with these arguments to its end, in the test's own process. */
export function dogear(args: readonly string[], options: CommandOptions = {}): Promise<Finished> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  return run(args, { stdout, stderr, stop: new AbortController().signal }, options);
}

/** Runs `dogear` with these arguments to its end, in a process of its own. */
export function dogearProcess(args: readonly string[], options: ProcessOptions = {}): Promise<Finished> {
  return finished(start(args, options));
}

/** Starts `dogear` with these arguments, in a process of its own. */
export function start(args: readonly string[], options: ProcessOptions = {}): ChildProcess {
  return new ChildProcess(process.execPath, [main, ...args], surroundings(options));
}

/** Starts a line of shell that knows the command as `dogear`. */
export function startShell(line: string, options: ProcessOptions = {}): ChildProcess {
  const bin = temporaryFolder();
  const script = join(bin, "dogear");
  writeFileSync(script, `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`);
  chmodSync(script, 0o755);
  const { env, cwd } = surroundings(options);
  const PATH = `${bin}${delimiter}${env.PATH ?? ""}`;
  return new ChildProcess("sh", ["-c", line], { env: { ...env, PATH }, cwd });
}

/** Runs a line of shell to its end. */
export function shell(line: string, options: ProcessOptions = {}): Promise<Finished> {
  return finished(startShell(line, options));
}

export async function finished(child: ChildProcess): Promise<Finished> {
  const { code } = await child.exited;
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/** Where `dogear` runs in the test's own process, as if in front of a person. */
export class Terminal {
  readonly stdout: PassThrough & { readonly isTTY: true; readonly columns: number };
  readonly stderr: PassThrough & { readonly isTTY: true };
  readonly #stop = new AbortController();

  constructor(columns: number) {
    this.stdout = Object.assign(new PassThrough(), { isTTY: true, columns } as const);
    this.stderr = Object.assign(new PassThrough(), { isTTY: true } as const);
  }

  /** Runs `dogear` with these arguments to its end. */
  run(args: readonly string[], options: CommandOptions): Promise<Finished> {
    return run(args, { stdout: this.stdout, stderr: this.stderr, stop: this.#stop.signal }, options);
  }

  /** As Ctrl-C does. */
  interrupt(): void {
    this.#stop.abort(new Interrupted("SIGINT"));
  }
}

interface Surroundings {
  readonly stdout: PassThrough;
  readonly stderr: PassThrough;
  readonly stop: AbortSignal;
}

async function run(
  args: readonly string[],
  { stdout, stderr, stop }: Surroundings,
  { url, env: more, input = "" }: CommandOptions,
): Promise<Finished> {
  const [printed, said] = [collect(stdout), collect(stderr)];
  const env = { DOGEAR_URL: url, ...more };
  const crashed = new Promise<never>(() => {});
  const stdin = new PassThrough().end(input);
  const code = await command(args, { stdin, stdout, stderr, env, stop, crashed });
  return { code, stdout: printed(), stderr: said() };
}

/** Reads a stream, so that writing to it goes on; returns what says what came so far. */
function collect(stream: PassThrough): () => string {
  let text = "";
  stream.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  return () => text;
}

/** Waits for the first message of a channel. */
export async function firstOf(client: Dogear, channel: string): Promise<Message> {
  for await (const message of client.subscribe(channel, { from: "earliest" })) return message;
  throw new Error(`Nothing came in ${channel}.`);
}

/** The cells of each line of a table. */
export function cells(table: string): string[][] {
  return table
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.trim().split(/ {2,}/));
}

/** The JSON of each line. */
export function jsonLines<T = Printed>(text: string): T[] {
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as T]));
}

/** The payloads of what was printed. */
export function payloads(stdout: string): unknown[] {
  return jsonLines(stdout).map(({ data }) => data);
}

function surroundings({ url, env, cwd }: ProcessOptions): { env: NodeJS.ProcessEnv; cwd: string } {
  // What the tests themselves run under is not the command's: a debugger, say, or a hub of the developer's own.
  const foreign = ([name]: [string, unknown]) => name === "NODE_OPTIONS" || name === "DEBUG" || /^DOGEAR_/.test(name);
  const own = Object.fromEntries(Object.entries(process.env).filter((variable) => !foreign(variable)));
  return { env: { ...own, ...(url !== undefined && { DOGEAR_URL: url }), ...env }, cwd: cwd ?? temporaryFolder() };
}
