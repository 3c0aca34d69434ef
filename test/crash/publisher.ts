/** A process that publishes as fast as it is answered, and notes what it did. SIGTERM ends it once all is answered. */
import { connect, type DogearError } from "@dogear/client";
import { HistoryWriter } from "../support/history.ts";
import { anyDrafts, backoff, contentOf, type PublisherTask, seeded } from "./load.ts";

/** Refused for what they are, or before they were sent; after any other error nobody knows. */
const definite = ["message-too-large", "payload-too-deep", "invalid-payload", "invalid-channel", "queue-full"];

const task = JSON.parse(process.argv[2] as string) as PublisherTask;
const history = new HistoryWriter(task.history, task.process);
const drafts = anyDrafts(task.process, seeded(task.seed));
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
  while (!stopping) await publish();
}

async function publish(): Promise<void> {
  const draft = drafts.next().value;
  const content = contentOf(draft);
  history.write({ op: "publish", kind: "invoke", ...content });
  try {
    const { epoch, offset } = await dogear.publish(draft.channel, draft.data, draft.options);
    history.write({ op: "publish", kind: "ok", draft: content.draft, epoch, offset });
  } catch (error) {
    const { code } = error as DogearError;
    const kind = definite.includes(code) ? "fail" : "info";
    history.write({ op: "publish", kind, draft: content.draft, error: code });
    // Only what the hub can never take is refused to a publisher that is patient.
    if (kind === "info") throw error;
  }
}
