/**
 * RabbitMQ in two ways: everything stored in one quorum queue, which is also what members of a group compete for, and beside it a
 * transient queue for each subscriber; or a stream for each channel, which every subscriber reads from where it wants.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { seconds, until } from "../measure.ts";
import { message, numberAt } from "../message.ts";
import type { PublisherOptions, SubscriberOptions, System, Worker, WorkerOptions } from "../system.ts";
import {
  freePort,
  leavingOut,
  peerPackage,
  peerPackageVersion,
  SocketPublisher,
  SocketSubscriber,
  server,
  unless,
} from "./peer.ts";

const command = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const tooMany = leavingOut("each channel is a stream, with files and processes of its own", [
  "many-to-many",
  "personal",
  "idle",
]);

export const rabbitmq: System = {
  name: "rabbitmq",
  settings:
    "all messages in one quorum queue of one member, which flushes; topic exchange to a transient queue for each subscriber",
  durability: "flushed",
  can: ["acknowledges", "channels", "wildcards", "groups"],
  absence,
  async start(folder) {
    const { url, ...started } = await rabbit(folder);
    const link = await Link.open(url);
    const { channel } = link;
    await channel.assertExchange(exchange, "topic", { durable: true });
    await channel.assertQueue(store, { durable: true, arguments: { "x-queue-type": "quorum" } });
    await channel.bindQueue(store, exchange, "#");
    link.close();
    return {
      ...started,
      url,
      folder,
      client: {
        publisher: (options) => RabbitPublisher.start(url, options, exchange),
        subscriber: (options) => QueueSubscriber.start(url, options),
        worker: (options) => QueueWorker.start(url, options),
      },
    };
  },
};

export const rabbitmqStream: System = {
  name: "rabbitmq-stream",
  settings: "a stream of one member for each channel, over AMQP, prefetch of 2,000; not flushed",
  durability: "process",
  can: ["acknowledges", "channels", "replays", "resumes"],
  leavesOut: {
    ...tooMany,
    "fan-out-10000": "it loses connections before there are 10,000 consumers of one stream",
  },
  absence,
  async start(folder) {
    const { url, ...started } = await rabbit(folder);
    const declare = declaring(url);
    return {
      ...started,
      url,
      folder,
      client: {
        async publisher(options) {
          await declare(options.channel(1));
          return RabbitPublisher.start(url, options, "");
        },
        async subscriber(options) {
          await Promise.all([options.channel].flat().map(declare));
          return StreamSubscriber.start(url, options);
        },
      },
    };
  },
};

function absence(): string | undefined {
  return unless(existsSync(command), "rabbitmq-server") ?? unless(peerPackageVersion("amqplib"), "amqplib");
}

/** A node of its own beside any other: its ports, its files, its name server. */
async function rabbit(folder: string): Promise<{
  url: string;
  version: string;
  pids: readonly number[];
  stop(): Promise<void>;
}> {
  const [port, distribution, names] = [await freePort(), await freePort(), await freePort()];
  writeFileSync(
    join(folder, "rabbitmq.conf"),
    `listeners.tcp.1 = 127.0.0.1:${port}
loopback_users = none
heartbeat = 0
tcp_listen_options.backlog = 4096
tcp_listen_options.nodelay = true
vm_memory_high_watermark.relative = 0.6
disk_free_limit.absolute = 100MB
log.file.level = error
`,
  );
  const pidFile = join(folder, "pid");
  const env = {
    HOME: folder,
    ERL_EPMD_PORT: `${names}`,
    ERL_EPMD_ADDRESS: "127.0.0.1",
    RABBITMQ_NODENAME: "bench@localhost",
    RABBITMQ_DIST_PORT: `${distribution}`,
    RABBITMQ_MNESIA_BASE: join(folder, "data"),
    RABBITMQ_LOG_BASE: join(folder, "log"),
    RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq.conf"),
    RABBITMQ_GENERATED_CONFIG_DIR: join(folder, "generated"),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "plugins"),
    RABBITMQ_CONF_ENV_FILE: join(folder, "env.conf"),
    RABBITMQ_PID_FILE: pidFile,
  };
  // Its name server outlives it.
  const forget = () => {
    spawnSync("epmd", ["-kill"], { env: { ...process.env, ...env } });
  };
  const started = await server(command, [], { folder, port, env }).catch((error) => {
    forget();
    throw error;
  });
  await until(() => existsSync(pidFile), "the process of RabbitMQ");
  const pid = Number(readFileSync(pidFile, "utf8"));
  return {
    url: `amqp://guest:guest@127.0.0.1:${port}`,
    version: installedVersion(),
    pids: [pid],
    async stop() {
      process.kill(pid, "SIGTERM");
      await until(() => !existsSync(`/proc/${pid}`), "stopping RabbitMQ");
      await started.stop();
      forget();
    },
  };
}

