/** Envelopes from those who mean ill or do not know better. Whoever keeps to the rules does not notice them. */
import { describe, expect, it } from "vitest";
import { open } from "../support/bare-socket.ts";
import { startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { count, dataOf, expectGoodService, greet, hello, publish, Reader, startHub } from "./support.ts";

const nested = "[".repeat(100_000) + "]".repeat(100_000);

describe("nesting", () => {
  it("of 200 KB of arrays in a payload is refused by its number (P-21)", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    socket.send(`{"is":"publish","number":1,"channel":"a","data":${nested}}`);
    expect(await socket.next()).toMatchObject({ is: "error", code: "payload-too-deep", number: 1 });
    await publish(socket, "a", "goes on");
    await expectGoodService(hub);
  });

  it("of 200 KB of arrays as the WebSocket message itself is one mistake (P-11)", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    socket.send(nested);
    expect(await socket.next()).toMatchObject({ is: "error", code: "invalid-envelope" });
    await expectGoodService(hub);
  });

  it.each(["from", "headers", "producer", "is", "unknown"])("in the field %s is a mistake (P-11)", async (field) => {
    const hub = await startHub();
    const socket = await greet(hub);
    const objects = `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`;
    for (const is of ["subscribe", "publish", "hello"]) {
      const other = await greet(hub);
      other.send(
        `{"is":"${is}","subscription":1,"pattern":"a","number":1,"channel":"a","data":1,"${field}":${objects}}`,
      );
      expect(await other.next("error")).toMatchObject({ code: "invalid-envelope" });
    }
    await publish(socket, "a", "goes on");
  });

  it("to the limit of a WebSocket message is refused like any other", async () => {
    const hub = await startHub({ limits: { frameBytesMax: 1_000_000 } });
    const socket = await greet(hub);
    socket.send("[".repeat(490_000) + "]".repeat(490_000));
    expect(await socket.next("error")).toMatchObject({ code: "invalid-envelope" });
    await expectGoodService(hub);
  });
});

describe("a WebSocket message of very many envelopes", () => {
  it("is not looked at (P-6)", async () => {
    const hub = await startHub();
    const villain = await greet(hub);
    villain.send(`[${"1,".repeat(450_000)}1]`);
    expect(await villain.next()).toMatchObject({ is: "error", code: "malformed" });
    expect((await villain.closed).code).toBe(4500);
    await expectGoodService(hub);
  });

  it.each(["", `${JSON.stringify(hello())},`])(
    "is looked at until the session closes, behind %j (P-7, P-11)",
    async (first) => {
      const hub = await startHub({ limits: { errorsMax: 5 } });
      const villain = await open(hub.url);
      villain.send(`[${first}${"1,".repeat(5_000)}1]`);
      const { code } = await villain.closed;
      expect(code).toBe(first === "" ? 4502 : 4503);
      const errors = villain.frames.flatMap((frame) => JSON.parse(frame)).filter(({ is }) => is === "error");
      expect(errors.length).toBe(first === "" ? 1 : 6);
      await expectGoodService(hub);
    },
  );

  it("that are wrong publishes are all answered, and the session goes on (P-22)", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    socket.send(count(1, 3_000).map((number) => ({ is: "publish", number })));
    for (const number of count(1, 3_000)) expect((await socket.next("error")).number).toBe(number);
    await publish(socket, "a", "goes on");
  });
});

describe("keys that are names of JavaScript's own", () => {
  it.each(["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"])(
    "such as %s are unknown fields in an envelope and plain names elsewhere (P-11)",
    async (key) => {
      const hub = await startHub();
      const socket = await greet(hub, { subscriber: key, producer: { id: key, settled: 0 } });
      for (const value of ['{"is":"publish"}', "1", "null"]) {
        socket.send(`{"is":"pong","${key}":${value}}`);
        expect(await socket.next()).toMatchObject({ is: "error", code: "invalid-envelope" });
      }
      const reader = new Reader(socket);
      const place = await reader.subscribe({ pattern: key, cursor: true });
      const text = `{"${key}":{"${key}":1}}`;
      socket.send(
        `{"is":"publish","number":1,"channel":"${key}","id":"${key}","key":"${key}","headers":{"${key}":"h"},"data":${text}}`,
      );
      await reader.until(() => place.messages.length === 1);
      expect(socket.frames.join("")).toContain(`"headers":{"${key}":"h"},"data":${text}}`);
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
      await expectGoodService(hub);
    },
  );
});

