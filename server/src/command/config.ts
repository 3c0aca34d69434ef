/** `dogear config`: what a hub would be told, before one is started with it. */
import { type Command, command, type Family } from "./command.ts";
import { configOptions, configuration, hubConfigOptions } from "./settings.ts";
import { CommandError, noMore } from "./usage.ts";

const check: Command = command({
  name: "config check",
  operands: "",
  summary: "Look for mistakes in a configuration",
  about: [
    "Reads what a hub with these options would be told, and the files that are named there, and prints what is wrong, a " +
      "line each. It exits with 0 where nothing is.",
  ],
  options: { ...hubConfigOptions, ...configOptions },
  examples: [
    { says: "Of the environment's variables alone", line: "dogear config check" },
    {
      says: "Of a file",
      line: `echo '{"limits":{"subscriptionsMax":100}}' > dogear.json
  dogear config check --config dogear.json`,
    },
  ],
  next: 'To see what it comes to: "dogear help config print".',
  async run(values, operands, shell) {
    noMore(operands, "config check takes options only.");
    const { checkExposure, ConfigError } = await import("../index.ts");
    try {
      const { config, file } = await configuration(values, shell);
      checkExposure({ policy: config.access }, config.listen.host);
      shell.stdout.write(`${file ?? "The configuration"} is in order.\n`);
    } catch (error) {
      const cause = error instanceof CommandError ? error.cause : error;
      if (!(cause instanceof ConfigError)) throw error;
      const { mistakes } = cause;
      for (const mistake of mistakes) shell.stderr.write(`${mistake}\n`);
      const count = mistakes.length === 1 ? "is 1 mistake" : `are ${mistakes.length} mistakes`;
      throw new CommandError("config", `There ${count} in the configuration.`, { cause });
    }
  },
});

const print: Command = command({
  name: "config print",
  operands: "",
  summary: "Print the whole configuration, defaults included",
  about: [
    "Prints as JSON what a hub with these options would go by: what options, variables and file say together, and the " +
      "default of all that they leave out. Secrets are [redacted].",
  ],
  options: { ...hubConfigOptions, ...configOptions },
  examples: [
    { says: "Every default", line: "dogear config print" },
    { says: "What comes of a variable", line: "DOGEAR_LISTEN_PORT=8080 dogear config print" },
  ],
  next: 'What each key means: "dogear help config schema".',
  async run(values, operands, shell) {
    noMore(operands, "config print takes options only.");
    const { settings } = await configuration(values, shell);
    shell.stdout.write(`${JSON.stringify(settings, undefined, 2)}\n`);
  },
});

const schema: Command = command({
  name: "config schema",
  operands: "",
  summary: "Print the JSON Schema of a configuration, for editors",
  about: [
    "With it an editor completes keys, says what each means and its default, and marks mistakes as they are typed: write " +
      'it to a file, and name that file in the configuration, "$schema": "./dogear.schema.json".',
  ],
  options: {},
  examples: [{ says: "To keep beside the configuration", line: "dogear config schema" }],
  next: 'To check a file without an editor: "dogear help config check".',
  async run(_values, operands, shell) {
    noMore(operands, "config schema takes nothing.");
    const { jsonSchema } = await import("../index.ts");
    shell.stdout.write(`${JSON.stringify(jsonSchema(), undefined, 2)}\n`);
  },
});

export const config: Family = {
  name: "config",
  summary: "See what a hub is told, and what is wrong with it: check, print, schema",
  about: [
    'A hub is told what to do by the options of "dogear serve", by variables of the environment, and by a file of JSON ' +
      "that --config or DOGEAR_CONFIG names. Of what is said twice, the first of these three counts. Nothing has to be " +
      "said, and what is not known is a mistake.",
    'Every key of the file has a variable: {"limits":{"errorsMax":10}} is DOGEAR_LIMITS_ERRORS_MAX=10, and ' +
      "--set limits.errorsMax=10. There a list is written with commas or as JSON, and what has free names, such as " +
      "namespaces and access.keys, as JSON. An empty variable says nothing.",
    "Files named in the file are found from its folder on; those named elsewhere from the working directory on.",
  ],
  commands: [check, print, schema],
  next: 'All keys, with their defaults: "dogear config print"; what they mean: "dogear config schema".',
};
