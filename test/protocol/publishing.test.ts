/** What a draft may be, what becomes of its payload, and what is promised once it is published. */
import { describe, expect, it } from "vitest";
import type { BareSocket } from "../support/bare-socket.ts";
import { startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { count, dataOf, greet, publish, Reader, startHub } from "./support.ts";

/** Payloads as their publishers may write them, whose text would change if it were parsed and printed again. */
const texts = [
  "1.0",
  "-0",
  "1E400",
  "1e5",
  "0.1000",
  "9007199254740993",
  "123456789012345678901234567890.5",
  "null",
  "true",
  '""',
  '"\\u0041\\/\\ud83d\\ude00 \\ud800"',
  '"grüß 日本 😀 \u2028 \u007f"',
  "[ ]",
  '{ "b" : 1 ,\t"a" : [ 1.0,\n 2 ] }',
  '{"a":1,"a":2}',
  '{"__proto__":{"x":1},"constructor":{"prototype":{}}}',
  '{"data":{"is":"publish","data":"\\"}]"}}',
  '"}],\\"data\\":\\\\"',
  '{"":{"\\u0064ata":[[],{}]}}',
];

describe("a draft", () => {
  it("carries type, key and headers to its readers, and keeps its number and its id (P-18)", async () => {
    const socket = await greet(await startHub());
    const reader = new Reader(socket);
    const place = await reader.subscribe({ pattern: "a" });
    const fields = { type: "application/geo+json", key: "k-ü", headers: { trace: "ä1", "content-x": "" } };
    socket.send({ is: "publish", number: 17, channel: "a", ...fields, id: "mine", data: { x: 1 } });
    await reader.until(() => place.messages.length === 1);
    const [message] = place.messages;
    expect(message).toEqual({ offset: 1, channel: "a", time: message?.time, ...fields, data: { x: 1 } });
    expect(Math.abs((message?.time ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  it("needs no more than number, channel and data (P-18)", async () => {
    const socket = await greet(await startHub());
    const reader = new Reader(socket);
    const place = await reader.subscribe({ pattern: "a" });
    await publish(socket, "a", null);
    await reader.until(() => place.messages.length === 1);
    expect(Object.keys(place.messages[0] ?? {})).toEqual(["offset", "channel", "time", "data"]);
  });

  it("may have headers of any name, and none of them is lost (P-18)", async () => {
    const socket = await greet(await startHub());
    const place = await readAll(socket, "a", () => {
      const headers = '{"__proto__":"x","constructor":"y","toString":"z"}';
      socket.send(`{"is":"publish","number":1,"channel":"a","headers":${headers},"data":1}`);
    });
    expect(JSON.stringify(place[0]?.headers)).toBe('{"__proto__":"x","constructor":"y","toString":"z"}');
  });

  it.each([
    ["33 headers", { headers: Object.fromEntries(count(1, 33).map((i) => [`h${i}`, ""])) }],
    ["a header that is too long", { headers: { h: "x".repeat(1_025) } }],
    ["a header without a name", { headers: { "": "x" } }],
    ["a key that is too long", { key: "k".repeat(129) }],
    ["an id that is too long", { id: "i".repeat(129) }],
    ["a number that is none", { number: 0 }],
    ["a number that no double holds", { number: 2 ** 53 }],
  ])("with %s is refused, and the connection goes on (P-22)", async (_what, fields) => {
    const socket = await greet(await startHub());
    socket.send({ is: "publish", number: 5, channel: "a", data: 1, ...fields });
    expect(await socket.next()).toMatchObject({ is: "error", code: "invalid-envelope" });
    await publish(socket, "a", "goes on");
  });

  it("that is refused, however often, never closes the connection (P-22)", async () => {
    const socket = await greet(await startHub({ limits: { errorsMax: 10, payloadDepthMax: 2 } }));
    const refused = [
      [{ channel: "a", data: [[[]]] }, "payload-too-deep"],
      [{ channel: "$sys", data: 1 }, "reserved-channel"],
      [{ channel: "a..b", data: 1 }, "invalid-channel"],
      [{ channel: "a", type: "text/plain", data: 1 }, "invalid-payload"],
    ] as const;
    for (let number = 1; number <= 12; number++) {
      const [draft, code] = refused[number % refused.length] as (typeof refused)[number];
      socket.send({ is: "publish", number, ...draft });
      expect(await socket.next("error")).toMatchObject({ code, number });
    }
    await publish(socket, "a", "goes on");
  });
});

describe("published", () => {
  it("names the epoch, the offset and the durability (P-19)", async () => {
    const socket = await greet(await startHub({ namespaces: { fleeting: { durability: "memory" } } }));
    const [first, second] = await publish(socket, "a", 1, 2);
    expect(first).toEqual({
      is: "published",
      number: 1,
      epoch: first?.epoch,
      offset: 1,
      duplicate: false,
      durability: "disk",
    });
    expect(second).toMatchObject({ number: 2, epoch: first?.epoch, offset: 2 });
    const [fleeting] = await publish(socket, "fleeting.a", 1);
    expect(fleeting).toMatchObject({ offset: 1, durability: "memory" });
    expect(fleeting?.epoch).not.toBe(first?.epoch);
  });

  it("answers drafts that follow one another at once, and each that does not by itself (P-19)", async () => {
    const socket = await greet(await startHub({ namespaces: { fleeting: { durability: "memory" } } }));
    const drafts = ["a", "a", "$hub", "a", "fleeting.a", "fleeting.a", "a"];
    socket.send(drafts.map((channel, i) => ({ is: "publish", number: i + 1, channel, data: i })));
    socket.send({ is: "publish", number: 9, channel: "a", data: "after a number that nobody used" });
    for (const _ of count(1, 8)) await socket.next();
    const said = socket.frames.flatMap((frame) => [JSON.parse(frame)].flat()).slice(1);
    const byNumber = said.sort((a, b) => a.number - b.number);
    expect(byNumber.map(({ number, count, offset, code }) => ({ number, count, offset, code }))).toEqual([
      { number: 1, count: 2, offset: 1 },
      { number: 3, code: "reserved-channel" },
      { number: 4, offset: 3 },
      { number: 5, count: 2, offset: 1 },
      { number: 7, offset: 4 },
      { number: 9, offset: 5 },
    ]);
  });

  it("is true: what was answered is there after the hub was killed (P-19)", async () => {
    const data = temporaryFolder();
    const hub = await startHubProcess({ data });
    const socket = await greet(hub);
    for (let number = 1; number <= 2_000; number++) socket.send({ is: "publish", number, channel: "a", data: number });
    let answered = 0;
    while (answered < 500) answered = (await socket.next("published")).number;
    await hub.kill();
    const after = await startHub({ data });
    const kept = await readAll(await greet(after), "a");
    expect(dataOf({ messages: kept })).toEqual(count(1, kept.length));
    expect(kept.length).toBeGreaterThanOrEqual(answered);
  });
});

describe("a payload", () => {
  it.each(["messages caught up on", "live messages"])("is forwarded as it was written, in %s (P-20)", async (which) => {
    const hub = await startHub();
    const [publisher, subscriber] = [await greet(hub), await greet(hub)];
    const reader = new Reader(subscriber);
    if (which === "live messages") await reader.subscribe({ pattern: "a" });
    const one = (text: string, i: number) =>
      ` {"is" : "publish", "number":${i + 1},\n"channel":"a","data" : ${text}\t}`;
    publisher.send(`[${texts.slice(0, 9).map(one).join(" ,")} ]`);
    for (const [i, text] of texts.entries()) if (i >= 9) publisher.send(one(text, i));
    for (const _ of texts) await publisher.next("published");
    if (which !== "live messages") await reader.subscribe({ pattern: "a", from: "earliest" });
    await reader.until(() => reader.places.get(1)?.messages.length === texts.length);
    const frames = subscriber.frames.filter((frame) => frame.includes('"messages"')).join("\n");
    for (const text of texts) expect(frames).toContain(`,"data":${text}}`);
  });

  it("is the last data of several, as it is for JSON.parse (P-20)", async () => {
    const socket = await greet(await startHub());
    const messages = await readAll(socket, "a", () => {
      socket.send('{"data":1,"is":"publish","data":2,"number":1,"channel":"a","data":3}');
    });
    expect(dataOf({ messages })).toEqual([3]);
  });

  it.each([
    ["no type", {}, 3],
    ["application/json", { type: "application/json" }, 3],
    ["a type that ends in +json", { type: "application/vnd.me+json" }, 3],
    ["another type", { type: "application/octet-stream" }, "AAEC/w=="],
    ["another type and nothing in it", { type: "text/plain" }, ""],
  ])("with %s is taken (P-20)", async (_what, fields, data) => {
    const socket = await greet(await startHub());
    const messages = await readAll(socket, "a", () =>
      socket.send({ is: "publish", number: 1, channel: "a", data, ...fields }),
    );
    expect(messages).toMatchObject([{ ...fields, data }]);
  });

  it.each([
    ["text", "hello!"],
    ["base64 without padding", "AAEC/w"],
    ["base64 of the URL alphabet", "_-8="],
    ["base64 with a line break", "AAEC\n/w=="],
    ["padding in the middle", "AA==AAEC"],
    ["a number", 7],
    ["null", null],
    ["an array", ["AAEC"]],
  ])("that is no base64 but %s is refused where its type is not JSON (P-20)", async (_what, data) => {
    const socket = await greet(await startHub());
    socket.send({ is: "publish", number: 3, channel: "a", type: "image/png", data });
    expect(await socket.next()).toMatchObject({ is: "error", code: "invalid-payload", number: 3 });
  });

  it("is not stored where a second data, spelled otherwise, is what was checked (P-20)", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    const [good, bad] = ['"\\u0064ata":"AAEC"', '"data":"what no subscriber can decode"'];
    socket.send(`{"is":"publish","number":1,"channel":"a","type":"image/png",${bad},${good}}`);
    expect(await socket.next()).toMatchObject({ is: "error", number: 1 });
  });

  it("may nest as deep as the limit and no deeper (P-21)", async () => {
    const socket = await greet(await startHub({ limits: { payloadDepthMax: 3 } }));
    const drafts = ["[[[]]]", '[[{"a":"[[[["}],[[]]]', "[[[[]]]]", '{"a":{"b":{"c":{}}}}'];
    for (const [i, text] of drafts.entries()) {
      socket.send(`{"is":"publish","number":${i + 1},"channel":"a","data":${text}}`);
    }
    for (const number of [3, 4]) expect(await socket.next("error")).toMatchObject({ code: "payload-too-deep", number });
    for (const number of [1, 2]) expect((await socket.next("published")).number).toBe(number);
  });
});

/** What a channel holds, read from its beginning by a subscription that goes as it came. */
async function readAll(socket: BareSocket, pattern: string, first: () => void = () => {}) {
  first();
  const reader = new Reader(socket);
  // Asked after what was published, so it is confirmed after that was stored, or lives to see it.
  const place = await reader.subscribe({ pattern, from: "earliest" });
  await reader.until(() => place.state === "live" && place.messages.length > 0);
  return place.messages;
}
