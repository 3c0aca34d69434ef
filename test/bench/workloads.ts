/** The workloads: what each does to a system and what it measures. */
import { defaultLimits } from "@dogear/shared";
import { Publisher, Subscriber } from "./dogear-client.ts";
import type { Result } from "./figures.ts";
import { cpuSeconds, rate, residentBytes, seconds, until } from "./measure.ts";
import { RawSocket } from "./raw-socket.ts";
import type { Running, SystemName } from "./systems.ts";

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
  systems: ["dogear"],
  async run({ url }) {
    const publisher = await Publisher.start(url, `publish-${inFlight}`, inFlight, draftTo("bench.publish"));
    const acks = await rate(() => publisher.acknowledged, 1, 4);
    publisher.close();
    return { "acks/s": { value: acks, unit: "acks/s" } };
  },
});

const fanOut = (connections: number): Workload => ({
  name: `fan-out-${connections}`,
  says: `one publisher, ${connections} connections with one subscription each, 256 bytes`,
  systems: ["dogear", "ws"],
  run: (running) => (running.system === "dogear" ? fanOutDogear(running, connections) : fanOutWs(running, connections)),
});

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

const catchUp: Workload = {
  name: "catch-up",
  says: `one late subscription to ${catchUpMessages.toLocaleString("en")} messages of 256 bytes`,
  systems: ["dogear"],
  async run({ url }) {
    const publisher = await Publisher.start(url, "catch-up", 4_096, draftTo("bench.catch-up"));
    await until(() => publisher.sent >= catchUpMessages, "publishing", 120);
    publisher.stop();
    await until(() => publisher.acknowledged === publisher.sent, "the last acknowledgements");
    publisher.close();
    const start = performance.now();
    const subscriber = await Subscriber.start(url, { pattern: "bench.catch-up", from: "earliest", window });
    await new Promise<void>((resolve) => {
      subscriber.onProgress = () => subscriber.received >= publisher.sent && resolve();
    });
    const elapsed = (performance.now() - start) / 1_000;
    subscriber.close();
    return { "messages/s": { value: publisher.sent / elapsed, unit: "messages/s" } };
  },
};

const idleConnections = 5_000;

const idle: Workload = {
  name: "idle",
  says: `resident memory of ${idleConnections} idle connections, with one subscription each where there are any`,
  systems: ["dogear", "ws"],
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

export const workloads: readonly Workload[] = [
  publish(1),
  publish(256),
  publish(4_096),
  fanOut(10),
  fanOut(1_000),
  catchUp,
  idle,
];
