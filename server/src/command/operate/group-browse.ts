/** `dogear group browse`: what a group has not settled, looked at without taking it. */
import type { Offset } from "@dogear/client";
import type { Browsed } from "@dogear/client/admin";
import { browseMax } from "@dogear/shared";
import { type Command, command } from "../command.ts";
import { age } from "../duration.ts";
import { hubOptions } from "../hub.ts";
import { inJson } from "../printer.ts";
import { integer } from "../usage.ts";
import type { Column } from "./columns.ts";
import { printAll } from "./listing.ts";
import { jsonOption, namespaceOption, type Operator, operandsOf, operate, within } from "./operator.ts";

type Unsettled = Browsed["messages"][number];

const columns: readonly Column<Unsettled>[] = [
  { title: "offset", of: ({ offset }) => `${offset}`, right: true },
  { title: "age", of: ({ time }) => age(Date.now() - time), right: true },
  { title: "channel", of: ({ channel }) => channel, cut: true },
  { title: "key", of: ({ key = null }) => key, cut: true },
  { title: "state", of: ({ state, due }) => (due === undefined ? state : `${state} ${age(due - Date.now())}`) },
  { title: "deliveries", of: ({ deliveries }) => deliveries, right: true },
  { title: "failures", of: ({ failures }) => failures, right: true },
  { title: "error", of: ({ error = null }) => error, cut: true },
  { title: "data", of: ({ data }) => JSON.stringify(data), cut: true },
];

export const groupBrowse: Command = command({
  name: "group browse",
  operands: "<group>",
  summary: "Look at the messages that a group has not settled",
  about: [
    "Prints them in the order of their offsets, and takes none of them from the members. A message is waiting; or " +
      "leased, to a member that works on it; delayed, after a failure, and for how long yet; blocked, while one before " +
      "it in order is not settled; or dying, on its way to the dead letters.",
    "The data of a message whose type is not JSON is base64. On a terminal, what is too long for a line is cut; --json " +
      "prints all there is to a message.",
  ],
  options: {
    after: { type: "string", value: "offset", default: "0", says: "only messages after this offset" },
    limit: { type: "string", value: "number", default: "100", says: "at most so many messages" },
    ...namespaceOption,
    ...jsonOption,
    ...hubOptions,
  },
  examples: [
    { says: "What billing has not settled", line: "dogear group browse billing" },
    { says: "The first of it, whole", line: "dogear group browse billing --limit 1 --json" },
  ],
  next: 'What the group has given up: "dogear help dead list".',
  async run(values, operands, shell) {
    const [group] = operandsOf("group browse", ["a group"], operands);
    const place = { after: integer("after", values.after, 0) as Offset, wanted: integer("limit", values.limit, 1) };
    const none = place.after === 0 ? `${group} has settled all there is.` : `There is nothing after ${place.after}.`;
    await operate(values, shell, async (operator) => {
      const messages = unsettled(operator, group, values.namespace, place);
      await printAll(messages, columns, operator, none);
      if (place.wanted === 0) operator.say(`There may be more: --after ${place.after}.`);
    });
  },
});

/** How far browsing is; it moves on. */
interface Place {
  after: Offset;
  wanted: number;
}

/** Page by page. When it ends with nothing wanted any more, there may be more. */
async function* unsettled(
  { admin }: Operator,
  group: string,
  namespace: string | undefined,
  place: Place,
): AsyncGenerator<Unsettled, void, undefined> {
  for (let end = false; !end && place.wanted > 0; ) {
    const limit = Math.min(place.wanted, browseMax);
    const { messages, through, head } = await admin.browse(group, { ...within(namespace), after: place.after, limit });
    end = through >= head;
    place.after = through;
    place.wanted -= messages.length;
    for (const message of messages) yield { ...message, data: inJson(message.data) };
  }
}
