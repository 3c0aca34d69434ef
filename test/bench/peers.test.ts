import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { whenDone } from "../support/temp.ts";
import { message, numberAt } from "./message.ts";
import { batchOf, eachRecord } from "./systems/kafka-wire.ts";
import { NatsSocket, replyOf } from "./systems/nats.ts";
import { Remainder } from "./systems/peer.ts";

describe("bytes that are not whole yet", () => {
  test("are put before what comes next, wherever they are cut", () => {
    const sent = Buffer.from("3abc5hello1x0");
    for (let cut = 1; cut < sent.length; cut++) {
      const rest = new Remainder();
      const units: string[] = [];
      for (const data of [sent.subarray(0, cut), sent.subarray(cut)]) {
        const bytes = rest.with(data);
        if (bytes === undefined) continue;
        let at = 0;
        let length = 0;
        for (; at < bytes.length; at += length) {
          length = 1 + Number(bytes.toString("latin1", at, at + 1));
          if (at + length > bytes.length) break;
          units.push(bytes.toString("latin1", at + 1, at + length));
        }
        rest.keep(bytes, at, length);
      }
      expect(units).toEqual(["abc", "hello", "x", ""]);
    }
  });
});

describe("a batch of Kafka", () => {
  const numbersIn = (bytes: Buffer, from: number) => {
    const numbers: number[] = [];
    const next = eachRecord(bytes, from, (number) => numbers.push(number));
    return { numbers, next };
  };

  test("holds its messages, from the offset on that is wanted", () => {
    const batch = batchOf([7, 8, 9], 256);
    expect(numbersIn(batch, 0)).toEqual({ numbers: [7, 8, 9], next: 3 });
    expect(numbersIn(batch, 2)).toEqual({ numbers: [9], next: 3 });
  });

  test("that is cut off is not looked at", () => {
    const [first, second] = [batchOf([1, 2], 100), batchOf([3, 4], 100)];
    second.writeBigInt64BE(2n);
    const both = Buffer.concat([first, second]);
    expect(numbersIn(both, 0)).toEqual({ numbers: [1, 2, 3, 4], next: 4 });
    expect(numbersIn(both.subarray(0, -1), 0)).toEqual({ numbers: [1, 2], next: 2 });
  });
});

describe("the protocol of NATS", () => {
  test("gives each message once, with its reply and without its headers, however its frames are cut", async () => {
    const payload = message(5, 100);
    const headers = "NATS/1.0\r\nNats-Sequence: 12\r\n\r\n";
    const text = [
      `MSG a.b 1 100\r\n${payload}\r\n`,
      `MSG a.b 1 reply.to 100\r\n${payload}\r\nPING\r\n`,
      `HMSG a.b 1 ${headers.length} ${headers.length + 100}\r\n${headers}${payload}\r\n`,
    ].join("");
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    whenDone(() => void server.close());
    server.on("connection", (socket) => {
      socket.on("message", (data) => {
        if (!String(data).startsWith("PING")) return;
        for (let at = 0; at < text.length; at += 7) socket.send(Buffer.from(text.slice(at, at + 7)));
        socket.send(Buffer.from("PONG\r\n"));
      });
    });
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const socket = await NatsSocket.open(`ws://127.0.0.1:${port}/`);
    whenDone(() => socket.close());
    const seen: unknown[] = [];
    socket.onMessage = (received) => seen.push([numberAt(received.bytes, received.payload + 1), replyOf(received)]);
    await socket.flush();
    expect(seen).toEqual([
      [5, undefined],
      [5, "reply.to"],
      [5, undefined],
    ]);
  });
});
