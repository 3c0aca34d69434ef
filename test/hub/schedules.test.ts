/** Drafts that wait for their time, on disk, under a clock that is moved by hand. */
import type { Channel, Offset, Scheduled } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import { slipOf } from "../../server/src/hub/schedules/slip.ts";
import { Sequencer } from "../../server/src/hub/sequencer.ts";
import type { Answer } from "../../server/src/session/drafts.ts";
import { anywhere, type Interrupt, World } from "./scheduling.ts";

const minute = 60_000;
const hour = 60 * minute;

describe("a draft with a delay", () => {
  it("is answered with its id and when it is due, and is in no channel until then (P-47, P-48)", async () => {
    const world = await World.open();
    const answer = await world.publish({ channel: "a.b", delayMs: 1_000, data: "later" });
    expect(answer).toEqual({
      is: "scheduled",
      number: 1,
      id: expect.stringMatching(/^default\/[^/]+\/1$/),
      due: world.clock.now() + 1_000,
      duplicate: false,
      durability: "disk",
    });
    await world.advance(999);
    expect(await world.messages()).toEqual([]);
    expect(world.hub.schedules.pending(world.namespace)).toBe(1);
    await world.advance(1);
    expect(await world.messages()).toMatchObject([
      { channel: "a.b", data: "later", headers: { "dogear-scheduled": (answer as Scheduled).id } },
    ]);
    expect(world.hub.schedules.pending(world.namespace)).toBe(0);
  });

  it("becomes the message that was published: payload byte for byte, type, key and headers (P-48, G4)", async () => {
    const world = await World.open();
    const headers = { trace: "ä1", "x-empty": "" };
    await world.schedule({ delayMs: 1, type: "application/geo+json", key: "k-ü", headers, data: { a: [1] } });
    await world.schedule({ delayMs: 1, type: "text/plain", data: "aGk=" });
    await world.advance(1);
    const [first, second] = await world.messages();
    expect(first).toMatchObject({ type: "application/geo+json", key: "k-ü", data: { a: [1] } });
    expect(Object.entries(first?.headers ?? {})).toEqual([
      ...Object.entries(headers),
      ["dogear-scheduled", expect.any(String)],
    ]);
    expect(second).toMatchObject({ type: "text/plain", data: "aGk=" });
  });

  it("may be due at a time, also one that is over (P-47)", async () => {
    const world = await World.open();
    const now = world.clock.now();
    const [later, over] = await world.publishAll([
      { deliverAt: now + hour, data: "later" },
      { deliverAt: now - hour, data: "over" },
    ]);
    expect([later, over]).toMatchObject([{ due: now + hour }, { due: now - hour }]);
    await world.rest();
    expect(await world.dataOf()).toEqual(["over"]);
    await world.pass(hour);
    expect(await world.dataOf()).toEqual(["over", "later"]);
  });

  it("may wait for longer than any timer", async () => {
    const world = await World.open();
    const { due } = (await world.publish({ delayMs: Number.MAX_SAFE_INTEGER })) as Scheduled;
    expect(due).toBe(Number.MAX_SAFE_INTEGER);
    await world.schedule({ delayMs: 60 * 24 * hour, data: "in two months" });
    await world.pass(60 * 24 * hour);
    expect(await world.dataOf()).toEqual(["in two months"]);
  });

  it("lives from when it is due on, for the shorter of two times (P-46, P-48)", async () => {
    const world = await World.open({ policies: [{ ttlMs: hour }] });
    await world.schedule({ delayMs: 1_000, ttlMs: minute, data: "short" });
    await world.schedule({ delayMs: 1_000, ttlMs: 2 * hour, data: "long" });
    await world.schedule({ delayMs: 1_000, data: "as its namespace" });
    await world.advance(1_000);
    const now = world.clock.now();
    expect((await world.messages()).map(({ data, expires }) => [data, expires])).toEqual([
      ["short", now + minute],
      ["long", now + hour],
      ["as its namespace", now + hour],
    ]);
    expect((await world.messages())[0]?.text).toMatch(/"time":\d+,"expires":\d+,"headers":/);
  });
});

