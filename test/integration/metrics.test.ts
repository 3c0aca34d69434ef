/** What a hub counts, as somebody sees who reads its metrics. */
import { expect, it } from "vitest";
import type { Server } from "../../server/src/server.ts";
import { greet, publish, publishAll, startHub } from "../protocol/support.ts";
import { open } from "../support/bare-socket.ts";
import { clientOf } from "../support/hub.ts";
import { Collected } from "../support/waiting.ts";

/** What a hub tells now: every series and its value. */
async function read(hub: Server): Promise<Record<string, number>> {
  const lines = (await hub.metrics.text()).split("\n").filter((line) => line.startsWith("dogear_"));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]),
  );
}

it("counts what is published and delivered, once for each session that is sent it", async () => {
  const hub = await startHub();
  const publisher = await greet(hub);
  const subscribers = [await greet(hub), await greet(hub)];
  for (const subscriber of subscribers) {
    subscriber.send({ is: "subscribe", subscription: 1, pattern: "a.>", from: "latest" });
    await subscriber.next("caught-up");
  }
  await publish(publisher, "a.b", 1, 2, 3);
  for (const subscriber of subscribers) {
    let count = 0;
    while (count < 3) count += (await subscriber.next("messages")).messages.length;
  }
  const metrics = await read(hub);
  expect(metrics).toMatchObject({
    dogear_sessions: 3,
    dogear_subscriptions: 2,
    dogear_members: 0,
    dogear_published_messages_total: 3,
    dogear_published_bytes_total: 3,
    dogear_delivered_messages_total: 6,
    dogear_log_commit_messages_sum: 3,
    dogear_log_writable: 1,
    dogear_catching_up: 0,
  });
  expect(metrics.dogear_log_flush_seconds_count).toBe(metrics.dogear_log_commit_messages_count);
  expect(metrics.dogear_disk_free_bytes).toBeGreaterThan(0);
  expect(metrics.dogear_received_bytes_total).toBeGreaterThan(100);
  expect(metrics.dogear_sent_bytes_total).toBeGreaterThan(metrics.dogear_delivered_bytes_total as number);
});

it("counts drafts that are refused, by error, wherever that is noticed", async () => {
  const hub = await startHub({ namespaces: { typing: { durability: "memory" } }, limits: { messageBytesMax: 1_000 } });
  const socket = await greet(hub);
  const refused = [
    { channel: "a", data: "x".repeat(2_000) },
    { channel: "a.*", data: 1 },
    { channel: "typing.a", data: 1, delayMs: 1_000 },
  ];
  for (const [i, draft] of refused.entries()) {
    socket.send({ is: "publish", number: i + 1, ...draft });
    await socket.next("error");
  }
  await publishAll(socket, [{ channel: "a", data: 1 }]);
  expect(await read(hub)).toMatchObject({
    dogear_published_messages_total: 1,
    'dogear_publishes_refused_total{code="message-too-large"}': 1,
    'dogear_publishes_refused_total{code="invalid-channel"}': 1,
    'dogear_publishes_refused_total{code="memory-namespace"}': 1,
    'dogear_limit_hits_total{limit="messageBytesMax"}': 1,
  });
});

it("counts limits that are hit, and sessions that are ended", async () => {
  const hub = await startHub({
    limits: { subscriptionsMax: 1, errorsMax: 2, frameBytesMax: 10_000, messageBytesMax: 10_000 },
  });
  const greedy = await greet(hub);
  for (const subscription of [1, 2]) greedy.send({ is: "subscribe", subscription, pattern: "a" });
  expect(await greedy.next("error")).toMatchObject({ code: "too-many-subscriptions" });
  const clumsy = await greet(hub);
  for (let i = 0; i < 2; i++) clumsy.send({ is: "nonsense" });
  await clumsy.closed;
  const large = await greet(hub);
  large.send({ is: "publish", number: 1, channel: "a", data: "x".repeat(20_000) });
  await large.closed;
  const rude = await open(hub.url);
  rude.send({ is: "pong" });
  await rude.closed;
  expect(await read(hub)).toMatchObject({
    'dogear_limit_hits_total{limit="subscriptionsMax"}': 1,
    'dogear_limit_hits_total{limit="errorsMax"}': 1,
    'dogear_limit_hits_total{limit="frameBytesMax"}': 1,
    'dogear_sessions_closed_total{code="too-many-errors"}': 1,
    'dogear_sessions_closed_total{code="hello-expected"}': 1,
  });
});

it("counts connections that are turned away", async () => {
  const hub = await startHub();
  await expect(open(hub.url, { subprotocol: "something.else" })).rejects.toThrow();
  expect(await read(hub)).toMatchObject({ 'dogear_connections_refused_total{code="invalid-request"}': 1 });
});

it("tells how far groups are behind, in messages and in time", async () => {
  const hub = await startHub();
  const dogear = clientOf(hub.url);
  const handled = new Collected<unknown>();
  const worker = dogear.work("orders.>", { group: "billing" }, (message) => handled.add(message.data));
  await dogear.publish("orders.eu", 1);
  await handled.reach(1);
  await worker.leave();
  await dogear.publish("orders.eu", 2);
  await dogear.publish("orders.us", 3);
  await dogear.publish("other", 4);
  const series = '{namespace="default",group="billing"}';
  const metrics = await read(hub);
  expect(metrics).toMatchObject({
    dogear_groups: 1,
    dogear_groups_without_lag: 0,
    [`dogear_group_lag_messages${series}`]: 2,
  });
  expect(metrics[`dogear_group_lag_seconds${series}`]).toBeLessThan(10);
  expect(metrics[`dogear_group_lag_seconds${series}`]).toBeGreaterThan(0);
  const again = dogear.work("orders.>", { group: "billing" }, (message) => handled.add(message.data));
  await handled.reach(3);
  await again.leave();
  expect(await read(hub)).toMatchObject({
    [`dogear_group_lag_messages${series}`]: 0,
    [`dogear_group_lag_seconds${series}`]: 0,
    dogear_members: 0,
  });
});

it("tells the lag of a hundred groups, and how many more there are", async () => {
  const hub = await startHub();
  const socket = await greet(hub);
  const names = Array.from({ length: 103 }, (_, i) => `g${String(i).padStart(3, "0")}`);
  socket.send(names.map((group, i) => ({ is: "work", member: i + 1, pattern: "a", group, id: group })));
  for (const _ of names) await socket.next("working");
  const metrics = await read(hub);
  expect(metrics).toMatchObject({ dogear_groups: 103, dogear_groups_without_lag: 3, dogear_members: 103 });
  const told = Object.keys(metrics).filter((series) => series.startsWith("dogear_group_lag_messages"));
  expect(told).toEqual(
    names.slice(0, 100).map((group) => `dogear_group_lag_messages{namespace="default",group="${group}"}`),
  );
});
