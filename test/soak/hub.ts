/**
 * The hub of a soak, in a process of its own: an embedded one, as its users start it, that beside its work tells whoever
 * started it how it is, over the channel between the two.
 *
 * So that it is proven that a soak finds leaks, this program can be told to leak; the hub in it knows nothing of that.
 */
import { openSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { jsonLogger, parseConfig, startServer } from "@dogear/server";
import type { HubSample, HubTask, Leak } from "./sampled-hub.ts";
import { countTimers } from "./timers.ts";

const { data, config, leak } = JSON.parse(process.argv[2] as string) as HubTask;
const delay = monitorEventLoopDelay({ resolution: 20 });
const timers = countTimers();
const collectGarbage = globalThis.gc as () => void;
const leaked: unknown[] = [];

const logger = jsonLogger({ level: "warn", destination: process.stderr });
const hub = await startServer({ data, port: 0, config: parseConfig(config), logger });
delay.enable();
if (leak !== undefined) setInterval(() => leakSome(leak), 100);
process.on("message", async () => process.send?.(await sample()));
process.once("SIGTERM", async () => {
  await hub.close();
  process.exit(0);
});
process.send?.({ url: hub.url });

async function sample(): Promise<HubSample> {
  collectGarbage();
  const { rss, heapUsed, external } = process.memoryUsage();
  const delayMs = delay.percentile(99) / 1e6;
  const delayMsMax = delay.max / 1e6;
  delay.reset();
  return { rss, heapUsed, external, timers: timers(), delayMs, delayMsMax, metrics: await hub.metrics.text() };
}

function leakSome(what: Leak): void {
  if (what === "memory") leaked.push(Array.from({ length: 1_000 }, (_, i) => ({ i })));
  else if (what === "timers") leaked.push(setTimeout(() => {}, 2 ** 30));
  else leaked.push(openSync("/dev/null", "r"));
}
