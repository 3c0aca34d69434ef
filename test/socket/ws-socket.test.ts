/** How frames leave for a connection. */
import type { Socket as Connection } from "node:net";
import { Writable } from "node:stream";
import { beforeEach, expect, test } from "vitest";
import type { WebSocket } from "ws";
import { systemClock } from "../../server/src/runtime/clock.ts";
import { TurnWrites } from "../../server/src/socket/turn-writes.ts";
import { WsSocket } from "../../server/src/socket/ws-socket.ts";

/** What was written, one list for each system call. */
let calls: string[][];
let socket: WsSocket;
let stream: Writable;

beforeEach(() => {
  calls = [];
  stream = new Writable({
    write: (chunk, _encoding, done) => {
      calls.push([String(chunk)]);
      queueMicrotask(done);
    },
    writev: (chunks, done) => {
      calls.push(chunks.map(({ chunk }) => String(chunk)));
      queueMicrotask(done);
    },
  });
  const ws = { readyState: 1, OPEN: 1 } as WebSocket;
  socket = new WsSocket(ws, stream as unknown as Connection, systemClock, new TurnWrites());
});

const send = (...texts: readonly string[]) => {
  for (const text of texts) socket.send([Buffer.from(text)]);
};

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test("the first frame of a turn leaves at once, and the others together", async () => {
  send("a");
  expect(calls).toEqual([["a"]]);
  send("b", "c", "d");
  expect(calls).toEqual([["a"]]);
  expect(socket.bufferedBytes).toBe(4);
  await nextTurn();
  expect(calls).toEqual([["a"], ["b", "c", "d"]]);
  expect(socket.bufferedBytes).toBe(0);
});

test("a frame in pieces leaves in one system call, and nothing comes between them", async () => {
  socket.send([Buffer.from("a"), Buffer.from("b"), Buffer.from("c")]);
  send("d");
  expect(calls).toEqual([]);
  await nextTurn();
  expect(calls).toEqual([["a", "b", "c", "d"]]);
});

test("a frame that another follows leaves in one system call with it", async () => {
  socket.send([Buffer.from("a")], true);
  expect(calls).toEqual([]);
  send("b");
  await nextTurn();
  expect(calls).toEqual([["a", "b"]]);
});

test("each turn begins anew", async () => {
  send("a", "b");
  await nextTurn();
  send("c");
  expect(calls).toEqual([["a"], ["b"], ["c"]]);
  await nextTurn();
  send("d", "e");
  await nextTurn();
  expect(calls).toEqual([["a"], ["b"], ["c"], ["d"], ["e"]]);
});

test("what is held leaves before a connection ends", async () => {
  send("a", "b", "c");
  stream.end();
  await nextTurn();
  expect(calls.flat()).toEqual(["a", "b", "c"]);
});
