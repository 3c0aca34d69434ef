/** `dogear serve`: a hub that runs until a signal stops it. */
import { type Command, command } from "./command.ts";
import { configOptions, hubConfigOptions } from "./settings.ts";
import { noMore } from "./usage.ts";

export const serve: Command = command({
  name: "serve",
  operands: "",
  summary: "Run a hub",
  about: [
    "Runs a hub until Ctrl-C or SIGTERM. It then asks its clients to come back later, answers what they published, " +
      "stores cursors and stops; a second signal ends it at once. Killed without warning, it loses nothing that it " +
      "has confirmed.",
    "Where it listens goes to standard output, its log to standard error, one JSON object a line.",
    "What it is told counts in this order: options, the environment's variables, and the file that --config names. " +
      'Each is the same configuration: "dogear help config" says what is in it.',
    "A hub that is told of no tokens and no keys lets everybody do everything. It therefore listens on loopback " +
      "addresses only, for its own machine.",
  ],
  options: {
    ...hubConfigOptions,
    ...configOptions,
    demo: { type: "boolean", says: "also publish this machine's sensors, and serve a page that shows them" },
  },
  examples: [
    { says: "A hub for this machine", line: "dogear serve" },
    { says: "A hub with something to look at", line: "dogear serve --demo" },
    {
      says: "Chats are forgotten after a day",
      line: `echo '{"namespaces":{"chat":{"retention":{"ageMs":86400000}}}}' > dogear.json
  dogear serve --config dogear.json`,
    },
  ],
  next: 'Then talk to it: "dogear help publish", "dogear help subscribe".',
  async run(values, operands, shell) {
    noMore(operands, "serve takes options only.");
    // Loaded here, so that no other command waits for the hub to load.
    const { serveUntilStopped } = await import("./serving.ts");
    await serveUntilStopped(values, shell);
  },
});
