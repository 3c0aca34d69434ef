/** What one process can write to so many connections over `ws`, framed once for all, many messages to a frame. */
import { seconds } from "../measure.ts";
import { numberAt } from "../message.ts";
import { RawSocket } from "../raw-socket.ts";
import { Sequence } from "../sequence.ts";
import { node } from "../systems/process.ts";
import type { Limit } from "./limit.ts";

const bytes = 100;
/** Of a message with what is between it and the next: what is written is a frame of so many. */
const step = bytes + 1;
const perFrame = 256;

/** Begins when it has its connections; a new batch leaves when none of them has too much of the last ones left. */
const program = `
  const { WebSocketServer } = require("ws");
  const [connections, step, perFrame] = process.argv.slice(1).map(Number);
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false, backlog: 4096 });
  const sockets = [];
  server.on("connection", (_, request) => { if (sockets.push(request.socket) === connections) setImmediate(round); });
  let number = 0;
  function round() {
    let left = 0;
    for (const socket of sockets) left = Math.max(left, socket.writableLength);
    if (left > 65536) return setTimeout(round, 1);
    const batch = Buffer.alloc(4 + perFrame * step, "x");
    batch.writeUInt16BE(0x817e, 0);
    batch.writeUInt16BE(perFrame * step, 2);
    for (let at = 4; at < batch.length; at += step) {
      batch.write('"' + String(++number).padStart(12, "0"), at, "latin1");
      batch.write('",', at + step - 2, "latin1");
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
    const server = await node(["-e", program, `${connections}`, `${step}`, `${perFrame}`]);
    const sequences: Sequence[] = [];
    const sockets: RawSocket[] = [];
    const open = async () => {
      const sequence = new Sequence();
      sequences.push(sequence);
      const socket = await RawSocket.open(server.url);
      socket.onMessage = (payload) => take(sequence, payload);
      sockets.push(socket);
    };
    for (let i = 0; i < connections; i += 100) {
      await Promise.all(Array.from({ length: Math.min(100, connections - i) }, open));
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

/** Looks at its two ends, as is done with what many connections are sent of a system. */
function take(sequence: Sequence, payload: Buffer): void {
  const first = numberAt(payload, 1);
  if (numberAt(payload, payload.length - step + 1) !== first + perFrame - 1) sequence.fault ??= "a frame is not whole";
  sequence.takeRun(first, perFrame);
}
