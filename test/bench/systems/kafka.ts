/** Kafka, one node of KRaft: a topic of one partition for each channel, by its own protocol over TCP. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { seconds } from "../measure.ts";
import type { PublisherOptions, SubscriberOptions, System } from "../system.ts";
import { apis, batchOf, eachRecord, Fields, KafkaSocket } from "./kafka-wire.ts";
import { freePort, leavingOut, peersFolder, SocketPublisher, SocketSubscriber, server, unless } from "./peer.ts";
import { program } from "./process.ts";

const libraries = join(peersFolder, "kafka");
const tooMany = leavingOut("each channel is a topic, with files of its own", ["many-to-many", "personal", "idle"]);

/** One by chance may begin with a dash, and be taken for an option. */
const clusterId = "MkU3OEVBNTcwNTJENDM2Qk";

export const kafka: System = {
  name: "kafka",
  settings:
    "one node of KRaft with 1 GB of heap, acks=all, not flushed by itself; batches of a quarter of what is in flight",
  durability: "process",
  can: ["acknowledges", "channels", "replays", "resumes"],
  leavesOut: tooMany,
  absence: () => unless(core(), "Kafka") ?? unless(program("java", "JAVA"), "java"),
  async start(folder) {
    const [port, controller] = [await freePort(), await freePort()];
    const file = join(folder, "server.properties");
    writeFileSync(file, properties(folder, port, controller));
    const java = program("java", "JAVA") as string;
    const withLibraries = ["-cp", join(libraries, "*")];
    const format = ["format", "--cluster-id", clusterId, "--config", file];
    if (!existsSync(join(folder, "data"))) {
      execFileSync(java, [...withLibraries, "kafka.tools.StorageTool", ...format], { stdio: "ignore", cwd: folder });
    }
    const options = [
      "-Xms1g",
      "-Xmx1g",
      "-XX:+UseG1GC",
      "-XX:MaxGCPauseMillis=20",
      ...withLibraries,
      "kafka.Kafka",
      file,
    ];
    const started = await server(java, options, { folder, port });
    return {
      ...started,
      url: `kafka://127.0.0.1:${port}`,
      folder,
      version: /-([\d.]+)\.jar$/.exec(core() ?? "")?.[1] ?? "",
      client: {
        publisher: (options) => KafkaPublisher.start(port, options),
        subscriber: (options) => KafkaSubscriber.start(port, options),
      },
    };
  },
};

function core(): string | undefined {
  return existsSync(libraries) ? readdirSync(libraries).find((name) => name.startsWith("kafka_")) : undefined;
}

const properties = (folder: string, port: number, controller: number): string => `
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:${controller}
log.dirs=${join(folder, "data")}
offsets.topic.replication.factor=1
socket.request.max.bytes=104857600
socket.listen.backlog.size=4096
max.incremental.fetch.session.cache.slots=0
`;

const partition = 0;

/** A request about the one partition of each of some topics. */
function topics(names: readonly string[], each: (fields: Fields, name: string) => Fields, head = new Fields()): Fields {
  head.int32(names.length);
  for (const name of names) each(head.text(name).int32(1).int32(partition), name);
  return head;
}

/** The end of a topic, which is created if it is not there. */
async function endOf(socket: KafkaSocket, name: string): Promise<number> {
  const creation = new Fields().int32(1).text(name).int32(1).int16(1).int32(0).int32(0).int32(10_000).int8(0);
  await socket.ask(apis.createTopics, creation);
  for (;;) {
    const latest = -1;
    const request = topics([name], (fields) => fields.int64(latest), new Fields().int32(-1));
    const answer = await socket.ask(apis.listOffsets, request);
    const at = 4 + 2 + name.length + 4 + 4;
    // It has no leader for a moment.
    if (answer.readInt16BE(at) === 0) return Number(answer.readBigInt64BE(at + 2 + 8));
    await seconds(0.05);
  }
}

class KafkaPublisher extends SocketPublisher<KafkaSocket> {
  private constructor(socket: KafkaSocket, options: PublisherOptions) {
    super(socket, options);
  }

