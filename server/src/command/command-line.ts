/** From the words of a command line to options and operands; what is mistyped gets an answer that helps. */
import { parseArgs } from "node:util";
import type { Options, Values } from "./command.ts";
import { help } from "./help.ts";
import { CommandError } from "./usage.ts";

export interface CommandLine {
  readonly values: Values<Options> & { readonly help?: boolean };
  readonly operands: readonly string[];
}

export function parse(options: Options, args: readonly string[]): CommandLine {
  const all: Options = { ...options, help };
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: all, allowPositionals: true });
    return { values: values as unknown as CommandLine["values"], operands: positionals };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const option = message.match(/'(?:-\w, )?(--?[^' ]*)/)?.[1] ?? "";
    if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
      const names = Object.keys(all).map((name) => `--${name}`);
      throw mistyped("option", option, names, option.startsWith("--") ? "" : " Put -- before data that begins with -.");
    }
    if (code !== "ERR_PARSE_ARGS_INVALID_OPTION_VALUE") throw error;
    const { type, value } = all[option.slice(2)] ?? {};
    const why = type === "boolean" ? "takes no value" : `needs a value: ${option}=<${value}>`;
    throw new CommandError("usage", `${option} ${why}.`);
  }
}

/** Says that there is no such thing, and what was probably meant. */
export function mistyped(what: string, typed: string, names: readonly string[], hint = ""): CommandError {
  const meant = nearest(typed, names);
  const suggestion = meant === undefined ? "" : ` Did you mean ${meant}?`;
  return new CommandError("usage", `There is no ${what} ${typed}.${suggestion}${hint}`);
}

/** At most this share of a name's letters may be wrong. */
const wrongShareMax = 0.5;

function nearest(typed: string, names: readonly string[]): string | undefined {
  const distances = names.map((name) => ({ name, wrong: name.startsWith(typed) ? 0 : distance(typed, name) }));
  const [best] = distances.sort((a, b) => a.wrong - b.wrong);
  return best && best.wrong <= wrongShareMax * best.name.length ? best.name : undefined;
}

/** How many letters must be put in, left out or replaced to make one word of the other (Levenshtein). */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...to].entries()) {
      const replaced = (row[j] as number) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] as number) + 1, (next[j] as number) + 1));
    }
    row = next;
  }
  return row.at(-1) as number;
}
