/** What networks do to connections, and what a client's user notices of it. */
import { describe, expect, test } from "vitest";
import { happening } from "../support/hub.ts";
import { bothWays } from "../support/proxy.ts";
import { Collected } from "../support/waiting.ts";
import { logged, publishNumbers, startWorld, upTo } from "./support.ts";

describe("a subscription", () => {
  for (const cursor of [false, true]) {
    const kind = cursor ? "with" : "without";

    test(`${kind} a cursor goes on where it was when it is cut off mid-stream (G5, G8, G11)`, async () => {
      const { proxy, remote, local } = await startWorld();
      const seen = new Collected<unknown>();
      const subscription = remote.subscribe("a.*", { cursor }, ({ data }) => seen.add(data));
      await subscription.ready();
      const published = publishNumbers(local, 3_000);
      for (const count of [200, 900, 1_700, 2_500]) {
        await seen.reach(count);
        proxy.cut();
      }
      await published;
      expect(await seen.reach(3_000)).toEqual(upTo(3_000));
    });

    test(`${kind} a cursor goes on where it was when it is cut off while it catches up (G5, G8)`, async () => {
      const { proxy, remote, local } = await startWorld();
      await publishNumbers(local, 3_000);
      const seen = new Collected<unknown>();
      const options = { cursor, from: "earliest", window: { messages: 100 } } as const;
      remote.subscribe("a.*", options, async ({ data }) => {
        await new Promise(setImmediate);
        seen.add(data);
      });
      for (const count of [1, 150, 900, 2_000]) {
        await seen.reach(count);
        proxy.cut();
      }
      expect(await seen.reach(3_000)).toEqual(upTo(3_000));
    });
  }

  test("says after a reconnect how long it was away and what it missed, once all of it was delivered", async () => {
    const { proxy, remote, local } = await startWorld();
    const seen = new Collected<unknown>();
    await remote.subscribe("a.*", {}, ({ data }) => seen.add(data)).ready();
    await publishNumbers(local, 3);
    await seen.reach(3);
    const before = Date.now();
    proxy.isolate();
    await happening(remote, "state", ({ name }) => name === "waiting");
    const lost = Date.now();
    await publishNumbers(local, 20);
    await local.publish("elsewhere", "no matter");
    const found = Date.now();
    const resumed = happening(remote, "resumed");
    proxy.admit();
    const { awayMs, missed, gap } = await resumed;
    expect({ missed, gap }).toEqual({ missed: 20, gap: undefined });
    expect(awayMs).toBeGreaterThanOrEqual(found - lost);
    expect(awayMs).toBeLessThanOrEqual(Date.now() - before);
    expect(seen.items).toEqual([...upTo(3), ...upTo(20)]);
  });

  test("is one of many that all go on after one reconnect, which is told once (G5)", async () => {
    const { proxy, remote, local } = await startWorld();
    const seen = upTo(200).map(() => new Collected<unknown>());
    const subscribe = (one: Collected<unknown>, i: number) =>
      remote.subscribe(i % 2 ? `a.${i}` : "a.*", { cursor: i % 2 === 1 }, ({ data }) => one.add(data)).ready();
    await Promise.all(seen.map(subscribe));
    const resumed = new Collected<unknown>();
    remote.addEventListener("resumed", ({ detail: { missed } }) => resumed.add(missed));
    proxy.isolate();
    await happening(remote, "state", ({ name }) => name === "waiting");
    await Promise.all(seen.map((_, i) => local.publish(`a.${i}`, i)));
    proxy.admit();
    // Every second one misses all 200, the others one each.
    expect(await resumed.reach(1)).toEqual([100 * 200 + 100]);
    for (const [i, { items }] of seen.entries()) expect(items).toEqual(i % 2 ? [i] : [...seen.keys()]);
    await local.publish("a.b", "more");
    await Promise.all(seen.filter((_, i) => i % 2 === 0).map((one) => one.reach(201)));
    expect(resumed.items.length).toBe(1);
  });

  test("goes on over a connection of which the hub still holds the other end (G8, G9)", async () => {
    const { proxy, remote, local } = await startWorld();
    const seen = new Collected<unknown>();
    await remote.subscribe("a.*", { cursor: true }, ({ data }) => seen.add(data)).ready();
    await publishNumbers(local, 10);
    await seen.reach(10);
    proxy.cutNear();
    await publishNumbers(local, 10);
    expect(await seen.reach(20)).toEqual([...upTo(10), ...upTo(10)]);
    proxy.cutNear();
    await publishNumbers(local, 1);
    await seen.reach(21);
  });

  test("arrives in order over a slow network", async () => {
    const { proxy, remote, local } = await startWorld();
    proxy.weather = () => bothWays({ delayMs: 15 });
    proxy.cut();
    const seen = new Collected<unknown>();
    await remote.subscribe("a.*", { window: { messages: 50 } }, ({ data }) => seen.add(data)).ready();
    await Promise.all([publishNumbers(local, 300), publishNumbers(remote, 300, "b")]);
    expect(await seen.reach(300)).toEqual(upTo(300));
  });
});

