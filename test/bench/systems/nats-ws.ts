/** NATS without JetStream: whoever is there gets a message, and nothing is stored or acknowledged. */
import { message, numberAt } from "../message.ts";
import type { PublisherOptions, SubscriberOptions, System } from "../system.ts";
import { NatsSocket } from "./nats.ts";
import { natsAbsence, natsWebServer } from "./nats-web-server.ts";
import { SocketPublisher, SocketSubscriber } from "./peer.ts";

export const natsWs: System = {
  name: "nats-ws",
  settings: "nats-server's core subjects over its WebSocket, no compression, write_deadline 60 s, max_pending 256 MiB",
  durability: "nothing",
  can: ["channels", "wildcards"],
  absence: natsAbsence,
  async start(folder) {
    const started = await natsWebServer(folder, "");
    return {
      ...started,
      folder,
      client: {
        publisher: async (options) => new NatsPublisher(await NatsSocket.open(started.url), options),
        subscriber: (options) => NatsSubscriber.start(started.url, options),
      },
    };
  },
};

class NatsPublisher extends SocketPublisher<NatsSocket> {
  constructor(socket: NatsSocket, options: PublisherOptions) {
    super(socket, options);
  }

  protected transmit(first: number, count: number): void {
    const { bytes, channel } = this.options;
    let text = "";
    for (let number = first; number < first + count; number++) {
      text += `PUB ${channel(number)} ${bytes}\r\n${message(number, bytes)}\r\n`;
    }
    this.socket.send(text);
  }
}

class NatsSubscriber extends SocketSubscriber<NatsSocket> {
  private constructor(socket: NatsSocket, options: SubscriberOptions) {
    super(socket, options);
    socket.onMessage = ({ bytes, payload }) => this.take(numberAt(bytes, payload + 1));
    socket.onEnd = () => this.taken();
  }

  static async start(url: string, options: SubscriberOptions): Promise<NatsSubscriber> {
    const socket = await NatsSocket.open(url, options.localAddress);
    const subscriber = new NatsSubscriber(socket, options);
    socket.send(subscriber.channels.map((channel, i) => `SUB ${channel} ${i + 1}\r\n`).join(""));
    await socket.flush();
    return subscriber;
  }
}
