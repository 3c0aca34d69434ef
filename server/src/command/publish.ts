/** `dogear publish`: one message from the command line, or one for each line of standard input. */
import { addAbortSignal, type Readable } from "node:stream";
import { connect, type Dogear, DogearError, isChannel, type Published, type PublishOptions } from "@dogear/client";
import { dogearError, isJsonType } from "@dogear/shared";
import { type Command, command, type Shell, stopped } from "./command.ts";
import { Drafts } from "./drafts.ts";
import { Hub, hubOptions } from "./hub.ts";
import { lines, whole } from "./input.ts";
import { showProgress } from "./progress.ts";
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
  ],
  options: {
    key: { type: "string", value: "key", says: "what the message is about, such as the id of an order" },
    header: { type: "string", multiple: true, value: "name=value", says: "a header; may be given more than once" },
    type: { type: "string", value: "media-type", says: "the type of the data (default: application/json)" },
    ...hubOptions,
  },
  examples: [
    { says: "One message", line: `dogear publish sensors.kitchen.temperature '{"celsius":21.4}'` },
    { says: "A message for each line", line: "seq 1 1000 | dogear publish numbers" },
    {
      says: "Bytes of another type, with a key and a header",
      line: "date | dogear publish notes --type text/plain --key today --header from=me",
    },
  ],
  next: 'See them arrive: "dogear help subscribe".',
  async run(values, [channel, data = "-", ...more], shell) {
    if (channel === undefined) throw new CommandError("usage", "publish needs a channel.");
    if (!isChannel(channel)) throw dogearError("invalid-channel", channel);
    noMore(more, "data is one word, in quotes where it has spaces.");
    const { key, type, header: given } = values;
    const headers = given && Object.fromEntries(given.map(header));
    const options: PublishOptions = {
      ...(key !== undefined && { key }),
      ...(type !== undefined && { type }),
      ...(headers && { headers }),
    };
    const hub = new Hub(values, shell.env);
    if (data === "-" && shell.stdin.isTTY) shell.stderr.write("Reading from this terminal; Ctrl-D ends it.\n");

    const dogear = connect(hub.url);
    const send: Send = (payload) => dogear.publish(channel, payload, options);
    try {
      await hub.reach(dogear, shell.stop);
      if (data !== "-") await publishOne(send, isJsonType(type) ? jsonOrString(data) : Buffer.from(data), shell);
      else if (isJsonType(type)) await publishLines(send, dogear, shell);
      else await publishOne(send, await whole(input(shell), dogear.limits.messageBytesMax), shell);
    } finally {
      await dogear.close();
    }
  },
});

type Send = (payload: unknown) => Promise<Published>;

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
  const { epoch, offset, duplicate, durability } = answer;
  shell.stdout.write(`${JSON.stringify({ epoch, offset, duplicate, durability })}\n`);
}

/** Publishes until the end of the input, or what is wrong with it; and then says what was published, either way. */
async function publishLines(send: Send, dogear: Dogear, shell: Shell): Promise<void> {
  const drafts = new Drafts();
  const hideProgress = showProgress(shell.stderr, () => drafts.published);
  const stop = stopped(shell);
  let wrong: unknown;
  try {
    for await (const { number, text } of lines(input(shell), dogear.limits.frameBytesMax)) {
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
  const { published, first, last } = drafts;
  shell.stdout.write(`${JSON.stringify({ published, first, last })}\n`);
  complain(drafts, wrong, shell.stop);
}

function json(number: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CommandError("data", `Line ${number} is not JSON: ${(cause as Error).message}.`, { cause });
  }
}

/** Throws what kept the input from being published. */
function complain({ published, taken, refused }: Drafts, wrong: unknown, stop: AbortSignal): void {
  if (stop.aborted) {
    throw new Interrupted(stop.reason.signal, `the hub has confirmed ${published} of the ${taken} messages read`);
  }
  const confirmed = `Messages published: ${published}.`;
  if (refused?.error instanceof DogearError) {
    throw new CommandError("refused", `Line ${refused.line}: ${refusal(refused.error)} ${confirmed}`);
  }
  if (refused) throw refused.error;
  if (wrong instanceof CommandError) throw new CommandError(wrong.exit, `${wrong.message} ${confirmed}`);
  if (wrong) throw wrong;
}
