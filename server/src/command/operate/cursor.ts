/** `dogear cursor`: where subscribers are, and how to move them. */
import type { Admin, CursorName, CursorReport } from "@dogear/client/admin";
import { type Command, command, type Family, type Shell } from "../command.ts";
import { age } from "../duration.ts";
import { hubOptions } from "../hub.ts";
import { place, placeSays } from "../place.ts";
import { CommandError, integer, noMore } from "../usage.ts";
import type { Column } from "./columns.ts";
import { lagText, oldest } from "./group-report.ts";
import { first, printAll, printFacts } from "./listing.ts";
import { type Asked, jsonOption, operandsOf, operate } from "./operator.ts";

const columns: readonly Column<CursorReport>[] = [
  { title: "user", of: ({ user }) => user },
  { title: "subscriber", of: ({ subscriber }) => subscriber, cut: true },
  { title: "pattern", of: ({ pattern }) => pattern, cut: true },
  { title: "namespace", of: ({ namespace }) => namespace },
  { title: "position", of: positionOf },
  { title: "lag", of: ({ lag }) => lag.messages, right: true },
  { title: "oldest", of: ({ lag }) => oldest(lag), right: true },
  { title: "moved", of: ({ time }) => `${age(Date.now() - time)} ago` },
];

/** As `--to` and `--from` take it. */
function positionOf({ position: { epoch, offset } }: CursorReport): string {
  return `${epoch}:${offset}`;
}

const list: Command = command({
  name: "cursor list",
  operands: "",
  summary: "List the cursors, and how far behind each is",
  about: [
    "Lag is how many messages of its pattern a subscriber has not acknowledged, and oldest is the age of the first of " +
      "them. Moved says when the cursor was stored last.",
  ],
  options: {
    user: { type: "string", value: "name", says: "only the cursors of this user" },
    limit: { type: "string", value: "number", says: "at most so many (default: all)" },
    ...jsonOption,
    ...hubOptions,
  },
  examples: [
    { says: "All cursors", line: "dogear cursor list" },
    { says: "One JSON object a line, for a program", line: "dogear cursor list --json" },
  ],
  next: 'To move one: "dogear help cursor reset".',
  async run(values, operands, shell) {
    noMore(operands, "cursor list takes options only.");
    const { user } = values;
    const limit = values.limit === undefined ? Number.POSITIVE_INFINITY : integer("limit", values.limit, 1);
    await operate(values, shell, async (operator) => {
      const none = user === undefined ? "There are no cursors." : `${user} has no cursors.`;
      const cursors = first(limit, operator.admin.allCursors(), (one) => user === undefined || one.user === user);
      await printAll(cursors, columns, operator, none);
    });
  },
});

const userOption = {
  user: { type: "string", value: "name", default: "anonymous", says: "whose subscriber it is" },
} as const;

const show: Command = command({
  name: "cursor show",
  operands: "<subscriber> <pattern>",
  summary: "Tell where a subscriber is",
  about: ["Says where the subscriber's cursor in this pattern is, and how far behind."],
  options: { ...userOption, ...jsonOption, ...hubOptions },
  examples: [{ says: `Of "dogear subscribe 'sensors.>' --as me"`, line: "dogear cursor show me 'sensors.>'" }],
  next: 'To move it: "dogear help cursor reset".',
  run: (values, operands, shell) => report("cursor show", values, operands, shell, (admin, name) => admin.cursor(name)),
});

const reset: Command = command({
  name: "cursor reset",
  operands: "<subscriber> <pattern>",
  summary: "Move a subscriber to another place",
  about: [
    "Moves the cursor, without asking again, and prints where it then is. A subscription that holds it is ended with " +
      "cursor-reset; the next one goes on from the new place.",
  ],
  options: {
    to: { type: "string", value: "place", says: placeSays },
    ...userOption,
    ...jsonOption,
    ...hubOptions,
  },
  examples: [{ says: "All there is, once more", line: "dogear cursor reset me 'sensors.>' --to earliest" }],
  next: 'A subscriber can do it itself: "dogear help subscribe", --reset.',
  async run(values, operands, shell) {
    if (values.to === undefined) throw new CommandError("usage", `cursor reset needs --to: ${placeSays}.`);
    const to = place("to", values.to);
    await report("cursor reset", values, operands, shell, (admin, name) => admin.resetCursor(name, to));
  },
});

/** Asks for something of one cursor, and prints where it then is. */
async function report(
  command: string,
  values: Asked & { readonly user: string },
  operands: readonly string[],
  shell: Shell,
  ask: (admin: Admin, name: CursorName) => Promise<CursorReport>,
): Promise<void> {
  const [subscriber, pattern] = operandsOf(command, ["a subscriber", "a pattern"], operands);
  await operate(values, shell, async ({ admin, output, json }) => {
    const cursor = await ask(admin, { user: values.user, subscriber, pattern });
    if (json) return void (await output.write(`${JSON.stringify(cursor)}\n`));
    await printFacts(
      [
        ["subscriber", cursor.subscriber],
        ["pattern", cursor.pattern],
        ["user", cursor.user],
        ["namespace", cursor.namespace],
        ["position", positionOf(cursor)],
        ["lag", lagText(cursor.lag, output.terminal)],
        ["moved", `${age(Date.now() - cursor.time)} ago`],
      ],
      output,
    );
  });
}

export const cursor: Family = {
  name: "cursor",
  summary: "See and move the places of subscribers: list, show, reset",
  about: [
    "A cursor is the durable place of a user's subscriber in a pattern: how far it has got is kept by the hub, and the " +
      'next subscription goes on from there. "dogear subscribe --as" keeps one, and so do programs.',
    "Without access control, everybody's user is anonymous.",
  ],
  commands: [list, show, reset],
  next: 'More about one of them: "dogear help cursor reset".',
};
