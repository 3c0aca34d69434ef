/** `dogear serve`: a hub that runs until a signal stops it. */
import { type Command, command } from "./command.ts";
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
    "The configuration is JSON, all of which may be left out. For each namespace (the first level of channels that are " +
      'kept together) it says "durability", disk or memory, and "retention", "ageMs" and "bytes"; and it may change ' +
      'the "limits" that PROTOCOL.md names.',
  ],
  options: {
    port: { type: "string", value: "number", default: "7600", says: "where to listen; 0 is any free port" },
    host: {
      type: "string",
      value: "address",
      default: "127.0.0.1",
      says: "0.0.0.0 lets any machine in, without a password",
    },
    data: { type: "string", value: "folder", default: "./data", says: "where messages and cursors are kept" },
    config: { type: "string", value: "file", says: "namespaces and limits (default: none)" },
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
