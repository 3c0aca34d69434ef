/** `dogear publish`: one message from the command line, or one for each line of standard input. */
import { addAbortSignal, type Readable } from "node:stream";
import {
  type Dogear,
  DogearError,
  isChannel,
  type Published,
  type PublishOptions,
  type Scheduled,
  type ScheduleOptions,
} from "@dogear/client";
import { defaultLimits, dogearError, isJsonType } from "@dogear/shared";
import { type Command, command, type Shell, stopped } from "./command.ts";
import { Drafts } from "./drafts.ts";
import { milliseconds } from "./duration.ts";
import { Hub, hubOptions } from "./hub.ts";
import { lines, whole } from "./input.ts";
import { moment } from "./place.ts";
import { pace, showProgress } from "./progress.ts";
import { CommandError, Interrupted, noMore, refusal } from "./usage.ts";

export const publish: Command = command({
  name: "publish",
  operands: "<channel> [data]",
  summary: "Publish messages to a channel",
  about: [
    "Publishes data as one message, and prints its place in the log once it is as durable as that line says. Data " +
      "that is not JSON is published as a JSON string.",
    "Without data, or with -, each line of standard input is a message in JSON; empty lines are skipped. When the hub " +
      "has confirmed them all, it prints how many they were, and the offsets of the first and the last. It stops at " +
      "a line that is not JSON; what came before that is published.",
    "Where --type is not JSON, the bytes of data, or all of standard input, are one message.",
    "With --delay or --at a message is not published yet: it is published when it is due, by the hub's clock. Its id, " +
      "by which it can be cancelled until then, and when it is due are printed instead; of lines, when the first and " +
      "the last of them are due.",
  ],
  options: {
    key: { type: "string", value: "key", says: "what the message is about, such as the id of an order" },
    header: { type: "string", multiple: true, value: "name=value", says: "a header; may be given more than once" },
    type: { type: "string", value: "media-type", says: "the type of the data (default: application/json)" },
    delay: { type: "string", value: "duration", says: "publish it so much later: 90s, 15m, 1h30m" },
    at: { type: "string", value: "time", says: "publish it then: 2030-01-31T12:00Z" },
    ttl: {
      type: "string",
      value: "duration",
      says: "nobody is given it after so long (default: as its namespace says)",
    },
    ...hubOptions,
  },
  examples: [
    { says: "One message", line: `dogear publish sensors.kitchen.temperature '{"celsius":21.4}'` },
    { says: "A message for each line", line: "seq 1 1000 | dogear publish numbers" },
    {
      says: "Bytes of another type, with a key and a header",
      line: "date | dogear publish notes --type text/plain --key today --header from=me",
    },
    { says: "Tomorrow, and of no use a minute later", line: "dogear publish reminders '\"tea\"' --delay 1d --ttl 1m" },
  ],
  next: 'See them arrive: "dogear help subscribe". Take back what is not due: "dogear help schedule cancel".',
  async run(values, [channel, data = "-", ...more], shell) {
    if (channel === undefined) throw new CommandError("usage", "publish needs a channel.");
    if (!isChannel(channel)) throw dogearError("invalid-channel", channel);
    noMore(more, "data is one word, in quotes where it has spaces.");
    const { type } = values;
    const options = request(values);
    const hub = new Hub(values, shell.env);
    if (data === "-" && shell.stdin.isTTY) shell.stderr.write("Reading from this terminal; Ctrl-D ends it.\n");

    const dogear = hub.connect();
    const send: Send = (payload) => dogear.publish(channel, payload, options);
    try {
      await hub.reach(dogear, shell.stop);
      if (data !== "-") await publishOne(send, isJsonType(type) ? jsonOrString(data) : Buffer.from(data), shell);
      else if (isJsonType(type)) await publishLines(send, dogear, shell, isScheduled(options));
      else await publishOne(send, await whole(input(shell), dogear.limits.messageBytesMax), shell);
    } finally {
      await dogear.close();
    }
  },
});

type Send = (payload: unknown) => Promise<Published | Scheduled>;

interface Asked {
  readonly key: string | undefined;
  readonly type: string | undefined;
  readonly header: readonly string[] | undefined;
  readonly delay: string | undefined;
  readonly at: string | undefined;
  readonly ttl: string | undefined;
}