function installedVersion(): string {
  return execFileSync("dpkg-query", ["--show", `--showformat=\${Version}`, "rabbitmq-server"], { encoding: "utf8" });
}

/** As much of amqplib as is used here. */
interface Connection {
  createConfirmChannel(): Promise<Channel>;
  on(event: "error", handler: (error: Error) => void): void;
  on(event: "close", handler: () => void): void;
  /** What it speaks over. */
  readonly connection: { readonly stream: { pause(): void; resume(): void; resetAndDestroy(): void } };
}

interface Channel {
  on(event: "error", handler: (error: Error) => void): void;
  assertExchange(name: string, type: string, options: object): Promise<void>;
  assertQueue(name: string, options: object): Promise<{ queue: string }>;
  bindQueue(queue: string, exchange: string, pattern: string): Promise<void>;
  prefetch(count: number): Promise<void>;
  consume(queue: string, take: (message: Delivery | null) => void, options: object): Promise<void>;
  ack(message: Delivery, allUpTo: boolean): void;
  publish(exchange: string, key: string, content: Buffer, options: object, done: (error: Error | null) => void): void;
}

interface Delivery {
  readonly content: Buffer;
  readonly properties: { readonly headers: Readonly<Record<string, number>> };
}

type Connect = (url: string, options: object) => Promise<Connection>;

function connect(url: string, localAddress?: string): Promise<Connection> {
  const { connect } = peerPackage("amqplib") as { connect: Connect };
  return connect(url, { noDelay: true, ...(localAddress && { localAddress }) });
}

const exchange = "bench";
const store = "store";

/** A final `>` is one level or more; there `#` is none or more, so a `*` is put before it. */
const key = (channel: string): string => channel.replace(/>$/, "*.#");

/** Declares streams, each once, as two at once may be refused. After a start they take a moment to be there again. */
function declaring(url: string): (name: string) => Promise<void> {
  const declare = async (name: string) => {
    const options = { durable: true, arguments: { "x-queue-type": "stream" } };
    for (let tries = 100; ; tries--) {
      const link = await Link.open(url);
      try {
        await link.channel.assertQueue(name, options);
        return;
      } catch (error) {
        if (tries === 0) throw error;
      } finally {
        link.close();
      }
      await seconds(0.1);
    }
  };
  const declared = new Map<string, Promise<void>>();
  return (name) => {
    const one = declared.get(name) ?? declare(name);
    declared.set(name, one);
    return one;
  };
}

/** A connection with one channel. What is refused ends a channel, and says so where somebody must listen. */
class Link {
  onFault: (why: string) => void = () => {};
  readonly channel: Channel;
  readonly #connection: Connection;

  private constructor(connection: Connection, channel: Channel) {
    this.#connection = connection;
    this.channel = channel;
    channel.on("error", ({ message }) => this.onFault(message));
    connection.on("error", ({ message }) => this.onFault(message));
    connection.on("close", () => this.onFault("the connection was lost"));
  }

  static async open(url: string, localAddress?: string): Promise<Link> {
    const connection = await connect(url, localAddress);
    // One that is lost before it has a channel fails to get it; without somebody who listens it would end the process.
    connection.on("error", () => {});
    return new Link(connection, await connection.createConfirmChannel());
  }

  pause(): void {
    this.#connection.connection.stream.pause();
  }

  resume(): void {
    this.#connection.connection.stream.resume();
  }

  close(): void {
    this.onFault = () => {};
    this.#connection.connection.stream.resetAndDestroy();
  }
}

