/** Sessions over a hub in memory: what needs a log that hesitates or fails, or a connection that is lost just then. */
import { defaultLimits, dogearError, type Epoch, type Offset } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import type { Log } from "../../server/src/engine/engine.ts";
import { memoryHub, settled, VirtualClock } from "../hub/support.ts";
import { Client, publish } from "./support.ts";

const producer = { id: "p", settled: 0 };

/** Drafts as a client has to keep them: sent again in order as long as they have no answer for good. */
class Outstanding {
  readonly #unanswered: Map<number, object>;
  readonly #refused: number[] = [];

  constructor(drafts: readonly object[]) {
    this.#unanswered = new Map(drafts.map((draft) => [(draft as { number: number }).number, draft]));
  }

  /** What is to be sent again. */
  get drafts(): object[] {
    return [...this.#unanswered.values()];
  }

  /** As `hello.producer` has it. */
  get producer(): object {
    const [lowest = 1] = this.#unanswered.keys();
    return { id: "p", settled: lowest - 1, refused: this.#refused.filter((number) => number >= lowest) };
  }

  hear(client: Client): void {
    for (const { number } of client.all("published")) this.#unanswered.delete(number);
    for (const { number = 0, code } of client.all("error")) {
      if (code === "out-of-order" || code === "disk-full" || !this.#unanswered.delete(number)) continue;
      this.#refused.push(number);
    }
  }
}

describe("a draft that is refused behind one that is on its way", () => {
  const drafts = [publish(1), publish(2, { channel: "$hub" }), publish(3)];

  it("does not stop its producer for ever when the hub ends before that one is stored (P-25, P-26, P-27)", async () => {
    const clock = new VirtualClock();
    const before = await memoryHub(clock);
    for (const log of before.logs) log.holding = true;
    const first = await Client.greet(before.hub, clock, { producer });
    const outstanding = new Outstanding(drafts);
    await first.say(...drafts);
    outstanding.hear(first);
    // Another hub, which knows of none of them.
    const { hub } = await memoryHub(clock);
    const second = await Client.greet(hub, clock, { producer: outstanding.producer });
    await second.say(...outstanding.drafts);
    outstanding.hear(second);
    expect(outstanding.drafts).toEqual([]);
  });

  it("does not stop its producer for ever when that one fails for now (P-26)", async () => {
    const clock = new VirtualClock();
    const { hub, logs } = await memoryHub(clock);
    for (const log of logs) log.holding = true;
    const client = await Client.greet(hub, clock, { producer });
    const outstanding = new Outstanding(drafts);
    await client.say(...drafts);
    for (const log of logs) while (log.held.length > 0) await log.fail(dogearError("disk-full"));
    for (const log of logs) log.holding = false;
    outstanding.hear(client);
    await client.say(...outstanding.drafts);
    outstanding.hear(client);
    expect(outstanding.drafts).toEqual([]);
  });
});

describe("drafts on their way", () => {
  it("stop the reading when they are many, however small their payloads are (P-17)", async () => {
    const clock = new VirtualClock();
    const { hub, logs } = await memoryHub(clock);
    for (const log of logs) log.holding = true;
    const client = await Client.greet(hub, clock, {}, { draftBytesMax: 100_000 });
    const headers = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`h${i}`, "x".repeat(1_000)]));
    for (let number = 1; number <= 10; number++) client.send(publish(number, { headers }));
    expect(client.socket.paused).toBe(true);
    for (const log of logs) while (log.held.length > 0) await log.release();
    expect(client.all("published")).toHaveLength(10);
    expect(client.socket.paused).toBe(false);
  });

  it("that a slow disk holds up do not make their client look dead (P-14, P-17)", async () => {
    const clock = new VirtualClock();
    const { hub, logs } = await memoryHub(clock);
    for (const log of logs) log.holding = true;
    const client = await Client.greet(hub, clock, {}, { draftBytesMax: 1 });
    await client.say(publish(1));
    // Its answers to pings wait in a connection that the hub does not read.
    expect(client.socket.paused).toBe(true);
    await clock.advance(120_000);
    expect(client.socket.closedWith).toBeUndefined();
    for (const log of logs) await log.release();
    expect(client.all("published")).toHaveLength(1);
    expect(client.socket.paused).toBe(false);
  });

  it("that a slow disk holds up until a ping's grace is nearly over leave time to read its answer (P-14, P-17)", async () => {
    const clock = new VirtualClock();
    const { hub, logs } = await memoryHub(clock);
    for (const log of logs) log.holding = true;
    const { heartbeatMs, heartbeatGraceMs } = defaultLimits;
    const client = await Client.greet(hub, clock, {}, { draftBytesMax: 1 });
    await client.say(publish(1));
    await clock.advance(heartbeatMs + heartbeatGraceMs - 10);
    expect(client.all("ping")).toHaveLength(1);
    for (const log of logs) await log.release();
    expect(client.socket.paused).toBe(false);
    await clock.advance(1_000);
    expect(client.socket.closedWith).toBeUndefined();
    await clock.advance(heartbeatMs + heartbeatGraceMs);
    expect(client.all("error")).toMatchObject([{ code: "heartbeat-timeout" }]);
  });
});

