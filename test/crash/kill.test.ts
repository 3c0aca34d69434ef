/**
 * The hub is killed again and again under load, now and then asked to stop, and some of its clients are killed as well.
 * Each process is a real one and keeps a history of what it did and saw; in the end the checker holds all of them to
 * what the log holds.
 *
 * `CRASH_SEED` repeats a run's choices, `CRASH_KILLS` makes it longer.
 */
import { setTimeout as after } from "node:timers/promises";
import { expect, onTestFailed, test } from "vitest";
import { explain } from "../checker/checker.ts";
import { figure } from "../support/figures.ts";
import { seeded } from "../support/seeded.ts";
import { Cast } from "./cast.ts";
import { OneHub } from "./one-hub.ts";
import { verdictOn } from "./verdict.ts";

const kills = Number(process.env.CRASH_KILLS ?? 14);
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);

/** It takes half a minute; on a busy machine, more. */
const timeoutMs = 60_000 + kills * 3_000;

test(
  `keeps its promises while the hub is killed ${kills} times under load (G1 to G11, G13)`,
  async () => {
    onTestFailed(() => console.error(`Repeat it with CRASH_SEED=${seed}`));
    const random = seeded(seed);
    const hub = await OneHub.start();
    const cast = await Cast.start({ url: hub.url, random, publishers: 4, inFlight: 50 });
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
      if (kill % 10 === 5) await hub.restart("SIGTERM");
      await Promise.all([hub.restart("SIGKILL"), ...restarts]);
    }
    await cast.progressed();
    await cast.finish();

    const { violations, summary } = await verdictOn(cast, "disk");
    console.log(`${kills} kills, ${summary}`);
    figure("random kills", kills);
    expect(explain(violations)).toBe("");
    expect([...cast.complaints, ...hub.complaints]).toEqual([]);
  },
  timeoutMs,
);
