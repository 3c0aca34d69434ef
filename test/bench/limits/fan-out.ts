/**
 * What one process can write to so many connections over `ws`, framed once for all and many frames to a write: a message to
 * a frame, as somebody would who has only `ws`; and many to a frame, as a system may whose client takes them apart.
 */
import { seconds } from "../measure.ts";
import { numberAt } from "../message.ts";
import { RawSocket } from "../raw-socket.ts";
import { Sequence } from "../sequence.ts";
import { node } from "../systems/process.ts";
import type { Limit } from "./limit.ts";

/** Of a message with what is between it and the next. */
const step = 100 + 1;

interface Shape {
  readonly framesPerWrite: number;
  readonly messagesPerFrame: number;
}

/** Begins when it has its connections; a new batch leaves when none of them has too much of the last ones left. */
const program = `
  const { WebSocketServer } = require("ws");
  const [connections, step, frames, messages] = process.argv.slice(1).map(Number);
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false, backlog: 4096 });
  const sockets = [];
  server.on("connection", (_, request) => { if (sockets.push(request.socket) === connections) setImmediate(round); });
  let number = 0;
  function round() {
    let left = 0;
    for (const socket of sockets) left = Math.max(left, socket.writableLength);
    if (left > 65536) return setTimeout(round, 1);
    const payload = messages * step;
    const head = payload < 126 ? 2 : 4;
    const batch = Buffer.alloc(frames * (head + payload), "x");
    for (let frame = 0, at = 0; frame < frames; frame++) {
      if (head === 2) batch.writeUInt16BE(0x8100 + payload, at);
      else batch.writeUInt32BE(0x817e0000 + payload, at);
      at += head;
      for (let message = 0; message < messages; message++, at += step) {
        batch.write('"' + String(++number).padStart(12, "0"), at, "latin1");
        batch.write('",', at + step - 2, "latin1");
      }
    }
    for (const socket of sockets) socket.write(batch);
    setImmediate(round);
  }
  server.on("listening", () => console.log("listening on http://127.0.0.1:" + server.address().port));`;

export function fanOutLimit(connections: number): string {
  return `batched ws deliveries/s to ${connections}`;
}

export function sharedFramesLimit(connections: number): string {
  return `deliveries/s to ${connections}, many to a ws frame`;
}

export const batchedFanOut = (connections: number): Limit =>
  limit(fanOutLimit(connections), connections, { framesPerWrite: 64, messagesPerFrame: 1 });

export const sharedFrames = (connections: number): Limit =>
  limit(sharedFramesLimit(connections), connections, {
    framesPerWrite: 1,
    messagesPerFrame: 256,
  });

const limit = (name: string, connections: number, { framesPerWrite, messagesPerFrame }: Shape): Limit => ({
  finds: [name],
  always: false,
  async measure() {
    const numbers = [connections, step, framesPerWrite, messagesPerFrame];
    const server = await node(["-e", program, ...numbers.map(String)]);
    const sequences: Sequence[] = [];
    const sockets: RawSocket[] = [];
    const open = async () => {
      const sequence = new Sequence();
      sequences.push(sequence);
      const socket = await RawSocket.open(server.url);
      socket.onMessage = (payload) => take(sequence, payload, messagesPerFrame);
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
    return { [name]: { value: perSecond, unit: "deliveries/s" } };
  },
});

/** Looks at its two ends, as is done with what many connections are sent of a system. */
function take(sequence: Sequence, payload: Buffer, count: number): void {
  const first = numberAt(payload, 1);
  if (numberAt(payload, payload.length - step + 1) !== first + count - 1) sequence.fault ??= "a frame is not whole";
  sequence.takeRun(first, count);
}
