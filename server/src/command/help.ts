/** What `dogear --help` and `dogear help <command>` say, made from the table of commands. */
import type { Command, Family, Option } from "./command.ts";
import { defaultUrl } from "./hub.ts";
import { entries } from "./table.ts";
import { exits, signalExits } from "./usage.ts";

/** An option of every command. */
export const help: Option = { type: "boolean", short: "h", says: "say this" };

const columns = 100;

export function overview(): string {
  return page(
    "Dogear is a real-time pub-sub hub that never loses your place.",
    "Usage: dogear <command> [options]",
    section("Commands", [
      ...entries.map(({ name, summary }): Row => [name, summary]),
      ["help <command>", "say what a command does, with its options and examples"],
    ]),
    section("Options", [
      ["--help, -h", "say this; after a command, what it does"],
      ["--version", "say which version this is"],
    ]),
    section("Environment", [
      ["DOGEAR_URL", `the hub to talk to (default: ${defaultUrl})`],
      ["DOGEAR_CONFIG", "the configuration of a hub; every part of it has a variable too: see help config"],
      ["DOGEAR_TOKEN", "who you are to it: a JWT or a key; or DOGEAR_TOKEN_FILE, where that is"],
      ["DEBUG=dogear", "show where in the program an error came from"],
    ]),
    section("Exit codes", exitCodes()),
    `Try it, in three terminals:

  dogear serve
  dogear subscribe 'sensors.>' --from earliest --as me
  dogear publish sensors.kitchen.temperature '{"celsius":21.4}'

Stop the second one, publish on, and start it again: it goes on where it was.`,
  );
}

export function helpOf({ name, operands, summary, about, options, examples, next }: Command): string {
  const usage = ["Usage: dogear", name, operands, "[options]"].filter((word) => word !== "").join(" ");
  return page(
    `${summary}.`,
    usage,
    ...about.map((paragraph) => wrap(paragraph, columns)),
    section("Options", Object.entries({ ...options, help }).map(optionRow)),
    `Examples:\n\n${examples.map(({ says, line }) => `  # ${says}\n  ${line}`).join("\n\n")}`,
    section("Exit codes", exitCodes()),
    next,
  );
}

export function helpOfFamily({ name, summary, about, commands, next }: Family): string {
  return page(
    `${summary}.`,
    `Usage: dogear ${name} <command> [options]`,
    ...about.map((paragraph) => wrap(paragraph, columns)),
    section(
      "Commands",
      commands.map(({ name, operands, summary }): Row => [`${name} ${operands}`.trim(), summary]),
    ),
    section("Options", [["--help, -h", "say this; after a command, what it does"]]),
    next,
  );
}

/** What is said on the left, and what it means. */
type Row = readonly [string, string];

function optionRow([name, option]: [string, Option]): Row {
  const { value, short, says, default: byDefault } = option;
  const written = short === undefined ? `--${name}` : `--${name}, -${short}`;
  return [
    value === undefined ? written : `${written} <${value}>`,
    byDefault === undefined ? says : `${says} (default: ${byDefault})`,
  ];
}

function exitCodes(): Row[] {
  return [
    ...Object.values(exits).map(({ code, says }): Row => [`${code}`, says]),
    [Object.values(signalExits).join(", "), "a signal stopped it before it was done"],
  ];
}

function section(title: string, rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return `${title}:\n${rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n")}`;
}

function page(...parts: readonly string[]): string {
  return `${parts.join("\n\n")}\n`;
}

/** Breaks a paragraph into lines of at most so many characters. */
function wrap(paragraph: string, width: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of paragraph.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].join("\n");
}
