/**
 * When leases run out. Nearly all last equally long, and then the order in which they began is the order in which
 * they run out: a queue for each length, from which any lease can be taken without a search.
 */
import type { Item, Lease } from "./item.ts";

export class Deadlines {
  /** By length; each in the order in which the leases began. */
  readonly #queues = new Map<number, Map<number, Item>>();

  /** When the first of them runs out. */
  get next(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const queue of this.#queues.values()) {
      const [first] = queue.values();
      next = Math.min(next, first?.lease?.until ?? next);
    }
    return next;
  }

  /** A message's lease begins now. */
  start(item: Item, lease: Lease, now: number): void {
    lease.until = now + lease.leaseMs;
    let queue = this.#queues.get(lease.leaseMs);
    if (queue === undefined) {
      queue = new Map();
      this.#queues.set(lease.leaseMs, queue);
    }
    queue.set(lease.fence, item);
  }

  stop({ fence, leaseMs }: Lease): void {
    const queue = this.#queues.get(leaseMs);
    queue?.delete(fence);
    if (queue?.size === 0) this.#queues.delete(leaseMs);
  }

  /** The messages whose leases have run out. */
  expired(now: number): readonly Item[] {
    const expired: Item[] = [];
    for (const queue of this.#queues.values()) {
      for (const item of queue.values()) {
        if ((item.lease as Lease).until > now) break;
        expired.push(item);
      }
    }
    return expired;
  }
}
