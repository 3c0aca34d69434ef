import { describe, expect, test } from "vitest";
import { codeOf, numbersOf, outcome, settle, World } from "./support.ts";

async function connected(...args: ConstructorParameters<typeof World>): Promise<World> {
  const world = new World(...args);
  await world.connect();
  await world.socket.heard();
  return world;
}

type Refusal = "disk-full" | "out-of-order" | "producer-forgotten" | "payload-too-deep" | "too-many-scheduled";

function refuse(world: World, number: number, code: Refusal): Promise<void> {
  return world.socket.say({ is: "error", code, message: "No.", number });
}

describe("publishing", () => {
  test("resolves with what the hub answered", async () => {
    const world = await connected();
    const published = world.dogear.publish("a.b", { n: 1 });
    await settle();
    await world.socket.published(1);
    expect(await published).toEqual({ epoch: "e1", offset: 101, duplicate: false, durability: "disk" });
  });

  test("resolves each of several with its own offset, where the hub answers them at once (P-19)", async () => {
    const world = await connected();
    const results = [1, 2, 3, 4].map((n) => world.dogear.publish("a.b", n));
    await settle();
    const about = { epoch: "e1", duplicate: false, durability: "disk" } as const;
    await world.socket.say({ is: "published", number: 1, count: 3, offset: 101, ...about });
    expect(await Promise.all(results.slice(0, 3))).toEqual([101, 102, 103].map((offset) => ({ offset, ...about })));
    expect(await outcome(results[3] as Promise<unknown>)).toBe("pending");
    // More than are on their way.
    await world.socket.say({ is: "published", number: 4, count: 1e300, offset: 104, ...about });
    expect(await results[3]).toMatchObject({ offset: 104 });
  });

  test("never succeeds while offline", async () => {
    const world = new World();
    const published = world.dogear.publish("a.b", 1);
    await world.socket.drop();
    await world.clock.pass(1_000);
    expect(await outcome(published)).toBe("pending");
  });

  test("serialises at once, so that a later change is not published", async () => {
    const world = new World();
    const data = { n: 1 };
    void world.dogear.publish("a.b", data);
    data.n = 2;
    await world.connect();
    expect(await world.socket.heardOf("publish")).toMatchObject([{ data: { n: 1 } }]);
  });

  test("numbers drafts 1, 2, 3, … and sends the options along (P-23)", async () => {
    const world = await connected();
    void world.dogear.publish("a.b", 1, { key: "k", headers: { h: "v" }, id: "i", type: "text+json" });
    void world.dogear.publish("a.c", new Uint8Array([1, 2]));
    void world.dogear.publish("a.d", new Uint8Array([3]), { type: "image/png" });
    expect(await world.socket.heard()).toEqual([
      { is: "publish", number: 1, channel: "a.b", key: "k", headers: { h: "v" }, id: "i", type: "text+json", data: 1 },
      { is: "publish", number: 2, channel: "a.c", type: "application/octet-stream", data: "AQI=" },
      { is: "publish", number: 3, channel: "a.d", type: "image/png", data: "Aw==" },
    ]);
  });

  test("refuses at once what could never be published", async () => {
    const world = await connected({ publish: { queueMax: 1 } });
    expect(await codeOf(world.dogear.publish("a..b", 1))).toBe("invalid-channel");
    expect(await codeOf(world.dogear.publish("a.$dead", 1))).toBe("reserved-channel");
    expect(await codeOf(world.dogear.publish("a.b", undefined))).toBe("invalid-payload");
    expect(await codeOf(world.dogear.publish("a.b", 1n))).toBe("invalid-payload");
    expect(await codeOf(world.dogear.publish("a.b", "text", { type: "text/plain" }))).toBe("invalid-payload");
    expect(await codeOf(world.dogear.publish("a.b", "x".repeat(270_000)))).toBe("message-too-large");
    expect(await codeOf(world.dogear.publish("a.b", "€".repeat(90_000)))).toBe("message-too-large");
    expect(await world.socket.heard()).toEqual([]);
  });

  test("refuses nothing that the hub would take", async () => {
    const world = await connected();
    void world.dogear.publish("a.b", "x".repeat(262_142));
    void world.dogear.publish("a.b", "€".repeat(87_000));
    expect(numbersOf(await world.socket.heard())).toEqual([1, 2]);
  });

  test("rejects a draft that is refused for good, and goes on (P-26)", async () => {
    const world = await connected();
    const first = world.dogear.publish("a.b", 1);
    const second = world.dogear.publish("a.b", 2);
    await settle();
    await refuse(world, 1, "payload-too-deep");
    await world.socket.published(2);
    expect(await codeOf(first)).toBe("payload-too-deep");
    expect(await outcome(second)).toMatchObject({ resolved: { offset: 102 } });
  });

  test("takes a refusal it has never heard of for final", async () => {
    const world = await connected();
    const published = world.dogear.publish("a.b", 1);
    await settle();
    await world.socket.say({ is: "error", code: "from-the-future", message: "Hm.", number: 1 });
    expect(await outcome(published)).toMatchObject({
      rejected: { code: "from-the-future", retry: "no", message: "Hm." },
    });
  });
});

