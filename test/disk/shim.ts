/** Puts `shim.c` between a process that a test starts and its disk. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { program } from "../support/machine.ts";
import { repository } from "../support/sources.ts";

export interface ShimOptions {
  /** The files that are looked at are below it. */
  readonly folder: string;
  /** What goes wrong at which call, as `shim.c` says it: "eio:flush:3", "kill-before:flush:1:state/data.mdb". */
  readonly fault?: string;
  /** Calls are counted once this file exists. */
  readonly from?: string;
  /** Where calls are noted as they are done. */
  readonly trace?: string;
  /** Note also what is written, and what goes to sockets. */
  readonly text?: boolean;
}

/** A line of the trace. */
export interface TracedCall {
  readonly call: "write" | "flush" | "name" | "socket" | "fault";
  /** The function, or of a fault its action. */
  readonly name: string;
  readonly path: string;
  readonly result: number;
  readonly bytes: number;
  readonly text: string;
}

/** The library, compiled where it is not yet; nothing, after a word about it, where there is no compiler. */
export function shimLibrary(): string | undefined {
  const compiler = program("cc");
  return compiler && compiled(compiler, "shim.c", "shim.so", ["-shared", "-fPIC"]);
}

/** The environment of a process whose disk is to fail. */
export function shimmed(library: string, { folder, fault, from, trace, text }: ShimOptions): NodeJS.ProcessEnv {
  return {
    LD_PRELOAD: library,
    SHIM_FOLDER: folder,
    ...(fault !== undefined && { SHIM_FAULT: fault }),
    ...(from !== undefined && { SHIM_FROM: from }),
    ...(trace !== undefined && { SHIM_TRACE: trace }),
    ...(text === true && { SHIM_TEXT: "1" }),
  };
}

/** What a process has done so far. */
export function readTrace(file: string): TracedCall[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "latin1").split("\n").slice(0, -1);
  return lines.map((line) => {
    const [, call, name, path, result, bytes, text] = /^(\S+) (\S+) (.+?) (-?\d+) (\d+) (.*)$/.exec(line) ?? [];
    return { call, name, path, result: Number(result), bytes: Number(bytes), text } as TracedCall;
  });
}

/** Compiles a file of this folder, unless that was done since it changed. */
export function compiled(compiler: string, source: string, target: string, flags: readonly string[] = []): string {
  const folder = join(repository, "test/dist/disk");
  const [from, to] = [join(repository, "test/disk", source), join(folder, target)];
  if (existsSync(to) && statSync(to).mtimeMs > statSync(from).mtimeMs) return to;
  mkdirSync(folder, { recursive: true });
  // Renamed, because another test may be starting a process with it just now.
  const unfinished = `${to}.${process.pid}`;
  execFileSync(compiler, ["-O2", "-Wall", "-Wextra", ...flags, "-o", unfinished, from]);
  renameSync(unfinished, to);
  return to;
}
