/** Publishes, some of it later, and takes some of that back. */
import type { Channel } from "@dogear/shared";
import { codeOf, type Process } from "./process.ts";
import { contentOf, type Data } from "./recorder.ts";

const channels = ["orders.eu", "orders.us", "sensors.hall.t", "metrics.cpu", "metrics.disk", "jobs.a", "jobs.b"];

/** As long as there is to be load, a few drafts at a time. */
export async function publish(process: Process): Promise<void> {
  const { machine, world } = process;
  const { timeline } = world;
  const inFlightMax = 1 + timeline.below(8);
  const restMs = timeline.between(20, 400);
  for (let count = 0; world.loading; ) {
    await machine.sleep(timeline.random() * restMs);
    if (process.unanswered < inFlightMax && world.loading) void publishOne(process, `${machine.name}/${++count}`);
  }
}

async function publishOne(process: Process, draft: string): Promise<void> {
  const { machine, world, dogear } = process;
  const { timeline } = world;
  const channel = timeline.pick(channels) as Channel;
  const data: Data = {
    draft,
    padding: "x".repeat(timeline.chance(0.05) ? timeline.below(3_000) : timeline.below(100)),
  };
  const key = timeline.chance(0.6) ? `k${timeline.below(3)}` : undefined;
  const delayMs = world.schedules && timeline.chance(0.1) ? timeline.below(4_000) : undefined;
  const op = delayMs === undefined ? "publish" : "schedule";
  process.unanswered++;
  world.recorder.tell(machine, { op, kind: "invoke", ...contentOf(channel, data, key) });
  try {
    const options = { ...(key !== undefined && { key }) };
    if (delayMs === undefined) {
      const { epoch, offset, durability } = await dogear.publish(channel, data, options);
      world.recorder.tell(machine, { op: "publish", kind: "ok", draft, epoch, offset, durability });
    } else {
      const { id, due } = await dogear.publish(channel, data, { ...options, delayMs });
      world.lastDue = Math.max(world.lastDue, due);
      world.recorder.tell(machine, { op: "schedule", kind: "ok", draft });
      if (timeline.chance(0.2)) await cancel(process, draft, id);
    }
  } catch (error) {
    const code = codeOf(error);
    // There is no room for it: little is kept in `metrics`.
    const isRefused = code === "too-many-scheduled";
    world.recorder.tell(machine, { op, kind: isRefused ? "fail" : "info", draft, error: code });
    // Retention has taken the message that could tell.
    const isForgotten = code === "outcome-unknown" && channel.startsWith("metrics.");
    if (machine.alive && !isRefused && !isForgotten) world.complain(`${draft} to ${channel} was refused with ${code}`);
  } finally {
    process.unanswered--;
  }
}

async function cancel({ machine, world, dogear }: Process, draft: string, id: string): Promise<void> {
  // From now on it may be taken back, also where nobody hears of it.
  world.recorder.tell(machine, { op: "schedule", kind: "info", draft, error: "is to be cancelled" });
  try {
    await dogear.cancel(id);
    world.recorder.tell(machine, { op: "schedule", kind: "fail", draft, error: "cancelled" });
  } catch (error) {
    // It was due by then, or an earlier try has cancelled it.
    world.recorder.tell(machine, { op: "schedule", kind: "info", draft, error: codeOf(error) });
    const passing = ["not-scheduled", "disk-full", "unavailable"];
    if (machine.alive && !passing.includes(codeOf(error)))
      world.complain(`the schedule of ${draft} met ${codeOf(error)}`);
  }
}
