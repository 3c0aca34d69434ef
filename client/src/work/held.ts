/** The leases of one member, in the order in which they came: those that wait, and those that are worked on. */
import type { Offset } from "@dogear/shared";
import type { Lease } from "./lease.ts";

export class Held {
  /** A message is leased to one member at a time, so that here no offset is there twice. */
  readonly #byOffset = new Map<Offset, Lease>();
  readonly #byFence = new Map<number, Lease>();
  /** Not begun, the oldest first. */
  readonly #waiting = new Set<Lease>();

  get size(): number {
    return this.#byOffset.size;
  }

  get offsets(): Offset[] {
    return [...this.#byOffset.keys()];
  }

  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** A copy: what is done with them may change which there are. */
  all(): Lease[] {
    return [...this.#byOffset.values()];
  }

  at(offset: Offset): Lease | undefined {
    return this.#byOffset.get(offset);
  }

  under(fence: number): Lease | undefined {
    return this.#byFence.get(fence);
  }

  add(lease: Lease): void {
    this.#byOffset.set(lease.message.offset, lease);
    this.#byFence.set(lease.fence, lease);
    this.#waiting.add(lease);
  }

  delete(lease: Lease): void {
    this.#byOffset.delete(lease.message.offset);
    this.#byFence.delete(lease.fence);
    this.#waiting.delete(lease);
  }

  /** A lease is held under a new fence. */
  resume(lease: Lease, fence: number): void {
    this.#byFence.delete(lease.fence);
    this.#byFence.set(fence, lease);
    lease.resume(fence);
  }

  /** The next to be begun. */
  take(): Lease | undefined {
    const [next] = this.#waiting;
    if (next) this.#waiting.delete(next);
    return next;
  }
}
