/** From the words of a command line to options and operands; what is mistyped gets an answer that helps. */
import { parseArgs } from "node:util";
import { nearest } from "../runtime/nearest.ts";
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
