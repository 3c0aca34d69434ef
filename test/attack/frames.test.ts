/** Attacks by frames: before it is known who they are from, and after. */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { fuzz } from "../fuzz/support.ts";
import { RawSocket, upgrade } from "../protocol/raw-socket.ts";
import { hello, startHub } from "../protocol/support.ts";
import { open } from "../support/bare-socket.ts";
import type { HubProcess } from "../support/hub-process.ts";
import { tokenConfig } from "../support/tokens.ts";
import { besieged, expectUnharmed, root } from "./support.ts";

let hub: HubProcess;

beforeAll(async () => {
  hub = await besieged({ limits: { helloBytesMax: 16_384, helloTimeoutMs: 3_000 } });
});

/** A WebSocket that has not said hello. */
async function stranger(): Promise<RawSocket> {
  const raw = await RawSocket.connect(hub);
  raw.write(upgrade());
  await raw.untilText("101 Switching Protocols");
  return raw;
}

/** One that has. */
async function known(): Promise<RawSocket> {
  const raw = await stranger();
  raw.write(RawSocket.frame(JSON.stringify(hello(root))));
  await raw.untilText('"welcome"');
  return raw;
}

const first = { text: 0x01, more: 0x00, last: 0x80, ping: 0x89 } as const;

/** The header of a frame that claims so many bytes. */
function header(claimed: bigint): Buffer {
  const bytes = Buffer.alloc(14);
  bytes.writeUInt8(0x81, 0);
  bytes.writeUInt8(0xff, 1);
  bytes.writeBigUInt64BE(claimed, 2);
  return bytes;
}

describe("more than a connection may send before its hello has arrived", () => {
  const long = JSON.stringify(hello({ token: "x".repeat(20_000) }));

  it.each([
    ["at once", [header(200_000n), Buffer.alloc(200_000, "x")]],
    ["in a frame that never ends", [header(1_000_000n), Buffer.alloc(20_000, "x")]],
    [
      "in fragments",
      Array.from({ length: 20 }, (_, i) => RawSocket.frame("x".repeat(1_000), { first: i === 0 ? 1 : 0 })),
    ],
    [
      "in very many fragments",
      Array.from({ length: 1_000 }, (_, i) => RawSocket.frame("x".repeat(12), { first: i === 0 ? 1 : 0 })),
    ],
  ])("%s closes it (P-7)", async (_what, frames) => {
    const raw = await stranger();
    raw.write(Buffer.concat(frames));
    await raw.until(() => raw.closeCode !== undefined);
    expect([raw.closeCode, raw.received]).toEqual([4506, expect.stringContaining("hello-too-large")]);
    await expectUnharmed(hub);
  });

  it("in pings ends it too", async () => {
    const raw = await stranger();
    raw.write(
      Buffer.concat(Array.from({ length: 180 }, () => RawSocket.frame("p".repeat(100), { first: first.ping }))),
    );
    await raw.until(() => raw.ended);
    await expectUnharmed(hub);
  });

  it("byte by byte closes it too (P-7)", async () => {
    const raw = await stranger();
    for (const byte of RawSocket.frame(long)) raw.write(Buffer.of(byte));
    await raw.until(() => raw.closeCode !== undefined);
    // It was too much, or in too many pieces, or no hello that could be taken, whichever the network made of it.
    expect([4506, 1008, 4502]).toContain(raw.closeCode);
  });

  it("is not read: however much a crowd of them sends, the hub takes no more (P-7)", async () => {
    const crowd = await Promise.all(Array.from({ length: 50 }, stranger));
    const flood = Buffer.concat([header(900_000n), Buffer.alloc(500_000, "x")]);
    for (const raw of crowd) raw.write(flood);
    await Promise.all(crowd.map((raw) => raw.until(() => raw.ended)));
    await expectUnharmed(hub);
  });

  it("is not what follows a hello that was right (P-7)", async () => {
    const socket = await open(hub.url);
    socket.send(hello(root));
    socket.send({ is: "publish", number: 1, channel: "a", data: "x".repeat(50_000) });
    await socket.next("published");
    const together = await open(hub.url);
    together.send(hello({ ...root, subscriber: "s".repeat(128) }));
    for (let i = 1; i < 20; i++) together.send({ is: "publish", number: i, channel: "a", data: "x".repeat(10_000) });
    for (let i = 1; i < 20; i++) await together.next("published");
  });
});

