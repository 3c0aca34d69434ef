/** What follows a client from hub to hub, and what of several hubs one does for all. */
import type { Channel, Offset, Pattern } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import type { Taken } from "../../../server/src/hub/cursors.ts";
import type { Hub } from "../../../server/src/hub/hub.ts";
import { scheduleIdOf } from "../../../server/src/hub/schedules/schedule-id.ts";
import { settled } from "../support.ts";
import { type Colleague, publish, Several, TestMember } from "./support.ts";

const name = { user: "u", subscriber: "s", pattern: "a.>" as Pattern };
const allowed = { may: () => true, mayAnywhere: () => true };

async function two(options?: ConstructorParameters<typeof Several>[0]): Promise<[Several, Colleague, Colleague]> {
  const several = new Several(options);
  return [several, await several.begin(), await several.begin()];
}

async function claim(hub: Hub, taken: Taken[] = []) {
  const { cursor } = await hub.claim(name, {
    from: "earliest",
    reset: false,
    takenOver: (why) => void taken.push(why),
  });
  const { epoch } = cursor.start;
  return { cursor, ack: (offset: number) => cursor.commit({ epoch, offset: offset as Offset }) };
}

describe("a cursor", () => {
  it("goes on at another hub where it was, and its holder before hears of it at once (G9)", async () => {
    const [several, one, other] = await two();
    await publish(one.hub, "a.b", 1, 2, 3);
    const taken: Taken[] = [];
    const before = await claim(one.hub, taken);
    before.ack(2);
    await several.clock.advance(1_000);
    const after = await claim(other.hub);
    expect(after.cursor.start.offset).toBe(2);
    await settled();
    expect(taken).toEqual(["taken-over"]);
    before.ack(3);
    await several.clock.advance(1_000);
    expect((await claim(one.hub)).cursor.start.offset).toBe(2);
  });

  it("is not moved by a hub that never heard that another claimed it", async () => {
    const [several, one, other] = await two();
    await publish(one.hub, "a.b", 1, 2, 3);
    const taken: Taken[] = [];
    const before = await claim(one.hub, taken);
    one.engine.silence(true);
    const after = await claim(other.hub);
    before.ack(3);
    await several.clock.advance(1_000);
    expect(taken).toEqual(["taken-over"]);
    after.ack(1);
    await several.clock.advance(1_000);
    expect((await claim(other.hub)).cursor.start.offset).toBe(1);
  });

  it("is reset at any hub, and says so to who holds it", async () => {
    const [, one, other] = await two();
    await publish(one.hub, "a.b", 1, 2, 3);
    const taken: Taken[] = [];
    await claim(one.hub, taken);
    await other.hub.administration.perform({ do: "reset-cursor", ...name, to: "latest" }, allowed);
    await settled();
    expect(taken).toEqual(["cursor-reset"]);
  });
});

describe("a producer", () => {
  const numbered = async (hub: Hub, first: number, ...payloads: number[]) => {
    const sequencer = await hub.produce("u", { id: "p", settled: first - 1 });
    if (sequencer === undefined) throw new Error("It was forgotten.");
    const drafts = payloads.map((data) => ({ channel: "a" as Channel, attributes: "", data: Buffer.from(`${data}`) }));
    const { answers } = await hub.publish(hub.namespace("a" as Channel), drafts, { sequencer, first });
    return answers.map((answer) => ("refused" in answer ? answer.refused : [answer.offset, answer.duplicate]));
  };

  it("goes on at another hub, and what it sends again is no second message (G6, G7)", async () => {
    const [, one, other] = await two();
    expect(await numbered(one.hub, 1, 1, 2, 3)).toEqual([
      [1, false],
      [2, false],
      [3, false],
    ]);
    expect(await numbered(other.hub, 3, 3, 4)).toEqual([
      [3, true],
      [4, false],
    ]);
    // The session it had here was never given back: what that knows is old.
    expect(await numbered(one.hub, 5, 5, 6)).toEqual([
      [5, false],
      [6, false],
    ]);
    expect(await numbered(other.hub, 4, 4, 5, 6, 7)).toEqual([
      [4, true],
      [5, true],
      [6, true],
      [7, false],
    ]);
  });
});

