/** What retention removes under a subscriber, and what that is to whom. */
import { type Dogear, type Gap, GapError } from "@dogear/client";
import { describe, expect, test } from "vitest";
import { clientOf, happening, type TestHub } from "../support/hub.ts";
import { Collected, Door } from "../support/waiting.ts";
import { startWorld, upTo } from "./support.ts";

const config = { namespaces: { short: { retention: { bytes: 1_000_000 } } } };
const padding = "x".repeat(50_000);

/** Publishes enough to a channel that everything before is removed; resolves once it is, with the last offset removed. */
async function flood(hub: TestHub, dogear: Dogear, channel: string): Promise<number> {
  const { offset: before } = await dogear.publish(channel, { padding });
  await Promise.all(upTo(60).map(() => dogear.publish(channel, { padding })));
  await hub.logged.find(([event, { through }]) => event === "log.removed" && Number(through) >= before);
  const removed = hub.logged.items.filter(([event]) => event === "log.removed");
  return Math.max(...removed.map(([, { through }]) => Number(through)));
}

/** A durable subscriber that saw two messages of `short.a` and one of `short.quiet`, and went to sleep. */
async function sleeper(local: Dogear, hub: TestHub, pattern: string): Promise<void> {
  const sleeping = clientOf(hub.url, { subscriber: "sleeper" });
  const seen = new Collected<unknown>();
  const subscription = sleeping.subscribe(pattern, { cursor: true, from: "earliest" }, seen.add);
  for (const channel of ["short.a", "short.quiet", "short.a"]) await local.publish(channel, channel);
  await seen.reach(pattern === "short.quiet" ? 1 : 2);
  await subscription.unsubscribe();
  await sleeping.close();
}

describe("a durable subscriber that slept", () => {
  test("is told exactly what was removed meanwhile, and is given all the rest (G5, P-43)", async () => {
    const { hub, local } = await startWorld({ config });
    await sleeper(local, hub, "short.a");
    await flood(hub, local, "short.a");
    const awake = clientOf(hub.url, { subscriber: "sleeper" });
    const seen = new Collected<number>();
    const subscription = awake.subscribe("short.a", { cursor: true, onGap: "continue" }, ({ offset }) =>
      seen.add(offset),
    );
    const { from, to, reason, position } = await happening(subscription, "gap");
    const { offset: last } = await local.publish("short.a", "last");
    await seen.find((offset) => offset === last);
    const first = seen.items[0] as number;
    expect({ from, to, reason }).toEqual({ from: 3, to: first - 1, reason: "retention" });
    expect(position.offset).toBe(to);
    expect(seen.items).toEqual(upTo(last).slice(first - 1));
    // What was told is acknowledged, and so it is not told again.
    await subscription.unsubscribe();
    await awake.close();
    const again = clientOf(hub.url, { subscriber: "sleeper" }).subscribe("short.a", { cursor: true });
    expect((await again.ready()).offset).toBe(last);
  });

  test("ends with the gap where it did not ask to go on, and may go on from there (G5, P-43)", async () => {
    const { hub, local } = await startWorld({ config });
    await sleeper(local, hub, "short.a");
    await flood(hub, local, "short.a");
    const awake = clientOf(hub.url, { subscriber: "sleeper" });
    const end = (): Promise<unknown> =>
      awake.subscribe("short.a", { cursor: true }, () => {}).ended.catch((error: unknown) => error);
    const error = await end();
    expect(error).toBeInstanceOf(GapError);
    const { gap, position } = error as GapError;
    expect(gap).toMatchObject({ from: 3, reason: "retention" });
    // Nobody acknowledged it, so it is told until somebody does.
    expect(await end()).toMatchObject({ gap: { from: 3 } });
    const seen = new Collected<number>();
    const options = { cursor: true, reset: true, from: position };
    awake.subscribe("short.a", options, ({ offset }) => seen.add(offset));
    expect((await seen.reach(1))[0]).toBe((gap.to as number) + 1);
  });

  test("has no gap in a quiet channel, however much of other channels was removed (G5, P-45)", async () => {
    const { hub, local } = await startWorld({ config });
    await sleeper(local, hub, "short.quiet");
    const removed = await flood(hub, local, "short.a");
    expect(removed).toBeGreaterThan(2);
    const awake = clientOf(hub.url, { subscriber: "sleeper" });
    const seen = new Collected<unknown>();
    awake.subscribe("short.quiet", { cursor: true }, ({ data }) => seen.add(data));
    await local.publish("short.quiet", "next");
    expect(await seen.reach(1)).toEqual(["next"]);
  });

  test("is told a gap in a pattern only up to the last message of that pattern that was removed (P-43, P-45)", async () => {
    const { hub, local } = await startWorld({ config });
    await sleeper(local, hub, "short.a");
    const missed = [await local.publish("short.a", "missed"), await local.publish("short.a", "missed")];
    const removed = await flood(hub, local, "short.other");
    expect(removed).toBeGreaterThan(5);
    const awake = clientOf(hub.url, { subscriber: "sleeper" });
    const seen = new Collected<unknown>();
    const options = { cursor: true, onGap: "continue" } as const;
    const subscription = awake.subscribe("short.a", options, ({ data }) => seen.add(data));
    expect(await happening(subscription, "gap")).toMatchObject({ from: 3, to: missed[1]?.offset, reason: "retention" });
    await local.publish("short.a", "next");
    expect(await seen.reach(1)).toEqual(["next"]);
  });
});

describe("a subscriber that is there", () => {
  test("and is overtaken, is told a gap after what it had, and goes on (G5, G12)", async () => {
    const { hub, remote, local } = await startWorld({ config });
    const seen = new Collected<number>();
    const door = new Door();
    const window = { messages: 10 };
    const subscription = remote.subscribe("short.a", { window, onGap: "continue" }, async ({ offset }) => {
      await door.pass();
      seen.add(offset);
    });
    await happening(subscription, "live");
    await flood(hub, local, "short.a");
    await flood(hub, local, "short.a");
    // What comes next may overtake it once more.
    const gaps = new Collected<Gap>();
    subscription.addEventListener("gap", ({ detail }) => gaps.add(detail));
    door.open();
    expect(await gaps.find(() => true)).toMatchObject({ reason: "retention" });
    const { offset: last } = await local.publish("short.a", "last");
    await seen.find((offset) => offset === last);
    const isLost = (offset: number) => gaps.items.some(({ from, to }) => offset > from && offset <= (to as number));
    expect(seen.items).toEqual(upTo(last).filter((offset) => !isLost(offset)));
  });
});
