/** What subscribers are sent: everything once, in order, as much as their windows allow, and one frame for all. */
import { describe, expect, it } from "vitest";
import { type BareSocket, count, dataOf, greet, type Place, publish, publishAll, Reader, startHub } from "./support.ts";

const wide = { messages: 1_000, bytes: 1_000_000 };

describe("a live envelope", () => {
  it("is sent once for all subscriptions of a session to one pattern (P-37)", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    const reader = new Reader(socket);
    const places: Place[] = [];
    for (const subscription of [1, 2, 3]) places.push(await reader.subscribe({ subscription, pattern: "a.*" }));
    await reader.until(() => places.every(({ state }) => state === "live"));
    await publish(await greet(hub), "a.b", "once");
    await reader.until(() => places.every(({ messages }) => messages.length === 1));
    await reader.settle();
    expect(socket.frames.filter((frame) => frame.includes('"once"'))).toHaveLength(1);
  });

  it("comes once for each of the patterns that overlap (P-37)", async () => {
    const hub = await startHub();
    const reader = new Reader(await greet(hub));
    const patterns = ["a.b", "a.*", "a.>", "*.b", ">"];
    for (const [i, pattern] of patterns.entries()) await reader.subscribe({ subscription: i + 1, pattern });
    const publisher = await greet(hub);
    for (const data of count(1, 50)) await publish(publisher, "a.b", data);
    const places = [...reader.places.values()];
    await reader.until(() => places.every(({ messages }) => messages.length === 50));
    for (const place of places) expect(dataOf(place)).toEqual(count(1, 50));
  });

  it("is not for those who are still catching up (P-37)", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    await publish(publisher, "a", ...count(1, 10));
    const reader = new Reader(await greet(hub), { acknowledges: false });
    const live = await reader.subscribe({ subscription: 1, pattern: "a" });
    const window = { messages: 4, bytes: 1_000_000 };
    const behind = await reader.subscribe({ subscription: 2, pattern: "a", from: "earliest", window });
    await reader.until(() => live.state === "live" && behind.messages.length === 4);
    await publish(publisher, "a", 11);
    await reader.until(() => live.messages.length === 1);
    expect([dataOf(live), dataOf(behind)]).toEqual([[11], [1, 2, 3, 4]]);
    while (behind.state !== "live") {
      reader.acknowledge(2);
      const had = behind.messages.length;
      await reader.until(() => behind.messages.length > had || behind.state === "live");
    }
    expect(dataOf(behind)).toEqual(count(1, 11));
  });

  it("is not taken by one whose window is full, although another of its pattern takes it (P-37, P-38)", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    const reader = new Reader(await greet(hub), { acknowledges: false });
    const roomy = await reader.subscribe({ subscription: 1, pattern: "a", window: wide });
    const narrow = await reader.subscribe({ subscription: 2, pattern: "a", window: { messages: 1, bytes: 1_000_000 } });
    await reader.until(() => roomy.state === "live" && narrow.state === "live");
    for (const data of [1, 2, 3]) await publish(publisher, "a", data);
    await reader.until(() => roomy.messages.length === 3);
    expect(dataOf(narrow)).toEqual([1]);
    for (const length of [2, 3]) {
      reader.acknowledge(2);
      await reader.until(() => narrow.messages.length === length);
    }
    expect(dataOf(narrow)).toEqual([1, 2, 3]);
  });
});

describe("a window", () => {
  it.each(["live", "catching up"])(
    "stops exactly where it is full, and goes on after an ack, %s (P-38)",
    async (how) => {
      const hub = await startHub();
      const [publisher, socket] = [await greet(hub), await greet(hub)];
      const reader = new Reader(socket, { acknowledges: false });
      const window = { messages: 10, bytes: 1_000_000 };
      if (how === "catching up") await publish(publisher, "a", ...count(1, 100));
      const place = await reader.subscribe({ pattern: "a", from: "earliest", window });
      if (how === "live") for (const data of count(1, 100)) await publish(publisher, "a", data);
      for (let sent = 10; sent <= 100; sent += 10) {
        await reader.until(() => place.messages.length === sent);
        await roundTrips(reader, publisher);
        expect(place.messages).toHaveLength(sent);
        reader.acknowledge();
      }
      await reader.until(() => place.state === "live");
      expect(dataOf(place)).toEqual(count(1, 100));
    },
  );

  it("goes on when the messages in it are acknowledged, whatever else is in the log (P-38, P-39)", async () => {
    const hub = await startHub();
    const [publisher, socket] = [await greet(hub), await greet(hub)];
    const reader = new Reader(socket, { acknowledges: false });
    const place = await reader.subscribe({ pattern: "a", window: { messages: 1, bytes: 1_000_000 } });
    for (const data of count(1, 3)) {
      // One commit: what matches is followed by what does not.
      await publishAll(publisher, [
        { channel: "a", data },
        { channel: "b", data },
      ]);
      await reader.until(() => place.messages.length === data);
      // The client has processed this message, and knows of none after it.
      reader.acknowledge(1, place.messages.at(-1)?.offset);
    }
    expect(dataOf(place)).toEqual([1, 2, 3]);
  });

  it("of bytes takes a message that is larger than it, alone (P-38)", async () => {
    const hub = await startHub();
    const [publisher, socket] = [await greet(hub), await greet(hub)];
    const reader = new Reader(socket, { acknowledges: false });
    const place = await reader.subscribe({ pattern: "a", window: { messages: 10, bytes: 1_000 } });
    const data = ["x".repeat(400), "y".repeat(5_000), "z".repeat(400), "w".repeat(300)];
    await publish(publisher, "a", ...data);
    for (const [sent, length] of [1, 2, 4].entries()) {
      await reader.until(() => place.messages.length === length);
      await roundTrips(reader, publisher);
      expect({ sent, had: place.messages.length }).toEqual({ sent, had: length });
      reader.acknowledge();
    }
    await reader.until(() => place.state === "live");
    expect(dataOf(place)).toEqual(data);
  });

  it("is no larger than the hub allows (P-38)", async () => {
    const hub = await startHub({ limits: { windowMessagesMax: 5 } });
    const publisher = await greet(hub);
    await publish(publisher, "a", ...count(1, 20));
    const reader = new Reader(await greet(hub), { acknowledges: false });
    const place = await reader.subscribe({ pattern: "a", from: "earliest", window: wide });
    await reader.until(() => place.messages.length === 5);
    await roundTrips(reader, publisher);
    expect(place.messages).toHaveLength(5);
  });

  it("is not used up by what does not match (P-36)", async () => {
    const hub = await startHub({ limits: { heartbeatMs: 100 } });
    const publisher = await greet(hub);
    const reader = new Reader(await greet(hub), { acknowledges: false });
    const place = await reader.subscribe({ pattern: "quiet", window: { messages: 1, bytes: 1 } });
    for (let beat = 1; beat <= 3; beat++) {
      const [published] = await publish(publisher, "busy", beat);
      await reader.until(() => place.through === published?.offset);
    }
    expect(place.state).toBe("live");
    await publish(publisher, "quiet", "at last");
    await reader.until(() => place.messages.length === 1);
  });
});

