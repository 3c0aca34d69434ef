/** Readers who are slower than what is published, and those who join while it is. */
import type { Dogear } from "@dogear/client";
import { describe, expect, test } from "vitest";
import { clientOf, happening, startHub } from "../support/hub.ts";
import { Collected, Door } from "../support/waiting.ts";
import { publishNumbers, startWorld, upTo } from "./support.ts";

const text = "x".repeat(10_000);

/** Publishes 1, 2, 3, … with 10 KB each. */
function publishLarge(dogear: Dogear, count: number): Promise<unknown> {
  return Promise.all(upTo(count).map((number) => dogear.publish("a.b", { number, text })));
}

const numberOf = ({ data }: { readonly data: unknown }): number => (data as { readonly number: number }).number;

describe("a slow reader", () => {
  test("is sent no more than its window, falls behind, and catches up with nothing lost (G5, G12, P-38)", async () => {
    const { proxy, remote, local } = await startWorld();
    const seen = new Collected<number>();
    const door = new Door();
    const window = { messages: 1_000, bytes: 100_000 };
    const subscription = remote.subscribe("a.*", { window }, async (message) => {
      await door.pass();
      seen.add(numberOf(message));
    });
    await happening(subscription, "live");
    const before = proxy.bytesToClients;
    const behind = happening(subscription, "behind");
    await publishLarge(local, 300);
    await behind;
    expect(subscription.state).toBe("catching-up");
    // The hub answers what comes later on this connection after what it sent before.
    await remote.publish("elsewhere", 1);
    expect(proxy.bytesToClients - before).toBeLessThan(window.bytes + 2_000);
    const live = happening(subscription, "live");
    door.open();
    expect(await seen.reach(300)).toEqual(upTo(300));
    await live;
  });

  test("whose handler takes its time holds up neither the publisher nor others (G12)", async () => {
    const { remote, local } = await startWorld();
    const [slow, quick] = [new Collected<unknown>(), new Collected<unknown>()];
    const slowly = remote.subscribe("a.*", { window: { messages: 20 } }, async ({ data }) => {
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
      slow.add(data);
    });
    await Promise.all([slowly.ready(), local.subscribe("a.*", {}, ({ data }) => quick.add(data)).ready()]);
    await publishNumbers(local, 2_000);
    expect(await quick.reach(2_000)).toEqual(upTo(2_000));
    expect(slow.items.length).toBeLessThan(2_000);
    expect(await slow.reach(2_000)).toEqual(upTo(2_000));
  });

  test("next to a quick one of the same pattern in one session gets everything, too (G5, G12, P-37)", async () => {
    const { local } = await startWorld();
    const [slow, quick] = [new Collected<unknown>(), new Collected<unknown>()];
    const door = new Door();
    const quickly = local.subscribe("a.*", {}, ({ data }) => quick.add(data));
    await happening(quickly, "live");
    const slowly = local.subscribe("a.*", { window: { messages: 10 } }, async ({ data }) => {
      if (slow.items.length < 10) await door.pass();
      slow.add(data);
    });
    await happening(slowly, "live");
    await publishNumbers(local, 500);
    expect(await quick.reach(500)).toEqual(upTo(500));
    door.open();
    expect(await slow.reach(500)).toEqual(upTo(500));
    await local.publish("a.b", 501);
    await Promise.all([slow.reach(501), quick.reach(501)]);
  });

  test("that stops reading its connection holds up nobody, and then gets everything (G12)", async () => {
    const { proxy, remote, local } = await startWorld();
    const [frozen, quick] = [new Collected<number>(), new Collected<number>()];
    const window = { messages: 10_000, bytes: 16 * 1_024 * 1_024 };
    await remote.subscribe("a.*", { window }, (message) => frozen.add(numberOf(message))).ready();
    await local.subscribe("a.*", {}, (message) => quick.add(numberOf(message))).ready();
    proxy.hold("to-client");
    await publishLarge(local, 1_200);
    expect(await quick.reach(1_200)).toEqual(upTo(1_200));
    expect(frozen.items.length).toBeLessThan(1_200);
    proxy.release();
    expect(await frozen.reach(1_200)).toEqual(upTo(1_200));
  });

  test("gets a message that is larger than its window, alone (P-38)", async () => {
    const { remote, local } = await startWorld();
    const seen = new Collected<number>();
    const window = { messages: 10, bytes: 1_000 };
    await remote.subscribe("a.*", { window }, (message) => seen.add(numberOf(message))).ready();
    await publishLarge(local, 10);
    expect(await seen.reach(10)).toEqual(upTo(10));
  });
});

describe("the seam between catching up and live", () => {
  test("loses nothing and repeats nothing, however full the stream is that one joins (G5, G11)", async () => {
    const hub = await startHub();
    const publishers = upTo(4).map(() => clientOf(hub.url));
    await Promise.all(publishers.map((dogear) => dogear.ready()));
    const count = 4_000;
    const publishing = publishers.map((dogear, i) => publishNumbers(dogear, count / 4, `a.${i}`));

    const progress = new Collected<unknown>();
    clientOf(hub.url).subscribe("a.*", { from: "earliest" }, progress.add);
    const joined: Collected<number>[] = [];
    for (const after of [1, 400, 900, 1_500, 2_500]) {
      await progress.reach(after);
      const seen = new Collected<number>();
      joined.push(seen);
      clientOf(hub.url).subscribe("a.*", { from: "earliest" }, ({ offset }) => seen.add(offset));
    }
    await Promise.all(publishing);
    for (const seen of joined) expect(await seen.reach(count)).toEqual(upTo(count));
  });

  test("lies where a subscriber from now on begins: what it is told first follows what was there (G5, G11)", async () => {
    const { remote, local } = await startWorld();
    await remote.ready();
    const publishing = publishNumbers(local, 2_000);
    const joined = upTo(5).map(async () => {
      const seen = new Collected<number>();
      const subscription = remote.subscribe("a.*", { from: "latest" }, ({ offset }) => seen.add(offset));
      const { offset } = await subscription.ready();
      return { offset, seen };
    });
    await publishing;
    await local.publish("a.b", "last");
    for (const { offset, seen } of await Promise.all(joined)) {
      await seen.find((place) => place === 2_001);
      expect(seen.items).toEqual(upTo(2_001).slice(offset));
    }
  });

  test("is whole for those who come and go again and again, also where nobody is left in between (G5, G11)", async () => {
    const { remote, local } = await startWorld();
    for (const round of upTo(40)) {
      const seen = new Collected<unknown>();
      const subscription = remote.subscribe("a.*", {}, ({ data }) => seen.add(data));
      await subscription.ready();
      await publishNumbers(local, 3);
      expect(await seen.reach(3)).toEqual(upTo(3));
      // Sometimes the next one comes while this one goes.
      if (round % 2) await subscription.unsubscribe();
      else void subscription.unsubscribe();
    }
  });
});

describe("a handler that publishes", () => {
  test("and waits for the answer goes on, also with a small window (G12)", async () => {
    const { local } = await startWorld();
    const echoed = new Collected<unknown>();
    await local.subscribe("echo", {}, ({ data }) => echoed.add(data)).ready();
    const window = { messages: 4 };
    await local.subscribe("a.*", { window }, async ({ data }) => void (await local.publish("echo", data))).ready();
    await publishNumbers(local, 200);
    expect(await echoed.reach(200)).toEqual(upTo(200));
  });
});
