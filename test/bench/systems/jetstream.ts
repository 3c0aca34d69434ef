/**
 * JetStream, in both ways to set when it flushes, by the protocol of NATS over WebSocket and nothing in between.
 *
 * What is stored is published again under `live.`, with its sequence, once somebody subscribes: this is how JetStream fans out to many
 * without a consumer for each. One that comes late or comes back has a push consumer of its own, with flow control.
 */
import { randomUUID } from "node:crypto";
import { message, numberAt } from "../message.ts";
import type { Client, PublisherOptions, SubscriberOptions, System, Worker, WorkerOptions } from "../system.ts";
import { type NatsMessage, NatsSocket, replyOf, words } from "./nats.ts";
import { natsAbsence, natsWebServer } from "./nats-web-server.ts";
import { leavingOut, SocketPublisher, SocketSubscriber } from "./peer.ts";

const stream = "bench";
const stored = (channel: string): string => `js.${channel}`;
const streamConfig = { name: stream, subjects: ["js.>"], storage: "file", num_replicas: 1, discard: "old" };

/** What is flushed makes no difference to it where nothing is published; where much is, it comes no further than with its publishes. */
const leftOutOfAlways = {
  ...leavingOut("it is as jetstream there", ["idle", "groups-1", "groups-8", "groups-64"]),
  ...leavingOut("its publishes are the limit there, as in fan-out-10", [
    "many-to-many",
    "personal",
    "wildcards",
    "slow-reader",
  ]),
};

export const jetstream: System = system("jetstream", "2m");
export const jetstreamAlways: System = system("jetstream-always", "always");

function system(name: "jetstream" | "jetstream-always", syncInterval: "2m" | "always"): System {
  return {
    name,
    settings: `one nats-server, stream in a file, sync_interval: ${syncInterval}; over its WebSocket; live by republish`,
    durability: syncInterval === "always" ? "flushed" : "process",
    can: ["acknowledges", "ids", "channels", "wildcards", "replays", "resumes", "groups"],
    leavesOut: {
      ...(syncInterval === "always" && leftOutOfAlways),
      "resume-storm": "one that comes back needs a consumer, and 10,000 together are refused",
    },
    absence: natsAbsence,
    async start(folder) {
      const limits = "max_memory_store: 1GB, max_file_store: 100GB";
      const settings = `jetstream { store_dir: "${folder}", sync_interval: ${syncInterval}, ${limits} }`;
      const started = await natsWebServer(folder, settings);
      const socket = await NatsSocket.open(started.url);
      await request(socket, `STREAM.CREATE.${stream}`, streamConfig);
      socket.close();
      return { ...started, folder, client: client(started.url) };
    },
  };
}

function client(url: string): Client {
  let live: Promise<void> | undefined;
  const goLive = async () => {
    const socket = await NatsSocket.open(url);
    await request(socket, `STREAM.UPDATE.${stream}`, { ...streamConfig, republish: { src: "js.>", dest: "live.>" } });
    socket.close();
  };
  return {
    publisher: (options) => JetStreamPublisher.start(url, options),
    async subscriber(options) {
      live ??= goLive();
      await live;
      const socket = await NatsSocket.open(url, options.localAddress);
      return options.from === "latest" ? LiveSubscriber.start(socket, options) : Consumer.start(socket, options);
    },
    worker: (options) => PullWorker.start(url, options),
  };
}

/** Asks JetStream's API; a refusal is an error. Whatever else comes, then and later, is the other handler's. */
async function request(
  socket: NatsSocket,
  subject: string,
  body: unknown,
  others: (received: NatsMessage) => void = () => {},
): Promise<void> {
  const inbox = `_INBOX.${randomUUID()}`;
  const text = JSON.stringify(body);
  const answer = new Promise<string>((resolve) => {
    socket.onMessage = (received) => {
      const { bytes, payload, end } = received;
      if (words(received)[0] === inbox) resolve(bytes.toString("latin1", payload, end));
      else others(received);
    };
  });
  socket.send(`SUB ${inbox} 0\r\nPUB $JS.API.${subject} ${inbox} ${text.length}\r\n${text}\r\n`);
  const { error } = JSON.parse((await answer) || '{"error":{}}') as { error?: { err_code?: number } };
  // Where it was started again, the stream is there.
  const isThere = error?.err_code === 10_058;
  if (error !== undefined && !isThere) throw new Error(`JetStream refused ${subject}: ${JSON.stringify(error)}`);
  socket.onMessage = others;
  socket.send("UNSUB 0\r\n");
}

