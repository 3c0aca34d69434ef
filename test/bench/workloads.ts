/** The workloads: what each does to a system and what it measures. */
import { defaultLimits } from "@dogear/shared";
import { Publisher, Subscriber } from "./dogear-client.ts";
import type { Result } from "./figures.ts";
import { cpuSeconds, paced, rate, residentBytes, seconds, storedBytes, Times, until } from "./measure.ts";
import { bareNats } from "./nats-client.ts";
import { RawSocket } from "./raw-socket.ts";
import { isDogear, type Running, type SystemName } from "./systems.ts";
import { type Seen, Worker } from "./worker.ts";

export interface Workload {
  readonly name: string;
  readonly says: string;
  readonly systems: readonly SystemName[];
  run(running: Running): Promise<Result>;
}

/** A payload that makes the JSON text of `data` 256 bytes long. */
const payload = `"${"x".repeat(254)}"`;
const draftTo = (channel: string) => () => `"channel":"${channel}","data":${payload}`;
const window = { windowMessagesMax: defaultLimits.windowMessagesMax, windowBytesMax: defaultLimits.windowBytesMax };

const publish = (inFlight: number): Workload => ({
  name: `publish-${inFlight}`,
  says: `durable publishes of 256 bytes, ${inFlight} in flight over one connection`,
  systems: ["dogear", "dogear-jetstream", "jetstream"],
  async run({ url, system, pid, folder = "" }) {
    if (system === "jetstream") return bareNats.publish(url, inFlight);
    const stored = storedBytes(folder);
    const publisher = await Publisher.start(url, `publish-${inFlight}`, inFlight, draftTo("bench.publish"));
    const cpu = cpuSeconds(pid);
    const acks = await rate(() => publisher.acknowledged, 1, 4);
    const cpuPerMillion = ((cpuSeconds(pid) - cpu) / publisher.acknowledged) * 1e6;
    const perMessage = (storedBytes(folder) - stored) / publisher.acknowledged;
    publisher.close();
    return {
      "acks/s": { value: acks, unit: "acks/s" },
      "CPU s/million": { value: cpuPerMillion, unit: "s" },
      "bytes/message": { value: perMessage, unit: "bytes" },
    };
  },
});

const fanOut = (connections: number): Workload => ({
  name: `fan-out-${connections}`,
  says: `one publisher, ${connections} connections with one subscription each, 256 bytes`,
  systems: ["dogear", "dogear-jetstream", "jetstream", "ws"],
  run: (running) => {
    if (running.system === "jetstream") return bareNats.fanOut(running, connections);
    return isDogear(running.system) ? fanOutDogear(running, connections) : fanOutWs(running, connections);
  },
});

const latencyPerSecond = 500;

const latency: Workload = {
  name: "latency",
  says: `${latencyPerSecond} publishes a second of 256 bytes, one subscription, times from when each was to be sent`,
  systems: ["dogear", "dogear-jetstream", "jetstream"],
  async run({ url, system }) {
    const times = new Times();
    if (system === "jetstream") await bareNats.paced(url, latencyPerSecond, times);
    else await pacedDogear(url, latencyPerSecond, times);
    return {
      "p50 ms, acknowledged": { value: times.acknowledged.at(0.5), unit: "ms" },
      "p99 ms, acknowledged": { value: times.acknowledged.at(0.99), unit: "ms" },
      "p50 ms, delivered": { value: times.delivered.at(0.5), unit: "ms" },
      "p99 ms, delivered": { value: times.delivered.at(0.99), unit: "ms" },
    };
  },
};

async function pacedDogear(url: string, perSecond: number, times: Times): Promise<void> {
  const subscriber = await Subscriber.start(url, { pattern: "bench.latency", from: "latest", window });
  await until(() => subscriber.caughtUp, "going live");
  const publisher = await Publisher.start(url, "latency", 0, draftTo("bench.latency"));
  let delivered = 0;
  subscriber.onProgress = () => {
    for (; delivered < subscriber.received; delivered++) times.wasDelivered(delivered);
  };
  let acknowledged = 0;
  publisher.onAcknowledged = () => {
    for (; acknowledged < publisher.acknowledged; acknowledged++) times.wasAcknowledged(acknowledged);
  };
  await paced(perSecond, times, () => publisher.sendMore(1));
  await until(() => delivered === publisher.sent && acknowledged === publisher.sent, "the last deliveries");
  publisher.close();
  subscriber.close();
}

