/** A process that works in a group, settles each message in one way or another, and notes what it was given. */
import { setImmediate as turn } from "node:timers/promises";
import { connect, type LeasedMessage } from "@dogear/client";
import { HistoryWriter } from "../checker/history.ts";
import { backoff, crew, seeded, type WorkerTask } from "./load.ts";

const task = JSON.parse(process.argv[2] as string) as WorkerTask;
const random = seeded(task.seed);
const history = new HistoryWriter(task.history, task.process);
const dogear = connect(task.url, { backoff });

dogear.addEventListener("error", ({ detail }) => {
  throw detail.error;
});
const worker = dogear.work(crew.pattern, { window: 16, ...crew.options });
process.once("SIGTERM", () => void worker.leave());
console.log("started");
for await (const message of worker) {
  const { epoch, offset, deliveries, failures } = message;
  history.write({ op: "lease", kind: "invoke", group: crew.options.group, epoch, offset, deliveries, failures });
  void handle(message);
}
await dogear.close();
history.close();

async function handle(message: LeasedMessage): Promise<void> {
  const { epoch, offset, deliveries } = message;
  await turn();
  const outcome = anyOutcome();
  const settle = { op: "settle", group: crew.options.group, epoch, offset, deliveries, outcome } as const;
  history.write({ ...settle, kind: "invoke" });
  try {
    await message[outcome]();
    history.write({ ...settle, kind: "ok" });
  } catch {
    // It ran out, or the hub was killed before it could confirm.
    history.write({ ...settle, kind: "info" });
  }
}

function anyOutcome(): "ack" | "retry" | "reject" | "release" {
  const chance = random();
  return chance < 0.85 ? "ack" : chance < 0.93 ? "retry" : chance < 0.95 ? "reject" : "release";
}
