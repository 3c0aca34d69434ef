/** Messages that wait for their time, on the wire. */
import { type HubEnvelope, hubEnvelope, type Scheduled } from "@dogear/shared/envelopes";
import { describe, expect, it } from "vitest";
import { open } from "../support/bare-socket.ts";
import { startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder } from "../support/temp.ts";
import {
  type BareSocket,
  dataOf,
  type Greeting,
  greet,
  hello,
  type Place,
  publish,
  Reader,
  startHub,
} from "./support.ts";

const hour = 3_600_000;
const p: Greeting = { producer: { id: "p", settled: 0 } };

describe("scheduled", () => {
  it("answers a draft with a delay as `published` would, with its id and when it is due (P-47)", async () => {
    const socket = await greet(await startHub());
    const before = Date.now();
    const answer = await ask(socket, { delayMs: hour });
    expect(hubEnvelope.safeParse(answer)).toMatchObject({ success: true });
    expect(answer).toMatchObject({ is: "scheduled", number: 1, duplicate: false, durability: "disk" });
    const { due } = answer as Scheduled;
    expect(due).toBeGreaterThanOrEqual(before + hour);
    expect(due).toBeLessThanOrEqual(Date.now() + hour);
    expect(await ask(socket, { number: 2, deliverAt: 2_000_000_000_000 })).toMatchObject({ due: 2_000_000_000_000 });
  });

  it("comes in one round trip with hello, and in its order with the answers to others (P-7, P-24, P-47)", async () => {
    const socket = await open((await startHub()).url);
    socket.send([hello(p), draft({ number: 1 }), draft({ number: 2, delayMs: hour }), draft({ number: 3 })]);
    await socket.next("welcome");
    const answers = [await socket.next(), await socket.next(), await socket.next()];
    expect(answers).toMatchObject([
      { is: "published", number: 1 },
      { is: "scheduled", number: 2 },
      { is: "published", number: 3 },
    ]);
  });

  it("answers a number that was seen with its first result, over any connection (P-24, P-47)", async () => {
    const hub = await startHub();
    const first = await ask(await greet(hub, p), { delayMs: hour });
    expect(await ask(await greet(hub, p), { delayMs: hour })).toEqual({ ...first, duplicate: true });
  });

  it("answers a second draft with the same id with the first one's (P-30, P-47)", async () => {
    const socket = await greet(await startHub());
    const first = await ask(socket, { delayMs: hour, id: "x" });
    expect(await ask(socket, { number: 2, delayMs: hour, id: "x" })).toEqual({ ...first, number: 2, duplicate: true });
  });
});

describe("a draft that cannot wait", () => {
  it.each([
    ["a delay and a time", { delayMs: 1, deliverAt: 1 }, "invalid-envelope"],
    ["a negative delay", { delayMs: -1 }, "invalid-envelope"],
    ["a delay that is no number", { delayMs: "1" }, "invalid-envelope"],
    ["a channel of the hub", { channel: "default.$scheduled", delayMs: 1 }, "reserved-channel"],
    ["a header of the hub", { delayMs: 1, headers: { "dogear-due": "1" } }, "invalid-envelope"],
    ["a namespace in memory", { channel: "fleeting.a", delayMs: 1 }, "memory-namespace"],
  ])("for %s uses up its number (P-18, P-26, P-47)", async (_why, fields, code) => {
    const socket = await greet(await startHub({ namespaces: { fleeting: { durability: "memory" } } }), p);
    expect(await ask(socket, fields)).toMatchObject({ is: "error", code, number: 1 });
    expect(await ask(socket, { number: 2 })).toMatchObject({ is: "published", number: 2, offset: 1 });
  });

  it("says which of its headers is the hub's own (P-18)", async () => {
    const socket = await greet(await startHub());
    const answer = await ask(socket, { headers: { "dogear-scheduled": "x" } });
    expect(answer).toMatchObject({ code: "invalid-envelope", message: expect.stringContaining("dogear-") });
  });

  it("because too many do uses up its number, so that nothing waits behind it (P-26, P-47)", async () => {
    const hub = await startHub({ limits: { scheduledMax: 1 } });
    const socket = await greet(hub, p);
    const first = (await ask(socket, { delayMs: hour })) as Scheduled;
    socket.send([draft({ number: 2, delayMs: hour }), draft({ number: 3 })]);
    expect(await socket.next("error")).toMatchObject({ code: "too-many-scheduled", number: 2 });
    expect(await socket.next("published")).toMatchObject({ number: 3 });
    // What was taken is still answered as it was.
    expect(await ask(socket, { delayMs: hour })).toEqual({ ...first, duplicate: true });
    expect(await cancel(socket, first.id)).toMatchObject({ is: "answer", result: null });
    expect(await ask(socket, { number: 2, delayMs: hour })).toMatchObject({ code: "outcome-unknown", number: 2 });
    expect(await ask(socket, { number: 4, delayMs: hour })).toMatchObject({ is: "scheduled", number: 4 });
  });
});

