/**
 * Socket.IO with a room for each channel, over WebSocket alone: without and with recovery of a connection's state, which keeps
 * what was sent in memory and gives it to a client that comes back within two minutes.
 */
import { message, numberAt } from "../message.ts";
import { RawSocket } from "../raw-socket.ts";
import type { PublisherOptions, SubscriberOptions, System } from "../system.ts";
import { leavingOut, PeerPublisher, PeerSubscriber, peerPackageVersion, peersFolder, unless } from "./peer.ts";
import { node } from "./process.ts";

const program = (recovery: boolean): string => `
  const http = require("http").createServer();
  const { Server } = require("socket.io");
  const io = new Server(http, {
    transports: ["websocket"], serveClient: false, maxHttpBufferSize: 1e8, perMessageDeflate: false,
    pingInterval: 300000, pingTimeout: 300000,
    ${recovery ? "connectionStateRecovery: { maxDisconnectionDuration: 120000, skipMiddlewares: true }," : ""}
  });
  io.on("connection", (socket) => {
    socket.on("subscribe", (channels, done) => { socket.join(channels); done(); });
    socket.on("publish", (channel, data, done) => { io.to(channel).emit("message", data); done(); });
  });
  http.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
    console.log("listening on http://127.0.0.1:" + http.address().port);
  });`;

const leftOutOfRecovery = leavingOut("what it takes more than socket.io is shown in latency and fan-out", [
  "publish-1",
  "publish-256",
  "publish-4096",
  "many-to-many",
  "personal",
  "slow-reader",
]);

export const socketIo: System = system("socket.io", false);
export const socketIoRecovery: System = system("socket.io-recovery", true);

function system(name: "socket.io" | "socket.io-recovery", recovery: boolean): System {
  return {
    name,
    settings: `WebSocket only, no compression, a room for each channel, ${recovery ? "connection state recovery" : "no recovery"}`,
    durability: "memory",
    can: ["acknowledges", "channels", ...(recovery ? (["resumes"] as const) : [])],
    ...(recovery && { leavesOut: leftOutOfRecovery }),
    absence: () => unless(peerPackageVersion("socket.io"), "socket.io"),
    async start(folder) {
      const process = await node(["-e", program(recovery)], peersFolder);
      const url = `${process.url}/socket.io/?EIO=4&transport=websocket`;
      return {
        ...process,
        url,
        folder,
        version: peerPackageVersion("socket.io") ?? "",
        client: {
          publisher: (options) => RoomPublisher.start(url, options),
          subscriber: (options) => RoomSubscriber.start(url, options),
        },
      };
    },
  };
}

/** What a session that comes back shows: its private id, and the id of the last packet it was sent. */
interface Place {
  readonly pid: string;
  readonly offset: string;
}

/** A frame is a packet: `4` is a message, then `0` connects, `2` is an event and `3` answers one, then its number and JSON. */
async function open(
  url: string,
  onPacket: (packet: Buffer) => void,
  options: { readonly localAddress?: string | undefined; readonly place?: Place | undefined } = {},
): Promise<{ readonly socket: RawSocket; readonly pid: string | undefined }> {
  const socket = await RawSocket.open(url, undefined, options.localAddress);
  const welcome = await new Promise<string>((resolve, reject) => {
    socket.onMessage = (packet) => {
      const text = packet.toString("latin1");
      if (text.startsWith("0"))
        return socket.send(`40${options.place === undefined ? "" : JSON.stringify(options.place)}`);
      // What it missed comes before the answer to it.
      if (text.startsWith("42")) return onPacket(packet);
      if (!text.startsWith("40")) return reject(new Error(text));
      socket.onMessage = (next) => (next[0] === ping ? socket.send("3") : onPacket(next));
      resolve(text.slice(2));
    };
  });
  return { socket, pid: (JSON.parse(welcome) as { pid?: string }).pid };
}

const ping = "2".charCodeAt(0);
const event = "2".charCodeAt(0);
const answer = "3".charCodeAt(0);

class RoomPublisher extends PeerPublisher {
  #socket: RawSocket | undefined;

  static async start(url: string, options: PublisherOptions): Promise<RoomPublisher> {
    const publisher = new RoomPublisher(options);
    const { socket } = await open(url, (packet) => {
      if (packet[1] === answer) publisher.confirmed(1);
    });
    publisher.#socket = socket;
    socket.onClose = () => publisher.failed("the connection was lost");
    return publisher.begin();
  }

  close(): void {
    if (this.#socket !== undefined) this.#socket.onClose = () => {};
    this.#socket?.close();
  }

  protected transmit(first: number, count: number): void {
    const { bytes, channel } = this.options;
    this.#socket?.together(() => {
      for (let number = first; number < first + count; number++) {
        this.#socket?.send(`42${number}["publish","${channel(number)}",${message(number, bytes)}]`);
      }
    });
  }
}

const eventStart = '42["message","';

class RoomSubscriber extends PeerSubscriber {
  #socket: RawSocket | undefined;
  #pid = "";
  /** The last event, which with recovery ends with its id: `…","<id>"]`. */
  #last: Buffer = Buffer.alloc(0);
  #onSubscribed: () => void = () => {};

  static async start(url: string, options: SubscriberOptions): Promise<RoomSubscriber> {
    const subscriber = new RoomSubscriber(options);
    const { from, localAddress } = options;
    const place = typeof from === "object" ? (from.place as Place) : undefined;
    subscriber.#pid = place?.pid ?? "";
    // Where it is until a message comes.
    if (place !== undefined) subscriber.#last = Buffer.from(`"${place.offset}"]`);
    const { socket, pid } = await open(url, (packet) => subscriber.#packet(packet), { localAddress, place });
    subscriber.#socket = socket;
    subscriber.#pid = pid ?? "";
    socket.onClose = () => subscriber.failed("the connection was lost");
    if (place !== undefined && place.pid !== pid) subscriber.failed("it could not be given what it missed");
    // One that was recovered is in its rooms again.
    if (place === undefined) {
      const subscribed = new Promise<void>((resolve) => {
        subscriber.#onSubscribed = resolve;
      });
      socket.send(`420["subscribe",${JSON.stringify(subscriber.channels)}]`);
      await subscribed;
    }
    return subscriber;
  }

  place(): Place {
    return { pid: this.#pid, offset: /"([^"]*)"\]$/.exec(this.#last.toString("latin1"))?.[1] ?? "" };
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  close(): void {
    if (this.#socket !== undefined) this.#socket.onClose = () => {};
    this.#socket?.close();
  }

  #packet(packet: Buffer): void {
    if (packet[1] === answer) this.#onSubscribed();
    if (packet[1] !== event) return;
    // The end of a large buffer would keep all of it in memory, so the few bytes are copied where recovery needs them.
    if (this.#pid !== "") this.#last = Buffer.from(packet.subarray(-32));
    this.take(numberAt(packet, eventStart.length));
    this.taken();
  }
}