describe("drafts that are due", () => {
  it("come in the order in which they are due, and then in that in which they were scheduled (P-48)", async () => {
    const world = await World.open();
    const delays = [30, 10, 20, 10, 30, 0, 20];
    await world.publishAll(delays.map((delayMs, i) => ({ channel: `c.${i % 3}`, delayMs: delayMs * minute, data: i })));
    await world.pass(hour);
    expect(await world.dataOf()).toEqual([5, 1, 3, 2, 6, 0, 4]);
  });

  it("come by the wall clock, which is looked at also when nothing else happens", async () => {
    const world = await World.open();
    await world.schedule({ delayMs: hour, data: 1 });
    world.clock.jump(hour);
    await world.advance(10_000);
    expect(await world.dataOf()).toEqual([1]);
  });

  it("do not come before their time where the wall clock goes back (P-48)", async () => {
    const world = await World.open();
    await world.schedule({ delayMs: 5_000, data: 1 });
    await world.advance(4_999);
    world.clock.jump(-hour);
    await world.advance(10_000);
    expect(await world.dataOf()).toEqual([]);
    await world.pass(hour);
    expect(await world.dataOf()).toEqual([1]);
  });

  it("come also where there are many more of them than are appended together", async () => {
    const world = await World.open();
    await fill(world, 3_000, ({ i }) => world.clock.now() + minute + (i % 7));
    await world.pass(hour);
    const data = (await world.dataOf()) as number[];
    const expected = Array.from({ length: 3_000 }, (_, i) => i).sort((a, b) => (a % 7) - (b % 7) || a - b);
    expect(data).toEqual(expected);
  });

  it("wait where the disk is full, come once when it is not, and can be cancelled meanwhile", async () => {
    let full = false;
    const world = await World.open({
      interrupt: (when, what) => {
        if (full && when === "before" && what === "append") throw new Error("the disk is full");
      },
    });
    const ids = [await world.schedule({ delayMs: 1, data: 1 }), await world.schedule({ delayMs: 1, data: 2 })];
    full = true;
    await world.advance(1);
    await world.advance(10_000);
    expect(await world.dataOf()).toEqual([]);
    await world.hub.schedules.cancel(ids[0] as string, anywhere);
    full = false;
    await world.advance(10_000);
    expect(await world.dataOf()).toEqual([2]);
    expect(world.logged.items).toContain("schedules.failed");
  });

  it("come once also where it is not known whether they were appended (G7)", async () => {
    let lost = 0;
    const world = await World.open({
      interrupt: (when, what) => {
        if (when === "after" && what === "append" && lost-- > 0) throw new Error("no answer");
      },
    });
    await world.schedule({ delayMs: 1, data: 1 });
    await world.schedule({ delayMs: 1, data: 2 });
    lost = 1;
    await world.advance(1);
    await world.advance(10_000);
    expect(world.logged.items).toContain("schedules.failed");
    expect(await world.dataOf()).toEqual([1, 2]);
  });

  it("are kept by one that is damaged from nothing but itself", async () => {
    const world = await World.open();
    // A slip as no client can make one.
    const damaged = slipOf(draftOf("not a channel"), { due: world.clock.now(), ttlMs: undefined }, slips);
    const none = { ...draftOf("a"), channel: slips };
    await world.hub.publish(world.namespace, [damaged, none]);
    await world.schedule({ delayMs: 0, data: 1 });
    await world.rest();
    expect(await world.dataOf()).toEqual([1]);
    expect(world.logged.items).toEqual(["schedules.lost", "schedules.lost"]);
    expect(world.hub.schedules.pending(world.namespace)).toBe(0);
  });

  it("come to where their channel lives now, once, if its namespace was configured meanwhile", async () => {
    const world = await World.open();
    await world.schedule({ channel: "orders.new", delayMs: hour, data: 1 });
    await world.schedule({ channel: "a", delayMs: hour, data: 2 });
    const after = await world.restart({ policies: [{ namespace: "orders" }] });
    await after.pass(hour);
    expect(await after.dataOf("orders.>", after.hub.namespace("orders.new" as Channel))).toEqual([1]);
    expect(await after.dataOf()).toEqual([2]);
  });
});

