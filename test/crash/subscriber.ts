/** A process that subscribes, handles each message in its own time, and notes what it was given. SIGTERM ends it. */
import { connect } from "@dogear/client";
import type { Pattern } from "@dogear/shared";
import { HistoryWriter } from "../checker/history.ts";
import { backoff, type SubscriberTask } from "./load.ts";
import { subscribe } from "./roles.ts";

const task = JSON.parse(process.argv[2] as string) as SubscriberTask;
const { subscriber } = task;
const notes = new HistoryWriter(task.history, task.process);
const dogear = connect(task.url, { backoff, ...(subscriber !== undefined && { subscriber }) });

dogear.addEventListener("error", ({ detail }) => {
  throw detail.error;
});
for (const pattern of task.patterns as readonly Pattern[]) {
  subscribe(dogear, notes, { pattern, subscriber, ended: () => console.log(`end of ${pattern}`) });
}
process.once("SIGTERM", async () => {
  await dogear.close();
  notes.close();
});
console.log("started");
