/** What one user may take of the hub: reached, refused, noted, and free again. */
import { defaultLimits, type Limits } from "@dogear/shared";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Bucket } from "../../server/src/access/bucket.ts";
import type { Principal } from "../../server/src/access/principal.ts";
import { Quotas } from "../../server/src/access/quotas.ts";
import { VirtualClock } from "../hub/support.ts";

function principalOf(user: string, limits: Principal["limits"] = {}): Principal {
  return { user, limits, permissions: { may: () => false, mayAnywhere: () => false }, revocable: true };
}

function counting(limits: Partial<Limits> = {}) {
  const clock = new VirtualClock();
  const hits: (keyof Limits)[] = [];
  const quotas = new Quotas({ ...defaultLimits, ...limits }, clock, (limit) => hits.push(limit));
  return { quotas, clock, hits, quota: quotas.of(principalOf("ann")) };
}

describe("a user's", () => {
  it("sessions and subscriptions are counted over all of them, and may be others again when some have ended", () => {
    const { quotas, quota, hits } = counting({ userConnectionsMax: 2, userSubscriptionsMax: 2 });
    expect([1, 2, 3].map(() => quotas.of(principalOf("ann")).connect())).toEqual([true, true, false]);
    expect([1, 2, 3].map(() => quota.subscribe())).toEqual([true, true, false]);
    expect(quotas.of(principalOf("bob")).connect()).toBe(true);
    quota.disconnect();
    quota.unsubscribe();
    expect([quota.connect(), quota.subscribe(), quota.connect()]).toEqual([true, true, false]);
    expect(hits).toEqual(["userConnectionsMax", "userSubscriptionsMax", "userConnectionsMax"]);
  });

  it("drafts are so many in a second, and so many bytes (P-22)", async () => {
    const { quota, clock, hits } = counting({ userPublishesPerSecondMax: 10, userPublishBytesPerSecondMax: 1_000 });
    expect(Array.from({ length: 12 }, () => quota.publish(1)).filter(Boolean)).toHaveLength(10);
    expect(hits).toEqual(["userPublishesPerSecondMax", "userPublishesPerSecondMax"]);
    await clock.advance(1_000);
    // What is larger than a second's worth is let through, and paid for afterwards.
    expect([quota.publish(3_000), quota.publish(1)]).toEqual([true, false]);
    expect(hits.at(-1)).toBe("userPublishBytesPerSecondMax");
    await clock.advance(1_900);
    expect(quota.publish(1)).toBe(false);
    await clock.advance(200);
    expect(quota.publish(1)).toBe(true);
  });

  it("catching up waits as long as it owes, and no longer", async () => {
    const { quota, clock, hits } = counting({ userReplayBytesPerSecondMax: 1_000 });
    quota.replayed(900);
    expect(quota.replayWaitMs()).toBe(0);
    quota.replayed(1_100);
    const waitMs = quota.replayWaitMs();
    expect(waitMs).toBeGreaterThan(900);
    expect(hits).toEqual(["userReplayBytesPerSecondMax"]);
    await clock.advance(waitMs);
    expect(quota.replayWaitMs()).toBe(0);
  });

  it("quota is forgotten when it is idle, and not before, however many users come", async () => {
    const { quotas, quota, clock } = counting({ userConnectionsMax: 1 });
    quota.connect();
    for (let i = 0; i < 12_000; i++) quotas.of(principalOf(`user-${i}`));
    await clock.advance(60_000);
    for (let i = 0; i < 12_000; i++) quotas.of(principalOf(`other-${i}`));
    expect(quotas.of(principalOf("ann"))).toBe(quota);
  });

  it("own limits are kept to", () => {
    const { quotas } = counting();
    const quota = quotas.of(principalOf("svc", { userConnectionsMax: 1 }));
    expect([quota.connect(), quota.connect()]).toEqual([true, false]);
  });
});

describe("a bucket", () => {
  it("never gives more than a second's worth beyond what flows in, whatever is taken when", () => {
    const step = fc.record({ ms: fc.integer({ min: 0, max: 3_000 }), amount: fc.integer({ min: 1, max: 50 }) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.array(step, { maxLength: 100 }), (perSecond, steps) => {
        const bucket = new Bucket(perSecond, 0);
        let now = 0;
        let given = 0;
        for (const { ms, amount } of steps) {
          now += ms;
          const waitMs = bucket.waitMs(now);
          expect(bucket.take(amount, now)).toBe(waitMs === 0);
          if (waitMs === 0) given += amount;
          // One that was too large for what was left is the most by which it may be more.
          expect(given).toBeLessThanOrEqual(perSecond + (now / 1_000) * perSecond + 50);
        }
      }),
    );
  });

  it("gives again after the wait that it says", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 100_000 }), (perSecond, owed) => {
        const bucket = new Bucket(perSecond, 0);
        bucket.owe(owed, 0);
        expect(bucket.take(1, bucket.waitMs(0))).toBe(true);
      }),
    );
  });
});
