/** What one process can write to so many connections over `ws`, framed once for all and many messages to a write. */
import { seconds } from "../measure.ts";
import { numberAt } from "../message.ts";
import { RawSocket } from "../raw-socket.ts";
import { Sequence } from "../sequence.ts";
import { node } from "../systems/process.ts";
import type { Limit } from "./limit.ts";

const bytes = 100;
const perWrite = 64;

/** Begins when it has its connections; a new batch leaves when none of them has too much of the last ones left. */
const program = `
  const { WebSocketServer } = require("ws");
  const [connections, bytes, perWrite] = process.argv.slice(1).map(Number);
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false, backlog: 4096 });
  const sockets = [];
  server.on("connection", (_, request) => { if (sockets.push(request.socket) === connections) setImmediate(round); });
  let number = 0;
  function round() {
    let left = 0;
    for (const socket of sockets) left = Math.max(left, socket.writableLength);
    if (left > 65536) return setTimeout(round, 1);
    const batch = Buffer.alloc(perWrite * (bytes + 2), "x");
    for (let i = 0, at = 0; i < perWrite; i++, at += bytes + 2) {
      batch[at] = 0x81;
      batch[at + 1] = bytes;
      batch.write('"' + String(++number).padStart(12, "0"), at + 2, "latin1");
      batch[at + bytes + 1] = 0x22;
    }
    for (const socket of sockets) socket.write(batch);
    setImmediate(round);
  }
  server.on("listening", () => console.log("listening on http://127.0.0.1:" + server.address().port));`;

export function fanOutLimit(connections: number): string {
  return `batched ws deliveries/s to ${connections}`;
}

export const batchedFanOut = (connections: number): Limit => ({
  finds: [fanOutLimit(connections)],
  always: false,
  async measure() {
    const server = await node(["-e", program, `${connections}`, `${bytes}`, `${perWrite}`]);
    const sequences: Sequence[] = [];
    const sockets: RawSocket[] = [];
    const open = async (i: number) => {
      const sequence = new Sequence();
      sequences.push(sequence);
      const socket = await RawSocket.open(server.url, undefined, `127.0.0.${1 + Math.floor(i / 5_000)}`);
      socket.onMessage = (payload) => sequence.take(numberAt(payload, 1));
      sockets.push(socket);
    };
    for (let i = 0; i < connections; i += 100) {
      await Promise.all(Array.from({ length: Math.min(100, connections - i) }, (_, at) => open(i + at)));
    }
    const received = () => sequences.reduce((sum, sequence) => sum + sequence.received, 0);
    await seconds(0.5);
    const [from, start] = [received(), performance.now()];
    await seconds(1.2);
    const perSecond = ((received() - from) / (performance.now() - start)) * 1_000;
    for (const socket of sockets) socket.close();
    await server.stop();
    const fault = sequences.find((sequence) => sequence.fault !== undefined)?.fault;
    if (fault !== undefined) throw new Error(fault);
    return { [fanOutLimit(connections)]: { value: perSecond, unit: "deliveries/s" } };
  },
});
