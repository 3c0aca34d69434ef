/** A process that publishes as it is answered, and notes what it did. SIGTERM ends it once all is answered. */
import { setTimeout as after } from "node:timers/promises";
import { connect, type DogearError, type PublishOptions, type ScheduleOptions } from "@dogear/client";
import { HistoryWriter } from "../checker/history.ts";
import { anyDrafts, backoff, contentOf, type LoadDraft, type PublisherTask, seeded } from "./load.ts";

/** Refused for what they are, or before they were sent; after any other error nobody knows. */
const definite = ["message-too-large", "payload-too-deep", "invalid-payload", "invalid-channel", "queue-full"];

const task = JSON.parse(process.argv[2] as string) as PublisherTask;
const history = new HistoryWriter(task.history, task.process);
const random = seeded(task.seed);
const drafts = anyDrafts(task, random);
const dogear = connect(task.url, { backoff });
let stopping = false;

dogear.addEventListener("error", ({ detail }) => {
  throw detail.error;
});
process.once("SIGTERM", () => {
  stopping = true;
});
console.log("started");
await Promise.all(Array.from({ length: task.inFlight }, publishOneByOne));
await dogear.close();
history.close();

async function publishOneByOne(): Promise<void> {
  while (!stopping) {
    await publish();
    if (task.restMsMax !== undefined) await after(random() * task.restMsMax);
  }
}

async function publish(): Promise<void> {
  const next = drafts.next().value;
  const { draft, ...content } = contentOf(next);
  const op = next.options.delayMs === undefined ? "publish" : "schedule";
  history.write({ op, kind: "invoke", draft, ...content });
  try {
    await (op === "publish" ? publishNow(draft, next) : schedule(draft, next));
  } catch (error) {
    const { code } = error as DogearError;
    const kind = definite.includes(code) ? "fail" : "info";
    history.write({ op, kind, draft, error: code });
    // Only what the hub can never take is refused to a publisher that is patient.
    if (kind === "info" || !next.isTooLong) throw error;
  }
}

async function publishNow(draft: string, { channel, data, options }: LoadDraft): Promise<void> {
  const { epoch, offset, durability } = await dogear.publish(channel, data, options as PublishOptions);
  history.write({ op: "publish", kind: "ok", draft, epoch, offset, durability });
}

async function schedule(draft: string, { channel, data, options }: LoadDraft): Promise<void> {
  await dogear.publish(channel, data, options as ScheduleOptions);
  history.write({ op: "schedule", kind: "ok", draft });
}
