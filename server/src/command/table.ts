/** The commands there are, in the order the help names them. */
import type { Command, Family } from "./command.ts";
import { config } from "./config.ts";
import { key } from "./key.ts";
import { channel } from "./operate/channel.ts";
import { cursor } from "./operate/cursor.ts";
import { dead } from "./operate/dead.ts";
import { group } from "./operate/group.ts";
import { revoke } from "./operate/revoke.ts";
import { schedule } from "./operate/schedule.ts";
import { session } from "./operate/session.ts";
import { publish } from "./publish.ts";
import { serve } from "./serve.ts";
import { subscribe } from "./subscribe.ts";
import { token } from "./token.ts";

/** What the first word of a command line names. */
export const entries: readonly (Command | Family)[] = [
  serve,
  publish,
  subscribe,
  group,
  dead,
  cursor,
  schedule,
  channel,
  session,
  revoke,
  config,
  token,
  key,
];

/** Those of families included. */
export const commands: readonly Command[] = entries.flatMap((entry) =>
  "commands" in entry ? entry.commands : [entry],
);
