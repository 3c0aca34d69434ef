/** `dogear key`: API keys of services. */
import { randomBytes } from "node:crypto";
import { canAbout, canOption, capabilitiesOf } from "./can.ts";
import { type Command, command, type Family } from "./command.ts";
import { CommandError, noMore } from "./usage.ts";

/** 256 bits: nobody guesses them, and a plain hash of them tells nothing. */
const keyBytes = 32;

const create: Command = command({
  name: "key create",
  operands: "<name>",
  summary: "Make a key for a service",
  about: [
    "Prints a new key to standard output, and what to put into the configuration to standard error. Only the key's hash " +
      "is there, so that the key itself is never seen again. To take it back, take it out of the configuration.",
    "The service is the user of that name. It gives the key where others give a token.",
    canAbout,
  ],
  options: { ...canOption },
  examples: [
    { says: "A service that takes orders", line: "dogear key create billing --can 'work,subscribe:orders.>'" },
    { says: "The key into a file", line: "dogear key create billing | tee billing.key" },
  ],
  next: 'Where it goes: "dogear help config". Tokens of users: "dogear help token".',
  async run(values, [name, ...more], shell) {
    if (name === undefined) throw new CommandError("usage", "key create needs a name.");
    noMore(more, "key create takes a name.");
    const capabilities = (await capabilitiesOf(values.can)) ?? {};
    const { ConfigError, issueKey, parseConfig } = await import("../index.ts");
    const { key, hash } = issueKey(randomBytes(keyBytes));
    const snippet = { access: { keys: { [name]: { hash, capabilities } } } };
    try {
      parseConfig(snippet);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw new CommandError("usage", `A key's name is letters, digits, "_" and "-", not ${JSON.stringify(name)}.`);
    }
    shell.stdout.write(`${key}\n`);
    shell.stderr.write(`${JSON.stringify(snippet, undefined, 2)}\n`);
  },
});

export const key: Family = {
  name: "key",
  summary: "Make keys for services: create",
  about: [
    "A key is a long random word by which a service is known. It does not expire; the configuration has its hash, and " +
      "says what may be done with it.",
  ],
  commands: [create],
  next: 'More about it: "dogear help key create". Tokens of users: "dogear help token".',
};