describe("cancelling", () => {
  it("takes a draft back, once (P-49)", async () => {
    const world = await World.open();
    const [kept, taken] = [
      await world.schedule({ delayMs: 1, data: 1 }),
      await world.schedule({ delayMs: 1, data: 2 }),
    ];
    await world.hub.schedules.cancel(taken, anywhere);
    expect(await refusal(world.hub.schedules.cancel(taken, anywhere))).toBe("not-scheduled");
    await world.pass(hour);
    expect(await world.dataOf()).toEqual([1]);
    expect(await refusal(world.hub.schedules.cancel(kept, anywhere))).toBe("not-scheduled");
  });

  it("is for good, also when the hub is killed at once (P-49)", async () => {
    const world = await World.open();
    const id = await world.schedule({ delayMs: 1, data: 1 });
    await world.hub.schedules.cancel(id, anywhere);
    const after = await World.open({ data: world.image() });
    await after.pass(hour);
    expect(await after.dataOf()).toEqual([]);
    expect(await refusal(after.hub.schedules.cancel(id, anywhere))).toBe("not-scheduled");
  });

  it("works after a restart as before it (P-49)", async () => {
    const world = await World.open();
    const id = await world.schedule({ delayMs: hour });
    const after = await world.restart();
    await after.hub.schedules.cancel(id, anywhere);
    expect(after.hub.schedules.pending(after.namespace)).toBe(0);
    expect(await refusal(after.hub.schedules.cancel(id, anywhere))).toBe("not-scheduled");
  });

  it("of what waits for the same commit is one commit", async () => {
    let stored = 0;
    const world = await World.open({
      interrupt: (when, what) => {
        if (when === "before" && what === "putAll") stored++;
      },
    });
    const answers = await world.publishAll(Array.from({ length: 200 }, () => ({ delayMs: hour })));
    await world.rest();
    stored = 0;
    await Promise.all(answers.map((answer) => world.hub.schedules.cancel((answer as Scheduled).id, anywhere)));
    expect(stored).toBeLessThanOrEqual(2);
  });

  it.each(["", "default", "default/x/1", "nowhere/x/1", "default//", "a/b/c/d", "default/x/01", `default/x/${1e20}`])(
    "what was never scheduled says so: %j (P-49)",
    async (id) => {
      const world = await World.open();
      expect(await refusal(world.hub.schedules.cancel(id, anywhere))).toBe("not-scheduled");
    },
  );

  it("what is not a schedule of this log says so (P-49)", async () => {
    const world = await World.open();
    const [, , epoch] = /^(.+)\/(.+)\//.exec(await world.schedule({ delayMs: hour })) ?? [];
    await world.publish({ data: "a message" });
    for (const id of [`default/${epoch}/2`, `default/${epoch}/3`, `orders/${epoch}/1`]) {
      expect(await refusal(world.hub.schedules.cancel(id, anywhere))).toBe("not-scheduled");
    }
  });

  it("gives it back where it cannot be stored", async () => {
    let full = false;
    const world = await World.open({
      interrupt: (when, what) => {
        if (full && when === "before" && what === "putAll") throw new Error("the disk is full");
      },
    });
    const id = await world.schedule({ delayMs: hour, data: 1 });
    full = true;
    await expect(world.hub.schedules.cancel(id, anywhere)).rejects.toThrow("the disk is full");
    full = false;
    await world.pass(2 * hour);
    expect(await world.dataOf()).toEqual([1]);
  });
});

