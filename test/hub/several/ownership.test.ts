/** Who sees to what, where records are left over, words come late and hubs stop. */
import type { Channel, Offset } from "@dogear/shared";
import { describe, expect, it, vi } from "vitest";
import type { Changed, State } from "../../../server/src/engine/engine.ts";
import { MemoryEngine } from "../../../server/src/engine/memory/memory-engine.ts";
import { Ownership } from "../../../server/src/hub/ownership.ts";
import { silentLogger } from "../../../server/src/runtime/logger.ts";
import { chance } from "../../support/clock.ts";
import { Collected } from "../../support/waiting.ts";
import { memoryHub, settled, VirtualClock } from "../support.ts";
import { publish, Several, TestMember } from "./support.ts";

const retention = { ageMs: undefined, bytes: 10_000 };

/** Publishes until a log is larger than it may be, and longer. */
async function overfill({ hub }: { readonly hub: Parameters<typeof publish>[0] }): Promise<Offset> {
  const { log } = hub.namespace("b" as Channel);
  for (let i = 0; i < 40 && (await log.bounds()).oldest === 1; i++) await publish(hub, "b", "x".repeat(1_000));
  return (await log.bounds()).oldest;
}

describe("the owner of a group", () => {
  it.each(["a hub that is gone", undefined])(
    "does not keep a log from being shortened where it is %s",
    async (gone) => {
      const several = new Several({ policy: { retention } });
      const one = await several.begin();
      // Whoever took it over, or deleted it, stopped in the middle: there is an owner and no group.
      const left = Buffer.from(JSON.stringify({ hub: gone === undefined ? undefined : "gone", about: "jobs.>" }));
      await one.engine.state.put("owner/group/default/g", left, 0);
      await settled();
      expect(await overfill(one)).toBeGreaterThan(1);
      expect(await one.hub.groups.all()).toEqual([]);
    },
  );

  it("is done with what is removed also where it has lost sight of its group", async () => {
    const several = new Several({ policy: { retention } });
    const [one, other] = [await several.begin(), await several.begin()];
    const member = new TestMember("m", 1);
    await member.work(other.hub);
    await publish(one.hub, "jobs.a", "first");
    expect([...member.leased.values()]).toEqual(["first"]);
    // Something else writes to the ledger, so the group ends here; its owner is the same.
    const head = await one.engine.state.get("group/default/g");
    await one.engine.state.put("group/default/g", head?.value as Uint8Array, head?.version as number);
    await member.ack();
    expect(member.ends).toEqual(["unavailable"]);
    expect(await overfill(one)).toBeGreaterThan(1);
    const { log } = one.hub.namespace("jobs.$dead.g" as Channel);
    const budget = { messages: 10, bytes: 100_000, scan: 100_000 };
    const dead = await log.read("jobs.$dead.g" as never, 0 as Offset, budget);
    expect(dead.messages.length).toBe(1);
  });

  it("is forgotten where it has no group, also after the store failed to", async () => {
    const several = new Several();
    const [one, other] = [await several.begin(), await several.begin()];
    const { state } = other.engine;
    const putAll = state.putAll.bind(state);
    const spy = vi.spyOn(state, "putAll");
    // It becomes the owner, but can neither store the group nor let go of it again.
    spy.mockImplementation(async (changes) => {
      const [{ key, value } = { key: "", value: undefined }] = changes;
      if (key.startsWith("group/") || value === undefined) throw new Error("There is no leader.");
      return putAll(changes);
    });
    await expect(new TestMember("m").work(other.hub)).rejects.toThrow("There is no leader.");
    await expect(new TestMember("m").work(one.hub)).rejects.toMatchObject({ code: "unavailable" });
    spy.mockRestore();
    await expect(new TestMember("m").work(one.hub)).rejects.toMatchObject({ code: "unavailable" });
    const member = new TestMember("m");
    await member.work(one.hub);
    await publish(one.hub, "jobs.a", "first");
    expect([...member.leased.values()]).toEqual(["first"]);
  });

  it("is found again although the store failed when it went", async () => {
    const several = new Several();
    const [one, other] = [await several.begin(), await several.begin()];
    await new TestMember("m").work(other.hub);
    vi.spyOn(one.engine.state, "list").mockRejectedValueOnce(new Error("There is no leader."));
    await several.stop(other);
    await several.clock.advance(2_000);
    expect(await one.hub.groups.all()).toMatchObject([{ name: "g", hub: one.engine.peers.self }]);
  });

  it("is whoever opens, also where the one before stores something in that moment", async () => {
    const several = new Several();
    const [one, other] = [await several.begin(), await several.begin()];
    await new TestMember("m").work(one.hub);
    const { state } = one.engine;
    await several.stop(other);
    one.engine.silence(true);
    const put = state.put.bind(state);
    const disturbed = new Set(["group/default/g", "schedules/default"]);
    const spy = vi.spyOn(state, "put");
    spy.mockImplementation(async (...change) => (disturbed.delete(change[0]) ? undefined : put(...change)));
    const third = await several.begin();
    await several.clock.advance(2_000);
    expect(await third.hub.groups.all()).toMatchObject([{ name: "g", hub: third.engine.peers.self }]);
    await third.hub.schedules.owning(third.hub.namespace("a" as Channel));
    expect(disturbed.size).toBe(0);
    spy.mockRestore();
  });
});

