/** All limits of this machine that are measured beside the systems. */
import { bytes, commits, flushes } from "./disk.ts";
import { batchedFanOut, sharedFrames } from "./fan-out.ts";
import type { Limit } from "./limit.ts";
import { loopback } from "./loopback.ts";

export const limits: readonly Limit[] = [
  commits,
  flushes,
  bytes,
  loopback,
  batchedFanOut(10),
  batchedFanOut(1_000),
  batchedFanOut(10_000),
  sharedFrames(1_000),
];
