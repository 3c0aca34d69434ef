/**
 * Mosquitto over its WebSocket: MQTT 3.1.1, publishing at QoS 1, which it confirms. Subscribers are sent messages at QoS 0, or at
 * QoS 1, in sessions for which it queues, in memory, what they miss.
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { message, numberAt } from "../message.ts";
import { RawSocket } from "../raw-socket.ts";
import type { PublisherOptions, SubscriberOptions, System } from "../system.ts";
import {
  freePort,
  leavingOut,
  peerProgram,
  Remainder,
  SocketPublisher,
  SocketSubscriber,
  server,
  unless,
} from "./peer.ts";

type Qos = 0 | 1;

const about = {
  0: "delivered at QoS 0",
  1: "delivered at QoS 1 to sessions that are kept and resumed",
} as const;

const leftOutOfQos1 = leavingOut("what it takes more than mosquitto is shown in fan-out", [
  "many-to-many",
  "personal",
  "wildcards",
  "idle",
  "slow-reader",
]);

export const mosquitto: System = system("mosquitto", 0);
export const mosquittoQos1: System = system("mosquitto-qos1", 1);

function system(name: "mosquitto" | "mosquitto-qos1", qos: Qos): System {
  return {
    name,
    settings: `MQTT over WebSocket, published at QoS 1, ${about[qos]}, no limits to queues, nothing kept on disk`,
    durability: "memory",
    can: ["acknowledges", "channels", "wildcards", ...(qos === 1 ? (["resumes"] as const) : [])],
    ...(qos === 1 && { leavesOut: leftOutOfQos1 }),
    absence: () => unless(peerProgram("mosquitto"), "mosquitto"),
    async start(folder) {
      const command = peerProgram("mosquitto") as string;
      const port = await freePort();
      const file = join(folder, "mosquitto.conf");
      // Without a listener that is no WebSocket, some versions take themselves to have none and end.
      writeFileSync(
        file,
        `listener ${port} 127.0.0.1
protocol websockets
listener 0 ${join(folder, "socket")}
allow_anonymous true
persistence false
set_tcp_nodelay true
max_inflight_messages 0
max_queued_messages 0
log_type error
user root
`,
      );
      const started = await server(command, ["-c", file], { folder, port });
      const version = /version (\S+)/.exec(spawnSync(command, ["-h"], { encoding: "utf8" }).stdout)?.[1] ?? "";
      const url = `ws://127.0.0.1:${port}/mqtt`;
      return {
        ...started,
        url,
        folder,
        version,
        client: {
          publisher: (options) => MqttPublisher.start(url, options),
          subscriber: (options) => MqttSubscriber.start(url, options, qos),
        },
      };
    },
  };
}

const [connectPacket, connack, publishPacket, puback, subscribePacket, suback] = [1, 2, 3, 4, 8, 9];
let sessions = 0;

function newName(): string {
  return `bench-${process.pid}-${++sessions}`;
}

/** A connection: packets out, and the packets that come in one by one. */
class MqttSocket {
  onFault: (why: string) => void = () => {};
  /** Takes the first byte of a packet, and where what follows its length begins and ends. */
  onPacket: (bytes: Buffer, at: number, body: number, end: number) => void = () => {};
  onEnd: () => void = () => {};
  readonly #socket: RawSocket;
  readonly #rest = new Remainder();
  readonly #early: Buffer[] = [];

  private constructor(socket: RawSocket) {
    this.#socket = socket;
    socket.onMessage = (data) => this.#read(data);
    socket.onClose = () => this.onFault("the connection was lost");
  }

  /** Opens a session, or goes on with one that is named; resolves with whether it was there. */
  static async open(
    url: string,
    options: { readonly localAddress?: string | undefined; readonly session?: string } = {},
  ): Promise<[MqttSocket, isThere: boolean]> {
    const { localAddress, session } = options;
    const socket = new MqttSocket(await RawSocket.open(url, "mqtt", localAddress));
    const isClean = session === undefined ? 0x02 : 0;
    // A keep-alive of zero is none.
    const head = [text("MQTT"), Buffer.from([4, isClean, 0, 0]), text(session ?? newName())];
    const present = await socket.ask(packet(connectPacket << 4, ...head), connack);
    return [socket, present === 1];
  }

  send(data: Buffer): void {
    this.#socket.send(data);
  }

  /** Sends what is answered by a packet of a kind; resolves with the first byte of that. What comes after it is kept. */
  ask(data: Buffer, answer: number): Promise<number> {
    return new Promise((resolve) => {
      this.onPacket = (bytes, at, body) => {
        if ((bytes[at] as number) >> 4 !== answer) return;
        this.onPacket = (next, from, _, end) => this.#early.push(Buffer.from(next.subarray(from, end)));
        resolve(bytes[body] as number);
      };
      this.send(data);
    });
  }