describe("a message that is due", () => {
  it("comes once, never before its time, and names its schedule (P-48)", async () => {
    const socket = await greet(await startHub());
    const reader = new Reader(socket);
    const place = await reader.subscribe({ pattern: "a" });
    socket.send([draft({ delayMs: 40, key: "k", headers: { h: "v" } }), draft({ number: 2, data: "at once" })]);
    await reader.until(() => place.messages.length === 2);
    const scheduled = reader.others.find((other) => other.is === "scheduled") as Scheduled;
    const [atOnce, message] = place.messages;
    expect(atOnce?.data).toBe("at once");
    expect(message).toMatchObject({ key: "k", headers: { h: "v", "dogear-scheduled": scheduled.id }, data: 1 });
    expect(message?.time).toBeGreaterThanOrEqual(scheduled.due);
    await publish(socket, "a", "last");
    await reader.until(() => place.messages.length === 3);
    expect(dataOf(place)).toEqual(["at once", 1, "last"]);
  });

  it("keeps its payload as it was written (P-20, P-48)", async () => {
    const socket = await greet(await startHub());
    const reader = new Reader(socket);
    const place = await reader.subscribe({ pattern: "a" });
    const text = '{ "b" : 1.0 ,\t"a":[12345678901234567890,"\\u0041\\ud800"], "a":{"data":[]} }';
    socket.send(`{"is":"publish","number":1,"channel":"a","delayMs":1,"data":${text}}`);
    await reader.until(() => place.messages.length === 1);
    expect(socket.frames.at(-1)).toContain(`"data":${text}}`);
  });

  it("is seen by no wildcard before that (P-3, P-48)", async () => {
    const socket = await greet(await startHub());
    await ask(socket, { delayMs: hour });
    const reader = new Reader(socket);
    const places: Place[] = [];
    for (const [i, pattern] of [">", "*.*", "default.>"].entries()) {
      places.push(await reader.subscribe({ subscription: i + 1, pattern, from: "earliest" }));
    }
    await reader.until(() => places.every(({ state }) => state === "live"));
    expect(places.flatMap(dataOf)).toEqual([]);
  });

  it("comes once also where the hub was killed before (P-48)", async () => {
    const data = temporaryFolder();
    const hub = await startHubProcess({ data });
    const socket = await greet(hub, p);
    const ids: string[] = [];
    for (const [i, delayMs] of [1, 400, hour, 400].entries()) {
      ids.push(((await ask(socket, { number: i + 1, delayMs, data: i + 1 })) as Scheduled).id);
    }
    await cancel(socket, ids[3] as string);
    await hub.kill();
    const reader = new Reader(await greet(await startHub({ data })));
    const place = await reader.subscribe({ pattern: "a", from: "earliest" });
    await reader.until(() => place.messages.length === 2);
    expect(dataOf(place)).toEqual([1, 2]);
    expect(await cancel(reader.socket, ids[2] as string)).toMatchObject({ result: null });
    await publish(reader.socket, "a", "last");
    await reader.until(() => place.messages.length === 3);
    expect(dataOf(place)).toEqual([1, 2, "last"]);
  });
});

describe("ask with `cancel`", () => {
  it("takes back what is scheduled, for anybody who has the id, once (P-49)", async () => {
    const hub = await startHub();
    const { id } = (await ask(await greet(hub), { delayMs: hour })) as Scheduled;
    const other = await greet(hub);
    expect(await cancel(other, id)).toEqual({ is: "answer", request: 7, result: null });
    expect(await cancel(other, id)).toMatchObject({ is: "error", code: "not-scheduled", request: 7 });
  });

  it("is too late once it was delivered (P-49)", async () => {
    const socket = await greet(await startHub());
    const reader = new Reader(socket);
    const place = await reader.subscribe({ pattern: "a" });
    socket.send(draft({ delayMs: 0 }));
    await reader.until(() => place.messages.length === 1);
    const id = place.messages[0]?.headers?.["dogear-scheduled"] as string;
    expect(await cancel(socket, id)).toMatchObject({ code: "not-scheduled" });
  });

  it.each(["x", "default/x/1", "default//1", "a/b/c/d/1"])(
    "of %j says that nothing is scheduled there (P-49)",
    async (id) => {
      expect(await cancel(await greet(await startHub()), id)).toMatchObject({ code: "not-scheduled", request: 7 });
    },
  );
});

function draft(fields: object): object {
  return { is: "publish", number: 1, channel: "a", data: 1, ...fields };
}

/** Publishes and waits for the answer, whatever it is. */
async function ask(socket: BareSocket, fields: object): Promise<HubEnvelope> {
  socket.send(draft(fields));
  return socket.next();
}

async function cancel(socket: BareSocket, id: string): Promise<HubEnvelope> {
  socket.send({ is: "ask", request: 7, action: { do: "cancel", id } });
  for (;;) {
    const envelope = await socket.next();
    if (envelope.is === "answer" || envelope.is === "error") return envelope;
  }
}