async function fanOutDogear({ url, pid }: Running, connections: number): Promise<Result> {
  const subscribers: Subscriber[] = [];
  for (let i = 0; i < connections; i++) {
    subscribers.push(await Subscriber.start(url, { pattern: "bench.fan-out", from: "latest", window }));
  }
  await until(() => subscribers.every(({ caughtUp }) => caughtUp), "going live");
  const publisher = await Publisher.start(url, "fan-out", 1_024, draftTo("bench.fan-out"));
  const received = () => subscribers.reduce((sum, subscriber) => sum + subscriber.received, 0);
  const cpu = cpuSeconds(pid);
  const before = received();
  const deliveries = await rate(received, 1, 4);
  const cpuPerMillion = ((cpuSeconds(pid) - cpu) / (received() - before)) * 1e6;
  publisher.stop();
  await until(() => publisher.acknowledged === publisher.sent, "the last acknowledgements");
  await until(() => subscribers.every((subscriber) => subscriber.received === publisher.sent), "the last deliveries");
  publisher.close();
  for (const subscriber of subscribers) subscriber.close();
  return {
    "deliveries/s": { value: deliveries, unit: "deliveries/s" },
    "CPU s/million": { value: cpuPerMillion, unit: "s" },
    "fell behind": { value: subscribers.reduce((sum, { behind }) => sum + behind, 0), unit: "times" },
  };
}

async function fanOutWs({ url, pid }: Running, connections: number): Promise<Result> {
  let received = 0;
  let atLast = 0;
  const sockets: RawSocket[] = [];
  for (let i = 0; i < connections; i++) {
    const socket = await RawSocket.open(url);
    const last = i === connections - 1;
    socket.onMessage = () => {
      received++;
      if (last) atLast++;
    };
    sockets.push(socket);
  }
  const publisher = await RawSocket.open(url);
  // Closed loop: the server has no acknowledgement, so the last subscriber's copy stands for one.
  let sent = 0;
  let running = true;
  const pump = () => {
    for (; sent - atLast < 64 && running; sent++) publisher.send(`{"offset":${sent},"data":${payload}}`);
    if (running) setImmediate(pump);
  };
  pump();
  const cpu = cpuSeconds(pid);
  const before = received;
  const deliveries = await rate(() => received, 1, 4);
  const cpuPerMillion = ((cpuSeconds(pid) - cpu) / (received - before)) * 1e6;
  running = false;
  await until(() => received === sent * connections, "the last deliveries");
  for (const socket of [...sockets, publisher]) socket.close();
  return {
    "deliveries/s": { value: deliveries, unit: "deliveries/s" },
    "CPU s/million": { value: cpuPerMillion, unit: "s" },
  };
}

const catchUpMessages = 1_000_000;
/** JetStream takes much longer for each. */
const catchUpMessagesJetStream = 200_000;

const catchUp: Workload = {
  name: "catch-up",
  says: `one late subscription to ${catchUpMessages.toLocaleString("en")} messages of 256 bytes; on JetStream to ${catchUpMessagesJetStream.toLocaleString("en")}`,
  systems: ["dogear", "dogear-jetstream", "jetstream"],
  async run({ url, system }) {
    if (system === "jetstream") return bareNats.catchUp(url, catchUpMessagesJetStream);
    const count = system === "dogear" ? catchUpMessages : catchUpMessagesJetStream;
    const published = await fill(url, "bench.catch-up", count);
    const start = performance.now();
    const subscriber = await Subscriber.start(url, { pattern: "bench.catch-up", from: "earliest", window });
    await new Promise<void>((resolve) => {
      subscriber.onProgress = () => subscriber.received >= published && resolve();
    });
    const elapsed = (performance.now() - start) / 1_000;
    subscriber.close();
    return { "messages/s": { value: published / elapsed, unit: "messages/s" } };
  },
};

const waitingMessages = 1_000_000;

