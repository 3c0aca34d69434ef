/** JetStream, by NATS' own client and without a hub: what a hub adds is the difference. */
import { AckPolicy, jetstream as client, DeliverPolicy, jetstreamManager, RetentionPolicy } from "@nats-io/jetstream";
import { connect, createInbox, type Msg } from "@nats-io/transport-node";
import { message, numberAt } from "../message.ts";
import type {
  Durability,
  Publisher,
  PublisherOptions,
  Running,
  Subscriber,
  SubscriberOptions,
  System,
  SystemName,
  Worker,
  WorkerOptions,
} from "../system.ts";
import { natsAbsence, startNats } from "./nats-server.ts";

const stream = "bench";
const subjects = ["bench.>"];

export const jetstream: System = variant(
  "jetstream",
  "one nats-server as it comes: flushed every two minutes",
  "process",
);

export const jetstreamAlways: System = variant(
  "jetstream-always",
  "one nats-server with sync_interval: always",
  "flushed",
  "jetstream { sync_interval: always }",
);

function variant(name: SystemName, settings: string, durability: Durability, configuration = ""): System {
  const tooMany = "a consumer for each of 10,000 subscribers is beyond what NATS advises";
  return {
    name,
    settings: `${settings}; a push consumer for each subscriber`,
    durability,
    can: ["acknowledges", "channels", "wildcards", "replays", "resumes", "groups"],
    leavesOut: {
      ...Object.fromEntries(
        ["fan-out-10000", "personal", "resume-storm", "many-to-many"].map((name) => [name, tooMany]),
      ),
      wildcards: "a consumer with a thousand filters takes longer to make than a client waits",
    },
    absence: natsAbsence,
    async start(folder) {
      const nats = await startNats(folder, configuration);
      const setUp = await connect({ servers: nats.url });
      const manager = await jetstreamManager(setUp);
      await manager.streams.add({ name: stream, subjects, retention: RetentionPolicy.Limits, allow_direct: true });
      await setUp.close();
      return { ...nats, folder, client: clientOf(nats.url) };
    },
  };
}

function clientOf(url: string): Running["client"] {
  return {
    publisher: (options) => publisher(url, options),
    subscriber: (options) => subscriber(url, options),
    worker: (options) => worker(url, options),
  };
}

const encoder = new TextEncoder();

async function publisher(url: string, { channel, bytes, inFlight }: PublisherOptions): Promise<Publisher> {
  const connection = await connect({ servers: url });
  const inbox = createInbox();
  let stopped = false;
  const publisher = {
    sent: 0,
    acknowledged: 0,
    fault: undefined as string | undefined,
    onAcknowledged: () => {},
    sendMore(count: number) {
      for (let i = 0; i < count && !stopped; i++) {
        const number = ++publisher.sent;
        connection.publish(channel(number), encoder.encode(message(number, bytes)), { reply: inbox });
      }
    },
    stop() {
      stopped = true;
    },
    close: () => void connection.close(),
  };
  connection.subscribe(inbox, {
    callback(_, answer) {
      if (answer.data.length === 0 || answer.string().includes('"error"')) {
        publisher.fault ??= `a publish was refused: ${answer.string()}`;
      }
      publisher.acknowledged++;
      publisher.onAcknowledged();
      if (inFlight > 0) publisher.sendMore(1);
    },
  });
  await connection.flush();
  publisher.sendMore(inFlight);
  return publisher;
}

/** A consumer that pushes to the connection, with NATS' own flow control and no acknowledgements. */
async function subscriber(url: string, { channel, from, sequence }: SubscriberOptions): Promise<Subscriber> {
  const connection = await connect({ servers: url });
  const manager = await jetstreamManager(connection);
  const inbox = createInbox();
  let last = typeof from === "object" ? (from.place as number) : 0;
  const subscriber = {
    onProgress: (_first: number, _count: number) => {},
    fault: undefined as string | undefined,
    place: () => last,
    pause: () => {},
    resume: () => {},
    close: () => void connection.close(),
  };
  connection.subscribe(inbox, {
    callback(_, received) {
      if (received.headers !== undefined) return answer(received);
      last = Number(received.reply?.split(".")[5]);
      const number = numberAt(Buffer.from(received.data.buffer, received.data.byteOffset, received.data.length), 1);
      sequence.take(number);
      subscriber.onProgress(number, 1);
    },
  });
  await manager.consumers.add(stream, {
    deliver_subject: inbox,
    ack_policy: AckPolicy.None,
    flow_control: true,
    idle_heartbeat: 5_000_000_000,
    filter_subjects: typeof channel === "string" ? [channel] : [...channel],
    ...(from === "latest"
      ? { deliver_policy: DeliverPolicy.New }
      : from === "earliest"
        ? { deliver_policy: DeliverPolicy.All }
        : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: last + 1 }),
  });
  return subscriber;
}

/** Flow control asks; a heartbeat does not. */
function answer(received: Msg): void {
  received.respond();
}

async function worker(url: string, { group, channel, window, once }: WorkerOptions): Promise<Worker> {
  const connection = await connect({ servers: url });
  const manager = await jetstreamManager(connection);
  const filter = { filter_subject: channel, ack_policy: AckPolicy.Explicit, max_ack_pending: 100_000 };
  await manager.consumers.add(stream, { durable_name: group, ...filter });
  const consumer = await client(connection).consumers.get(stream, group);
  const worker = { settled: 0, fault: undefined, onTaken: () => {}, close: () => void connection.close() };
  await consumer.consume({
    max_messages: window,
    callback(given) {
      once.take(numberAt(Buffer.from(given.data.buffer, given.data.byteOffset, given.data.length), 1));
      given.ack();
      worker.settled++;
      worker.onTaken();
    },
  });
  return worker;
}