describe("a retry of a draft's number", () => {
  it("is answered as the first one was, before and after it was due, and after restarts (P-24, P-47, G7)", async () => {
    const world = await World.open();
    const by = Sequencer.begin("anonymous/p");
    const first = await world.publish({ delayMs: hour, data: 1 }, { number: 1, by });
    const again = { ...first, duplicate: true };
    await world.clock.advance(minute);
    expect(await world.publish({ delayMs: hour, data: 1 }, { number: 1, by })).toEqual(again);
    const second = await world.restart();
    const found = (await second.hub.produce("anonymous", { id: "p", settled: 0 })) as Sequencer;
    expect(await second.publish({ delayMs: hour, data: 1 }, { number: 1, by: found })).toEqual(again);
    await second.pass(hour);
    expect(await second.publish({ delayMs: hour, data: 1 }, { number: 1, by: found })).toEqual(again);
    const third = await second.restart();
    const foundAgain = (await third.hub.produce("anonymous", { id: "p", settled: 0 })) as Sequencer;
    expect(await third.publish({ delayMs: hour, data: 1 }, { number: 1, by: foundAgain })).toEqual(again);
    await third.pass(2 * hour);
    expect(await third.dataOf()).toEqual([1]);
  });

  it("comes in its order with others, also where they are published at once (P-24, G6)", async () => {
    const world = await World.open();
    const by = Sequencer.begin("anonymous/p");
    const frame = [{ data: 1 }, { data: 2, delayMs: minute }, { data: 3 }, { data: 4, delayMs: minute }];
    const answers = await world.publishAll(frame, { number: 1, by });
    expect(answers.map(({ is }) => is)).toEqual(["published", "scheduled", "published", "scheduled"]);
    const again = await world.publishAll(frame, { number: 1, by });
    expect(again).toEqual(answers.map((answer) => ({ ...answer, duplicate: true })));
    await world.advance(minute);
    expect(await world.dataOf()).toEqual([1, 3, 2, 4]);
  });

  it("with an explicit id is recognised as well (P-30)", async () => {
    const world = await World.open();
    const first = await world.publish({ delayMs: hour, id: "x", data: 1 });
    await world.clock.advance(1_000);
    const again = await world.publish({ delayMs: hour, id: "x", data: 1 });
    expect(again).toEqual({ ...first, number: 2, duplicate: true });
    await world.pass(2 * hour);
    expect(await world.dataOf()).toEqual([1]);
  });
});

describe("as many as may wait", () => {
  it("are all: one more is refused, and its number is used up (P-26, P-47)", async () => {
    const world = await World.open({ limits: { scheduledMax: 2 } });
    const by = Sequencer.begin("anonymous/p");
    const frame = [1, 2, 3, 4].map((data) => ({ data, delayMs: hour }));
    const answers = await world.publishAll([...frame, { data: 5 }], { number: 1, by });
    expect(answers.map(outcome)).toEqual([
      "scheduled",
      "scheduled",
      "too-many-scheduled",
      "too-many-scheduled",
      "published",
    ]);
    // A repeat takes no room.
    expect(outcome(await world.publish({ data: 2, delayMs: hour }, { number: 2, by }))).toBe("scheduled");
    await world.rest();
    await world.hub.schedules.cancel((answers[0] as Scheduled).id, anywhere);
    expect(outcome(await world.publish({ data: 6, delayMs: hour }, { number: 6, by }))).toBe("scheduled");
    await world.pass(hour);
    expect(await world.dataOf()).toEqual([5, 2, 6]);
  });

  it("are counted anew after a restart (P-47)", async () => {
    const world = await World.open();
    await world.publishAll([{ delayMs: hour }, { delayMs: hour }]);
    const after = await world.restart({ limits: { scheduledMax: 2 } });
    expect(outcome(await after.publish({ delayMs: hour }))).toBe("too-many-scheduled");
    await after.pass(hour);
    expect(outcome(await after.publish({ delayMs: hour }))).toBe("scheduled");
  });

  it("are fewer where they would fill half of a log of limited size (P-47)", async () => {
    const world = await World.open({ policies: [{ retention: { ageMs: undefined, bytes: 100_000 } }] });
    const frame = Array.from({ length: 60 }, () => ({ delayMs: hour, data: "x".repeat(1_000) }));
    await world.publishAll(frame);
    await world.rest();
    expect(outcome(await world.publish({ delayMs: hour }))).toBe("too-many-scheduled");
  });

  it("are none in a namespace kept in memory, and the number is used up (P-26, P-47)", async () => {
    const world = await World.open({ policies: [{ namespace: "orders", durability: "memory" }] });
    const by = Sequencer.begin("anonymous/p");
    const fleeting = { channel: "orders.new", delayMs: 1 };
    const answers = await world.publishAll([{ data: 1 }, fleeting, { data: 3 }], { number: 1, by });
    expect(answers.map(outcome)).toEqual(["published", "memory-namespace", "published"]);
    expect(outcome(await world.publish(fleeting, { number: 9, by }))).toBe("out-of-order");
    expect(outcome(await world.publish(fleeting))).toBe("memory-namespace");
  });
});