const groups = (members: number): Workload => ({
  name: `groups-${members}`,
  says: `${members} members of one group, windows of 100, ${waitingMessages.toLocaleString("en")} messages waiting, each settled`,
  systems: ["dogear"],
  async run({ url, pid }) {
    const options = { group: "bench", pattern: "bench.work", window: 100 };
    const few = await firstClaimMs(url, "few", 10_000);
    await fill(url, "bench.work", waitingMessages);
    const many = await firstClaimMs(url, "many", 0);
    const seen: Seen = new Set();
    const workers = await Promise.all(
      Array.from({ length: members }, (_, i) => Worker.start(url, `worker-${i}`, options, seen)),
    );
    const settled = () => workers.reduce((sum, worker) => sum + worker.settled, 0);
    const cpu = cpuSeconds(pid);
    const messages = await rate(settled, 1, 4);
    const cpuPerMillion = ((cpuSeconds(pid) - cpu) / settled()) * 1e6;
    for (const worker of workers) worker.close();
    return {
      "messages/s": { value: messages, unit: "messages/s" },
      "CPU s/million": { value: cpuPerMillion, unit: "s" },
      "first claim, 10k waiting": { value: few, unit: "ms" },
      "first claim, 1M waiting": { value: many, unit: "ms" },
    };
  },
});

/** How long a new group's first member waits for its first message, after so many more were published. */
async function firstClaimMs(url: string, group: string, publish: number): Promise<number> {
  await fill(url, "bench.work", publish);
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    const options = { group: `${group}-${i}`, pattern: "bench.work", window: 1 };
    const worker = await Worker.start(url, "claimer", options, new Set());
    await new Promise<void>((resolve) => {
      worker.onLeased = resolve;
    });
    times.push(performance.now() - start);
    worker.close();
  }
  return times.sort((a, b) => a - b)[2] as number;
}

/** Publishes at least so many messages; returns how many that were. */
async function fill(url: string, channel: string, count: number): Promise<number> {
  if (count === 0) return 0;
  const publisher = await Publisher.start(url, `fill-${channel}-${count}`, Math.min(count, 4_096), draftTo(channel));
  await until(() => publisher.sent >= count, "publishing", 120);
  publisher.stop();
  await until(() => publisher.acknowledged === publisher.sent, "the last acknowledgements");
  publisher.close();
  return publisher.sent;
}

const idleConnections = 5_000;

const idle: Workload = {
  name: "idle",
  says: `resident memory of ${idleConnections} idle connections, with one subscription each where there are any`,
  systems: ["dogear", "dogear-jetstream", "ws"],
  async run({ url, pid, system }) {
    const close: (() => void)[] = [];
    const connect = async (i: number) => {
      const localAddress = `127.0.0.${2 + (i % 8)}`;
      if (system === "ws") {
        const socket = await RawSocket.open(url, undefined, localAddress);
        close.push(() => socket.close());
        return;
      }
      const subscriber = await Subscriber.start(url, {
        pattern: `bench.idle.${i}`,
        from: "latest",
        window,
        localAddress,
      });
      close.push(() => subscriber.close());
    };
    // The first connections pay for what is shared.
    for (let i = 0; i < 500; i++) await connect(i);
    await seconds(1);
    const before = residentBytes(pid);
    for (let i = 500; i < 500 + idleConnections; i++) await connect(i);
    await seconds(2);
    const perConnection = (residentBytes(pid) - before) / idleConnections / 1_024;
    for (const end of close) end();
    return { "KB/connection": { value: perConnection, unit: "KB" } };
  },
};

const cursorCount = 200;

const cursors: Workload = {
  name: "cursors",
  says: `${cursorCount} durable subscriptions, each acknowledging every message it gets as it comes`,
  systems: ["dogear", "dogear-jetstream"],
  async run({ url, pid }) {
    const subscribers: Subscriber[] = [];
    for (let i = 0; i < cursorCount; i++) {
      const cursor = { subscriber: `cursor-${i}`, halfWindow: 1 };
      subscribers.push(await Subscriber.start(url, { pattern: "bench.cursors", from: "latest", window, ...cursor }));
    }
    const publisher = await Publisher.start(url, "cursors", 1, draftTo("bench.cursors"));
    const acknowledged = () => subscribers.reduce((sum, subscriber) => sum + subscriber.received, 0);
    const cpu = cpuSeconds(pid);
    const before = acknowledged();
    const acks = await rate(acknowledged, 1, 4);
    const cpuPerMillion = ((cpuSeconds(pid) - cpu) / (acknowledged() - before)) * 1e6;
    publisher.close();
    for (const subscriber of subscribers) subscriber.close();
    return {
      "acks/s": { value: acks, unit: "acks/s" },
      "CPU s/million": { value: cpuPerMillion, unit: "s" },
    };
  },
};

export const workloads: readonly Workload[] = [
  publish(1),
  publish(256),
  publish(4_096),
  fanOut(10),
  fanOut(100),
  fanOut(1_000),
  latency,
  catchUp,
  cursors,
  groups(1),
  groups(8),
  groups(64),
  idle,
];
