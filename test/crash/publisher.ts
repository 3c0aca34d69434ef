/** A process that publishes as it is answered, and notes what it did. SIGTERM ends it once all is answered. */
import { connect } from "@dogear/client";
import { HistoryWriter } from "../checker/history.ts";
import { seeded } from "../support/seeded.ts";
import { backoff, type PublisherTask } from "./load.ts";
import { publishUntil } from "./roles.ts";

const task = JSON.parse(process.argv[2] as string) as PublisherTask;
const notes = new HistoryWriter(task.history, task.process);
const dogear = connect(task.url, { backoff });
let stopping = false;

dogear.addEventListener("error", ({ detail }) => {
  throw detail.error;
});
process.once("SIGTERM", () => {
  stopping = true;
});
console.log("started");
await publishUntil(() => stopping, { dogear, notes, random: seeded(task.seed) }, task);
await dogear.close();
notes.close();
