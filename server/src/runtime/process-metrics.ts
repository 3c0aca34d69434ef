/** What concerns the process and not one hub of it. It is watched once, however many hubs live in the process. */
import { collectDefaultMetrics, Registry } from "prom-client";

/** They walk through every connection at each look; sessions are counted anyway. */
const tooDear = [
  "nodejs_active_handles",
  "nodejs_active_handles_total",
  "nodejs_active_requests",
  "nodejs_active_requests_total",
  "nodejs_active_resources",
  "nodejs_active_resources_total",
];

/** They are no numbers where two looks follow each other closely. */
const undefinedAtTimes = [
  "nodejs_eventloop_lag_min_seconds",
  "nodejs_eventloop_lag_mean_seconds",
  "nodejs_eventloop_lag_stddev_seconds",
];

let watched: Registry | undefined;

/** CPU, memory, descriptors, garbage collection and the event loop's delay, under the names that Node programs give them. */
export function processRegistry(): Registry {
  if (watched !== undefined) return watched;
  watched = new Registry();
  collectDefaultMetrics({ register: watched, eventLoopMonitoringPrecision: 20 });
  for (const name of [...tooDear, ...undefinedAtTimes]) watched.removeSingleMetric(name);
  return watched;
}
