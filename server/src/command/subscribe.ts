/** `dogear subscribe`: messages as lines of JSON, each acknowledged when it has been written. */
import { setTimeout } from "node:timers/promises";
import type { SubscribeOptions } from "@dogear/client";
import { nameLengthMax } from "@dogear/shared";
import { type Command, command, stopped } from "./command.ts";
import { closeWithinMs, Hub, hubOptions } from "./hub.ts";
import { giveNotices } from "./notices.ts";
import { place, placeSays } from "./place.ts";
import { Printer } from "./printer.ts";
import { CommandError, integer, noMore } from "./usage.ts";

export const subscribe: Command = command({
  name: "subscribe",
  operands: "<pattern>",
  summary: "Print the messages of channels, and go on from where you were",
  about: [
    "A pattern is a channel in which * stands for one level and a final > for one or more: put it in quotes. Each " +
      "message is a line of JSON; the data of one whose type is not JSON is base64.",
    "With --as, the hub remembers what this subscriber has printed, and the same command goes on from there the next " +
      "time, whatever happened in between; --from only says where the first time begins.",
    "What a subscriber can no longer be given is told as a line of JSON on standard error, " +
      '{"gap":{"from":…,"to":…,"reason":…}}. A lost connection is told there in a sentence, and mended.',
  ],
  options: {
    from: {
      type: "string",
      value: "place",
      default: "latest",
      says: placeSays,
    },
    as: { type: "string", value: "subscriber", says: "keep a durable cursor under this name" },
    reset: { type: "boolean", says: "forget where --as had got to, and begin at --from" },
    count: { type: "string", value: "number", says: "end after so many messages (default: never)" },
    "until-caught-up": { type: "boolean", says: "end when everything there was has been printed" },
    window: {
      type: "string",
      value: "messages",
      default: "1000",
      says: "how many the hub may send beyond what was acknowledged",
    },
    quiet: { type: "boolean", says: "say nothing of connections" },
    ...hubOptions,
  },
  examples: [
    { says: "Everything that is published from now on", line: "dogear subscribe '>'" },
    {
      says: "All there is of some channels",
      line: "dogear subscribe 'sensors.*.temperature' --from earliest --until-caught-up",
    },
    {
      says: "Ten messages; and the next time, the next ten",
      line: "dogear subscribe '>' --from earliest --as me --count 10",
    },
  ],
  next: 'Programs do the same with the SDK, @dogear/client. To publish: "dogear help publish".',
  async run(values, [pattern, ...more], shell) {
    if (pattern === undefined) throw new CommandError("usage", "subscribe needs a pattern; '>' is everything.");
    noMore(more, "subscribe takes one pattern, in quotes.");
    const { as, count, quiet } = values;
    const options = request(values);
    const printer = new Printer(shell.stdout, {
      count: count === undefined ? Number.POSITIVE_INFINITY : integer("count", count, 1),
      untilCaughtUp: values["until-caught-up"] ?? false,
    });
    const hub = new Hub(values, shell.env);

    const dogear = hub.connect(as === undefined ? {} : { subscriber: as });
    try {
      const subscription = dogear.subscribe(pattern, options, (message) => printer.print(message));
      subscription.addEventListener("live", () => printer.pace(true));
      subscription.addEventListener("behind", () => printer.pace(false));
      giveNotices(dogear, subscription, { url: hub.url, quiet: quiet ?? false, output: shell.stderr });
      const stop = stopped(shell);
      const ended = Promise.race([subscription.ended, printer.ended, stop]);
      await Promise.race([hub.reach(dogear), ended]);
      await ended;
      printer.stop();
      // What was printed is to be read and acknowledged; but a reader that has stopped must not keep it from stopping.
      await Promise.race([printer.written(), stop.then(() => setTimeout(closeWithinMs))]);
      await Promise.race([subscription.unsubscribe(), setTimeout(closeWithinMs)]);
    } finally {
      await dogear.close();
    }
  },
});

interface Asked {
  readonly as: string | undefined;
  readonly from: string;
  readonly reset: boolean | undefined;
  readonly window: string;
}

function request({ as, from, reset = false, window }: Asked): SubscribeOptions {
  if (reset && as === undefined) throw new CommandError("usage", "--reset goes with --as.");
  if (as === "" || (as !== undefined && as.length > nameLengthMax)) {
    throw new CommandError("usage", `--as is a name of 1 to ${nameLengthMax} characters.`);
  }
  return {
    cursor: as !== undefined,
    from: place("from", from),
    reset,
    window: { messages: integer("window", window, 1) },
    onGap: "continue",
  };
}
