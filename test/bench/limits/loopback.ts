/** What a connection to this machine carries. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Distribution, seconds } from "../measure.ts";
import { node } from "../systems/process.ts";
import type { Limit } from "./limit.ts";

const messageBytes = 256;
const measureS = 0.6;

export const loopbackMessages = `loopback messages/s of ${messageBytes} bytes`;

/** `S` asks it to send all it can, `E` to echo, `W` to swallow. */
const program = `
  const server = require("node:net").createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => {});
    socket.once("data", (asked) => {
      if (asked[0] === 0x45) socket.on("data", (data) => socket.write(data));
      else if (asked[0] === 0x57) socket.resume();
      else {
        const block = Buffer.alloc(65536);
        const send = () => { while (socket.write(block)); };
        socket.on("drain", send);
        send();
      }
    });
  });
  server.listen(0, "127.0.0.1", () => console.log("listening on http://127.0.0.1:" + server.address().port));`;

export const loopback: Limit = {
  finds: [
    loopbackMessages,
    "loopback MB/s",
    "loopback round trip p50 ms",
    "loopback round trip p99 ms",
    "socket writes/s",
  ],
  always: true,
  async measure() {
    const peer = await node(["-e", program]);
    const perSecond = await bytesPerSecond(peer.url);
    const times = await roundTrips(peer.url);
    const writes = await writesPerSecond(peer.url);
    await peer.stop();
    return {
      [loopbackMessages]: { value: perSecond / messageBytes, unit: "messages/s" },
      "loopback MB/s": { value: perSecond / 2 ** 20, unit: "MB/s" },
      "loopback round trip p50 ms": { value: times.at(0.5), unit: "ms" },
      "loopback round trip p99 ms": { value: times.at(0.99), unit: "ms" },
      "socket writes/s": { value: writes, unit: "calls/s" },
    };
  },
};

async function ask(url: string, what: "S" | "E" | "W"): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, "connect");
  socket.write(what);
  return socket;
}

async function bytesPerSecond(url: string): Promise<number> {
  const socket = await ask(url, "S");
  let bytes = 0;
  socket.on("data", (data) => {
    bytes += data.length;
  });
  await seconds(0.2);
  const [from, start] = [bytes, performance.now()];
  await seconds(measureS);
  const perSecond = ((bytes - from) / (performance.now() - start)) * 1_000;
  socket.destroy();
  return perSecond;
}

async function roundTrips(url: string): Promise<Distribution> {
  const socket = await ask(url, "E");
  const message = Buffer.alloc(messageBytes);
  const times = new Distribution();
  let [bytes, whole] = [0, () => {}];
  socket.on("data", (data) => {
    bytes += data.length;
    if (bytes % messageBytes === 0) whole();
  });
  const end = performance.now() + measureS * 1_000;
  await seconds(0.01);
  while (performance.now() < end) {
    const back = new Promise<void>((resolve) => {
      whole = resolve;
    });
    const begun = performance.now();
    socket.write(message);
    await back;
    times.add(performance.now() - begun);
  }
  socket.destroy();
  return times;
}

/** Small writes by Node, each a system call, to somebody who reads them. */
async function writesPerSecond(url: string): Promise<number> {
  const socket = await ask(url, "W");
  const message = Buffer.alloc(100);
  await seconds(0.01);
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < measureS * 1_000) {
    let more = true;
    for (let i = 0; i < 1_000 && more; i++) {
      more = socket.write(message);
      count++;
    }
    await (more ? seconds(0) : once(socket, "drain"));
  }
  const perSecond = (count / (performance.now() - start)) * 1_000;
  socket.destroy();
  return perSecond;
}
