/** Requests over HTTP, mangled anywhere: each is answered or hung up on, none with 500, and the hub goes on (P-70). */
import { connect } from "node:net";
import { beforeAll, expect, it } from "vitest";
import { type HttpHub, keys, startHub, users } from "../http/support.ts";
import { mutated } from "./mutation.ts";
import { corpus, fuzz } from "./support.ts";

let hub: HttpHub;

beforeAll(async () => {
  // Short, because what is mangled may promise a body that never comes, or ask to wait.
  hub = await startHub({ access: users(), limits: { helloTimeoutMs: 200, pollMsMax: 20 } });
});

type Request = readonly [start: string, headers: Readonly<Record<string, string>>, body: string];

/** A request as it goes over the network. */
function written([start, headers, body]: Request): Buffer {
  const length = start.startsWith("POST") ? { "Content-Length": Buffer.byteLength(body) } : {};
  const all = { Host: "localhost", Authorization: `Bearer ${keys.admin}`, ...length, ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${start} HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
}

/** With this behind it a request is the last but one of its connection, however it was mangled. */
const last = written(["GET /healthz", { Connection: "close" }, ""]);

/** What is answered until the hub hangs up, or begins a stream. */
function answerTo(bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port: hub.port, host: "127.0.0.1" }, () => socket.write(Buffer.concat([bytes, last])));
    let text = "";
    socket.setEncoding("latin1").on("data", (more: string) => {
      text += more;
      if (text.includes("text/event-stream")) socket.destroy();
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}

it("a request is answered with what it asks for, or why not", async () => {
  const requests = corpus("requests.txt").map((line) => written(JSON.parse(line) as Request));
  await fuzz(mutated(requests, 3), async (bytes) => {
    const statuses = [...(await answerTo(bytes)).matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status));
    expect(statuses).not.toContain(500);
    expect(hub.failures.items).toEqual([]);
  });
  expect(await answerTo(Buffer.alloc(0))).toMatch(/^HTTP\/1\.1 200 /);
});