describe("what is scheduled", () => {
  const schedule = async (hub: Hub, due: number, data: unknown) => {
    const namespace = hub.namespace("a" as Channel);
    expect(hub.schedules.reserve(namespace)).toBe(true);
    const draft = { channel: "a" as Channel, attributes: "", data: Buffer.from(JSON.stringify(data)) };
    const slip = hub.schedules.slip(namespace, draft, { due, ttlMs: undefined });
    const { answers } = await hub.publish(namespace, [slip]);
    hub.schedules.answered(namespace, 1);
    await settled();
    const [answer] = answers;
    if (answer === undefined || "refused" in answer) throw new Error("It was refused.");
    return scheduleIdOf(namespace, answer.offset);
  };
  const delivered = async ({ hub }: Colleague) => {
    const { log } = hub.namespace("a" as Channel);
    const budget = { messages: 1_000, bytes: 1_000_000, scan: 1_000_000 };
    const { messages } = await log.read("a" as Pattern, 0 as Offset, budget);
    return (JSON.parse(`[${messages.bytes}]`) as { data: unknown }[]).map(({ data }) => data);
  };

  it("is delivered once, whichever hub took it", async () => {
    const [several, one, other] = await two();
    const due = several.clock.now() + 5_000;
    await schedule(one.hub, due, "one");
    await schedule(other.hub, due, "other");
    await several.clock.advance(10_000);
    expect((await delivered(one)).sort()).toEqual(["one", "other"]);
  });

  it("is delivered once when the hub that sees to it is gone, or comes back", async () => {
    const [several, one, other] = await two();
    await schedule(other.hub, several.clock.now() + 20_000, "later");
    await several.silence(one);
    expect(await delivered(other)).toEqual([]);
    await several.clock.advance(6_000);
    one.engine.silence(false);
    await several.clock.advance(60_000);
    expect(await delivered(other)).toEqual(["later"]);
    await several.stop(other);
    await schedule(one.hub, several.clock.now() + 1_000, "last");
    await several.clock.advance(10_000);
    expect(await delivered(one)).toEqual(["later", "last"]);
  });

  it("is taken back, and counted, at any hub", async () => {
    const [several, one, other] = await two();
    const id = await schedule(other.hub, several.clock.now() + 5_000, "never");
    const namespace = other.hub.namespace("a" as Channel);
    expect([one, other].map(({ hub }) => hub.schedules.pending(hub.namespace("a" as Channel)))).toEqual([1, 1]);
    await expect(other.hub.schedules.cancel(id, () => false)).rejects.toMatchObject({ code: "not-scheduled" });
    await other.hub.schedules.cancel(id, (channel) => channel === "a");
    await expect(other.hub.schedules.cancel(id, () => true)).rejects.toMatchObject({ code: "not-scheduled" });
    await several.clock.advance(20_000);
    expect(await delivered(other)).toEqual([]);
    expect(other.hub.schedules.admits(namespace)).toBe(true);
  });

  it("finds its place only while there is room, whichever hub sees to it", async () => {
    const [several, one, other] = await two({ limits: { scheduledMax: 2 } });
    const due = several.clock.now() + 60_000;
    await schedule(one.hub, due, 1);
    await schedule(other.hub, due, 2);
    for (const { hub } of [one, other]) expect(hub.schedules.reserve(hub.namespace("a" as Channel))).toBe(false);
  });
});

describe("what is removed from a log", () => {
  it("is seen to by every hub before", async () => {
    const retention = { ageMs: undefined, bytes: 10_000 };
    const [, one, other] = await two({ policy: { retention } });
    // The group is the other hub's, the schedules the first one's.
    const member = new TestMember("m", 1);
    await member.work(other.hub);
    await publish(one.hub, "jobs.a", "first");
    expect([...member.leased.values()]).toEqual(["first"]);
    const { log } = one.hub.namespace("jobs.a" as Channel);
    for (let i = 0; i < 40 && (await log.bounds()).oldest === 1; i++) await publish(one.hub, "b", "x".repeat(1_000));
    const budget = { messages: 10, bytes: 100_000, scan: 100_000 };
    const dead = await log.read("jobs.$dead.g" as Pattern, 0 as Offset, budget);
    expect(dead.messages.length).toBe(1);
    expect((await log.bounds()).oldest).toBeGreaterThan(1);
  });
});

describe("operators", () => {
  const session = (id: string, ended: unknown[]) => ({
    id,
    principal: { user: "u", permissions: allowed, revocable: true, issued: 0, limits: {} },
    report: () => ({ session: id }),
    close: (code: unknown) => void ended.push([id, code]),
  });

  it("see, and end, the sessions of all hubs", async () => {
    const [, one, other] = await two();
    const ended: unknown[] = [];
    one.hub.roster.enter(session("b", ended) as never);
    other.hub.roster.enter(session("a", ended) as never);
    other.hub.roster.enter(session("c", ended) as never);
    const ask = (action: object) => one.hub.administration.perform(action as never, allowed);
    expect(await ask({ do: "list-sessions", limit: 2 })).toEqual({
      sessions: [{ session: "a" }, { session: "b" }],
      next: "b",
    });
    expect(await ask({ do: "list-sessions", after: "b" })).toEqual({ sessions: [{ session: "c" }] });
    await ask({ do: "disconnect", session: "c" });
    await expect(ask({ do: "disconnect", session: "d" })).rejects.toMatchObject({ code: "unknown-session" });
    expect(ended).toEqual([["c", "disconnected"]]);
  });

  it("revoke at all hubs at once, also at one that hears of it only from the store", async () => {
    const [several, one, other] = await two();
    const third = await several.begin();
    const ended: unknown[] = [];
    other.hub.roster.enter(session("a", ended) as never);
    third.hub.roster.enter(session("b", ended) as never);
    third.engine.silence(true);
    expect(await one.hub.administration.perform({ do: "revoke", user: "u" }, allowed)).toEqual({ sessions: 1 });
    expect(ended).toEqual([["a", "revoked"]]);
    other.hub.roster.leave({ id: "a" } as never);
    await several.clock.advance(1_000);
    expect(ended).toEqual([
      ["a", "revoked"],
      ["b", "revoked"],
    ]);
  });
});

describe("a hub", () => {
  it("does not read a namespace that nobody subscribes to here", async () => {
    const [, one, other] = await two();
    const { log } = other.hub.namespace("a" as Channel);
    let followed = 0;
    const follow = log.follow.bind(log);
    Object.defineProperty(log, "follow", {
      value: (...range: Parameters<typeof follow>) => {
        followed++;
        return follow(...range);
      },
    });
    await publish(one.hub, "a", 1, 2, 3);
    await settled();
    expect(followed).toBe(0);
  });
});
