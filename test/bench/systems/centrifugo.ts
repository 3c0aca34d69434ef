/** Centrifugo with its engine in memory: JSON over WebSocket, several commands and replies to a frame. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { eachNumber, message } from "../message.ts";
import { RawSocket } from "../raw-socket.ts";
import type { PublisherOptions, SubscriberOptions, System } from "../system.ts";
import { freePort, PeerPublisher, PeerSubscriber, peerProgram, server, unless } from "./peer.ts";

const historySize = 10_000;

export const centrifugo: System = {
  name: "centrifugo",
  settings: `engine in memory, history of ${historySize} messages a channel with recovery, JSON over WebSocket, no compression, queues of 256 MiB`,
  durability: "memory",
  can: ["acknowledges", "channels", "resumes"],
  absence: () => unless(peerProgram("centrifugo"), "centrifugo"),
  async start(folder) {
    const command = peerProgram("centrifugo") as string;
    const port = await freePort();
    const file = join(folder, "config.json");
    writeFileSync(file, JSON.stringify(configuration(port)));
    const started = await server(command, ["-c", file], { folder, port });
    const version = /v([\d.]+)/.exec(execFileSync(command, ["version"], { encoding: "utf8" }))?.[1] ?? "";
    const url = `ws://127.0.0.1:${port}/connection/websocket`;
    return {
      ...started,
      url,
      folder,
      version,
      client: {
        publisher: (options) => CentrifugoPublisher.start(url, options),
        subscriber: (options) => CentrifugoSubscriber.start(url, options),
      },
    };
  },
};

function configuration(port: number): unknown {
  return {
    http_server: { address: "127.0.0.1", port: String(port) },
    log: { level: "error" },
    client: {
      insecure: true,
      channel_limit: 100_000,
      queue_max_size: 2 ** 28,
      recovery_max_publication_limit: historySize,
      ping_interval: "60s",
      pong_timeout: "59s",
    },
    websocket: { message_size_limit: 2 ** 26, write_timeout: "60s" },
    channel: {
      without_namespace: { history_size: historySize, history_ttl: "300s", force_recovery: true },
    },
  };
}

/** Sends commands, a line each, and hands on frames of replies. */
async function open(url: string, localAddress?: string): Promise<RawSocket> {
  const socket = await RawSocket.open(url, undefined, localAddress);
  const reply = await ask(socket, { id: 1, connect: {} });
  if (reply.includes('"error"')) throw new Error(reply);
  return socket;
}

function ask(socket: RawSocket, command: unknown): Promise<string> {
  return new Promise((resolve) => {
    socket.onMessage = (frame) => resolve(frame.toString());
    socket.send(JSON.stringify(command));
  });
}

/** A ping is an empty object, alone or among others. */
function answerPing(socket: RawSocket, frame: Buffer): void {
  if (frame.length < 4) socket.send("{}");
}

const replyStart = Buffer.from('{"id":');
const errorField = Buffer.from('"error":');

class CentrifugoPublisher extends PeerPublisher {
  readonly #socket: RawSocket;

  private constructor(socket: RawSocket, options: PublisherOptions) {
    super(options);
    this.#socket = socket;
    socket.onClose = () => this.failed("the connection was lost");
    socket.onMessage = (frame) => this.#replies(frame);
  }

  static async start(url: string, options: PublisherOptions): Promise<CentrifugoPublisher> {
    return new CentrifugoPublisher(await open(url), options).begin();
  }

  close(): void {
    this.#socket.onClose = () => {};
    this.#socket.close();
  }

  protected transmit(first: number, count: number): void {
    const { bytes, channel } = this.options;
    // It reads a frame whole before it begins, so frames are small enough to share the work.
    const perFrame = 64;
    this.#socket.together(() => {
      for (let from = first; from < first + count; from += perFrame) {
        let text = "";
        for (let number = from; number < Math.min(from + perFrame, first + count); number++) {
          text += `{"id":${number + 1},"publish":{"channel":"${channel(number)}","data":${message(number, bytes)}}}\n`;
        }
        this.#socket.send(text);
      }
    });
  }

  #replies(frame: Buffer): void {
    answerPing(this.#socket, frame);
    if (frame.includes(errorField)) this.failed(`a publish was refused: ${frame.toString("latin1", 0, 200)}`);
    let count = 0;
    for (let at = frame.indexOf(replyStart); at >= 0; at = frame.indexOf(replyStart, at + 6)) count++;
    this.confirmed(count);
  }
}

const dataStart = Buffer.from('"data":"');

interface Place {
  readonly epoch: string;
  readonly offset: number;
}

class CentrifugoSubscriber extends PeerSubscriber {
  readonly #socket: RawSocket;
  #epoch = "";
  /** The end of the last frame with messages, where the offset of the last one is. */
  #last: Buffer = Buffer.from('"offset":0');

  private constructor(socket: RawSocket, options: SubscriberOptions) {
    super(options);
    this.#socket = socket;
    socket.onClose = () => this.failed("the connection was lost");
    socket.onMessage = (frame) => this.#frame(frame);
  }

  static async start(url: string, options: SubscriberOptions): Promise<CentrifugoSubscriber> {
    const subscriber = new CentrifugoSubscriber(await open(url, options.localAddress), options);
    const { from } = options;
    const place = typeof from === "object" ? { recover: true, ...(from.place as Place) } : {};
    await subscriber.#subscribe(place);
    return subscriber;
  }

  place(): Place {
    // The answer to one that came back ends with the offset it came with, after what it had missed.
    const offsets = [...this.#last.toString("latin1").matchAll(/"offset":(\d+)/g)].map(([, offset]) => Number(offset));
    return { epoch: this.#epoch, offset: Math.max(0, ...offsets) };
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.onClose = () => {};
    this.#socket.close();
  }

  async #subscribe(place: object): Promise<void> {
    const { channels } = this;
    const all = new Promise<void>((resolve) => {
      this.#onSubscribed = (count) => count === channels.length && resolve();
    });
    const lines = channels.map((channel, i) => JSON.stringify({ id: i + 2, subscribe: { channel, ...place } }));
    this.#socket.send(lines.join("\n"));
    await all;
  }

  #subscribed = 0;
  #onSubscribed: (count: number) => void = () => {};

  #frame(frame: Buffer): void {
    answerPing(this.#socket, frame);
    if (this.#subscribed < this.channels.length) this.#replies(frame);
    const before = this.options.sequence.received;
    eachNumber(frame, dataStart, (number) => this.take(number));
    if (this.options.sequence.received === before) return;
    // A copy of the end, so that the rest need not stay in memory.
    this.#last = Buffer.from(frame.subarray(-400));
    this.taken();
  }

  #replies(frame: Buffer): void {
    for (const line of frame.toString().split("\n")) {
      if (!line.startsWith('{"id":')) continue;
      const { error, subscribe } = JSON.parse(line) as {
        error?: { message: string };
        subscribe?: { epoch?: string; offset?: number; recovered?: boolean };
      };
      if (error !== undefined) this.failed(`a subscription was refused: ${error.message}`);
      const recovering = typeof this.options.from === "object";
      if (recovering && subscribe?.recovered !== true) this.failed("it could not be given what it missed");
      this.#epoch = subscribe?.epoch ?? this.#epoch;
      // Where it is until a message comes.
      this.#last = Buffer.from(`"offset":${subscribe?.offset ?? 0}`);
      this.#onSubscribed(++this.#subscribed);
    }
  }
}