describe("a client that comes back", () => {
  it("is answered in one frame, also where others have published since (P-6, P-36)", async () => {
    const clock = new VirtualClock();
    const { hub } = await memoryHub(clock);
    const publisher = await Client.greet(hub, clock);
    await publisher.say(publish(1), publish(2));
    const client = new Client(hub, clock);
    const from = { epoch: publisher.all("published")[0]?.epoch, offset: 1 };
    const hello = { is: "hello", protocol: 1 };
    await client.say(hello, { is: "subscribe", subscription: 1, pattern: "other", from });
    expect(client.socket.heard.map(({ is }) => is)).toEqual(["welcome", "subscribed", "messages", "caught-up"]);
    expect(client.all("messages")).toMatchObject([{ subscription: 1, after: 1, through: 2, messages: [] }]);
    expect(client.socket.sentFrames).toBe(1);
  });
});

describe("a client that does not read", () => {
  it("is sent no more than its outbox holds, and later all the rest (P-17, P-37)", async () => {
    const clock = new VirtualClock();
    const { hub } = await memoryHub(clock);
    const outboxBytesMax = 100_000;
    const slow = await Client.greet(hub, clock, {}, { outboxBytesMax });
    const window = { messages: 10_000, bytes: 10_000_000 };
    const patterns = ["a", "*", ">"];
    await slow.say(...patterns.map((pattern, i) => ({ is: "subscribe", subscription: i + 1, pattern, window })));
    const publisher = await Client.greet(hub, clock);
    slow.socket.reading = false;
    // Ten at a time, so that no batch is larger than a tenth of the outbox.
    for (let n = 1; n <= 1_000; n += 10) {
      for (let i = 0; i < 10; i++) publisher.session.receive(draftOf(n + i), false);
      await settled();
    }
    // Beyond what it holds comes a frame for each pattern at most.
    expect(slow.socket.bufferedBytes).toBeLessThan(outboxBytesMax * 1.5);
    expect(slow.all("behind").length).toBe(patterns.length);
    for (let turn = 0; turn < 200; turn++) await slow.read();
    for (const [i, pattern] of patterns.entries()) {
      const own = slow.all("messages").filter((one) => one.pattern === pattern || one.subscription === i + 1);
      const numbers = own.flatMap(({ messages }) => messages.map(({ data }) => (data as { n: number }).n));
      expect(numbers).toEqual(Array.from({ length: 1_000 }, (_, n) => n + 1));
    }
  });

  it("is not read either while its answers wait, and nothing it says is lost (P-17)", async () => {
    const clock = new VirtualClock();
    const { hub } = await memoryHub(clock);
    const client = await Client.greet(hub, clock, {}, { outboxBytesMax: 10_000 });
    client.socket.reading = false;
    for (let i = 0; i < 1_000 && !client.socket.paused; i++) {
      await client.say({ is: "ack", subscription: 1, offset: 0 });
    }
    expect(client.socket.paused).toBe(true);
    await client.read();
    expect(client.socket.paused).toBe(false);
  });
});

describe("two subscriptions of one session to one pattern", () => {
  it("are each given a message once, also where one begins ahead of the hub's reading (P-36, P-37)", async () => {
    const clock = new VirtualClock();
    const followed = new Gate();
    const { hub } = await memoryHub(clock);
    const namespace = hub.namespace("a" as never);
    followed.hold(namespace.log);
    const client = await Client.greet(hub, clock);
    await client.say({ is: "subscribe", subscription: 1, pattern: "a" });
    // Stored, but not yet read by the hub for its feeds.
    await client.say(publish(1), publish(2));
    await client.say({ is: "subscribe", subscription: 2, pattern: "a" });
    expect(client.all("subscribed")[1]).toMatchObject({ position: 2 });
    await client.say(publish(3));
    followed.open();
    await settled();
    await settled();
    expect(received(client, 1, "a")).toEqual([1, 2, 3]);
    expect(received(client, 2, "a")).toEqual([3]);
  });
});