describe("publishing", () => {
  test("loses nothing, repeats nothing and keeps its order when it is cut off again and again (G4, G6, G7)", async () => {
    const { proxy, remote, local } = await startWorld();
    const published = new Collected<number>();
    const publishing = upTo(3_000).map((number) =>
      remote.publish("a.b", number).then(({ offset }) => published.add(offset)),
    );
    for (const count of [1, 300, 1_000, 2_000]) {
      await published.reach(count);
      proxy.cut();
    }
    await Promise.all(publishing);
    expect(published.items).toEqual(upTo(3_000));
    expect(await logged(local)).toEqual(upTo(3_000));
  });

  test("is not repeated when only the acknowledgement was lost (G7)", async () => {
    const { proxy, remote, local } = await startWorld();
    const seen = new Collected<unknown>();
    await local.subscribe("a.b", {}, ({ data, offset }) => seen.add({ data, offset })).ready();
    await remote.publish("a.b", "first");
    proxy.lose("to-client");
    const published = remote.publish("a.b", "second");
    await seen.reach(2);
    proxy.cut();
    expect(await published).toMatchObject({ offset: 2, duplicate: true, durability: "disk" });
    expect(await remote.publish("a.b", "third")).toMatchObject({ offset: 3, duplicate: false });
    expect(await seen.reach(3)).toEqual([
      { data: "first", offset: 1 },
      { data: "second", offset: 2 },
      { data: "third", offset: 3 },
    ]);
  });

  test("while offline resolves after the reconnect, and not before (G6)", async () => {
    const { proxy, remote, local } = await startWorld();
    await remote.ready();
    proxy.isolate();
    await happening(remote, "state", ({ name }) => name === "waiting");
    let settled = 0;
    const publishing = upTo(5).map((number) => remote.publish("a.b", number).then(() => ++settled));
    // Another attempt failed meanwhile.
    await happening(remote, "state", ({ name }) => name === "connecting");
    await happening(remote, "state", ({ name }) => name === "waiting");
    expect(settled).toBe(0);
    proxy.admit();
    expect(await Promise.all(publishing)).toEqual([1, 2, 3, 4, 5]);
    expect(await logged(local)).toEqual(upTo(5));
  });

  test("goes on over a new connection while the hub still answers on the old one (G6, G7)", async () => {
    const { proxy, remote, local } = await startWorld();
    const published = new Collected<unknown>();
    const publishing = upTo(2_000).map((number) => remote.publish("a.b", number).then(published.add));
    for (const count of [1, 700]) {
      await published.reach(count);
      proxy.cutNear();
    }
    await Promise.all(publishing);
    expect(await logged(local)).toEqual(upTo(2_000));
  });

  test("goes on in two namespaces while the hub still answers on the old connection (G6, G7)", async () => {
    const { proxy, remote, local } = await startWorld({ config: { namespaces: { metrics: {} } } });
    const published = new Collected<unknown>();
    const publishing = upTo(600).map((number) =>
      remote.publish(number % 2 ? "a.b" : "metrics.b", number).then(published.add),
    );
    await published.reach(1);
    proxy.cutNear();
    await Promise.all(publishing);
    expect(await logged(local)).toEqual(upTo(600).filter((number) => number % 2));
    expect(await logged(local, "metrics.b")).toEqual(upTo(600).filter((number) => number % 2 === 0));
  });
});