  static async start(port: number, options: PublisherOptions): Promise<KafkaPublisher> {
    const socket = await KafkaSocket.open(port);
    await endOf(socket, options.channel(1));
    return new KafkaPublisher(socket, options).begin();
  }

  /** A publisher has one channel. Several batches are on their way, so that the server need not wait for the next. */
  protected transmit(first: number, count: number): void {
    const { inFlight } = this.options;
    const atOnce = inFlight > 0 ? Math.ceil(inFlight / 4) : 1_000;
    for (let from = first; from < first + count; from += atOnce) {
      this.#send(from, Math.min(atOnce, first + count - from));
    }
  }

  #send(first: number, count: number): void {
    const { channel, bytes } = this.options;
    const name = channel(first);
    const batch = batchOf(
      Array.from({ length: count }, (_, i) => first + i),
      bytes,
    );
    const [noTransaction, all, timeoutMs] = [-1, -1, 30_000];
    const head = new Fields().int16(noTransaction).int16(all).int32(timeoutMs);
    const request = topics([name], (fields) => fields.bytes(batch), head);
    this.socket.send(apis.produce, request, (answer) => {
      const error = answer.readInt16BE(4 + 2 + name.length + 4 + 4);
      if (error === 0) this.confirmed(count);
      else this.failed(`a publish was refused with error ${error}`);
    });
  }
}

/** Fetches what follows what it has, and waits where there is nothing. */
class KafkaSubscriber extends SocketSubscriber<KafkaSocket> {
  readonly #places: Map<string, number>;

  private constructor(socket: KafkaSocket, options: SubscriberOptions, places: Map<string, number>) {
    super(socket, options);
    this.#places = places;
  }

  static async start(port: number, options: SubscriberOptions): Promise<KafkaSubscriber> {
    const socket = await KafkaSocket.open(port, options.localAddress);
    const { from, channel } = options;
    const places = new Map(typeof from === "object" ? (from.place as Map<string, number>) : []);
    for (const name of typeof channel === "string" ? [channel] : channel) {
      if (places.has(name)) continue;
      // Also waited for where it is not needed: a broker that has just started refuses to read.
      const end = await endOf(socket, name);
      places.set(name, from === "latest" ? end : 0);
    }
    const subscriber = new KafkaSubscriber(socket, options, places);
    subscriber.#fetch();
    return subscriber;
  }

  place(): Map<string, number> {
    return new Map(this.#places);
  }

  #fetch(): void {
    const [consumer, waitMs, bytesMin, bytesMax, isolation] = [-1, 500, 1, 2 ** 24, 0];
    const head = new Fields().int32(consumer).int32(waitMs).int32(bytesMin).int32(bytesMax).int8(isolation);
    const each = (fields: Fields, name: string) => fields.int64(this.#places.get(name) ?? 0).int32(2 ** 22);
    this.socket.send(apis.fetch, topics([...this.#places.keys()], each, head), (answer) => {
      this.#take(answer);
      this.#fetch();
      this.taken();
    });
  }

  /** Throttling; then for each topic its name, and for its partition: error, two offsets, aborted transactions, records. */
  #take(answer: Buffer): void {
    let at = 4 + 4;
    for (let left = answer.readInt32BE(4); left > 0; left--) {
      const nameEnd = at + 2 + answer.readInt16BE(at);
      const name = answer.toString("latin1", at + 2, nameEnd);
      at = nameEnd + 4 + 4;
      const error = answer.readInt16BE(at);
      if (error !== 0) this.failed(`a fetch was refused with error ${error}`);
      at += 2 + 8 + 8;
      at += 4 + 16 * Math.max(0, answer.readInt32BE(at));
      const records = answer.subarray(at + 4, at + 4 + Math.max(0, answer.readInt32BE(at)));
      const next = eachRecord(records, this.#places.get(name) ?? 0, (number) => this.take(number));
      this.#places.set(name, next);
      at += 4 + records.length;
    }
  }
}
