/** How long messages live (P-46). */

/** The shorter of two times to live, each of which there may not be. */
export function shorter(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || (other !== undefined && other < one) ? other : one;
}

/**
 * The attribute of a message that lives so long from now on; nothing for one that lives for ever. It stands before all
 * others, so that whoever looks for it finds it without reading on.
 */
export function expiresAttribute(now: number, ttlMs: number | undefined): string {
  return ttlMs === undefined ? "" : `,"expires":${later(now, ttlMs)}`;
}

/** A time so much later, as far as a number can tell it exactly. */
export function later(now: number, ms: number): number {
  return Math.min(now + ms, Number.MAX_SAFE_INTEGER);
}