const persistent = { deliveryMode: 2 };

class RabbitPublisher extends SocketPublisher<Link> {
  readonly #exchange: string;

  private constructor(link: Link, options: PublisherOptions, exchange: string) {
    super(link, options);
    this.#exchange = exchange;
  }

  static async start(url: string, options: PublisherOptions, exchange: string): Promise<RabbitPublisher> {
    return new RabbitPublisher(await Link.open(url), options, exchange).begin();
  }

  protected transmit(first: number, count: number): void {
    const { bytes, channel } = this.options;
    for (let number = first; number < first + count; number++) {
      const content = Buffer.from(message(number, bytes));
      this.socket.channel.publish(this.#exchange, channel(number), content, persistent, (error) => {
        if (error === null) this.confirmed(1);
        else this.failed("a publish was refused");
      });
    }
  }
}

abstract class RabbitSubscriber extends SocketSubscriber<Link> {
  #due = false;

  constructor(link: Link, options: SubscriberOptions) {
    super(link, options);
  }

  /** What comes in one turn of the event loop is told together. */
  protected takeFrom({ content }: Delivery): void {
    this.take(numberAt(content, 1));
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => {
      this.#due = false;
      this.taken();
    });
  }
}

class QueueSubscriber extends RabbitSubscriber {
  static async start(url: string, options: SubscriberOptions): Promise<QueueSubscriber> {
    const link = await Link.open(url, options.localAddress);
    const { channel } = link;
    const subscriber = new QueueSubscriber(link, options);
    const { queue } = await channel.assertQueue("", { exclusive: true, autoDelete: true, durable: false });
    await Promise.all(subscriber.channels.map((name) => channel.bindQueue(queue, exchange, key(name))));
    const take = (delivery: Delivery | null) => delivery !== null && subscriber.takeFrom(delivery);
    await channel.consume(queue, take, { noAck: true });
    return subscriber;
  }
}

const prefetch = 2_000;

class StreamSubscriber extends RabbitSubscriber {
  #last = -1;
  #unacknowledged = 0;

  static async start(url: string, options: SubscriberOptions): Promise<StreamSubscriber> {
    const link = await Link.open(url, options.localAddress);
    const { channel } = link;
    const subscriber = new StreamSubscriber(link, options);
    const { from } = options;
    const place = typeof from === "object" ? (from.place as number) : -1;
    subscriber.#last = place;
    const offset = from === "latest" ? "next" : place < 0 ? "first" : place + 1;
    await channel.prefetch(prefetch);
    for (const name of subscriber.channels) {
      const take = (delivery: Delivery | null) => delivery !== null && subscriber.#take(channel, delivery);
      await channel.consume(name, take, { arguments: { "x-stream-offset": offset } });
    }
    return subscriber;
  }

  /** The offset of the last message. */
  place(): number {
    return this.#last;
  }

  #take(channel: Channel, delivery: Delivery): void {
    this.#last = delivery.properties.headers["x-stream-offset"] ?? -1;
    if (++this.#unacknowledged === prefetch / 4) {
      this.#unacknowledged = 0;
      channel.ack(delivery, true);
    }
    this.takeFrom(delivery);
  }
}

/** RabbitMQ's groups are consumers of one queue: all groups share the one that stores everything. */
class QueueWorker implements Worker {
  settled = 0;
  fault: string | undefined;
  onTaken: () => void = () => {};
  readonly #link: Link;

  private constructor(link: Link) {
    this.#link = link;
    link.onFault = (why) => {
      this.fault ??= why;
    };
  }

  static async start(url: string, options: WorkerOptions): Promise<QueueWorker> {
    const link = await Link.open(url);
    const { channel } = link;
    const worker = new QueueWorker(link);
    await channel.prefetch(options.window);
    const take = (delivery: Delivery) => {
      options.once.take(numberAt(delivery.content, 1));
      channel.ack(delivery, false);
      worker.settled++;
      worker.onTaken();
    };
    await channel.consume(store, (delivery) => delivery !== null && take(delivery), {});
    return worker;
  }

  close(): void {
    this.#link.close();
  }
}