describe("publishing later", () => {
  const scheduled = { id: "s1", due: 1_800_000_060_000, duplicate: false, durability: "disk" } as const;

  test("says when, and how long it lives (P-46, P-47)", async () => {
    const world = await connected();
    void world.dogear.publish("a.b", 1, { delayMs: 60_000, ttlMs: 5_000 });
    void world.dogear.publish("a.b", 2, { deliverAt: new Date(7) });
    void world.dogear.publish("a.b", 3, { deliverAt: 8 });
    void world.dogear.publish("a.b", 4, { ttlMs: 9 });
    expect(await world.socket.heard()).toEqual([
      { is: "publish", number: 1, channel: "a.b", delayMs: 60_000, ttlMs: 5_000, data: 1 },
      { is: "publish", number: 2, channel: "a.b", deliverAt: 7, data: 2 },
      { is: "publish", number: 3, channel: "a.b", deliverAt: 8, data: 3 },
      { is: "publish", number: 4, channel: "a.b", ttlMs: 9, data: 4 },
    ]);
  });

  test("resolves with the schedule, and counts among the drafts like any other (P-24)", async () => {
    const world = await connected({ publish: { inFlightMax: 1 } });
    const later = world.dogear.publish("a.b", 1, { delayMs: 60_000 });
    const now = world.dogear.publish("a.b", 2);
    expect(numbersOf(await world.socket.heard())).toEqual([1]);
    await world.socket.say({ is: "scheduled", number: 1, ...scheduled });
    expect(await later).toEqual(scheduled);
    expect(numbersOf(await world.socket.heard())).toEqual([2]);
    await world.socket.published(2);
    expect((await now).offset).toBe(102);
  });

  test("goes again after a reconnect until it is answered (P-25)", async () => {
    const world = await connected();
    const later = world.dogear.publish("a.b", 1, { delayMs: 60_000 });
    await settle();
    await world.reconnect();
    expect(await world.socket.heardOf("publish")).toMatchObject([{ number: 1, delayMs: 60_000 }]);
    await world.socket.say({ is: "scheduled", number: 1, ...scheduled, duplicate: true });
    expect(await outcome(later)).toMatchObject({ resolved: { id: "s1", duplicate: true } });
  });

  test("is refused where too much is scheduled already, and holds up nothing (P-47)", async () => {
    const world = await connected();
    const later = world.dogear.publish("a.b", 1, { delayMs: 60_000 });
    await settle();
    await refuse(world, 1, "too-many-scheduled");
    expect(await outcome(later)).toMatchObject({ rejected: { code: "too-many-scheduled" } });
  });

  test("needs no narrowing: the types know which answer comes", async () => {
    const world = await connected();
    const answers = async (): Promise<unknown[]> => {
      const { offset } = await world.dogear.publish("a.b", 1);
      const { due } = await world.dogear.publish("a.b", 1, { delayMs: 5 });
      // @ts-expect-error What is published later has no offset yet.
      const { offset: none } = await world.dogear.publish("a.b", 1, { deliverAt: new Date(5) });
      // @ts-expect-error Either a delay or a time.
      void world.dogear.publish("a.b", 1, { delayMs: 5, deliverAt: 5 });
      return [offset, due, none];
    };
    expect(answers).toBeTypeOf("function");
  });
});