describe("a restart", () => {
  it("forgets nothing that waits, and delivers what became due meanwhile (P-48)", async () => {
    const world = await World.open({ policies: [{ namespace: "orders" }] });
    await world.publishAll([
      { delayMs: minute, data: 1 },
      { delayMs: hour, data: 2 },
      { channel: "orders.new", delayMs: minute, data: 3 },
      { channel: "orders", delayMs: minute, data: 4 },
    ]);
    await world.close();
    world.clock.jump(minute);
    const after = await world.restart({ policies: [{ namespace: "orders" }] });
    await after.rest();
    expect(await after.dataOf()).toEqual([1]);
    const orders = after.hub.namespace("orders" as Channel);
    expect([...(await after.dataOf("orders.>", orders)), ...(await after.dataOf("orders", orders))]).toEqual([3, 4]);
    await after.pass(hour);
    expect(await after.dataOf()).toEqual([1, 2]);
  });

  it("with 100,000 that wait finds them all", async () => {
    const world = await World.open();
    await fill(world, 100_000, ({ i }) => world.clock.now() + hour + (i % 100) * minute);
    await world.rest();
    expect(world.hub.schedules.pending(world.namespace)).toBe(100_000);
    const after = await world.restart();
    expect(after.hub.schedules.pending(after.namespace)).toBe(100_000);
    await after.pass(hour);
    expect(await after.dataOf()).toHaveLength(1_000);
    expect(after.hub.schedules.pending(after.namespace)).toBe(99_000);
  });
});

describe("a hub that is killed", () => {
  it("at any moment delivers each once, and none that was taken back (P-48, P-49, G1, G7)", async () => {
    const images: { readonly data: string; readonly answered: Set<unknown>; readonly gone: Set<unknown> }[] = [];
    const answered = new Set<unknown>();
    const gone = new Set<unknown>();
    const cancelling = new Set<unknown>();
    const photograph: Interrupt = () => {
      images.push({ data: world.image(), answered: new Set(answered), gone: new Set(gone) });
    };
    let interrupt: Interrupt = () => {};
    const world = await World.open({ interrupt: (when, what) => interrupt(when, what) });
    interrupt = photograph;
    const ids = new Map<number, string>();
    const schedule = async (data: number, delayMs: number) => {
      ids.set(data, await world.schedule({ data, delayMs }));
      answered.add(data);
    };
    const cancel = async (data: number) => {
      cancelling.add(data);
      await world.hub.schedules.cancel(ids.get(data) as string, anywhere);
      gone.add(data);
    };
    for (const data of [1, 2, 3, 4]) await schedule(data, data * 100);
    await world.advance(100);
    await schedule(5, 0);
    await cancel(3);
    const { newest } = await world.namespace.log.bounds();
    await world.hub.schedules.retire(world.namespace, newest);
    await world.advance(150);
    await schedule(6, 10_000);
    await cancel(6);
    await world.advance(300);
    expect([...(await world.dataOf())].sort()).toEqual([1, 2, 4, 5]);
    expect(images.length).toBeGreaterThan(20);
    interrupt = () => {};
    for (const image of images) {
      const after = await World.open({ data: image.data });
      await after.pass(hour);
      const delivered = (await after.dataOf()) as number[];
      expect(delivered).toEqual([...new Set(delivered)]);
      for (const data of image.answered) {
        if (!cancelling.has(data)) expect(delivered).toContain(data);
      }
      for (const data of image.gone) expect(delivered).not.toContain(data);
      expect(after.hub.schedules.pending(after.namespace)).toBe(0);
      await after.close();
    }
  });
});

