/**
 * The hub is asked to stop while everybody is at work, and one of its clients does not read any more. It must keep the promises
 * that it keeps when it is killed, and come to its end all the same, with nothing to complain of.
 *
 * `CRASH_ROUNDS` makes it longer, `CRASH_SEED` repeats a run's choices.
 */
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { expect, onTestFailed, test } from "vitest";
import { explain } from "../checker/violation.ts";
import { Clients } from "../disk/clients.ts";
import { open } from "../support/bare-socket.ts";
import { figure } from "../support/figures.ts";
import { hubOf, launchHub } from "../support/hub-process.ts";
import { freePorts } from "../support/ports.ts";
import { seeded } from "../support/seeded.ts";
import { temporaryFolder } from "../support/temp.ts";

const stops = 3 * Number(process.env.CRASH_ROUNDS ?? 1);
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);

/** However much is under way, this is all the time there is to finish it. */
const config = { limits: { drainMs: 500 } };

test(
  `keeps its promises while it is stopped ${stops} times under load, and ends each time (G1 to G11, G13)`,
  async () => {
    onTestFailed(() => console.error(`Repeat it with CRASH_SEED=${seed}`));
    const random = seeded(seed);
    const data = join(temporaryFolder(), "data");
    const [port] = (await freePorts(1)) as [number];
    const url = `ws://127.0.0.1:${port}`;
    const clients = new Clients(url);
    const done = new AbortController();
    const load = publishUntil(clients, done.signal);
    for (let stop = 0; stop < stops; stop++) {
      const hub = await hubOf(launchHub({ data, port, config }));
      await startFrozen(url);
      const { acknowledged } = clients;
      await acknowledged.reach(acknowledged.items.length + 20);
      // Not a wait for anything: this moment is the fault.
      await after(random() * 200);
      expect(await hub.stop(), hub.process.stderr).toEqual({ code: 0, signal: null });
      expect(hub.process.stderr).not.toMatch(/"level":"error"/);
    }
    const hub = await hubOf(launchHub({ data, port, config }));
    done.abort();
    await load;
    await clients.finish();
    figure("stops under load", stops);
    expect(explain(clients.violations())).toBe("");
    await clients.close();
    await hub.stop();
  },
  60_000 + stops * 5_000,
);

async function publishUntil(clients: Clients, done: AbortSignal): Promise<void> {
  while (!done.aborted) await clients.publish(20, 1_000);
}

/** Subscribes to everything, and reads none of it. */
async function startFrozen(url: string): Promise<void> {
  const socket = await open(url);
  const window = { messages: 10_000, bytes: 16 * 1_024 * 1_024 };
  socket.send([
    { is: "hello", protocol: 1 },
    { is: "subscribe", subscription: 1, pattern: ">", from: "earliest", window },
  ]);
  await socket.next("subscribed");
  socket.pause();
}
