/** A process that works in a group, settles each message in one way or another, and notes what it was given. */
import { connect } from "@dogear/client";
import { HistoryWriter } from "../checker/history.ts";
import { seeded } from "../support/seeded.ts";
import { backoff, type WorkerTask } from "./load.ts";
import { work } from "./roles.ts";

const task = JSON.parse(process.argv[2] as string) as WorkerTask;
const notes = new HistoryWriter(task.history, task.process);
const dogear = connect(task.url, { backoff });

dogear.addEventListener("error", ({ detail }) => {
  throw detail.error;
});
const { worker, done } = work(dogear, notes, seeded(task.seed));
process.once("SIGTERM", () => void worker.leave());
console.log("started");
await done;
await dogear.close();
notes.close();
