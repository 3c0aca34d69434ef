/** A trace goes on from a publisher to whoever handles its message (W3C Trace Context). */
import { defaultLimits, dogearError, type HubEnvelope } from "@dogear/shared";
import { expect, it } from "vitest";
import { hubJsonCodec } from "../../server/src/codec/json.ts";
import { systemClock } from "../../server/src/runtime/clock.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { Metrics } from "../../server/src/runtime/metrics.ts";
import { type Answer, Drafts } from "../../server/src/session/drafts.ts";
import { memoryHub, settled } from "../hub/support.ts";
import { greet, publishAll, startHub } from "../protocol/support.ts";
import { clientOf } from "../support/hub.ts";
import { Collected } from "../support/waiting.ts";

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const headers = { traceparent, tracestate: "congo=t61rcWkgMzE" };

it("over WebSocket, live and caught up, in the bytes that the publisher sent", async () => {
  const hub = await startHub();
  const [publisher, live, late] = [await greet(hub), await greet(hub), await greet(hub)];
  live.send({ is: "subscribe", subscription: 1, pattern: "orders.>", from: "latest" });
  await live.next("caught-up");
  await publishAll(publisher, [{ channel: "orders.eu", data: 1, headers }]);
  late.send({ is: "subscribe", subscription: 1, pattern: "orders.>", from: "earliest" });
  for (const socket of [live, late]) {
    const { messages } = await socket.next("messages");
    expect(messages.map((message) => message.headers)).toEqual([headers]);
    expect(socket.frames.join()).toContain(`"headers":${JSON.stringify(headers)}`);
  }
});

it("from one SDK to another: to subscriptions, to workers, and with a message that was delayed", async () => {
  const { url } = await startHub();
  const dogear = clientOf(url);
  const seen = new Collected<unknown>();
  const worker = dogear.work("orders.>", { group: "billing" }, (message) => seen.add(message.headers));
  const subscription = dogear.subscribe("orders.>", { from: "latest" }, (message) => seen.add(message.headers));
  await Promise.all([worker.ready(), subscription.ready()]);
  await dogear.publish("orders.eu", 1, { headers });
  await dogear.publish("orders.eu", 2, { headers, delayMs: 1 });
  for (const carried of await seen.reach(4)) expect(carried).toMatchObject(headers);
});

it("into the log, where the hub fails at publishing", async () => {
  const { hub, logs } = await memoryHub(systemClock);
  const [log] = logs;
  const logged: unknown[] = [];
  const answers: Answer[] = [];
  const logger = { ...silentLogger, error: (event: string, facts = {}) => void logged.push([event, facts]) };
  const parts = { hub, limits: defaultLimits, clock: systemClock, logger, metrics: new Metrics() };
  const drafts = new Drafts(parts, (some) => answers.push(...some));
  const publish = async (fields: readonly object[], failure: Error): Promise<void> => {
    if (log === undefined) throw new Error("There is no log.");
    log.holding = true;
    const frame = fields.map((one, i) => ({ is: "publish", number: i + 1, channel: "a", data: 1, ...one }));
    for (const incoming of hubJsonCodec(defaultLimits).decode(Buffer.from(JSON.stringify(frame)), false)) {
      if (incoming.kind === "publish") drafts.add(incoming.publish, undefined, undefined);
    }
    drafts.hand();
    await settled();
    await log.fail(failure);
  };
  const failure = new Error("no idea");
  await publish([{ headers, key: "k" }, {}, { headers: { other: "x" } }, { headers }], failure);
  await publish([{}], failure);
  await publish([{ headers }], dogearError("disk-full"));
  expect(logged).toEqual([
    ["publish.failed", { error: failure, traceparent: [traceparent] }],
    ["publish.failed", { error: failure }],
  ]);
  expect(answers.map((answer) => (answer as Extract<HubEnvelope, { is: "error" }>).code)).toEqual([
    ...Array<string>(5).fill("internal"),
    "disk-full",
  ]);
});
