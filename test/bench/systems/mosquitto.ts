/** Mosquitto over its WebSocket: MQTT 3.1.1, publishing at QoS 1, which it confirms, and subscribing at QoS 0. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { message, numberAt } from "../message.ts";
import { RawSocket } from "../raw-socket.ts";
import type { PublisherOptions, SubscriberOptions, System } from "../system.ts";
import { freePort, PeerPublisher, PeerSubscriber, peerProgram, Remainder, server, unless } from "./peer.ts";

export const mosquitto: System = {
  name: "mosquitto",
  settings: "MQTT over WebSocket, published at QoS 1, delivered at QoS 0, no limits to queues, nothing kept on disk",
  durability: "memory",
  can: ["acknowledges", "channels", "wildcards"],
  leavesOut: {
    "catch-up": "it keeps no log",
    "resume-storm": "it resumes by queues of QoS 1 for each client, in memory",
  },
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
        subscriber: (options) => MqttSubscriber.start(url, options),
      },
    };
  },
};

const [connectPacket, connack, publishPacket, puback, subscribePacket, suback] = [1, 2, 3, 4, 8, 9];
let clients = 0;

/** A connection: packets out, and the packets that come in one by one. */
class MqttSocket {
  onFault: (why: string) => void = () => {};
  /** Takes the first byte of a packet, and where what follows its length begins and ends. */
  onPacket: (bytes: Buffer, at: number, body: number, end: number) => void = () => {};
  onEnd: () => void = () => {};
  readonly #socket: RawSocket;
  readonly #rest = new Remainder();

  private constructor(socket: RawSocket) {
    this.#socket = socket;
    socket.onMessage = (data) => this.#read(data);
    socket.onClose = () => this.onFault("the connection was lost");
  }

  static async open(url: string, localAddress?: string): Promise<MqttSocket> {
    const socket = new MqttSocket(await RawSocket.open(url, "mqtt", localAddress));
    const name = text(`bench-${process.pid}-${++clients}`);
    const cleanSession = 0x02;
    // A keep-alive of zero is none.
    await socket.ask(packet(connectPacket << 4, text("MQTT"), Buffer.from([4, cleanSession, 0, 0]), name), connack);
    return socket;
  }

  send(data: Buffer): void {
    this.#socket.send(data);
  }

  /** Sends what is answered by a packet of a kind. */
  ask(data: Buffer, answer: number): Promise<void> {
    return new Promise((resolve) => {
      this.onPacket = (bytes, at) => {
        if ((bytes[at] as number) >> 4 === answer) resolve();
      };
      this.send(data);
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

class MqttPublisher extends PeerPublisher {
  readonly #socket: MqttSocket;
  #answers = 0;

  private constructor(socket: MqttSocket, options: PublisherOptions) {
    super(options);
    this.#socket = socket;
    socket.onFault = (why) => this.failed(why);
    socket.onPacket = (bytes, at) => {
      if ((bytes[at] as number) >> 4 === puback) this.#answers++;
    };
    socket.onEnd = () => {
      const answers = this.#answers;
      this.#answers = 0;
      this.confirmed(answers);
    };
  }

  static async start(url: string, options: PublisherOptions): Promise<MqttPublisher> {
    return new MqttPublisher(await MqttSocket.open(url), options).begin();
  }

  close(): void {
    this.#socket.close();
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
    this.#socket.send(Buffer.concat(packets));
  }
}

class MqttSubscriber extends PeerSubscriber {
  readonly #socket: MqttSocket;

  private constructor(socket: MqttSocket, options: SubscriberOptions) {
    super(options);
    this.#socket = socket;
    socket.onFault = (why) => this.failed(why);
  }

  static async start(url: string, options: SubscriberOptions): Promise<MqttSubscriber> {
    const socket = await MqttSocket.open(url, options.localAddress);
    const subscriber = new MqttSubscriber(socket, options);
    const qos0 = Buffer.from([0]);
    const topics = subscriber.channels.flatMap((channel) => [text(topic(channel)), qos0]);
    await socket.ask(packet((subscribePacket << 4) | 0x02, Buffer.from([0, 1]), ...topics), suback);
    socket.onPacket = (bytes, at, body) => {
      if ((bytes[at] as number) >> 4 !== publishPacket) return;
      const name = bytes.readUInt16BE(body);
      // After the topic and the quotation mark: at QoS 0 there is no packet identifier.
      subscriber.take(numberAt(bytes, body + 2 + name + 1));
    };
    socket.onEnd = () => subscriber.taken();
    return subscriber;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.close();
  }
}
