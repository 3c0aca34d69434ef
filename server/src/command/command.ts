/** What a command is: its words, its options, and what it does. */
import type { Readable, Writable } from "node:stream";

/** One option, as `parseArgs` of `node:util` takes it, with what the help says of it. */
export interface Option {
  readonly type: "string" | "boolean";
  readonly short?: string;
  readonly multiple?: boolean;
  readonly default?: string;
  /** What stands for its value in the help: `file`. */
  readonly value?: string;
  readonly says: string;
}

export type Options = Readonly<Record<string, Option>>;

/** What was given for each option. */
export type Values<O extends Options> = { readonly [K in keyof O]: Value<O[K]> };

type Value<O extends Option> = O extends { type: "boolean" }
  ? boolean | undefined
  : O extends { multiple: true }
    ? readonly string[] | undefined
    : O extends { default: string }
      ? string
      : string | undefined;

/** What to type, and what for. */
export interface Example {
  readonly says: string;
  readonly line: string;
}

export interface Command<O extends Options = Options> {
  /** One word, or in a family two. */
  readonly name: string;
  /** What follows the name and the options: `<channel> [data]`. */
  readonly operands: string;
  readonly summary: string;
  /** The paragraphs of its help. */
  readonly about: readonly string[];
  readonly options: O;
  readonly examples: readonly Example[];
  /** Where to go from here. */
  readonly next: string;
  /** Does it. Rejects with what the exit code is to be. */
  run(values: Values<O>, operands: readonly string[], shell: Shell): Promise<void>;
}

/** Commands about one thing, each named by two words: `group list`, `group show`. */
export interface Family {
  readonly name: string;
  readonly summary: string;
  readonly about: readonly string[];
  readonly commands: readonly Command[];
  readonly next: string;
}

/** Holds `run` to the command's own options, and forgets their types, so that all commands fit one table. */
export function command<const O extends Options>(definition: Command<O>): Command {
  return definition as unknown as Command;
}

/** As much of the process as commands use. */
export interface Shell {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by the first SIGINT or SIGTERM, with `Interrupted` for its reason. A second one ends the process. */
  readonly stop: AbortSignal;
  /** Rejects with an error that nothing caught. */
  readonly crashed: Promise<never>;
}

/** Resolves when the command is to stop. */
export function stopped({ stop }: Shell): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) resolve();
    else stop.addEventListener("abort", () => resolve(), { once: true });
  });
}
