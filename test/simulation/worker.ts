/** Works in a group, and settles each message one way or another. */
import type { LeasedMessage } from "@dogear/client";
import type { GroupPolicy, Pattern } from "@dogear/shared";
import type { Play, Process } from "./process.ts";

export const group = "crew";
export const groupPattern = "jobs.>" as Pattern;

export function work(policy: Partial<GroupPolicy>): Play {
  return (process) => {
    const { machine, world } = process;
    workOn(process, policy).catch((error: unknown) => {
      if (machine.alive) world.complain(`${machine.name} left: ${String(error)}`);
    });
  };
}

async function workOn(process: Process, policy: Partial<GroupPolicy>): Promise<void> {
  const { machine, world, dogear } = process;
  const { timeline, recorder } = world;
  const window = 1 + timeline.below(8);
  const slowMs = timeline.chance(0.2) ? 3_000 : 100;
  for await (const message of dogear.work(groupPattern, { group, window, ...policy })) {
    const { epoch, offset, deliveries, failures } = message;
    recorder.tell(machine, { op: "lease", kind: "invoke", group, epoch, offset, deliveries, failures });
    void handle(process, message, slowMs);
  }
}

async function handle({ machine, world }: Process, message: LeasedMessage, slowMs: number): Promise<void> {
  const { timeline, recorder } = world;
  const { epoch, offset, deliveries } = message;
  if (timeline.chance(0.7)) await machine.sleep(timeline.random() * slowMs);
  const outcome = anyOutcome(timeline.random());
  const settle = { op: "settle", group, epoch, offset, deliveries, outcome } as const;
  recorder.tell(machine, { ...settle, kind: "invoke" });
  try {
    await message[outcome]();
    recorder.tell(machine, { ...settle, kind: "ok" });
  } catch {
    // It was lost by then, or nobody can know.
    recorder.tell(machine, { ...settle, kind: "info" });
  }
}

function anyOutcome(chance: number): "ack" | "retry" | "reject" | "release" {
  return chance < 0.8 ? "ack" : chance < 0.9 ? "retry" : chance < 0.94 ? "reject" : "release";
}
