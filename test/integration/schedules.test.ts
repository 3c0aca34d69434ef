/** Publishing for later, by the SDK, over connections that break and to hubs that come back. */
import type { Message } from "@dogear/client";
import { describe, expect, test } from "vitest";
import { clientOf, refusal, startHub } from "../support/hub.ts";
import { Collected } from "../support/waiting.ts";
import { logged, startWorld, upTo } from "./support.ts";

const hour = 3_600_000;

describe("a message for later", () => {
  test("is in its channel when it is due, and not before (G4)", async () => {
    const { local, remote } = await startWorld();
    const seen = new Collected<Message>();
    await remote.subscribe("a.*", {}, seen.add).ready();
    const { id, due, duplicate, durability } = await local.publish("a.b", "later", { delayMs: 50 });
    expect({ id, duplicate, durability }).toEqual({ id: expect.any(String), duplicate: false, durability: "disk" });
    await local.publish("a.b", "now");
    const [now, later] = await seen.reach(2);
    expect([now?.data, later?.data]).toEqual(["now", "later"]);
    expect(later?.headers).toEqual({ "dogear-scheduled": id });
    expect(later?.time).toBeGreaterThanOrEqual(due);
  });

  test("keeps its order with others that are due at the same time (G6)", async () => {
    const { local } = await startWorld();
    await local.ready();
    const deliverAt = Date.now() + 100;
    const seen = new Collected<unknown>();
    await local.subscribe("a.*", {}, ({ data }) => seen.add(data)).ready();
    await Promise.all(upTo(500).map((number) => local.publish("a.b", number, { deliverAt })));
    expect(await seen.reach(500)).toEqual(upTo(500));
  });

  test("can be taken back, by anyone who has its id (P-49)", async () => {
    const { local, remote } = await startWorld();
    const { id } = await local.publish("a.b", 1, { delayMs: hour });
    await remote.cancel(id);
    expect(await refusal(remote.cancel(id))).toBe("not-scheduled");
    expect(await refusal(local.cancel("no such thing"))).toBe("not-scheduled");
  });
});

describe("over a connection that breaks", () => {
  test("a draft whose answer was lost is scheduled once, and the answer is the first one (G7)", async () => {
    const { proxy, local, remote } = await startWorld();
    await remote.publish("a.b", "before");
    proxy.lose("to-client");
    const publishing = remote.publish("a.b", "later", { delayMs: 200 });
    const seen = new Collected<unknown>();
    local.subscribe("default.$scheduled", { from: "earliest" }, ({ data }) => seen.add(data));
    await seen.reach(1);
    proxy.cut();
    expect(await publishing).toMatchObject({ duplicate: true });
    const delivered = new Collected<unknown>();
    local.subscribe("a.b", { from: "earliest" }, ({ data }) => delivered.add(data));
    await delivered.reach(2);
    expect(await logged(local)).toEqual(["before", "later"]);
  });
});

describe("a hub that stops", () => {
  test("keeps what waits for the hub that comes after it (P-48)", async () => {
    const { hub, local } = await startWorld();
    const { id } = await local.publish("a.b", "taken back", { delayMs: hour });
    await local.publish("a.b", "later", { delayMs: 300 });
    await hub.close();
    const again = await startHub({ data: hub.data });
    const client = clientOf(again.url);
    await client.cancel(id);
    const seen = new Collected<unknown>();
    client.subscribe("a.b", { from: "earliest" }, ({ data }) => seen.add(data));
    expect(await seen.reach(1)).toEqual(["later"]);
    expect(await logged(client)).toEqual(["later"]);
  });
});

describe("as many as may wait", () => {
  test("keep one more waiting, and what was published behind it, until there is room (P-26, G6)", async () => {
    const { local, remote } = await startWorld({ config: { limits: { scheduledMax: 1 } } });
    const { id } = await local.publish("a.b", 1, { delayMs: hour });
    await remote.ready();
    const [later, now] = [remote.publish("a.b", 2, { delayMs: 1 }), remote.publish("a.b", 3)];
    await local.cancel(id);
    await Promise.all([later, now]);
    const seen = new Collected<unknown>();
    local.subscribe("a.b", { from: "earliest" }, ({ data }) => seen.add(data));
    expect([...(await seen.reach(2))].sort()).toEqual([2, 3]);
  });
});

describe("a message that expires", () => {
  test("is not given to whoever comes later, who misses nothing else (P-46)", async () => {
    const { local } = await startWorld();
    await local.publish("a.b", "brief", { ttlMs: 1 });
    await local.publish("a.b", "stays", { ttlMs: hour });
    // The hub's clock moves on while messages go round.
    const times = new Collected<number>();
    await local.subscribe("time", {}, ({ time }) => times.add(time)).ready();
    for (let count = 1, passedMs = 0; passedMs < 3; count++) {
      await local.publish("time", 0);
      const all = await times.reach(count);
      passedMs = (all[count - 1] ?? 0) - (all[0] ?? 0);
    }
    expect(await logged(local)).toEqual(["stays"]);
  });
});