describe("text that is no well-formed Unicode", () => {
  const half = "\\ud800";

  it("in the name of a subscriber does not end the session as if the hub had failed (P-11)", async () => {
    const hub = await startHub();
    const socket = await open(hub.url);
    socket.send(`[{"is":"hello","protocol":1,"subscriber":"${half}"}
      ,{"is":"subscribe","subscription":1,"pattern":"a","cursor":true}]`);
    expect(await socket.next()).toMatchObject({ is: "error", code: "hello-expected" });
    await expectGoodService(hub);
  });

  it("in a key, a header, an id or a payload comes back as it was written (P-20)", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    const reader = new Reader(socket);
    const place = await reader.subscribe({ pattern: "a" });
    const fields = `"key":"${half}","headers":{"h${half}":"${half}"},"id":"${half}"`;
    socket.send(`{"is":"publish","number":1,"channel":"a",${fields},"data":"${half}"}`);
    await reader.until(() => place.messages.length === 1);
    expect(place.messages[0]).toMatchObject({ key: "\ud800", headers: { "h\ud800": "\ud800" }, data: "\ud800" });
  });
});

describe("mistakes", () => {
  it("a thousand in a row close one session and no other (P-11)", async () => {
    const hub = await startHub();
    const [villain, good] = [await greet(hub), await greet(hub)];
    for (let i = 0; i < 1_000; i++) villain.send({ is: "nonsense", i });
    expect(await villain.closed).toEqual({ code: 4503, reason: "too-many-errors" });
    const told = villain.frames.join("").match(/invalid-envelope/g) ?? [];
    expect(told).toHaveLength(100);
    await publish(good, "a", "goes on");
  });

  it("a thousand in one WebSocket message, too (P-11)", async () => {
    const hub = await startHub();
    const villain = await greet(hub);
    villain.send(count(1, 1_000).map((i) => ({ is: "nonsense", i })));
    expect((await villain.closed).code).toBe(4503);
    await expectGoodService(hub);
  });

  it("are answered shortly, however long they are", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    socket.send(`{"is":"pong","${"k".repeat(1_000_000)}":1}`);
    await socket.next("error");
    socket.send(`{"is":"${"s".repeat(1_000_000)}"}`);
    await socket.next("error");
    expect(Math.max(...socket.frames.map(({ length }) => length))).toBeLessThan(5_000);
  });
});

describe("numbers at the edges", () => {
  it("of doubles are refused or taken exactly (P-11)", async () => {
    const hub = await startHub();
    const socket = await greet(hub, { producer: { id: "p", settled: 0 } });
    for (const text of ["1e400", "-1", "9007199254740993", "1.5", '"1"', "null", "true", "[1]", "0"]) {
      socket.send(`{"is":"publish","number":${text},"channel":"a","data":1}`);
      expect(await socket.next()).toMatchObject({ is: "error" });
      socket.send(`{"is":"ack","subscription":1,"offset":${text}}`);
      expect(await socket.next()).toMatchObject({ is: "error" });
    }
    await publish(socket, "a", "the first");
  });

  it("such as a producer that has settled everything harm only itself (P-27)", async () => {
    const hub = await startHub();
    const odd = await greet(hub, { producer: { id: "p", settled: Number.MAX_SAFE_INTEGER } });
    odd.send({ is: "publish", number: Number.MAX_SAFE_INTEGER, channel: "a", data: 1 });
    expect(await odd.next()).toMatchObject({ number: Number.MAX_SAFE_INTEGER });
    await expectGoodService(hub);
  });
});

describe("clients that come and go", () => {
  it("in the middle of everything leave nothing behind that stops the hub or its successor", async () => {
    const data = temporaryFolder();
    const hub = await startHubProcess({ data, config: { limits: { helloTimeoutMs: 1_000 } } });
    const asked = [
      hello({ subscriber: "s", producer: { id: "p", settled: 0 } }),
      { is: "subscribe", subscription: 1, pattern: "a", cursor: true, from: "earliest" },
      { is: "subscribe", subscription: 2, pattern: ">" },
      ...count(1, 20).map((number) => ({ is: "publish", number, channel: "a", data: number })),
      { is: "unsubscribe", subscription: 2 },
    ];
    const good = await greet(hub);
    for (const i of count(1, 60)) {
      const socket = await open(hub.url);
      socket.send(asked.slice(0, 1 + (i % asked.length)));
      // Some are gone before they were read, and some after.
      if (i % 3 === 0) await socket.next("welcome");
      socket.terminate();
      if (i % 20 === 0) await publish(good, "b", i);
    }
    await expectGoodService(hub);
    const reader = new Reader(await greet(hub));
    const place = await reader.subscribe({ pattern: "a", from: "earliest" });
    await reader.until(() => place.state === "live");
    expect(dataOf(place)).toEqual(count(1, 20));
    expect(await hub.stop()).toEqual({ code: 0, signal: null });
    expect(hub.process.stderr).not.toMatch(/"level":"error"|Unhandled|Uncaught/i);
    await expectGoodService(await startHub({ data }));
  });
});