describe("a frame", () => {
  it.each([2n ** 62n, 2n ** 53n, 2n ** 63n, 2n ** 32n, 2n ** 31n, 1_048_577n])(
    "that claims %s bytes is not waited for (P-12)",
    async (claimed) => {
      for (const raw of [await stranger(), await known()]) {
        raw.write(header(claimed));
        await raw.until(() => raw.closeCode !== undefined);
        expect(raw.closeCode).toBe(1009);
      }
      await expectUnharmed(hub);
    },
  );

  it("that is cut in a hundred thousand empty pieces is given up (P-12)", async () => {
    const raw = await known();
    raw.write(RawSocket.frame("", { first: first.text }));
    raw.write(Buffer.concat(Array.from({ length: 100_000 }, () => RawSocket.frame("", { first: first.more }))));
    await raw.until(() => raw.closeCode !== undefined);
    expect(raw.closeCode).toBe(1008);
    await expectUnharmed(hub);
  });

  it("that is cut in pieces of two kilobytes is taken (P-12)", async () => {
    const raw = await known();
    const text = JSON.stringify({ is: "publish", number: 1, channel: "a", data: "x".repeat(200_000) });
    const pieces = text.match(/.{1,2000}/g) as string[];
    for (const [i, piece] of pieces.entries()) {
      const kind = i === 0 ? first.text : i === pieces.length - 1 ? first.last : first.more;
      raw.write(RawSocket.frame(piece, { first: kind }));
    }
    expect(await raw.untilText('"published"')).toContain('"number":1');
  });

  it("whose pieces are larger together than a message may be is not taken (P-12)", async () => {
    const raw = await known();
    for (let i = 0; i < 40; i++) raw.write(RawSocket.frame("x".repeat(30_000), { first: i === 0 ? first.text : 0 }));
    await raw.until(() => raw.closeCode !== undefined);
    expect(raw.closeCode).toBe(1009);
  });

  it("that comes a byte at a time holds up nobody else", async () => {
    const raw = await known();
    const slow = RawSocket.frame('{"is":"publish","number":1,"channel":"a","data":"slow"}');
    const trickling = raw.trickle(slow, 5);
    await expectUnharmed(hub);
    await trickling;
    await raw.untilText('"published"');
  });
});

describe("pings", () => {
  it("of a client that never reads the answers do not pile up in the hub", async () => {
    const raw = await known();
    raw.socket.pause();
    const flood = Buffer.concat(
      Array.from({ length: 1_000 }, () => RawSocket.frame("p".repeat(125), { first: first.ping })),
    );
    let gone = false;
    raw.socket.once("close", () => {
      gone = true;
    });
    // As much as is taken: more than a connection can hold on its way back.
    for (let i = 0; i < 400 && !gone; i++) {
      raw.write(flood);
      if (raw.socket.writableLength > 1_000_000)
        await new Promise((resolve) => raw.socket.once("drain", resolve).once("close", resolve));
    }
    await raw.until(() => gone, 10_000);
    await expectUnharmed(hub);
  });

  it("of one that reads are answered, and its session goes on", async () => {
    const raw = await known();
    for (let i = 0; i < 50; i++) {
      raw.write(RawSocket.frame(`ping-${i}.`, { first: first.ping }));
      await raw.untilText(`ping-${i}.`);
    }
    raw.write(RawSocket.frame('{"is":"publish","number":1,"channel":"a","data":1}'));
    await raw.untilText('"published"');
  });
});

describe("whatever bytes come", () => {
  const word = fc.constantFrom(
    '{"is":"',
    "hello",
    "refresh",
    "work",
    "settle",
    "ask",
    '","',
    "token",
    "__proto__",
    "constructor",
    '":',
    "[",
    "]",
    "{",
    "}",
    "1e999",
    "-1",
    "null",
    ">",
    "*",
    "$dead",
    "\\ud800",
    "\u0000",
    '"action":{"do":"',
    "revoke",
    "list-sessions",
    "9".repeat(40),
  );
  const frame = fc
    .record({
      payload: fc.oneof(
        fc.array(word, { maxLength: 12 }).map((words) => words.join("")),
        fc.string({ unit: "binary" }),
      ),
      first: fc.oneof(fc.constant(0x81), fc.integer({ min: 0, max: 255 })),
      masked: fc.boolean(),
      length: fc.option(fc.integer({ min: 0, max: 65_535 }), { nil: undefined }),
    })
    .map(({ payload, length, ...rest }) => RawSocket.frame(payload, length === undefined ? rest : { ...rest, length }));

  it("the hub lives, and serves others", async () => {
    const conversation = fc.tuple(fc.array(frame, { minLength: 1, maxLength: 8 }), fc.boolean());
    await fuzz(
      conversation,
      async ([frames, greets]) => {
        const raw = greets ? await known() : await stranger();
        raw.write(Buffer.concat(frames));
        raw.socket.end();
        await raw.until(() => raw.ended);
        raw.socket.destroy();
      },
      { share: 0.3 },
    );
    await expectUnharmed(hub);
  });
});

describe("names of JavaScript's own", () => {
  it.each(["__proto__", "constructor", "toString", "hasOwnProperty"])(
    "such as %s are names like any other of groups, members, actions and tokens (P-11)",
    async (name) => {
      const local = await startHub(tokenConfig);
      const socket = await open(local.url);
      socket.send(hello({ ...root, subscriber: name, producer: { id: name, settled: 0 } }));
      await socket.next("welcome");
      socket.send({ is: "work", member: 1, id: name, group: name, pattern: name });
      expect(await socket.next()).toMatchObject({ is: "working" });
      for (const [request, action] of [{ do: name }, { do: "show-group", group: name, namespace: name }].entries()) {
        socket.send({ is: "ask", request: request + 1, action });
        expect(await socket.next()).toMatchObject({ is: "error" });
      }
      socket.send({ is: "ask", request: 9, action: { do: "show-group", group: name } });
      expect(await socket.next("answer")).toMatchObject({ result: { group: name, pattern: name } });
      socket.send({ is: "refresh", token: name });
      expect((await socket.closed).code).toBe(4504);
      expect(Object.keys(Object.prototype)).toEqual([]);
    },
  );
});
