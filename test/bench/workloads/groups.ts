/** Members of a group, each message settled. */
import { measured } from "../measure.ts";
import { Once } from "../sequence.ts";
import type { Worker } from "../system.ts";
import { fill, type Stage, Void, type Workload } from "./workload.ts";

/** Enough for the quickest, as long as it is measured. */
const waiting = 1_600_000;
const fillSeconds = 10;
/** Where fewer wait, they may all be settled before the last member has begun: it is measured from the start. */
const warmUpFrom = 400_000;
const bytes = 256;
const window = 100;
const measureS = 3;
const channel = "bench.work";

export const groups = (members: number): Workload => ({
  name: `groups-${members}`,
  says: `${members} members of one group, each with at most ${window} unsettled, ${waiting} messages of ${bytes} bytes waiting or as many as the system stored in ${fillSeconds} s`,
  needs: ["acknowledges", "groups"],
  limits: [],
  async run(stage) {
    const count = await fill(stage, channel, bytes, stage.size(waiting), fillSeconds);
    const firstClaim = await firstClaimMs(stage);
    const once = new Once();
    const workers: Worker[] = [];
    const begin = async (_: unknown, i: number) => {
      workers.push(await start(stage, `worker-${i}`, "bench", window, once));
    };
    const settled = () => workers.reduce((sum, worker) => sum + worker.settled, 0);
    const warmUpS = count < warmUpFrom ? 0 : 1;
    const done = () => settled() >= 0.98 * count;
    const [{ perSecond, load }] = await Promise.all([
      measured(stage.running.pids, settled, [warmUpS, measureS], done),
      ...Array.from({ length: members }, begin),
    ]);
    const fault = once.fault ?? workers.find((worker) => worker.fault !== undefined)?.fault;
    for (const worker of workers) worker.close();
    if (fault !== undefined) throw new Void(fault);
    if (perSecond === 0) throw new Void("all was settled before it was measured");
    return {
      "messages/s": { value: perSecond, unit: "messages/s" },
      ...load,
      "first claim ms": { value: firstClaim, unit: "ms" },
    };
  },
});

/** How long a new group's first member waits for its first message. */
async function firstClaimMs(stage: Stage): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 3; i++) {
    const begun = performance.now();
    const worker = await start(stage, "claimer", `claim-${i}`, 1, new Once());
    if (worker.settled === 0) {
      await new Promise<void>((resolve) => {
        worker.onTaken = resolve;
      });
    }
    times.push(performance.now() - begun);
    worker.close();
  }
  return times.sort((a, b) => a - b)[1] as number;
}

function start({ running }: Stage, name: string, group: string, window: number, once: Once): Promise<Worker> {
  const { worker } = running.client;
  if (worker === undefined) throw new Error("It says that it has groups, and has no workers.");
  return worker({ name, group, channel, window, once });
}
