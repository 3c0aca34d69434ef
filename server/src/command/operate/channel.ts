/** `dogear channel`: what there is to subscribe to. */
import type { ChannelReport } from "@dogear/client/admin";
import { type Command, command, type Family } from "../command.ts";
import { hubOptions } from "../hub.ts";
import { integer, noMore } from "../usage.ts";
import type { Column } from "./columns.ts";
import { first, printAll } from "./listing.ts";
import { jsonOption, operate, within } from "./operator.ts";

const columns: readonly Column<ChannelReport>[] = [
  { title: "namespace", of: ({ namespace }) => namespace },
  { title: "messages", of: ({ messages }) => messages, right: true },
  { title: "channel", of: ({ channel }) => channel, cut: true },
];

const list: Command = command({
  name: "channel list",
  operands: "",
  summary: "List the channels, and how many messages each has",
  about: [
    "A channel is there for as long as it has messages: it begins with the first that is published to it, and ends when " +
      "retention has removed the last.",
  ],
  options: {
    namespace: { type: "string", value: "name", says: "only the channels of this namespace" },
    limit: { type: "string", value: "number", says: "at most so many (default: all)" },
    ...jsonOption,
    ...hubOptions,
  },
  examples: [
    { says: "All channels", line: "dogear channel list" },
    { says: "One JSON object a line, for a program", line: "dogear channel list --json" },
  ],
  next: 'What is in them: "dogear help subscribe".',
  async run(values, operands, shell) {
    noMore(operands, "channel list takes options only.");
    const { namespace } = values;
    const limit = values.limit === undefined ? Number.POSITIVE_INFINITY : integer("limit", values.limit, 1);
    await operate(values, shell, async (operator) => {
      const channels = operator.admin.allChannels(within(namespace));
      const none = namespace === undefined ? "There are no channels." : `There are no channels in ${namespace}.`;
      await printAll(first(limit, channels), columns, operator, none);
    });
  },
});

export const channel: Family = {
  name: "channel",
  summary: "See what channels there are: list",
  about: ["Channels need not be created: the first message that is published to one is its beginning."],
  commands: [list],
  next: 'More about it: "dogear help channel list".',
};
