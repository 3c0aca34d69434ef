/** All workloads, in the order in which they are run and reported. */
import { catchUp } from "./catch-up.ts";
import { manyToMany, personal, wildcards } from "./channels.ts";
import { cursors } from "./cursors.ts";
import { fanOut } from "./fan-out.ts";
import { groups } from "./groups.ts";
import { growth } from "./growth.ts";
import { idle } from "./idle.ts";
import { latency } from "./latency.ts";
import { publish, publishIds } from "./publish.ts";
import { resumeStorm } from "./resume-storm.ts";
import { slowReader } from "./slow-reader.ts";
import type { Workload } from "./workload.ts";

export const workloads: readonly Workload[] = [
  publish(1),
  publish(256),
  publish(4_096),
  publishIds,
  latency,
  fanOut(10),
  fanOut(1_000),
  fanOut(10_000),
  manyToMany,
  personal,
  resumeStorm,
  catchUp,
  idle,
  groups(1),
  groups(8),
  groups(64),
  cursors,
  wildcards,
  slowReader,
  growth,
];
