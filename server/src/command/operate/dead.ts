/** `dogear dead`: what groups have given up. */
import type { Message } from "@dogear/client";
import { type Command, command, type Family } from "../command.ts";
import { age } from "../duration.ts";
import { hubOptions } from "../hub.ts";
import { inJson, lineOf } from "../printer.ts";
import { integer } from "../usage.ts";
import { amount } from "./cell.ts";
import type { Column } from "./columns.ts";
import { messagesUntilNow } from "./contents.ts";
import { deadRedrive } from "./dead-redrive.ts";
import { printAll } from "./listing.ts";
import { jsonOption, namespaceOption, operandsOf, operate, within } from "./operator.ts";

const columns: readonly Column<Message>[] = [
  { title: "offset", of: ({ offset }) => `${offset}`, right: true },
  { title: "age", of: ({ time }) => age(Date.now() - time), right: true },
  { title: "reason", of: (message) => told(message, "reason") },
  { title: "failures", of: (message) => told(message, "failures"), right: true },
  { title: "error", of: (message) => told(message, "error"), cut: true },
  { title: "from", of: (message) => `${told(message, "channel")} ${told(message, "offset")}`, cut: true },
  { title: "data", of: ({ data }) => JSON.stringify(inJson(data)), cut: true },
];

/** What the hub says of a message that was given up. */
function told({ headers }: Message, name: string): string | null {
  return headers?.[`dogear-${name}`] ?? null;
}

const list: Command = command({
  name: "dead list",
  operands: "<group>",
  summary: "List the messages that a group has given up",
  about: [
    "Prints the group's dead letters, oldest first: why each was given up, after how many failures and with which error, " +
      "and the channel and the offset it had. Dead letters stay after they were redriven, for as long as their namespace " +
      "keeps messages; how many were not is said at the end.",
    "With --json, each is a line as dogear subscribe prints it.",
  ],
  options: {
    limit: { type: "string", value: "number", says: "at most so many, the oldest (default: all)" },
    ...namespaceOption,
    ...jsonOption,
    ...hubOptions,
  },
  examples: [
    { says: "What billing has given up", line: "dogear dead list billing" },
    { says: "Whole, for a program", line: "dogear dead list billing --json" },
  ],
  next: 'To try them once more: "dogear help dead redrive".',
  async run(values, operands, shell) {
    const [group] = operandsOf("dead list", ["a group"], operands);
    const limit = values.limit === undefined ? Number.POSITIVE_INFINITY : integer("limit", values.limit, 1);
    await operate(values, shell, async (operator) => {
      const { deadChannel } = await operator.admin.group(group, within(values.namespace));
      const letters = messagesUntilNow(operator.dogear, deadChannel, limit);
      const none = `${group} has no dead letters.`;
      const count = await printAll(letters, columns, operator, none, lineOf);
      if (count === 0 || operator.json) return;
      const { dead } = await operator.admin.group(group, within(values.namespace));
      const number = (number: number): string => amount(number, operator.output.terminal);
      const more = count === limit ? " and maybe more" : "";
      operator.say(`Dead letters in ${deadChannel}: ${number(count)}${more}; not redriven: ${number(dead)}.`);
    });
  },
});

export const dead: Family = {
  name: "dead",
  summary: "See and redrive what groups have given up: list, redrive",
  about: [
    "A message that a group has given up, because it failed too often, was rejected, or expired, becomes a dead letter: " +
      "a message in a channel of the group, <prefix>.$dead.<group>, which can be subscribed to as any other.",
  ],
  commands: [list, deadRedrive],
  next: 'More about one of them: "dogear help dead redrive".',
};
