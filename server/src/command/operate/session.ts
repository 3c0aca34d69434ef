/** `dogear session`: who is connected, and how to end that. */
import type { SessionReport } from "@dogear/client/admin";
import { type Command, command, type Family } from "../command.ts";
import { age } from "../duration.ts";
import { hubOptions } from "../hub.ts";
import { integer, noMore } from "../usage.ts";
import type { Column } from "./columns.ts";
import { first, printAll } from "./listing.ts";
import { jsonOption, operandsOf, operate } from "./operator.ts";

const columns: readonly Column<SessionReport>[] = [
  { title: "session", of: ({ session }) => session },
  { title: "user", of: ({ user }) => user, cut: true },
  { title: "subscriber", of: ({ subscriber }) => subscriber ?? null, cut: true },
  { title: "address", of: ({ address }) => address },
  { title: "subscriptions", of: ({ subscriptions }) => subscriptions, right: true },
  { title: "members", of: ({ members }) => members, right: true },
  { title: "connected", of: ({ since }) => `${age(Date.now() - since)} ago` },
  { title: "expires", of: ({ expires }) => (expires === undefined ? null : `in ${age(expires - Date.now())}`) },
];

const list: Command = command({
  name: "session list",
  operands: "",
  summary: "List who is connected",
  about: [
    "A session is a connection that was let in. Expires says when its token does: by then its client has brought a new one, " +
      "or it is ended.",
  ],
  options: {
    user: { type: "string", value: "name", says: "only the sessions of this user" },
    limit: { type: "string", value: "number", says: "at most so many (default: all)" },
    ...jsonOption,
    ...hubOptions,
  },
  examples: [
    { says: "All sessions", line: "dogear session list" },
    { says: "One JSON object a line, for a program", line: "dogear session list --json" },
  ],
  next: 'To end one: "dogear help session disconnect".',
  async run(values, operands, shell) {
    noMore(operands, "session list takes options only.");
    const { user } = values;
    const limit = values.limit === undefined ? Number.POSITIVE_INFINITY : integer("limit", values.limit, 1);
    await operate(values, shell, async (operator) => {
      const sessions = first(limit, operator.admin.allSessions(), (one) => user === undefined || one.user === user);
      const none = user === undefined ? "There are no sessions." : `${user} has no sessions.`;
      await printAll(sessions, columns, operator, none);
    });
  },
});

const disconnect: Command = command({
  name: "session disconnect",
  operands: "<session>",
  summary: "End a session",
  about: [
    'Ends the session that "dogear session list" names so. Its client is told disconnected, and may come back at once: ' +
      'to keep somebody out, see "dogear help revoke".',
  ],
  options: { ...jsonOption, ...hubOptions },
  examples: [{ says: "Have a client begin anew", line: "dogear session disconnect V1StGXR8Z5jdHi6B" }],
  next: 'To keep somebody out: "dogear help revoke".',
  async run(values, operands, shell) {
    const [session] = operandsOf("session disconnect", ["a session"], operands);
    await operate(values, shell, async ({ admin, output, json }) => {
      await admin.disconnect(session);
      await output.write(json ? `${JSON.stringify({ disconnected: session })}\n` : `Disconnected ${session}.\n`);
    });
  },
});

export const session: Family = {
  name: "session",
  summary: "See who is connected, and end that: list, disconnect",
  about: ["A session is one connection with its subscriptions and members; it ends with the connection."],
  commands: [list, disconnect],
  next: 'More about one of them: "dogear help session disconnect".',
};
