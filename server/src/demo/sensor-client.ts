/**
 * A program of its own: reads this machine's sensors once a second and publishes them to `sensors.<host>.<metric>`.
 *
 *     node sensor-client.js <url of the hub> [<host>]
 *
 * It goes on reading while the hub is away: readings wait in the SDK's queue, and none is lost.
 */
import { hostname } from "node:os";
import { setTimeout } from "node:timers/promises";
import { connect } from "@dogear/client";
import { type Reading, type Sensor, sensors } from "./sensors.ts";

const secondMs = 1_000;

/** Six hours of five sensors, for a hub that is away; after that, news is worth more than history. */
const queueMax = 5 * 6 * 60 * 60;

const [url, host = hostname()] = process.argv.slice(2);
if (url === undefined) {
  console.error("The sensor client needs the URL of a hub.");
  process.exit(2);
}

const level = host.replaceAll(/[^A-Za-z0-9_-]/g, "-");
const dogear = connect(url, { publish: { queueMax, whenFull: "drop-oldest" }, backoff: { capMs: 3_000 } });
const stopping = new AbortController();

for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => stopping.abort());
// The hub that started it is gone.
process.once("disconnect", () => stopping.abort());

const machine = [...sensors()];
for await (const time of seconds(stopping.signal)) {
  await Promise.all(machine.map(([metric, read]) => publish(metric, read, time)));
}
await dogear.close();
// The channel to a parent that is still there would keep the process alive.
process.exit();

/** Waits for the reading, but not for the hub, which may be away for hours. */
async function publish(metric: string, read: Sensor, time: number): Promise<void> {
  const figure = await read();
  if (figure === undefined) return;
  const reading: Reading = { ...figure, time };
  dogear.publish(`sensors.${level}.${metric}`, reading).catch((error: unknown) => {
    if (!stopping.signal.aborted) console.error(`A reading of ${metric} was not published: ${String(error)}`);
  });
}

/** Every whole second until it is told to stop. One that passed unseen, as in sleep, is not made up for. */
async function* seconds(signal: AbortSignal): AsyncGenerator<number, void, undefined> {
  let last = 0;
  while (!signal.aborted) {
    const now = Date.now();
    const next = now - (now % secondMs) + secondMs;
    // A timer may fire a little early, and the same second must not come twice.
    const time = next === last ? next + secondMs : next;
    await setTimeout(time - now, undefined, { signal }).catch(() => {});
    if (!signal.aborted) yield time;
    last = time;
  }
}