describe("publishing several", () => {
  test("gives each its result, in order, whatever becomes of the others", async () => {
    const world = await connected();
    const results = world.dogear.publishAll([
      { channel: "a.b", data: 1, key: "k" },
      { channel: "a..b", data: 2 },
      { channel: "a.c", data: 3 },
      { channel: "a.d", data: 4, delayMs: 5 },
    ]);
    expect(await world.socket.heard()).toEqual([
      { is: "publish", number: 1, channel: "a.b", key: "k", data: 1 },
      { is: "publish", number: 2, channel: "a.c", data: 3 },
      { is: "publish", number: 3, channel: "a.d", delayMs: 5, data: 4 },
    ]);
    expect(world.socket.frames.at(-1)).toHaveLength(3);
    await world.socket.published(1);
    await refuse(world, 2, "payload-too-deep");
    expect(await outcome(results)).toBe("pending");
    await world.socket.say({ is: "scheduled", number: 3, id: "s", due: 5, duplicate: false, durability: "disk" });
    expect(await results).toMatchObject([
      { status: "fulfilled", value: { offset: 101 } },
      { status: "rejected", reason: { code: "invalid-channel" } },
      { status: "rejected", reason: { code: "payload-too-deep" } },
      { status: "fulfilled", value: { id: "s", due: 5 } },
    ]);
  });

  test("of a closed client refuses each", async () => {
    const world = await connected();
    await world.dogear.close();
    const results = await world.dogear.publishAll([{ channel: "a.b", data: 1 }]);
    expect(results).toMatchObject([{ status: "rejected", reason: { code: "closed" } }]);
  });
});

describe("order", () => {
  test("everything without an answer goes again after a reconnect, in order, before anything new (G6, P-25)", async () => {
    const world = await connected({ publish: { inFlightMax: 3 } });
    for (let n = 1; n <= 5; n++) void world.dogear.publish("a.b", n).catch(() => {});
    expect(numbersOf(await world.socket.heard())).toEqual([1, 2, 3]);
    await world.socket.published(1, 3);
    expect(numbersOf(await world.socket.heard())).toEqual([4, 5]);
    await world.reconnect();
    expect(await world.socket.heard()).toMatchObject([
      { is: "hello", producer: { settled: 1 } },
      { number: 2, data: 2 },
      { number: 4, data: 4 },
      { number: 5, data: 5 },
    ]);
    void world.dogear.publish("a.b", 6).catch(() => {});
    await world.socket.published(2, 4, 5);
    expect(numbersOf(await world.socket.heard())).toEqual([6]);
  });

  test("after a refusal for now nothing new is sent, and all goes again in order (P-26)", async () => {
    const world = await connected();
    const results = [1, 2, 3].map((n) => world.dogear.publish("a.b", n));
    await world.socket.heard();
    await refuse(world, 1, "disk-full");
    await refuse(world, 2, "out-of-order");
    results.push(world.dogear.publish("a.b", 4));
    expect(await world.socket.heard()).toEqual([]);
    await refuse(world, 3, "out-of-order");
    await world.clock.pass(250);
    expect(numbersOf(await world.socket.heard())).toEqual([1, 2, 3, 4]);
    await world.socket.published(1, 2, 3, 4);
    expect(await Promise.all(results)).toHaveLength(4);
    expect(world.clock.timers).toBe(1);
  });

  test("a refusal for now is tried again later and later", async () => {
    const world = await connected();
    void world.dogear.publish("a.b", 1).catch(() => {});
    const waits: number[] = [];
    for (let attempt = 0; attempt < 8; attempt++) {
      await world.socket.heard();
      await refuse(world, 1, "disk-full");
      const before = world.clock.now();
      while (numbersOf(await world.socket.heard()).length === 0) {
        await world.socket.say({ is: "ping" });
        await world.clock.pass(50);
      }
      waits.push(world.clock.now() - before);
    }
    expect(waits).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  });

  test("an out-of-order that nothing else explains is sent again, too", async () => {
    const world = await connected();
    const published = world.dogear.publish("a.b", 1);
    await settle();
    await refuse(world, 1, "out-of-order");
    await world.socket.heard();
    await world.clock.pass(250);
    expect(numbersOf(await world.socket.heard())).toEqual([1]);
    await world.socket.published(1);
    expect(await outcome(published)).toMatchObject({ resolved: {} });
  });

  test("the connection is not filled beyond what the hub reads ahead (P-17)", async () => {
    const world = new World();
    await world.connect({ draftBytesMax: 1_000 });
    await world.socket.heard();
    for (let n = 0; n < 10; n++) void world.dogear.publish("a.b", "x".repeat(400)).catch(() => {});
    expect(numbersOf(await world.socket.heard())).toEqual([1, 2, 3]);
    await world.socket.published(1);
    expect(numbersOf(await world.socket.heard())).toEqual([4]);
  });
});

