/** The places that the hub keeps for durable subscribers. */
import { describe, expect, test } from "vitest";
import { clientOf, happening, refusal, startHub } from "../support/hub.ts";
import { Collected, Door } from "../support/waiting.ts";
import { publishNumbers, startWorld, upTo } from "./support.ts";

describe("a new durable subscriber", () => {
  for (const from of ["latest", "earliest"] as const) {
    test(`from the ${from} that dies before its first acknowledgement loses nothing (G9, P-35)`, async () => {
      const { hub, proxy, remote, local } = await startWorld();
      await publishNumbers(local, 2);
      const expected = from === "latest" ? upTo(3) : [...upTo(2), ...upTo(3)];
      const door = new Door();
      await remote.subscribe("a.*", { cursor: true, from }, () => door.pass()).ready();
      await publishNumbers(local, 3);
      await door.arrivals.reach(1);
      proxy.isolate();
      const seen = new Collected<unknown>();
      const again = clientOf(hub.url, { subscriber: "remote" });
      again.subscribe("a.*", { cursor: true, from }, ({ data }) => seen.add(data));
      expect(await seen.reach(expected.length)).toEqual(expected);
    });
  }

  test("that names no subscriber is refused (P-34)", async () => {
    const hub = await startHub();
    expect(() => clientOf(hub.url).subscribe("a.*", { cursor: true })).toThrow("subscriber");
  });
});

describe("a cursor", () => {
  test("is where the subscriber goes on, whatever `from` says, until it is reset (P-34)", async () => {
    const { local } = await startWorld();
    const take = async (count: number, options: object): Promise<readonly unknown[]> => {
      const seen = new Collected<unknown>();
      const door = new Door();
      const subscription = local.subscribe("a.*", { cursor: true, ...options }, async ({ data }) => {
        if (seen.items.length === count) await door.pass();
        seen.add(data);
      });
      await seen.reach(count);
      await door.arrivals.reach(1);
      await subscription.unsubscribe();
      return seen.items;
    };
    await publishNumbers(local, 10);
    expect(await take(3, { from: "earliest" })).toEqual([1, 2, 3]);
    expect(await take(3, { from: "earliest" })).toEqual([4, 5, 6]);
    expect(await take(2, { from: "earliest", reset: true })).toEqual([1, 2]);
    expect(await take(2, { from: "latest" })).toEqual([3, 4]);
  });

  test("belongs to one subscriber and one pattern", async () => {
    const { hub, remote, local } = await startWorld();
    await publishNumbers(local, 3);
    const places: [typeof remote, string][] = [
      [remote, "a.*"],
      [remote, "a.b"],
      [local, "a.*"],
      [clientOf(hub.url, { subscriber: "third" }), "a.>"],
    ];
    for (const [dogear, pattern] of places) {
      const seen = new Collected<unknown>();
      const subscription = dogear.subscribe(pattern, { cursor: true, from: "earliest" }, ({ data }) => seen.add(data));
      expect(await seen.reach(3)).toEqual(upTo(3));
      await subscription.unsubscribe();
    }
  });

  test("advances while its subscriber has nothing to do (P-40, P-45)", async () => {
    const { hub, remote, local } = await startWorld({ config: { limits: { heartbeatMs: 200 } } });
    const subscription = remote.subscribe("quiet", { cursor: true }, () => {});
    await happening(subscription, "live");
    await publishNumbers(local, 100);
    const reached = new Collected<number>();
    const look = (): void => {
      reached.add(subscription.position?.offset ?? 0);
      if ((subscription.position?.offset ?? 0) < 100) setImmediate(look);
    };
    look();
    await reached.find((offset) => offset === 100);
    await subscription.unsubscribe();
    await hub.close();
    const again = await startHub({ data: hub.data });
    const returning = clientOf(again.url, { subscriber: "remote" }).subscribe("quiet", { cursor: true });
    expect((await returning.ready()).offset).toBe(100);
  });

  test("does not pass what is still being handled, though later messages were not for it (G8, G9)", async () => {
    const { hub, proxy, remote, local } = await startWorld({ config: { limits: { heartbeatMs: 200 } } });
    const door = new Door();
    const subscription = remote.subscribe("a.*", { cursor: true }, () => door.pass());
    await happening(subscription, "live");
    await publishNumbers(local, 1);
    await door.arrivals.reach(1);
    await publishNumbers(local, 50, "elsewhere");
    // A heartbeat later the hub has told how far the log is.
    const bytes = proxy.bytesToClients;
    const told = new Collected<void>();
    const look = (): void => void (proxy.bytesToClients > bytes ? told.add() : setImmediate(look));
    look();
    await told.reach(1);
    await subscription.unsubscribe();
    const again = clientOf(hub.url, { subscriber: "remote" }).subscribe("a.*", { cursor: true });
    expect((await again.ready()).offset).toBe(0);
  });

  test("is where the next subscription goes on, also if it follows the one before at once (G8, G9)", async () => {
    const { local } = await startWorld();
    await publishNumbers(local, 30);
    const seen: unknown[] = [];
    while (seen.at(-1) !== 30) {
      let count = 0;
      for await (const { data } of local.subscribe("a.*", { cursor: true, from: "earliest" })) {
        seen.push(data);
        if (++count === 4 || data === 30) break;
      }
    }
    // Each loop leaves its last message unacknowledged, and the next one begins with it.
    const expected = upTo(9).flatMap((loop) => upTo(4).map((place) => (loop - 1) * 3 + place));
    expect(seen).toEqual([...expected, 28, 29, 30]);
  });
});