describe("retention", () => {
  it("carries what waits forward, under the same id and once (P-48, P-49)", async () => {
    const world = await World.open();
    const ids = [];
    for (const data of [1, 2, 3, 4]) ids.push(await world.schedule({ data, delayMs: (5 - data) * minute, key: "k" }));
    const retire = async (through: number) => {
      await world.hub.schedules.retire(world.namespace, through as Offset);
    };
    await retire(3);
    await retire(5);
    await retire(5);
    expect(world.hub.schedules.pending(world.namespace)).toBe(4);
    await world.hub.schedules.cancel(ids[1] as string, anywhere);
    const after = await world.restart();
    expect(after.hub.schedules.pending(after.namespace)).toBe(3);
    await after.hub.schedules.cancel(ids[2] as string, anywhere);
    await after.pass(hour);
    expect(await after.messages()).toMatchObject([
      { data: 4, key: "k", headers: { "dogear-scheduled": ids[3] } },
      { data: 1, key: "k", headers: { "dogear-scheduled": ids[0] } },
    ]);
  });

  it("keeps the order of those that are due together (P-48)", async () => {
    const world = await World.open();
    const due = world.clock.now() + hour;
    await world.publishAll([1, 2, 3].map((data) => ({ data, deliverAt: due })));
    await world.hub.schedules.retire(world.namespace, 2 as Offset);
    await world.pass(hour);
    expect(await world.dataOf()).toEqual([1, 2, 3]);
  });

  it("of the log itself takes nothing away that waits (P-48, P-49)", async () => {
    const world = await World.open({ policies: [{ retention: { ageMs: undefined, bytes: 200_000 } }] });
    const by = Sequencer.begin("anonymous/p");
    await world.publish({ data: "kept", delayMs: hour }, { number: 1, by });
    const other = await world.schedule({ data: "taken back", delayMs: hour });
    for (let i = 0; i < 10; i++) {
      await world.publishAll(Array.from({ length: 50 }, () => ({ channel: "filler", data: "x".repeat(1_000) })));
      await world.advance(2_000);
    }
    expect((await world.namespace.log.bounds()).oldest).toBeGreaterThan(1);
    // What its number was for is only known as long as its first slip is kept (P-29).
    expect(outcome(await world.publish({ data: "kept", delayMs: hour }, { number: 1, by }))).toBe("outcome-unknown");
    await world.hub.schedules.cancel(other, anywhere);
    await world.pass(hour);
    expect(await world.dataOf("a")).toEqual(["kept"]);
  });

  it("is put off where what waits cannot be stored again, and nothing comes twice when it can", async () => {
    let lost: "before" | "after" | undefined;
    const world = await World.open({
      interrupt: (when, what) => {
        if (when !== lost || what !== "append") return;
        lost = undefined;
        throw new Error("no answer");
      },
    });
    await world.schedule({ data: 1, delayMs: hour });
    const retire = () => world.hub.schedules.retire(world.namespace, 1 as Offset);
    lost = "before";
    await expect(retire()).rejects.toThrow("no answer");
    lost = "after";
    await expect(retire()).rejects.toThrow("no answer");
    await retire();
    expect(await world.messages("default.$scheduled")).toHaveLength(2);
    await world.pass(hour);
    expect(await world.dataOf()).toEqual([1]);
  });
});

const slips = "default.$scheduled" as Channel;

function draftOf(channel: string, data: unknown = 1) {
  return { channel: channel as Channel, attributes: "", data: Buffer.from(JSON.stringify(data)), id: undefined };
}

/** Schedules many, faster than a client could. */
async function fill(world: World, count: number, dueOf: (one: { readonly i: number }) => number): Promise<void> {
  for (let from = 0; from < count; from += 10_000) {
    const drafts = Array.from({ length: Math.min(10_000, count - from) }, (_, i) =>
      slipOf(draftOf("a", from + i), { due: dueOf({ i: from + i }), ttlMs: undefined }, slips),
    );
    await world.hub.publish(world.namespace, drafts);
  }
  world.hub.schedules.answered(world.namespace, 0);
}

function outcome(answer: Answer): string {
  return answer.is === "error" ? answer.code : answer.is;
}

async function refusal(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "no refusal",
    (error: { readonly code?: unknown }) => error.code ?? error,
  );
}
