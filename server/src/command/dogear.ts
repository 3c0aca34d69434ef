/** The `dogear` command: finds what was asked for, runs it, and says in one line why it failed. */
import { setTimeout } from "node:timers/promises";
import { DogearError } from "@dogear/client";
import type { Command, Family, Shell } from "./command.ts";
import { mistyped, parse } from "./command-line.ts";
import { helpOf, helpOfFamily, overview } from "./help.ts";
import { entries } from "./table.ts";
import { CommandError, exits, Interrupted, refusal, signalExits } from "./usage.ts";

const names = [...entries.map(({ name }) => name), "help"];

/** How long the last words may take to be read. */
const lastWordsMs = 2_000;

/** Resolves with the exit code; never rejects. */
export async function dogear(args: readonly string[], shell: Shell): Promise<number> {
  try {
    await Promise.race([obey(args, shell), shell.crashed]);
    await written(shell);
    return exits.ok.code;
  } catch (error) {
    // Streams do not say what aborted them.
    const aborted = error instanceof Error && error.name === "AbortError";
    const cause: unknown = aborted ? (shell.stop.reason ?? error) : error;
    const { code, sentence } = outcome(cause, args);
    shell.stderr.write(`dogear: ${sentence.replaceAll(/\s*\n\s*/g, " ")}\n`);
    if (shell.env.DEBUG === "dogear" && error instanceof Error) shell.stderr.write(`${error.stack}\n`);
    await written(shell);
    return code;
  }
}

/** Waits until what was said has been read, but not for a reader that has stopped reading. */
async function written({ stdout, stderr }: Shell): Promise<void> {
  const all = [stdout, stderr].map((output) => new Promise((resolve) => output.write("", resolve)));
  await Promise.race([Promise.all(all), setTimeout(lastWordsMs)]);
}

async function obey([name, ...rest]: readonly string[], shell: Shell): Promise<void> {
  if (name === undefined) throw new CommandError("usage", `Say what to do: ${names.join(", ")}.`);
  if (name === "--version") shell.stdout.write(`dogear ${(await import("../index.ts")).version}\n`);
  else if (name === "--help" || name === "-h") shell.stdout.write(overview());
  else if (name === "help") shell.stdout.write(rest[0] === undefined ? overview() : helpOn(rest));
  else if (name.startsWith("-")) throw mistyped("option", name, ["--help", "--version"]);
  else await run(name, rest, shell);
}

async function run(name: string, rest: readonly string[], shell: Shell): Promise<void> {
  const entry = named(name);
  if (!("commands" in entry)) return runCommand(entry, rest, shell);
  const [word, ...args] = rest;
  if (word === undefined) throw new CommandError("usage", `Say what to do: ${wordsOf(entry).join(", ")}.`);
  if (word === "--help" || word === "-h") shell.stdout.write(helpOfFamily(entry));
  else if (word.startsWith("-")) throw mistyped("option", word, ["--help"], ` Options of ${name} follow its command.`);
  else await runCommand(member(entry, word), args, shell);
}

async function runCommand(command: Command, args: readonly string[], shell: Shell): Promise<void> {
  const { values, operands } = parse(command.options, args);
  if (values.help) shell.stdout.write(helpOf(command));
  else await command.run(values, operands, shell);
}

function helpOn([name = "", word]: readonly string[]): string {
  const entry = named(name);
  if (!("commands" in entry)) return helpOf(entry);
  return word === undefined ? helpOfFamily(entry) : helpOf(member(entry, word));
}

function named(name: string): Command | Family {
  const entry = entries.find((entry) => entry.name === name);
  if (entry) return entry;
  throw mistyped("command", name, names);
}

function member(family: Family, word: string): Command {
  const command = family.commands.find(({ name }) => name === `${family.name} ${word}`);
  if (command) return command;
  throw mistyped(`command ${family.name}`, word, wordsOf(family));
}

/** The second words of its commands. */
function wordsOf({ name, commands }: Family): string[] {
  return commands.map((command) => command.name.slice(name.length + 1));
}

/** The exit code of an error, and what to say of it. */
function outcome(error: unknown, args: readonly string[]): { code: number; sentence: string } {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof CommandError && error.exit === "usage") {
    return { code: exits.usage.code, sentence: `${message} See "${["dogear", ...known(args), "--help"].join(" ")}".` };
  }
  if (error instanceof CommandError) return { code: exits[error.exit].code, sentence: message };
  if (error instanceof Interrupted) return { code: signalExits[error.signal], sentence: message };
  if (error instanceof DogearError) return { code: exits.refused.code, sentence: refusal(error) };
  return { code: exits.internal.code, sentence: `Internal error: ${message} (DEBUG=dogear shows where.)` };
}

/** The words of a command line that have a help of their own. */
function known(args: readonly string[]): string[] {
  const [name, word = ""] = args[0] === "help" ? args.slice(1) : args;
  const entry = entries.find((entry) => entry.name === name);
  if (!entry) return [];
  return "commands" in entry && wordsOf(entry).includes(word) ? [entry.name, word] : [entry.name];
}
