/** Subscribes, durably where it has a name, and now and then begins anew. */
import type { Message, Subscription } from "@dogear/client";
import type { Pattern } from "@dogear/shared";
import { codeOf, type Play, type Process } from "./process.ts";
import { contentOf, type Data } from "./recorder.ts";

export function subscribe(patterns: readonly string[], subscriber: string | undefined): Play {
  return (process) => {
    for (const pattern of patterns) void keepSubscribed(process, pattern as Pattern, subscriber);
  };
}

async function keepSubscribed(process: Process, pattern: Pattern, subscriber: string | undefined): Promise<void> {
  const { machine, world } = process;
  const { timeline } = world;
  for (let count = 1; ; count++) {
    const ending = new AbortController();
    const subscription = `${pattern} ${count}`;
    const ended = subscribeOnce(process, { pattern, subscriber, subscription, signal: ending.signal });
    const anew = async (): Promise<boolean> => {
      await machine.sleep(timeline.between(2_000, 20_000));
      return world.loading;
    };
    const isToEnd = world.resubscribes && (await Promise.race([anew(), ended.then(() => false)]));
    if (isToEnd) ending.abort();
    const error = await ended;
    world.recorder.tell(machine, { op: "subscribe", kind: "fail", subscription, error });
    if (!isToEnd) {
      if (error !== "taken-over" || !process.hasRival) world.complain(`${machine.name} lost ${pattern}: ${error}`);
      return;
    }
    await machine.sleep(timeline.random() * 500);
  }
}

interface Subscribing {
  readonly pattern: Pattern;
  readonly subscriber: string | undefined;
  readonly subscription: string;
  readonly signal: AbortSignal;
}

/** Resolves with what ended it. */
async function subscribeOnce(
  process: Process,
  { pattern, subscriber, subscription, signal }: Subscribing,
): Promise<string> {
  const { machine, world, dogear } = process;
  const { timeline, recorder } = world;
  const tell: typeof recorder.tell = (machine, happened) => {
    if (!signal.aborted) recorder.tell(machine, happened);
  };
  const fromEarliest = subscriber !== "some";
  const slowMs = timeline.chance(0.2) ? 300 : 20;
  tell(machine, { op: "subscribe", kind: "invoke", subscription, pattern, subscriber, fromEarliest });
  const handler = async (message: Message): Promise<void> => {
    const { epoch, offset, channel, key } = message;
    const place = { subscription, epoch, offset };
    tell(machine, { op: "deliver", kind: "invoke", ...place, ...contentOf(channel, message.data as Data, key) });
    if (timeline.chance(0.7)) await machine.sleep(timeline.random() * slowMs);
    recorder.tell(machine, { op: "deliver", kind: "ok", ...place });
  };
  const open: Subscription = dogear.subscribe(
    pattern,
    {
      cursor: subscriber !== undefined,
      from: fromEarliest ? "earliest" : "latest",
      onGap: "continue",
      window: { messages: 2 + timeline.below(30), bytes: 1_024 + timeline.below(8_192) },
      signal,
    },
    handler,
  );
  open.addEventListener("subscribed", ({ detail: { position } }) =>
    tell(machine, { op: "subscribe", kind: "ok", subscription, ...position }),
  );
  open.addEventListener("gap", ({ detail: { from, to, reason, position } }) =>
    tell(machine, { op: "gap", kind: "info", subscription, from, to, reason, ...position }),
  );
  return open.ended.then(() => "unsubscribed", codeOf);
}
