/** How much each user takes of the hub, over all its sessions and requests, against how much it may. */
import type { Limits } from "@dogear/shared";
import type { Clock } from "../runtime/clock.ts";
import { Bucket } from "./bucket.ts";
import type { UserLimits } from "./policy.ts";
import type { Principal } from "./principal.ts";

/** What one user takes. Whoever is refused says so to the client; that a limit was hit is noted here. */
export interface Quota {
  /** A session begins, if there may be one more; `disconnect` when it ends. */
  connect(): boolean;
  disconnect(): void;
  /** A subscription or a member, likewise. */
  subscribe(): boolean;
  unsubscribe(): void;
  /** A draft of so many bytes, if there may be one now. */
  publish(bytes: number): boolean;
  /** So many bytes were read for a subscription that catches up. */
  replayed(bytes: number): void;
  /** Milliseconds until the user's subscriptions may read again; 0 where they may. */
  replayWaitMs(): number;
}

export type LimitHit = (limit: keyof Limits) => void;

/** Of the hub's own machine nothing is counted. */
const unlimited: Quota = {
  connect: () => true,
  disconnect: () => {},
  subscribe: () => true,
  unsubscribe: () => {},
  publish: () => true,
  replayed: () => {},
  replayWaitMs: () => 0,
};

/** Users who do nothing now are remembered up to this many, and then forgotten together. */
const idleMax = 10_000;

export class Quotas {
  readonly #limits: UserLimits;
  readonly #clock: Clock;
  readonly #hit: LimitHit;
  readonly #users = new Map<string, UserQuota>();
  #sweepAt = idleMax;

  constructor(limits: UserLimits, clock: Clock, hit: LimitHit) {
    this.#limits = limits;
    this.#clock = clock;
    this.#hit = hit;
  }

  of({ user, limits }: Principal): Quota {
    if (limits === "none") return unlimited;
    let quota = this.#users.get(user);
    if (quota === undefined) {
      if (this.#users.size >= this.#sweepAt) this.#sweep();
      quota = new UserQuota({ ...this.#limits, ...limits }, this.#clock, this.#hit);
      this.#users.set(user, quota);
    }
    return quota;
  }

  #sweep(): void {
    for (const [user, quota] of this.#users) if (quota.isIdle) this.#users.delete(user);
    this.#sweepAt = Math.max(idleMax, 2 * this.#users.size);
  }
}

class UserQuota implements Quota {
  readonly #limits: UserLimits;
  readonly #clock: Clock;
  readonly #hit: LimitHit;
  readonly #publishes: Bucket;
  readonly #publishBytes: Bucket;
  readonly #replayBytes: Bucket;
  #connections = 0;
  #subscriptions = 0;

  constructor(limits: UserLimits, clock: Clock, hit: LimitHit) {
    const now = clock.monotonic();
    this.#limits = limits;
    this.#clock = clock;
    this.#hit = hit;
    this.#publishes = new Bucket(limits.userPublishesPerSecondMax, now);
    this.#publishBytes = new Bucket(limits.userPublishBytesPerSecondMax, now);
    this.#replayBytes = new Bucket(limits.userReplayBytesPerSecondMax, now);
  }

  /** Whether forgetting it changes nothing. */
  get isIdle(): boolean {
    const now = this.#clock.monotonic();
    const buckets = [this.#publishes, this.#publishBytes, this.#replayBytes];
    return this.#connections === 0 && this.#subscriptions === 0 && buckets.every((bucket) => bucket.isFull(now));
  }

  connect(): boolean {
    if (this.#connections >= this.#limits.userConnectionsMax) return this.#refuse("userConnectionsMax");
    this.#connections++;
    return true;
  }

  disconnect(): void {
    this.#connections--;
  }

  subscribe(): boolean {
    if (this.#subscriptions >= this.#limits.userSubscriptionsMax) return this.#refuse("userSubscriptionsMax");
    this.#subscriptions++;
    return true;
  }

  unsubscribe(): void {
    this.#subscriptions--;
  }

  publish(bytes: number): boolean {
    const now = this.#clock.monotonic();
    if (this.#publishBytes.waitMs(now) > 0) return this.#refuse("userPublishBytesPerSecondMax");
    if (!this.#publishes.take(1, now)) return this.#refuse("userPublishesPerSecondMax");
    this.#publishBytes.owe(bytes, now);
    return true;
  }

  replayed(bytes: number): void {
    this.#replayBytes.owe(bytes, this.#clock.monotonic());
  }

  replayWaitMs(): number {
    const waitMs = this.#replayBytes.waitMs(this.#clock.monotonic());
    if (waitMs > 0) this.#hit("userReplayBytesPerSecondMax");
    return waitMs;
  }

  #refuse(limit: keyof Limits): false {
    this.#hit(limit);
    return false;
  }
}
