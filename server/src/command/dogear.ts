/** The `dogear` command: finds what was asked for, runs it, and says in one line why it failed. */
import { parseArgs } from "node:util";
import type { Shell } from "./command.ts";
import { commands } from "./table.ts";
import { CommandError, exits } from "./usage.ts";

export async function dogear(args: readonly string[], shell: Shell): Promise<number> {
  const [name, ...rest] = args;
  const command = commands.find((command) => command.name === name);
  if (!command) throw new CommandError("usage", "no such command");
  const { values, positionals } = parseArgs({ args: rest, options: command.options, allowPositionals: true });
  return (await command.run(values as never, positionals, shell)) ?? exits.ok.code;
}
