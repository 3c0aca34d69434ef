/** The same workloads by a client of NATS that has no hub between it and JetStream: what a hub adds is the difference. */
import { DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { Result } from "./figures.ts";
import { cpuSeconds, paced, rate, type Times, until } from "./measure.ts";
import type { Running } from "./systems.ts";

const payload = new Uint8Array(256).fill(0x78);
const stream = "bench";

/** A connection, and a stream for what is published to `bench.…`. */
async function connected(url: string): Promise<NatsConnection> {
  const connection = await connect({ servers: url });
  await (await jetstreamManager(connection)).streams.add({ name: stream, subjects: ["bench.>"], allow_direct: true });
  return connection;
}

/** Keeps a number of publishes unanswered, as a hub's publisher does. */
class Publishing {
  acknowledged = 0;
  sent = 0;
  #stopped = false;

  constructor(connection: NatsConnection, subject: string, inFlight: number) {
    const client = jetstream(connection);
    const one = async () => {
      while (!this.#stopped) {
        this.sent++;
        await client.publish(subject, payload);
        this.acknowledged++;
      }
    };
    for (let i = 0; i < inFlight; i++) void one();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await until(() => this.acknowledged === this.sent, "the last acknowledgements");
  }
}

async function publish(url: string, inFlight: number): Promise<Result> {
  const connection = await connected(url);
  const publishing = new Publishing(connection, "bench.publish", inFlight);
  const acks = await rate(() => publishing.acknowledged, 1, 4);
  await publishing.stop();
  await connection.close();
  return { "acks/s": { value: acks, unit: "acks/s" } };
}

/** Each connection subscribes to the subject itself: JetStream stores what it has, and core NATS fans it out. */
async function fanOut({ url, pid }: Running, connections: number): Promise<Result> {
  let received = 0;
  const subscribers: NatsConnection[] = [];
  for (let i = 0; i < connections; i++) {
    const subscriber = await connect({ servers: url });
    subscriber.subscribe("bench.fan-out", { callback: () => void received++ });
    await subscriber.flush();
    subscribers.push(subscriber);
  }
  const connection = await connected(url);
  const publishing = new Publishing(connection, "bench.fan-out", 64);
  const cpu = cpuSeconds(pid);
  const before = received;
  const deliveries = await rate(() => received, 1, 4);
  const cpuPerMillion = ((cpuSeconds(pid) - cpu) / (received - before)) * 1e6;
  await publishing.stop();
  await until(() => received === publishing.sent * connections, "the last deliveries");
  for (const one of [...subscribers, connection]) await one.close();
  return {
    "deliveries/s": { value: deliveries, unit: "deliveries/s" },
    "CPU s/million": { value: cpuPerMillion, unit: "s" },
  };
}

async function catchUp(url: string, count: number): Promise<Result> {
  const connection = await connected(url);
  const publishing = new Publishing(connection, "bench.catch-up", 1_024);
  await until(() => publishing.acknowledged >= count, "publishing", 120);
  await publishing.stop();
  const start = performance.now();
  const consumer = await jetstream(connection).consumers.get(stream, { deliver_policy: DeliverPolicy.All });
  let received = 0;
  for await (const _ of await consumer.consume({ max_messages: 10_000 })) {
    if (++received === publishing.sent) break;
  }
  const elapsed = (performance.now() - start) / 1_000;
  await connection.close();
  return { "messages/s": { value: received / elapsed, unit: "messages/s" } };
}

async function pacedPublishing(url: string, perSecond: number, times: Times): Promise<void> {
  const connection = await connected(url);
  const client = jetstream(connection);
  let [sent, acknowledged, delivered] = [0, 0, 0];
  connection.subscribe("bench.latency", { callback: () => times.wasDelivered(delivered++) });
  await connection.flush();
  await paced(perSecond, times, () => {
    sent++;
    void client.publish("bench.latency", payload).then(() => times.wasAcknowledged(acknowledged++));
  });
  await until(() => delivered === sent && acknowledged === sent, "the last deliveries");
  await connection.close();
}

export const bareNats = { publish, fanOut, catchUp, paced: pacedPublishing } as const;