describe("what a hub owns", () => {
  /** A store whose watch says what the test does. */
  const opened = async () => {
    const clock = new VirtualClock();
    const { state: beneath, peers } = new MemoryEngine({ clock, chance });
    const told = new Collected<Changed>();
    const overridden: Partial<State> = {
      async *watch() {
        for (let i = 1; ; i++) yield (await told.reach(i))[i - 1] as Changed;
      },
    };
    const state = new Proxy(beneath, {
      get: (target, name) => {
        const value: unknown = Reflect.get(name in overridden ? overridden : target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const ownership = await Ownership.open({ state, peers, clock, logger: silentLogger });
    const lost: string[] = [];
    ownership.onLost((what) => void lost.push(what));
    return { ownership, peers, state, told, lost };
  };

  it("stays its own when it hears late that it was nobody's before", async () => {
    const { ownership, peers, told, lost } = await opened();
    await ownership.claim("group/default/g", "jobs.>");
    await ownership.forget("group/default/g");
    await ownership.claim("group/default/g", "jobs.>");
    told.add({ key: "owner/group/default/g", value: undefined, version: 0 });
    await settled();
    expect(lost).toEqual([]);
    expect(ownership.isMine("group/default/g")).toBe(true);
    expect(ownership.list("")).toEqual([{ what: "group/default/g", hub: peers.self, about: "jobs.>" }]);
  });

  it("is lost where the record is gone", async () => {
    const { ownership, state, told, lost } = await opened();
    await ownership.claim("schedules/default");
    const { version = 0 } = (await state.get("owner/schedules/default")) ?? {};
    await state.putAll([{ key: "owner/schedules/default", value: undefined, version }]);
    told.add({ key: "owner/schedules/default", value: undefined, version: 0 });
    await settled();
    expect(lost).toEqual(["schedules/default"]);
  });
});

describe("a hub that cannot be opened", () => {
  it("listens to nothing any more", async () => {
    const clock = new VirtualClock();
    const engine = new MemoryEngine({ clock, chance });
    const signals: AbortSignal[] = [];
    const watch = engine.state.watch.bind(engine.state);
    vi.spyOn(engine.state, "watch").mockImplementation((prefix, signal) => {
      signals.push(signal);
      return watch(prefix, signal);
    });
    const list = engine.state.list.bind(engine.state);
    vi.spyOn(engine.state, "list").mockImplementation((prefix, ...rest) =>
      prefix === "revoked/" ? Promise.reject(new Error("There is no leader.")) : list(prefix, ...rest),
    );
    await expect(memoryHub(clock, { engine })).rejects.toThrow("There is no leader.");
    expect(signals.length).toBeGreaterThan(0);
    expect(signals.every(({ aborted }) => aborted)).toBe(true);
  });
});

describe("a hub that has stopped", () => {
  it("does not wait until it sees to schedules", async () => {
    const several = new Several();
    await several.begin();
    const other = await several.begin();
    await other.hub.close();
    const namespace = other.hub.namespace("a" as Channel);
    await expect(other.hub.schedules.owning(namespace)).rejects.toMatchObject({ code: "unavailable" });
  });
});
