/** Redis Streams: a stream for each channel, appended to and read by its own protocol over TCP. */
import { spawnSync } from "node:child_process";
import { connect, type Socket } from "node:net";
import { seconds } from "../measure.ts";
import { message, numberAt } from "../message.ts";
import type { PublisherOptions, SubscriberOptions, System, Worker, WorkerOptions } from "../system.ts";
import { freePort, peerProgram, Remainder, SocketPublisher, SocketSubscriber, server, unless } from "./peer.ts";

const settings = [
  "--appendonly yes",
  "--appendfsync always",
  "--save ",
  "--protected-mode no",
  "--maxclients 20000",
  "--tcp-backlog 4096",
];

export const redis: System = {
  name: "redis",
  settings: "Streams with appendonly yes, appendfsync always, no snapshots; XADD in pipelines, XREAD BLOCK",
  durability: "flushed",
  can: ["acknowledges", "channels", "replays", "resumes", "groups"],
  absence: () => unless(peerProgram("redis-server"), "redis-server"),
  async start(folder) {
    const command = peerProgram("redis-server") as string;
    const port = await freePort();
    const options = settings.flatMap((setting) => setting.split(" "));
    const started = await server(command, ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, ...options], {
      folder,
      port,
    });
    await loaded(port);
    const version = /v=(\S+)/.exec(spawnSync(command, ["--version"], { encoding: "utf8" }).stdout)?.[1] ?? "";
    return {
      ...started,
      url: `redis://127.0.0.1:${port}`,
      folder,
      version,
      client: {
        publisher: (options) => StreamPublisher.start(port, options),
        subscriber: (options) => StreamSubscriber.start(port, options),
        worker: (options) => GroupWorker.start(port, options),
      },
    };
  },
};

/** A command as Redis reads it. */
function command(...parts: readonly string[]): string {
  return `*${parts.length}\r\n${parts.map((part) => `$${part.length}\r\n${part}\r\n`).join("")}`;
}

/** It answers as soon as it is started, but not with what it has stored. */
async function loaded(port: number): Promise<void> {
  const socket = await RedisSocket.open(port);
  while (!(await socket.ask("PING")).startsWith("+PONG")) await seconds(0.05);
  socket.close();
}

const newline = 0x0a;
const dollar = 0x24;
const star = 0x2a;
const minus = 0x2d;

/** A connection: commands out, and replies in, which are looked at in place. */
class RedisSocket {
  onFault: (why: string) => void = () => {};
  /** Takes each whole reply; the bytes are valid until it returns. */
  onReply: (bytes: Buffer, at: number, end: number) => void = () => {};
  onEnd: () => void = () => {};
  readonly #socket: Socket;
  readonly #rest = new Remainder();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {});
    socket.on("close", () => this.onFault("the connection was lost"));
    socket.on("data", (data) => this.#read(data));
  }

  static open(port: number, localAddress?: string): Promise<RedisSocket> {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true, ...(localAddress && { localAddress }) });
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.once("connect", () => resolve(new RedisSocket(socket)));
    });
  }

  send(text: string): void {
    this.#socket.write(text, "latin1");
  }

  /** Sends a command of which nothing else is under way. */
  ask(...parts: readonly string[]): Promise<string> {
    return new Promise((resolve) => {
      this.onReply = (bytes, at, end) => resolve(bytes.toString("latin1", at, end));
      this.send(command(...parts));
    });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.onFault = () => {};
    this.#socket.resetAndDestroy();
  }

  #read(data: Buffer): void {
    const bytes = this.#rest.with(data);
    if (bytes === undefined) return;
    let at = 0;
    while (at < bytes.length) {
      const end = replyEnd(bytes, at);
      if (end < 0) break;
      if (bytes[at] === minus) this.onFault(bytes.toString("latin1", at, end - 2));
      this.onReply(bytes, at, end);
      at = end;
    }
    this.#rest.keep(bytes, at);
    this.onEnd();
  }
}

/** Where a reply ends; -1 where it is not whole. */
function replyEnd(bytes: Buffer, from: number): number {
  let at = from;
  for (let left = 1; left > 0; left--) {
    const end = bytes.indexOf(newline, at);
    if (end < 0) return -1;
    const kind = bytes[at];
    const size = kind === dollar || kind === star ? sizeAt(bytes, at + 1) : 0;
    if (kind === star) left += Math.max(size, 0);
    at = end + 1 + (kind === dollar && size >= 0 ? size + 2 : 0);
    if (at > bytes.length) return -1;
  }
  return at;
}

function sizeAt(bytes: Buffer, from: number): number {
  if (bytes[from] === minus) return -1;
  let size = 0;
  for (let at = from, digit = 0; ; at++) {
    digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) return size;
    size = size * 10 + digit;
  }
}

class StreamPublisher extends SocketPublisher<RedisSocket> {
  #answers = 0;

  private constructor(socket: RedisSocket, options: PublisherOptions) {
    super(socket, options);
    socket.onReply = () => {
      this.#answers++;
    };
    socket.onEnd = () => {
      const answers = this.#answers;
      this.#answers = 0;
      this.confirmed(answers);
    };
  }

  static async start(port: number, options: PublisherOptions): Promise<StreamPublisher> {
    return new StreamPublisher(await RedisSocket.open(port), options).begin();
  }

  protected transmit(first: number, count: number): void {
    const { bytes, channel } = this.options;
    let text = "";
    for (let number = first; number < first + count; number++) {
      text += command("XADD", channel(number), "*", "d", message(number, bytes));
    }
    this.socket.send(text);
  }
}