class JetStreamPublisher extends SocketPublisher<NatsSocket> {
  readonly #inbox = `_INBOX.${randomUUID()}`;
  #answers = 0;

  private constructor(socket: NatsSocket, options: PublisherOptions) {
    super(socket, options);
    socket.onMessage = (answer) => this.#answered(answer);
    socket.onEnd = () => this.#confirm();
    socket.send(`SUB ${this.#inbox} 1\r\n`);
  }

  static async start(url: string, options: PublisherOptions): Promise<JetStreamPublisher> {
    return new JetStreamPublisher(await NatsSocket.open(url), options).begin();
  }

  protected transmit(first: number, count: number): void {
    const { name, bytes, channel, ids = false } = this.options;
    let text = "";
    for (let number = first; number < first + count; number++) {
      const to = `${stored(channel(number))} ${this.#inbox}`;
      const headers = ids ? `NATS/1.0\r\nNats-Msg-Id: ${name}-${number}\r\n\r\n` : "";
      const head = ids ? `HPUB ${to} ${headers.length} ${headers.length + bytes}` : `PUB ${to} ${bytes}`;
      text += `${head}\r\n${headers}${message(number, bytes)}\r\n`;
    }
    this.socket.send(text);
  }

  /** `{"stream":…}` confirms and `{"error":…}` refuses, told apart by the third byte. */
  #answered({ bytes, payload, end }: NatsMessage): void {
    if (bytes[payload + 2] === 0x73) this.#answers++;
    else this.failed(`a publish was refused: ${bytes.toString("latin1", payload, end)}`);
  }

  #confirm(): void {
    const answers = this.#answers;
    this.#answers = 0;
    this.confirmed(answers);
  }
}

/** Knows the sequence of its last message from some text that came with it, which is looked at only if somebody asks. */
abstract class JetStreamSubscriber extends SocketSubscriber<NatsSocket> {
  protected last: Buffer = Buffer.alloc(0);
  #bytes: Buffer | undefined;
  #from = 0;
  #to = 0;

  protected constructor(socket: NatsSocket, options: SubscriberOptions) {
    super(socket, options);
    socket.onEnd = () => this.#ended();
  }

  protected takeFrom({ bytes, payload }: NatsMessage, from: number, to: number): void {
    this.take(numberAt(bytes, payload + 1));
    this.#bytes = bytes;
    this.#from = from;
    this.#to = to;
  }

  #ended(): void {
    // A copy, so that the rest need not stay in memory.
    if (this.#bytes !== undefined) this.last = Buffer.from(this.#bytes.subarray(this.#from, this.#to));
    this.#bytes = undefined;
    this.taken();
  }
}

class LiveSubscriber extends JetStreamSubscriber {
  static async start(socket: NatsSocket, options: SubscriberOptions): Promise<LiveSubscriber> {
    const subscriber = new LiveSubscriber(socket, options);
    socket.onMessage = (received) => subscriber.takeFrom(received, received.headers, received.payload);
    socket.send(subscriber.channels.map((channel, i) => `SUB live.${channel} ${i + 1}\r\n`).join(""));
    await socket.flush();
    return subscriber;
  }

  /** The sequence of the last message, by its headers; 0 where there was none. */
  place(): number {
    return Number(/Nats-Sequence: ?(\d+)/.exec(this.last.toString("latin1"))?.[1] ?? 0);
  }
}

class Consumer extends JetStreamSubscriber {
  /** Where it is until a message comes. */
  #begin = 0;

