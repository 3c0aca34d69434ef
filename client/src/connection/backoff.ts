/**
 * Exponential backoff with full jitter: after the n-th failure in a row, wait a random time below a ceiling that
 * doubles. Random from zero, because clients that lost the same hub at the same moment must not come back together.
 */

export interface Backoff {
  /** Ceiling of the first wait, in milliseconds. */
  readonly baseMs: number;
  /** Ceiling of every wait, in milliseconds. */
  readonly capMs: number;
}

/** The longest wait after this many failures before the last one. */
export function ceilingMs({ baseMs, capMs }: Backoff, failures: number): number {
  return Math.min(capMs, baseMs * 2 ** failures);
}