function request({ key, type, header: given, delay, at, ttl }: Asked): PublishOptions | ScheduleOptions {
  if (delay !== undefined && at !== undefined) throw new CommandError("usage", "Either --delay or --at.");
  const options: PublishOptions = {
    ...(key !== undefined && { key }),
    ...(type !== undefined && { type }),
    ...(given && { headers: Object.fromEntries(given.map(header)) }),
    ...(ttl !== undefined && { ttlMs: milliseconds("ttl", ttl) }),
  };
  if (delay !== undefined) return { ...options, delayMs: milliseconds("delay", delay) };
  return at === undefined ? options : { ...options, deliverAt: moment("at", at) };
}

function isScheduled({ delayMs, deliverAt }: PublishOptions | ScheduleOptions): boolean {
  return delayMs !== undefined || deliverAt !== undefined;
}

function header(text: string): [string, string] {
  const [, name, value] = text.match(/^([^=]+)=(.*)$/s) ?? [];
  if (name !== undefined && value !== undefined) return [name, value];
  throw new CommandError("usage", `--header is a name=value, not ${JSON.stringify(text)}.`);
}

function input({ stdin, stop }: Shell): Readable {
  return addAbortSignal(stop, stdin);
}

function jsonOrString(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return data;
  }
}

async function publishOne(send: Send, payload: unknown, shell: Shell): Promise<void> {
  const answer = await Promise.race([send(payload), stopped(shell)]);
  if (!answer) throw new Interrupted(shell.stop.reason.signal, "the hub has not confirmed the message");
  const { duplicate, durability } = answer;
  const what = "id" in answer ? { id: answer.id, due: answer.due } : { epoch: answer.epoch, offset: answer.offset };
  shell.stdout.write(`${JSON.stringify({ ...what, duplicate, durability })}\n`);
}

/** Publishes until the end of the input, or what is wrong with it; and then says what was published, either way. */
async function publishLines(send: Send, dogear: Dogear, shell: Shell, later: boolean): Promise<void> {
  const drafts = new Drafts();
  const hideProgress = showProgress(
    shell.stderr,
    pace(() => drafts.confirmed),
  );
  const stop = stopped(shell);
  let wrong: unknown;
  try {
    for await (const { number, text } of lines(
      input(shell),
      dogear.limits.frameBytesMax ?? defaultLimits.frameBytesMax,
    )) {
      if (text.trim() === "") continue;
      drafts.add(number, text.length, send(json(number, text)));
      if (drafts.full) await Promise.race([drafts.room(), stop]);
      if (drafts.refused) break;
    }
  } catch (error) {
    wrong = error;
  }
  await Promise.race([drafts.answered(), stop]);
  // What a signal has left unanswered is given a little time.
  if (shell.stop.aborted) await dogear.close();
  hideProgress();
  shell.stdout.write(`${JSON.stringify(summary(drafts, later))}\n`);
  complain(drafts, wrong, shell.stop);
}

/** What was confirmed: where the first and the last are in the log, or when they are due. */
function summary({ confirmed, first, last }: Drafts, later: boolean): object {
  const place = (answer = first): number | null => (answer ? ("due" in answer ? answer.due : answer.offset) : null);
  if (later) return { scheduled: confirmed, firstDue: place(), lastDue: place(last) };
  return { published: confirmed, first: place(), last: place(last) };
}

function json(number: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CommandError("data", `Line ${number} is not JSON: ${(cause as Error).message}.`, { cause });
  }
}

/** Throws what kept the input from being published. */
function complain({ confirmed, taken, refused }: Drafts, wrong: unknown, stop: AbortSignal): void {
  if (stop.aborted) {
    throw new Interrupted(stop.reason.signal, `the hub has confirmed ${confirmed} of the ${taken} messages read`);
  }
  const so = `Messages published: ${confirmed}.`;
  if (refused?.error instanceof DogearError) {
    throw new CommandError("refused", `Line ${refused.line}: ${refusal(refused.error)} ${so}`);
  }
  if (refused) throw refused.error;
  if (wrong instanceof CommandError) throw new CommandError(wrong.exit, `${wrong.message} ${so}`);
  if (wrong) throw wrong;
}
