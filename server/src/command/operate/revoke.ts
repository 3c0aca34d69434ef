/** `dogear revoke`: tokens that are good no more. */
import type { Revocation } from "@dogear/client/admin";
import { type Command, command } from "../command.ts";
import { hubOptions } from "../hub.ts";
import { moment } from "../place.ts";
import { CommandError, noMore } from "../usage.ts";
import { amount } from "./cell.ts";
import { jsonOption, operate } from "./operator.ts";

export const revoke: Command = command({
  name: "revoke",
  operands: "",
  summary: "Refuse tokens that were issued, and end their sessions",
  about: [
    "Refuses all of a user's tokens that were issued until now, or until --before, or the one token that --id names, " +
      "also after a restart of the hub. Sessions that came with them are ended, and their clients do not come back with " +
      "them. A token that the user is issued later is good.",
    "A key is not revoked but taken out of the hub's configuration.",
  ],
  options: {
    user: { type: "string", value: "name", says: "whose tokens" },
    before: { type: "string", value: "time", says: "only those issued before this: 2030-01-31T12:00Z" },
    id: { type: "string", value: "jti", says: "the id of one token" },
    ...jsonOption,
    ...hubOptions,
  },
  examples: [
    { says: "Sign somebody out everywhere", line: "dogear revoke --user ada" },
    { says: "One token, lost with a laptop", line: "dogear revoke --id 5f1c2b7e" },
  ],
  next: 'Who is connected: "dogear help session list".',
  async run(values, operands, shell) {
    noMore(operands, "revoke takes options only.");
    const what = revocation(values);
    await operate(values, shell, async ({ admin, output, json }) => {
      const revoked = await admin.revoke(what);
      const { sessions } = revoked;
      const ended = sessions === 1 ? "1 session was ended" : `${amount(sessions, output.terminal)} sessions were ended`;
      await output.write(json ? `${JSON.stringify(revoked)}\n` : `Revoked; ${ended}.\n`);
    });
  },
});

interface Given {
  readonly user: string | undefined;
  readonly before: string | undefined;
  readonly id: string | undefined;
}

function revocation({ user, before, id }: Given): Revocation {
  if (before !== undefined && user === undefined) throw new CommandError("usage", "--before goes with --user.");
  if (user !== undefined)
    return {
      user,
      ...(before !== undefined && { before: moment("before", before) }),
      ...(id !== undefined && { token: id }),
    };
  if (id === undefined) throw new CommandError("usage", "revoke needs --user or --id.");
  return { token: id };
}
