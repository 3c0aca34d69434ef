/**
 * Bugs that clients of other systems have had, tried on this one with a real hub behind a proxy. The numbers are those of
 * the list that they come from; what is not here is held by the tests of the client itself.
 */
import type { Subscription } from "@dogear/client";
import { admin } from "@dogear/client/admin";
import { describe, expect, it } from "vitest";
import { logged, publishNumbers, startWorld, upTo, type World } from "../integration/support.ts";
import { clientOf, happening } from "../support/hub.ts";
import { Collected, eventually } from "../support/waiting.ts";

/** How many subscriptions the hub has of the remote client, over all its sessions. */
async function subscriptionsAtHub({ local }: World): Promise<number> {
  let count = 0;
  for await (const session of admin(local).allSessions())
    count += session.subscriber === "remote" ? session.subscriptions : 0;
  return count;
}

describe("a handler", () => {
  it("that subscribes anew from inside gets each message once, over lost connections too (1, G8)", async () => {
    const { proxy, remote, local } = await startWorld();
    const seen = new Collected<unknown>();
    const begin = (): Subscription => {
      const options = { cursor: true, acknowledge: "manual", from: "earliest" } as const;
      const subscription = remote.subscribe("a.b", options, (message) => {
        seen.add(message.data);
        message.acknowledge();
        if (Number(message.data) % 5 !== 0) return;
        void subscription.unsubscribe();
        current = begin();
      });
      return subscription;
    };
    let current = begin();
    await publishNumbers(local, 20);
    await seen.reach(20);
    // What was acknowledged to a connection that breaks in the same moment comes again to a new subscription.
    await current.ready();
    proxy.cut();
    await publishNumbers(local, 20);
    expect(await seen.reach(40)).toEqual([...upTo(20), ...upTo(20)]);
  });

  it("that closes its client from inside leaves the place to the next one (1, G9)", async () => {
    const { hub, remote, local } = await startWorld();
    const seen = new Collected<unknown>();
    remote.subscribe("a.b", { cursor: true, from: "earliest", acknowledge: "manual" }, (message) => {
      seen.add(message.data);
      message.acknowledge();
      if (message.data === 3) void remote.close();
    });
    await publishNumbers(local, 6);
    await seen.reach(3);
    await remote.close();
    const next = clientOf(hub.url, { subscriber: "remote" });
    next.subscribe("a.b", { cursor: true }, ({ data }) => seen.add(data));
    expect(await seen.reach(6)).toEqual(upTo(6));
  });
});

describe("a subscription", () => {
  it("that is ended and begun again while its first answer is on its way is one, and loses nothing (6)", async () => {
    const world = await startWorld();
    const { proxy, remote, local } = world;
    await remote.ready();
    const seen = new Collected<unknown>();
    for (let round = 1; round <= 3; round++) {
      proxy.hold("to-client");
      void remote.subscribe("a.b", { cursor: true }, () => seen.add("a ghost's")).unsubscribe();
      void remote.subscribe("a.b", { cursor: true }, () => seen.add("a ghost's")).unsubscribe();
      const last = remote.subscribe("a.b", { cursor: true }, ({ data }) => seen.add(data));
      proxy.release();
      await last.ready();
      expect(await subscriptionsAtHub(world)).toBe(1);
      await local.publish("a.b", round);
      await seen.reach(round);
      await last.unsubscribe();
      expect(await subscriptionsAtHub(world)).toBe(0);
    }
    expect(seen.items).toEqual(upTo(3));
  });

  for (const cursor of [false, true]) {
    it(`${cursor ? "with" : "without"} a cursor that was given nothing yet misses nothing while it is away (10, G5)`, async () => {
      const { proxy, remote, local } = await startWorld();
      await local.publish("a.b", "before");
      const seen = new Collected<unknown>();
      await remote.subscribe("a.b", { cursor, from: "latest" }, ({ data }) => seen.add(data)).ready();
      proxy.isolate();
      await happening(remote, "state", ({ name }) => name === "waiting");
      await publishNumbers(local, 10);
      proxy.admit();
      expect(await seen.reach(10)).toEqual(upTo(10));
    });
  }

  it("is restored with all it was asked for, after each of many reconnects, and once (32, 33)", async () => {
    const world = await startWorld();
    const { proxy, remote, local } = world;
    const seen = upTo(50).map(() => new Collected<unknown>());
    const kinds = [{ cursor: true }, { window: { messages: 2 } }, { from: "earliest" }, {}] as const;
    const all = seen.map((one, i) => remote.subscribe(`a.${i}`, kinds[i % 4] as object, ({ data }) => one.add(data)));
    await Promise.all(all.map((one) => one.ready()));
    for (let round = 1; round <= 5; round++) {
      const resumed = happening(remote, "resumed");
      proxy.cut();
      await resumed;
      expect(await subscriptionsAtHub(world)).toBe(50);
      await Promise.all(seen.map((_, i) => local.publish(`a.${i}`, round)));
    }
    for (const one of seen) expect(await one.reach(5)).toEqual(upTo(5));
  });
});

describe("a client", () => {
  it("whose connections break one after the other publishes each draft once, in order, with one answer each (17, 19, 24, 25)", async () => {
    const { proxy, remote, local } = await startWorld();
    // Each connection is lost a little later than the one before.
    proxy.weather = (connection) => (connection < 15 ? { toClient: { cutAfterBytes: 1_500 + 80 * connection } } : {});
    proxy.cut();
    const answers = new Collected<number>();
    await Promise.all(
      upTo(300).map((number) => remote.publish("a.b", number).then(({ offset }) => answers.add(offset))),
    );
    expect(await logged(local)).toEqual(upTo(300));
    expect(answers.items).toEqual(upTo(300));
  });

  it("that was closed while the network was away makes no connection any more (29)", async () => {
    const { proxy, remote, local } = await startWorld();
    await remote.ready();
    proxy.isolate();
    await happening(remote, "state", ({ name }) => name === "waiting");
    await remote.close();
    const before = proxy.connections;
    proxy.admit();
    // As long as others take to do something.
    await publishNumbers(local, 200);
    expect(proxy.connections).toBe(before);
    expect(remote.state).toMatchObject({ name: "closed", code: "closed" });
  });

  it("that is answered by something else for a while comes back to its hub by itself (31)", async () => {
    const { proxy, remote, local } = await startWorld();
    const seen = new Collected<unknown>();
    await remote.subscribe("a.b", { cursor: true }, ({ data }) => seen.add(data)).ready();
    const bad = proxy.connections + 6;
    proxy.weather = (connection) =>
      connection > bad ? {} : connection % 2 === 0 ? { arrival: "refuse" } : { toClient: { cutAfterBytes: 100 } };
    proxy.cut();
    await publishNumbers(local, 5);
    await eventually(() => proxy.connections > bad);
    expect(await seen.reach(5)).toEqual(upTo(5));
  });
});