describe("an idle subscription", () => {
  it("is told at each heartbeat how far it has come, and may acknowledge that (P-36, P-39)", async () => {
    const hub = await startHub({ limits: { heartbeatMs: 100 } });
    const publisher = await greet(hub);
    const socket = await greet(hub);
    const reader = new Reader(socket);
    const place = await reader.subscribe({ pattern: "quiet" });
    await publish(publisher, "busy", ...count(1, 10));
    await reader.until(() => place.through === 10);
    await reader.settle();
    expect(place.messages).toEqual([]);
    expect(reader.others).not.toContainEqual(expect.objectContaining({ code: "ack-beyond-sent" }));
  });
});

describe("catching up", () => {
  it("joins live with nothing lost and nothing repeated, while it is being published (P-36, P-37)", async () => {
    const hub = await startHub();
    const publishing = new Publishing(await greet(hub));
    const readings = count(1, 12).map(async (i) => {
      const reader = new Reader(await greet(hub));
      while (publishing.last < i * 400) await reader.settle();
      const place = await reader.subscribe({
        pattern: i % 2 === 0 ? "a.>" : "a.*",
        from: i % 3 === 0 ? "latest" : "earliest",
        ...(i % 4 === 0 ? { window: { messages: 500, bytes: 200_000 } } : {}),
      });
      await reader.until(() => place.messages.length > 400);
      if (i === 12) publishing.stop();
      const last = await publishing.end;
      await reader.until(() => place.messages.at(-1)?.data === last);
      expect(dataOf(place)).toEqual(count(place.subscribed.position + 1, last));
    });
    await Promise.all(readings);
  });

  it("gives several subscriptions of one session to one pattern each message once (P-36, P-37)", async () => {
    const hub = await startHub();
    const publishing = new Publishing(await greet(hub));
    const reader = new Reader(await greet(hub));
    const places: Place[] = [];
    for (const subscription of count(1, 60)) {
      const from = subscription % 4 === 0 ? "earliest" : "latest";
      places.push(await reader.subscribe({ subscription, pattern: "a.*", from }));
      await reader.settle();
    }
    await reader.until(() => places.every(({ state }) => state === "live"));
    publishing.stop();
    const last = await publishing.end;
    await reader.until(() => places.every((place) => place.messages.at(-1)?.data === last));
    for (const place of places) expect(dataOf(place)).toEqual(count(place.subscribed.position + 1, last));
  });

  it("over many pages brings everything in order (P-36)", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    for (let n = 1; n < 20_000; n += 2_000) {
      await publishAll(
        publisher,
        count(n, n + 1_999).map((data) => ({ channel: data % 3 === 0 ? "a" : "b", data })),
      );
    }
    const reader = new Reader(await greet(hub));
    const place = await reader.subscribe({ pattern: "a", from: "earliest" });
    await reader.until(() => place.state === "live");
    expect(dataOf(place)).toEqual(count(1, 20_000).filter((data) => data % 3 === 0));
    expect(place.through).toBe(20_000);
  });
});

/** Publishes 1, 2, 3, … to the channels a.0 to a.4, a few batches at a time and without a pause. */
class Publishing {
  /** The last that was published so far. */
  last = 0;
  /** The last of all, once it was stopped. */
  readonly end: Promise<number>;
  #stopped = false;

  constructor(socket: BareSocket) {
    this.end = this.#run(socket);
  }

  stop(): void {
    this.#stopped = true;
  }

  async #run(socket: BareSocket): Promise<number> {
    let sent = 0;
    while (!this.#stopped || this.last < sent) {
      while (!this.#stopped && sent - this.last < 60) {
        const batch = count(sent + 1, sent + 1 + (sent % 13));
        socket.send(batch.map((data) => ({ is: "publish", number: data, channel: `a.${data % 5}`, data })));
        sent += batch.length;
      }
      this.last = (await socket.next("published")).offset;
    }
    return sent;
  }
}

/** Gives the hub the time of a few round trips, over both of the connections, to do what it should not. */
async function roundTrips(reader: Reader, publisher: BareSocket): Promise<void> {
  for (let trip = 0; trip < 3; trip++) {
    await publish(publisher, "elsewhere", trip);
    await reader.settle();
  }
}