/** What stands before each number in a reply: the name and the length of the only field. */
const mark = Buffer.from("$1\r\nd\r\n$");

/** Calls for each entry of a reply to `XREAD` with where its number is; returns the entries. */
function eachEntry(bytes: Buffer, from: number, end: number, take: (number: number, at: number) => void): void {
  for (let at = bytes.indexOf(mark, from); at >= 0 && at < end; at = bytes.indexOf(mark, at + mark.length)) {
    const text = bytes.indexOf(newline, at + mark.length) + 1;
    take(numberAt(bytes, text + 1), at);
    at = text + sizeAt(bytes, at + mark.length) - mark.length;
  }
}

/** The id of an entry, which stands before its fields: `$15\r\n1700000000000-0\r\n*2\r\n`. */
function idBefore(bytes: Buffer, at: number): string {
  const end = bytes.lastIndexOf(star, at - 1) - 2;
  return bytes.toString("latin1", bytes.lastIndexOf(newline, end - 1) + 1, end);
}

const entriesAtOnce = "1000";

/** Reads from where it is, waits where there is nothing, and reads on. Each stream has a place of its own. */
class StreamSubscriber extends SocketSubscriber<RedisSocket> {
  readonly #places: Map<string, string>;

  private constructor(socket: RedisSocket, options: SubscriberOptions, places: Map<string, string>) {
    super(socket, options);
    this.#places = places;
    socket.onReply = (bytes, at, end) => this.#reply(bytes, at, end);
  }

  static async start(port: number, options: SubscriberOptions): Promise<StreamSubscriber> {
    const socket = await RedisSocket.open(port, options.localAddress);
    const { channel, from } = options;
    const places = new Map(typeof from === "object" ? (from.place as Map<string, string>) : []);
    for (const one of typeof channel === "string" ? [channel] : channel) {
      // `$` would mean the end at the time of each command, and lose what comes between two.
      if (!places.has(one)) places.set(one, from === "latest" ? await endOf(socket, one) : "0-0");
    }
    const subscriber = new StreamSubscriber(socket, options, places);
    subscriber.#ask();
    return subscriber;
  }

  place(): Map<string, string> {
    return new Map(this.#places);
  }

  #ask(): void {
    const places = [...this.#places.keys(), ...this.#places.values()];
    this.socket.send(command("XREAD", "COUNT", entriesAtOnce, "BLOCK", "0", "STREAMS", ...places));
  }

  #reply(bytes: Buffer, from: number, end: number): void {
    if (this.#places.size === 1) this.#take(bytes, from, end, this.channels[0] as string);
    else this.#takeStreams(bytes, from, end);
    this.#ask();
    this.taken();
  }

  #take(bytes: Buffer, from: number, end: number, stream: string): void {
    let last = 0;
    eachEntry(bytes, from, end, (number, at) => {
      this.take(number);
      last = at;
    });
    if (last > 0) this.#places.set(stream, idBefore(bytes, last));
  }

  /** `*<streams>`, then for each `*2`, its name and its entries. */
  #takeStreams(bytes: Buffer, from: number, end: number): void {
    let at = bytes.indexOf(newline, from) + 1;
    while (at < end) {
      const next = replyEnd(bytes, at);
      const name = bytes.indexOf(newline, bytes.indexOf(newline, at) + 1) + 1;
      const stream = bytes.toString("latin1", name, bytes.indexOf(newline, name) - 1);
      this.#take(bytes, name, next, stream);
      at = next;
    }
  }
}

async function endOf(socket: RedisSocket, stream: string): Promise<string> {
  const reply = await socket.ask("XREVRANGE", stream, "+", "-", "COUNT", "1");
  return /\d+-\d+/.exec(reply)?.[0] ?? "0-0";
}

/** Reads what was given to nobody in the group, and settles it with one command. */
class GroupWorker implements Worker {
  settled = 0;
  fault: string | undefined;
  onTaken: () => void = () => {};
  readonly #socket: RedisSocket;
  readonly #options: WorkerOptions;
  readonly #read: string;

  private constructor(socket: RedisSocket, options: WorkerOptions) {
    this.#socket = socket;
    this.#options = options;
    const { group, name, window, channel } = options;
    const read = ["XREADGROUP", "GROUP", group, name, "COUNT", `${window}`, "BLOCK", "0", "STREAMS", channel, ">"];
    this.#read = command(...read);
    socket.onFault = (why) => {
      this.fault ??= why;
    };
    socket.onReply = (bytes, at, end) => this.#reply(bytes, at, end);
  }

  static async start(port: number, options: WorkerOptions): Promise<GroupWorker> {
    const socket = await RedisSocket.open(port);
    // Another member may have created it; then this is refused.
    await socket.ask("XGROUP", "CREATE", options.channel, options.group, "0", "MKSTREAM");
    const worker = new GroupWorker(socket, options);
    socket.send(worker.#read);
    return worker;
  }

  close(): void {
    this.#socket.close();
  }

  /** What was settled is a number; what was read is a list. */
  #reply(bytes: Buffer, from: number, end: number): void {
    if (bytes[from] !== star) {
      this.settled += sizeAt(bytes, from + 1);
      return;
    }
    const ids: string[] = [];
    eachEntry(bytes, from, end, (number, at) => {
      this.#options.once.take(number);
      ids.push(idBefore(bytes, at));
    });
    this.#socket.send(command("XACK", this.#options.channel, this.#options.group, ...ids) + this.#read);
    this.onTaken();
  }
}