describe("two sessions of one subscriber", () => {
  test("take over from each other by pattern: the older one's subscription ends, its others go on (G9, P-41)", async () => {
    const { hub, remote, local } = await startWorld();
    const [older, newer, other] = [new Collected<unknown>(), new Collected<unknown>(), new Collected<unknown>()];
    const subscription = remote.subscribe("a.*", { cursor: true }, ({ data }) => older.add(data));
    const ended = refusal(subscription.ended);
    await subscription.ready();
    await remote.subscribe("b.*", { cursor: true }, ({ data }) => other.add(data)).ready();
    await publishNumbers(local, 3);
    await older.reach(3);
    const second = clientOf(hub.url, { subscriber: "remote" });
    await second.subscribe("a.*", { cursor: true }, ({ data }) => newer.add(data)).ready();
    expect(await ended).toBe("taken-over");
    expect(subscription.state).toBe("ended");
    await publishNumbers(local, 3);
    await publishNumbers(local, 3, "b.b");
    expect(await other.reach(3)).toEqual(upTo(3));
    await newer.find((number) => number === 3);
    await newer.reach(3);
    // What the older one had not acknowledged yet may come again, but nothing is missing.
    expect(newer.items.slice(-3)).toEqual(upTo(3));
    expect(older.items).toEqual(upTo(3));
  });

  test("may be one session: its second subscription takes over from its first (P-41)", async () => {
    const { local } = await startWorld();
    const first = local.subscribe("a.*", { cursor: true }, () => {});
    const ended = refusal(first.ended);
    await first.ready();
    const seen = new Collected<unknown>();
    await local.subscribe("a.*", { cursor: true }, ({ data }) => seen.add(data)).ready();
    expect(await ended).toBe("taken-over");
    await publishNumbers(local, 3);
    expect(await seen.reach(3)).toEqual(upTo(3));
  });

  test("that take over from each other amid the stream leave no message out (G9)", async () => {
    const { hub, local } = await startWorld();
    const seen = new Collected<unknown>();
    const publishing: Promise<unknown>[] = [];
    for (const wave of upTo(5)) {
      const dogear = clientOf(hub.url, { subscriber: "one" });
      const options = { cursor: true, from: "earliest" } as const;
      const subscription = dogear.subscribe("a.*", options, ({ data }) => seen.add(data));
      // All but the last are taken over.
      void subscription.ended.catch(() => {});
      await subscription.ready();
      const numbers = upTo(200).map((number) => wave * 1_000 + number);
      publishing.push(...numbers.map((number) => local.publish("a.b", number)));
      await seen.find((number) => number === wave * 1_000 + 50);
    }
    await Promise.all(publishing);
    await seen.find((number) => number === 5_200);
    const expected = upTo(5).flatMap((wave) => upTo(200).map((number) => wave * 1_000 + number));
    expect([...new Set(seen.items)].sort((a, b) => Number(a) - Number(b))).toEqual(expected);
  });
});