describe("the queue", () => {
  test("is bounded: one more is refused", async () => {
    const world = await connected({ publish: { queueMax: 2, inFlightMax: 1 } });
    const first = world.dogear.publish("a.b", 1);
    void world.dogear.publish("a.b", 2).catch(() => {});
    expect(await codeOf(world.dogear.publish("a.b", 3))).toBe("queue-full");
    await world.socket.published(1);
    await first;
    expect(await outcome(world.dogear.publish("a.b", 4))).toBe("pending");
  });

  test("can drop the oldest that was never sent instead", async () => {
    const world = await connected({ publish: { queueMax: 2, inFlightMax: 1, whenFull: "drop-oldest" } });
    const sent = world.dogear.publish("a.b", 1);
    const dropped = world.dogear.publish("a.b", 2);
    const kept = world.dogear.publish("a.b", 3);
    expect(await codeOf(dropped)).toBe("draft-dropped");
    await world.socket.published(1);
    expect(await outcome(sent)).toMatchObject({ resolved: {} });
    expect(await world.socket.heardOf("publish")).toMatchObject([{ number: 1 }, { number: 2, data: 3 }]);
    expect(await outcome(kept)).toBe("pending");
  });

  test("refuses one more when all were sent, since any of them may be published", async () => {
    const world = await connected({ publish: { queueMax: 1, whenFull: "drop-oldest" } });
    const sent = world.dogear.publish("a.b", 1);
    await settle();
    expect(await codeOf(world.dogear.publish("a.b", 2))).toBe("queue-full");
    expect(await outcome(sent)).toBe("pending");
  });
});

describe("an abort", () => {
  test("before the draft is sent takes it out", async () => {
    const world = new World();
    const abort = new AbortController();
    const published = world.dogear.publish("a.b", 1, { signal: abort.signal });
    void world.dogear.publish("a.b", 2).catch(() => {});
    abort.abort(new Error("enough"));
    expect(await outcome(published)).toEqual({ rejected: new Error("enough") });
    await world.connect();
    expect(await world.socket.heardOf("publish")).toMatchObject([{ number: 1, data: 2 }]);
  });

  test("after the draft was sent ends the waiting, and the draft stays in flight", async () => {
    const world = await connected();
    const abort = new AbortController();
    const published = world.dogear.publish("a.b", 1, { signal: abort.signal });
    await settle();
    abort.abort();
    expect(await outcome(published)).toMatchObject({ rejected: { name: "AbortError" } });
    await world.reconnect();
    expect(await world.socket.heard()).toMatchObject([{ producer: { settled: 0 } }, { number: 1 }]);
  });

  test("before the call publishes nothing", async () => {
    const world = await connected();
    const published = world.dogear.publish("a.b", 1, { signal: AbortSignal.abort() });
    expect(await outcome(published)).toMatchObject({ rejected: { name: "AbortError" } });
    expect(await world.socket.heard()).toEqual([]);
  });
});

describe("a forgotten producer", () => {
  test("rejects what was sent, takes a new id and begins again at 1 (P-28)", async () => {
    const world = await connected({ publish: { inFlightMax: 2 } });
    const [first, second, third] = [1, 2, 3].map((n) => world.dogear.publish("a.b", n));
    await world.reconnect();
    await refuse(world, 1, "producer-forgotten");
    expect(await codeOf(first as Promise<unknown>)).toBe("producer-forgotten");
    expect(await codeOf(second as Promise<unknown>)).toBe("producer-forgotten");
    expect(world.dogear.state).toMatchObject({ name: "waiting", code: "producer-forgotten" });
    await world.nextAttempt();
    await world.connect();
    const [hello, publish] = await world.socket.heard();
    expect(hello).toMatchObject({ producer: { id: "producer-2", settled: 0 } });
    expect(hello).not.toHaveProperty("producer.seen");
    expect(publish).toMatchObject({ number: 1, data: 3 });
    await world.socket.published(1);
    expect(await outcome(third as Promise<unknown>)).toMatchObject({ resolved: { offset: 101 } });
  });

  test("is not even asked for after too long away", async () => {
    const world = new World();
    await world.connect({ producerMemoryMs: 60_000 });
    const sent = world.dogear.publish("a.b", 1);
    await settle();
    await world.socket.drop();
    const unsent = world.dogear.publish("a.b", 2);
    world.clock.sleep(60_001);
    await world.nextAttempt();
    await world.connect();
    expect(await world.socket.heard()).toMatchObject([
      { producer: { id: "producer-2", settled: 0 } },
      { number: 1, data: 2 },
    ]);
    expect(await codeOf(sent)).toBe("producer-forgotten");
    expect(await outcome(unsent)).toBe("pending");
  });
});