  /** Takes packets from now on, and first those that came before there was anybody to take them. */
  take(onPacket: MqttSocket["onPacket"], onEnd: () => void): void {
    this.onPacket = onPacket;
    for (const bytes of this.#early.splice(0)) this.#read(bytes);
    this.onEnd = onEnd;
    onEnd();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.onFault = () => {};
    this.#socket.close();
  }

  #read(data: Buffer): void {
    const bytes = this.#rest.with(data);
    if (bytes === undefined) return;
    let at = 0;
    while (at < bytes.length) {
      let [length, shift, body, more] = [0, 0, at + 1, true];
      for (; more && body < bytes.length; body++, shift += 7) {
        const digit = bytes[body] as number;
        length |= (digit & 0x7f) << shift;
        more = digit >= 0x80;
      }
      if (more || body + length > bytes.length) break;
      this.onPacket(bytes, at, body, body + length);
      at = body + length;
    }
    this.#rest.keep(bytes, at);
    this.onEnd();
  }
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

function packet(first: number, ...body: readonly Buffer[]): Buffer {
  let length = body.reduce((sum, part) => sum + part.length, 0);
  const head = [first];
  do {
    head.push((length & 0x7f) | (length > 0x7f ? 0x80 : 0));
    length >>= 7;
  } while (length > 0);
  return Buffer.concat([Buffer.from(head), ...body]);
}

/** Levels are joined by slashes; `*` is `+`, and `>` is `#`. */
function topic(channel: string): string {
  return channel.replaceAll(".", "/").replaceAll("*", "+").replace(/>$/, "#");
}

class MqttPublisher extends SocketPublisher<MqttSocket> {
  #answers = 0;

  private constructor(socket: MqttSocket, options: PublisherOptions) {
    super(socket, options);
    const onPacket = (bytes: Buffer, at: number) => {
      if ((bytes[at] as number) >> 4 === puback) this.#answers++;
    };
    socket.take(onPacket, () => {
      const answers = this.#answers;
      this.#answers = 0;
      this.confirmed(answers);
    });
  }

  static async start(url: string, options: PublisherOptions): Promise<MqttPublisher> {
    const [socket] = await MqttSocket.open(url);
    return new MqttPublisher(socket, options).begin();
  }

  protected transmit(first: number, count: number): void {
    const { bytes, channel } = this.options;
    const packets: Buffer[] = [];
    const qos1 = (publishPacket << 4) | 0x02;
    for (let number = first; number < first + count; number++) {
      const id = (number % 65_535) + 1;
      const body = [
        text(topic(channel(number))),
        Buffer.from([id >> 8, id & 0xff]),
        Buffer.from(message(number, bytes)),
      ];
      packets.push(packet(qos1, ...body));
    }
    this.socket.send(Buffer.concat(packets));
  }
}

interface Place {
  readonly session: string;
  readonly last: number;
}

class MqttSubscriber extends SocketSubscriber<MqttSocket> {
  readonly #session: string;
  #last: number;
  #acks: Buffer[] = [];

  private constructor(socket: MqttSocket, options: SubscriberOptions, place: Place) {
    super(socket, options);
    this.#session = place.session;
    this.#last = place.last;
  }

  static async start(url: string, options: SubscriberOptions, qos: Qos): Promise<MqttSubscriber> {
    const { localAddress, from } = options;
    const place = typeof from === "object" ? (from.place as Place) : { session: newName(), last: 0 };
    const session = qos === 0 ? {} : { session: place.session };
    const [socket, isThere] = await MqttSocket.open(url, { localAddress, ...session });
    const subscriber = new MqttSubscriber(socket, options, place);
    if (typeof from === "object") {
      if (!isThere) subscriber.failed("it could not be given what it missed");
    } else {
      const topics = subscriber.channels.flatMap((channel) => [text(topic(channel)), Buffer.from([qos])]);
      await socket.ask(packet((subscribePacket << 4) | 0x02, Buffer.from([0, 1]), ...topics), suback);
    }
    socket.take(
      (bytes, at, body) => subscriber.#packet(bytes, at, body),
      () => subscriber.#end(),
    );
    return subscriber;
  }

  place(): Place {
    return { session: this.#session, last: this.#last };
  }

  /** After its topic, and at QoS 1 its identifier, stands the payload. */
  #packet(bytes: Buffer, at: number, body: number): void {
    const first = bytes[at] as number;
    if (first >> 4 !== publishPacket) return;
    const topicEnd = body + 2 + bytes.readUInt16BE(body);
    const [isAcknowledged, isRepeated] = [(first & 0x02) !== 0, (first & 0x08) !== 0];
    if (isAcknowledged) {
      this.#acks.push(packet(puback << 4, Buffer.from([bytes[topicEnd] as number, bytes[topicEnd + 1] as number])));
    }
    const number = numberAt(bytes, topicEnd + (isAcknowledged ? 2 : 0) + 1);
    // What it had, and had not acknowledged when its connection was lost, is sent once more and says so.
    if (isRepeated && number <= this.#last) return;
    this.#last = number;
    this.take(number);
  }

  #end(): void {
    if (this.#acks.length > 0) this.socket.send(Buffer.concat(this.#acks.splice(0)));
    this.taken();
  }
}
