/** How long a failed message waits (P-57). */
import type { Backoff } from "@dogear/shared";

/** Doubling more often than this leaves every range of milliseconds behind. */
const doublingsMax = 40;

/** The delay after so many failures, the last one included. `random` is from 0 up to, not including, 1. */
export function backoffMs({ type, minMs, maxMs, jitter }: Backoff, failures: number, random: number): number {
  const doublings = type === "fixed" ? 0 : Math.min(failures - 1, doublingsMax);
  const full = Math.min(minMs * 2 ** doublings, Math.max(minMs, maxMs));
  return Math.round(full * (1 - jitter * random));
}