describe("a session that ends while something is being done for it", () => {
  it("leaves no subscription and no holder of its cursor behind (P-41)", async () => {
    const clock = new VirtualClock();
    let following = 0;
    const { hub } = await memoryHub(clock);
    const { log } = hub.namespace("a" as never);
    const follow = log.follow.bind(log);
    (log as { follow: Log["follow"] }).follow = (after, signal) => {
      following++;
      signal.addEventListener("abort", () => following--);
      return follow(after, signal);
    };
    for (let turns = 0; turns < 12; turns++) {
      const client = await Client.greet(hub, clock, { subscriber: "s", producer: { id: `p${turns}`, settled: 0 } });
      client.send(
        { is: "subscribe", subscription: 1, pattern: "a", cursor: true, from: "earliest" },
        { is: "subscribe", subscription: 2, pattern: ">" },
      );
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      client.session.disconnected();
      await settled();
      expect(following).toBe(0);
    }
    const last = await Client.greet(hub, clock, { subscriber: "s" });
    await last.say({ is: "subscribe", subscription: 1, pattern: "a", cursor: true });
    expect(last.all("subscribed")).toMatchObject([{ position: 0 }]);
    expect(following).toBe(1);
  });

  it("before its hello was answered gives its producer back (P-23)", async () => {
    const clock = new VirtualClock();
    const { hub } = await memoryHub(clock);
    for (let turns = 0; turns < 6; turns++) {
      const client = new Client(hub, clock);
      client.send({ is: "hello", protocol: 1, producer: { id: "p", settled: 7 } });
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      client.session.disconnected();
      await settled();
    }
    // A new sequence: nothing was published, so nothing of the old one is left.
    const fresh = await Client.greet(hub, clock, { producer });
    await fresh.say(publish(1));
    expect(fresh.all("published")).toMatchObject([{ number: 1, offset: 1, duplicate: false }]);
  });
});

describe("a log that fails", () => {
  it("while a subscription catches up ends that one, with a word, and not the session", async () => {
    const clock = new VirtualClock();
    const { hub } = await memoryHub(clock);
    const client = await Client.greet(hub, clock);
    await client.say(publish(1));
    const { log } = hub.namespace("a" as never);
    (log as { read: Log["read"] }).read = () => Promise.reject(new Error("no such disk"));
    await client.say({ is: "subscribe", subscription: 1, pattern: "a", from: "earliest" });
    expect(client.all("unsubscribed")).toMatchObject([{ subscription: 1, code: "internal" }]);
    await client.say(publish(2));
    expect(client.all("published")).toHaveLength(2);
  });

  it("says to a publisher no more than that it failed (P-22)", async () => {
    const clock = new VirtualClock();
    const { hub, logs } = await memoryHub(clock);
    for (const log of logs) log.holding = true;
    const client = await Client.greet(hub, clock);
    await client.say(publish(1));
    for (const log of logs) await log.fail(new Error("/var/lib/dogear is on fire"));
    expect(client.all("error")).toMatchObject([{ code: "internal", number: 1 }]);
    expect(JSON.stringify(client.socket.heard)).not.toContain("on fire");
    expect(client.socket.closedWith).toBeUndefined();
  });
});

describe("an old acknowledgement", () => {
  it("does not move a cursor back, also where the log has begun a new epoch since (P-39, P-40, P-44)", async () => {
    const clock = new VirtualClock();
    const lineage = [{ epoch: "k1" as Epoch, first: 1 as Offset }];
    const { hub } = await memoryHub(clock, { overrides: { lineage } });
    const client = await Client.greet(hub, clock, { subscriber: "s" });
    await client.say(...[1, 2, 3, 4, 5].map((number) => publish(number)));
    const durable = { is: "subscribe", pattern: "a", cursor: true, from: "earliest" };
    await client.say({ ...durable, subscription: 1 });
    await client.say({ is: "ack", subscription: 1, offset: 4 });
    lineage.push({ epoch: "k2" as Epoch, first: 6 as Offset });
    await client.say({ ...durable, subscription: 2 });
    expect(client.all("subscribed")[1]).toMatchObject({ position: 4, epoch: "k2" });
    await client.say({ is: "ack", subscription: 2, offset: 1 });
    await client.say({ ...durable, subscription: 3 });
    expect(client.all("subscribed")[2]).toMatchObject({ position: 4 });
  });
});

/** Holds up what a log is followed by. */
class Gate {
  open: () => void = () => {};

  hold(log: Log): void {
    const follow = log.follow.bind(log);
    const opened = new Promise<void>((resolve) => {
      this.open = resolve;
    });
    (log as { follow: Log["follow"] }).follow = async function* (after, signal) {
      for await (const batch of follow(after, signal)) {
        await opened;
        yield batch;
      }
    };
  }
}

/** What one of the subscriptions to a pattern was given: a live envelope is for all that are live when it comes. */
function received(client: Client, subscription: number, pattern: string): unknown[] {
  let live = false;
  return client.socket.heard.flatMap((envelope) => {
    if (envelope.is === "caught-up" && envelope.subscription === subscription) live = true;
    if (envelope.is === "behind" && envelope.subscription === subscription) live = false;
    if (envelope.is !== "messages") return [];
    const its = envelope.subscription === subscription || (live && envelope.pattern === pattern);
    return its ? envelope.messages.map(({ data }) => data) : [];
  });
}

function draftOf(n: number): Buffer {
  return Buffer.from(JSON.stringify(publish(n, { data: { n, text: "x".repeat(1_000) } })));
}
