/** A process that subscribes, handles each message in its own time, and notes what it was given. SIGTERM ends it. */
import { setTimeout as after } from "node:timers/promises";
import { connect, type Message } from "@dogear/client";
import type { Pattern } from "@dogear/shared";
import { HistoryWriter } from "../checker/history.ts";
import { backoff, content, type SubscriberTask } from "./load.ts";

/** Small, so that it is often full and often acknowledged. */
const window = { messages: 64 };

const task = JSON.parse(process.argv[2] as string) as SubscriberTask;
const { subscriber } = task;
const history = new HistoryWriter(task.history, task.process);
const dogear = connect(task.url, { backoff, ...(subscriber !== undefined && { subscriber }) });

dogear.addEventListener("error", ({ detail }) => {
  throw detail.error;
});
for (const pattern of task.patterns) subscribe(pattern as Pattern);
process.once("SIGTERM", async () => {
  await dogear.close();
  history.close();
});
console.log("started");

function subscribe(pattern: Pattern): void {
  const subscription = pattern;
  history.write({ op: "subscribe", kind: "invoke", subscription, pattern, subscriber, fromEarliest: true });
  const options = { cursor: subscriber !== undefined, from: "earliest", onGap: "continue", window } as const;
  const open = dogear.subscribe(pattern, options, async (message: Message) => {
    const { epoch, offset } = message;
    history.write({ op: "deliver", kind: "invoke", subscription, epoch, offset, ...content(message) });
    // Now and then so long that it falls behind.
    await (offset % 128 === 0 ? after(50) : new Promise(setImmediate));
    history.write({ op: "deliver", kind: "ok", subscription, epoch, offset });
    if (message.headers?.end) console.log(`end of ${pattern}`);
  });
  open.addEventListener("subscribed", ({ detail: { position } }) =>
    history.write({ op: "subscribe", kind: "ok", subscription, ...position }),
  );
  // There should be none; the checker knows what it hides.
  open.addEventListener("gap", ({ detail: { from, to, reason, position } }) =>
    history.write({ op: "gap", kind: "info", subscription, from, to, reason, ...position }),
  );
}
