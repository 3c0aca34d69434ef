/**
 * The hub is killed again and again under load, now and then asked to stop, and some of its clients are killed as well.
 * Each process is a real one and keeps a history of what it did and saw; in the end the checker holds all of them to
 * what the log holds.
 *
 * `DOGEAR_SEED` repeats a run's choices, `DOGEAR_KILLS` makes it longer.
 */
import { setTimeout as after } from "node:timers/promises";
import { matcher, type Offset } from "@dogear/shared";
import { expect, onTestFailed, test } from "vitest";
import { check, type LoggedMessage } from "../support/checker.ts";
import { checkGroups } from "../support/group-checker.ts";
import type { HistoryEvent } from "../support/history.ts";
import { Cast } from "./cast.ts";
import { crew, namespaces, seeded } from "./load.ts";

const kills = Number(process.env.DOGEAR_KILLS ?? 20);
const seed = Number(process.env.DOGEAR_SEED ?? Date.now() % 1_000_000);

/** It takes half a minute; on a busy machine, more. */
const timeoutMs = 60_000 + kills * 3_000;

test(
  `keeps its promises while the hub is killed ${kills} times under load (G1 to G11, G13)`,
  async () => {
    onTestFailed(() => console.error(`Repeat it with DOGEAR_SEED=${seed}`));
    const random = seeded(seed);
    const cast = await Cast.start(random);
    for (let kill = 1; kill <= kills; kill++) {
      await cast.progressed();
      const restarts: Promise<void>[] = [];
      if (kill % 5 === 2) restarts.push(cast.restartPublisher());
      if (kill % 4 === 1) restarts.push(cast.restartSubscriber());
      if (kill % 3 === 0) restarts.push(cast.restartWorker());
      if (kill % 7 === 4) restarts.push(cast.freezeWorker());
      // Not a wait for anything: this moment is the fault.
      await after(30 + random() * 370);
      // Asked to stop under load, it must keep the same promises.
      if (kill % 10 === 5) await cast.restartHub("SIGTERM");
      await Promise.all([cast.restartHub("SIGKILL"), ...restarts]);
    }
    await cast.progressed();
    await cast.finish();

    const events = cast.history();
    const log = await cast.readLog();
    const violations = [
      ...check({ namespaces, events, log, finishers: cast.finishers }),
      ...checkGroups({ events, deadLetters: await cast.readDeadLetters(), work: new Map([[group, workIn(log)]]) }),
    ];
    console.log(`${kills} kills, ${summary(events)}, violations ${violations.length}`);
    expect(violations.slice(0, 20), `${violations.length} violations`).toEqual([]);
    expect(cast.complaints).toEqual([]);
  },
  timeoutMs,
);

const { group } = crew.options;

/** The messages that the group had to settle. */
function workIn(log: readonly LoggedMessage[]): Offset[] {
  const isWork = matcher(crew.pattern);
  return log.filter(({ channel }) => isWork(channel)).map(({ offset }) => offset);
}

function summary(events: readonly HistoryEvent[]): string {
  const count = (op: string, kind: string) => events.filter((event) => event.op === op && event.kind === kind).length;
  const published = count("publish", "invoke");
  const [acknowledged, refused] = [count("publish", "ok"), count("publish", "fail")];
  const unknown = published - acknowledged - refused;
  return (
    `${published} published: ${acknowledged} acknowledged, ${refused} refused, ${unknown} unknown; ` +
    `${count("deliver", "invoke")} deliveries; ${count("lease", "invoke")} leases, ${count("settle", "ok")} settled`
  );
}