  static async start(socket: NatsSocket, options: SubscriberOptions): Promise<Consumer> {
    const consumer = new Consumer(socket, options);
    const { from } = options;
    const begin =
      typeof from === "object"
        ? { deliver_policy: "by_start_sequence", opt_start_seq: (from.place as number) + 1 }
        : { deliver_policy: "all" };
    if (typeof from === "object") consumer.#begin = from.place as number;
    const subject = `deliver.${randomUUID()}`;
    const config = {
      ...begin,
      deliver_subject: subject,
      filter_subjects: consumer.channels.map(stored),
      ack_policy: "none",
      max_deliver: 1,
      flow_control: true,
      idle_heartbeat: 5e9,
      mem_storage: true,
      num_replicas: 1,
    };
    socket.send(`SUB ${subject} 1\r\n`);
    const take = (received: NatsMessage) => consumer.#message(received);
    await request(socket, `CONSUMER.CREATE.${stream}`, { stream_name: stream, config }, take);
    return consumer;
  }

  /** The sequence of the last message, by its reply subject `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>…`. */
  place(): number {
    return Number(this.last.toString("latin1").split(" ")[3]?.split(".")[5] ?? this.#begin);
  }

  #message(received: NatsMessage): void {
    if (received.payload === received.end) this.#status(received);
    else this.takeFrom(received, received.line, received.lineEnd);
  }

  /** Flow control asks whether it is still there; a stalled consumer asks in a heartbeat. */
  #status(received: NatsMessage): void {
    const { bytes, headers, payload } = received;
    const stalled = /Nats-Consumer-Stalled: ?(\S+)/.exec(bytes.toString("latin1", headers, payload))?.[1];
    const reply = replyOf(received) ?? stalled;
    if (reply !== undefined) this.socket.send(`PUB ${reply} 0\r\n\r\n`);
  }
}

/** A member of a group: a durable consumer that it pulls from, as much as it may hold, acknowledging what it is given. */
class PullWorker implements Worker {
  settled = 0;
  fault: string | undefined;
  onTaken: () => void = () => {};
  readonly #socket: NatsSocket;
  readonly #options: WorkerOptions;
  readonly #inbox = `deliver.${randomUUID()}`;
  #acks = "";
  #taken = 0;
  #asked = 0;

  private constructor(socket: NatsSocket, options: WorkerOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.onFault = (why) => {
      this.fault ??= why;
    };
  }

  static async start(url: string, options: WorkerOptions): Promise<PullWorker> {
    const socket = await NatsSocket.open(url);
    const worker = new PullWorker(socket, options);
    const config = {
      durable_name: options.group,
      filter_subject: stored(options.channel),
      ack_policy: "explicit",
      max_ack_pending: 100_000,
    };
    const take = (received: NatsMessage) => worker.#message(received);
    await request(socket, `CONSUMER.DURABLE.CREATE.${stream}.${options.group}`, { stream_name: stream, config }, take);
    socket.send(`SUB ${worker.#inbox} 1\r\n`);
    socket.onEnd = () => worker.#ended();
    worker.#ask();
    return worker;
  }

  close(): void {
    this.#socket.close();
  }

  #message(received: NatsMessage): void {
    if (received.payload === received.end) return;
    this.#options.once.take(numberAt(received.bytes, received.payload + 1));
    this.#acks += `PUB ${words(received)[2]} 4\r\n+ACK\r\n`;
    this.#taken++;
    this.#asked--;
  }

  #ended(): void {
    if (this.#taken === 0) return;
    this.#socket.send(this.#acks);
    this.settled += this.#taken;
    this.#acks = "";
    this.#taken = 0;
    if (this.#asked <= this.#options.window / 2) this.#ask();
    this.onTaken();
  }

  /** Asks for as many as it may hold beyond what it asked for already. */
  #ask(): void {
    const { group, window } = this.#options;
    const body = `{"batch":${window - this.#asked},"expires":600000000000}`;
    this.#asked = window;
    this.#socket.send(`PUB $JS.API.CONSUMER.MSG.NEXT.${stream}.${group} ${this.#inbox} ${body.length}\r\n${body}\r\n`);
  }
}
