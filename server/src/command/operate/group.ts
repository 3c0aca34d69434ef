/** `dogear group`: how the groups of a hub are, and what is done to them. */
import type { Admin, GroupOptions, GroupReport } from "@dogear/client/admin";
import { type Command, command, type Family, type Shell } from "../command.ts";
import { hubOptions } from "../hub.ts";
import { place, placeSays } from "../place.ts";
import { CommandError, noMore } from "../usage.ts";
import { amount } from "./cell.ts";
import { groupBrowse } from "./group-browse.ts";
import { groupColumns, printGroup } from "./group-report.ts";
import { printAll } from "./listing.ts";
import { type Asked, jsonOption, namespaceOption, operandsOf, operate, within } from "./operator.ts";

const list: Command = command({
  name: "group list",
  operands: "",
  summary: "List the groups, and how far each is",
  about: [
    "Lag is how many messages a group has not settled, and oldest is the age of the first of them. In flight are those " +
      "that a member has now, delayed those that failed and wait for their next try, dead those that were given up and " +
      "not redriven.",
  ],
  options: {
    namespace: { type: "string", value: "name", says: "only the groups of this namespace" },
    ...jsonOption,
    ...hubOptions,
  },
  examples: [
    { says: "All groups", line: "dogear group list" },
    { says: "One JSON object a line, for a program", line: "dogear group list --json" },
  ],
  next: 'All about one of them: "dogear help group show".',
  async run(values, operands, shell) {
    noMore(operands, "group list takes options only.");
    await operate(values, shell, async (operator) => {
      const { namespace } = values;
      const groups = of(operator.admin.allGroups(), namespace);
      const none = namespace === undefined ? "There are no groups." : `There are no groups in ${namespace}.`;
      await printAll(groups, groupColumns, operator, none);
    });
  },
});

async function* of(groups: AsyncIterable<GroupReport>, namespace: string | undefined): AsyncGenerator<GroupReport> {
  for await (const group of groups) if (namespace === undefined || group.namespace === namespace) yield group;
}

const show: Command = command({
  name: "group show",
  operands: "<group>",
  summary: "Tell all about a group",
  about: ["Says how far the group is, what its members have, and the policy that its first member declared."],
  options: { ...namespaceOption, ...jsonOption, ...hubOptions },
  examples: [{ says: "How billing is", line: "dogear group show billing" }],
  next: 'The messages themselves: "dogear help group browse".',
  run: (values, operands, shell) =>
    report("group show", values, operands, shell, (admin, group, where) => admin.group(group, where)),
});

const pause: Command = command({
  name: "group pause",
  operands: "<group>",
  summary: "Give a group's members nothing new",
  about: [
    "Gives the members no message until the group is resumed, also if the hub is restarted meanwhile. What they have " +
      "they settle as ever. Prints how the group then is.",
  ],
  options: { ...namespaceOption, ...jsonOption, ...hubOptions },
  examples: [{ says: "Let billing finish what it has, and no more", line: "dogear group pause billing" }],
  next: 'To go on: "dogear help group resume".',
  run: (values, operands, shell) =>
    report("group pause", values, operands, shell, (admin, group, where) => admin.pause(group, where)),
});

const resume: Command = command({
  name: "group resume",
  operands: "<group>",
  summary: "Go on with a group that was paused",
  about: ["Gives the group's members messages again, and prints how the group then is."],
  options: { ...namespaceOption, ...jsonOption, ...hubOptions },
  examples: [{ says: "Let billing go on", line: "dogear group resume billing" }],
  next: 'Whether it keeps up: "dogear help group show".',
  run: (values, operands, shell) =>
    report("group resume", values, operands, shell, (admin, group, where) => admin.resume(group, where)),
});

const reset: Command = command({
  name: "group reset",
  operands: "<group>",
  summary: "Move a group to another place",
  about: [
    "Moves the group, without asking again, and prints how it then is. From there on its members get everything once " +
      "more, or, further on, never get what lies between. What they have now, and what waits for its next try, is " +
      "forgotten: what they say of it counts no more. Dead letters stay.",
  ],
  options: {
    to: { type: "string", value: "place", says: placeSays },
    ...namespaceOption,
    ...jsonOption,
    ...hubOptions,
  },
  examples: [
    { says: "All there is, once more", line: "dogear group reset billing --to earliest" },
    { says: "Nothing from before this year", line: "dogear group reset billing --to 2026-01-01T00:00Z" },
  ],
  next: 'To look first at what there is: "dogear help group browse".',
  async run(values, operands, shell) {
    if (values.to === undefined) throw new CommandError("usage", `group reset needs --to: ${placeSays}.`);
    const to = place("to", values.to);
    await report("group reset", values, operands, shell, (admin, group, where) => admin.reset(group, to, where));
  },
});

const remove: Command = command({
  name: "group delete",
  operands: "<group>",
  summary: "Forget a group",
  about: [
    "Forgets how far the group is and what it has not settled, without asking again, and sends its members away. Its " +
      "dead letters stay in their channel. A member that comes later begins a new group of this name.",
  ],
  options: { ...namespaceOption, ...jsonOption, ...hubOptions },
  examples: [{ says: "Forget one that was tried out", line: "dogear group delete trial" }],
  next: 'To keep it and give it nothing: "dogear help group pause".',
  async run(values, operands, shell) {
    const [name] = operandsOf("group delete", ["a group"], operands);
    await operate(values, shell, async ({ admin, output, json }) => {
      const { group, namespace, dead, deadChannel, ...last } = await admin.remove(name, within(values.namespace));
      const stay = dead === 0 ? "" : ` Its dead letters (${amount(dead, output.terminal)}) stay in ${deadChannel}.`;
      const sentence = `Deleted ${group} of the namespace ${namespace}.${stay}`;
      await output.write(
        json ? `${JSON.stringify({ namespace, group, ...last, dead, deadChannel })}\n` : `${sentence}\n`,
      );
    });
  },
});

/** Asks for something of one group, and prints how the group then is. */
async function report(
  command: string,
  values: Asked & { readonly namespace: string | undefined },
  operands: readonly string[],
  shell: Shell,
  ask: (admin: Admin, group: string, where: GroupOptions) => Promise<GroupReport>,
): Promise<void> {
  const [group] = operandsOf(command, ["a group"], operands);
  await operate(values, shell, async (operator) => {
    await printGroup(await ask(operator.admin, group, within(values.namespace)), operator);
  });
}

export const group: Family = {
  name: "group",
  summary: "See and steer groups: list, show, pause, resume, reset, browse, delete",
  about: [
    "A group is members that share the messages of a pattern: each message is given to one of them, who settles it. " +
      "Programs join one with the SDK; here operators see how far it is and step in.",
    "A group is named within its namespace. Where several have one of a name, --namespace says which is meant.",
  ],
  commands: [list, show, pause, resume, reset, groupBrowse, remove],
  next: 'More about one of them: "dogear help group reset". What a group has given up: "dogear help dead".',
};
