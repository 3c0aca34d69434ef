/** What most people write first: every message is sent to every other connection. */
import { message, numberAt } from "../message.ts";
import { RawSocket } from "../raw-socket.ts";

import type { Client, Publisher, Subscriber, System } from "../system.ts";
import { node, versionOf } from "./process.ts";

const program = `
  const { WebSocketServer } = require("ws");
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false, backlog: 4096 });
  server.on("connection", (socket) => {
    socket.on("message", (message) => {
      for (const client of server.clients) if (client !== socket) client.send(message, { binary: false });
    });
  });
  server.on("listening", () => console.log("listening on http://127.0.0.1:" + server.address().port));`;

export const ws: System = {
  name: "ws",
  settings: "a loop over all connections with one send each; no compression",
  durability: "nothing",
  can: [],
  absence: () => undefined,
  async start(folder) {
    const process = await node(["-e", program]);
    return { ...process, folder, version: versionOf("ws"), client: client(process.url) };
  },
};

function client(url: string): Client {
  return {
    async publisher({ bytes }) {
      const socket = await RawSocket.open(url);
      let sent = 0;
      const publisher: Publisher & { fault: string | undefined } = {
        get sent() {
          return sent;
        },
        acknowledged: 0,
        fault: undefined,
        onAcknowledged: () => {},
        sendMore(count) {
          for (let i = 0; i < count; i++) socket.send(message(++sent, bytes));
        },
        stop: () => {},
        close: () => socket.close(),
      };
      return publisher;
    },

    async subscriber({ sequence, localAddress }) {
      const socket = await RawSocket.open(url, undefined, localAddress);
      const subscriber: Subscriber & { fault: string | undefined } = {
        onProgress: () => {},
        fault: undefined,
        pause: () => socket.pause(),
        resume: () => socket.resume(),
        close() {
          socket.onClose = () => {};
          socket.close();
        },
      };
      socket.onClose = () => {
        subscriber.fault = "the connection was lost";
      };
      socket.onMessage = (payload) => {
        // After the quotation mark.
        const number = numberAt(payload, 1);
        sequence.take(number);
        subscriber.onProgress(number, 1);
      };
      return subscriber;
    },
  };
}
