/** Groups whose members sit on different hubs: one hub owns the group, and when it is gone another takes over. */
import { dogearError, type Offset } from "@dogear/shared";
import { describe, expect, it, vi } from "vitest";
import type { Group } from "../../../server/src/hub/groups/group.ts";
import { settled } from "../support.ts";
import { publish, Several, TestMember } from "./support.ts";

describe("a group of several hubs", () => {
  it("leases each message to one member, on whichever hub (G10)", async () => {
    const several = new Several();
    const [one, two] = [await several.begin(), await several.begin()];
    const [here, there] = [new TestMember("here", 3), new TestMember("there", 3)];
    await here.work(one.hub);
    await there.work(two.hub);
    await publish(two.hub, "jobs.a", 1, 2, 3, 4, 5, 6);
    expect([...here.leased.values(), ...there.leased.values()].sort()).toEqual([1, 2, 3, 4, 5, 6]);
    expect([here.leased.size, there.leased.size]).toEqual([3, 3]);
    const fences = [...there.leased.keys()];
    await there.ack();
    expect(there.settledFences).toEqual(fences);
    await publish(one.hub, "jobs.a", 7);
    expect([...there.leased.values()]).toEqual([7]);
  });

  it("tells a member on another hub that a lease is not its own", async () => {
    const several = new Several();
    const [one, two] = [await several.begin(), await several.begin()];
    await new TestMember("here").work(one.hub);
    const there = new TestMember("there");
    await there.work(two.hub);
    there.workplace?.settle(there, there.id, [4_711], { outcome: "ack" });
    await settled();
    expect(there.lostFences).toEqual([4_711]);
  });

  it("refuses who declares it otherwise, also on another hub", async () => {
    const several = new Several();
    const [one, two] = [await several.begin(), await several.begin()];
    await new TestMember("here").work(one.hub);
    const namespace = two.hub.namespace("jobs.>" as never);
    const declared = { namespace, name: "g", pattern: "jobs.>", policy: { leaseMs: 1_234 } } as const;
    const workplace = await two.hub.groups.declare({
      ...declared,
      pattern: "jobs.>" as never,
      may: () => true,
      start: async () => 0 as Offset,
    });
    await expect(workplace.join(new TestMember("x"), "x", 1, [])).rejects.toMatchObject({ code: "group-differs" });
    await expect(
      two.hub.groups.declare({
        ...declared,
        pattern: "jobs.>" as never,
        may: () => false,
        start: async () => 0 as Offset,
      }),
    ).rejects.toMatchObject({ code: "group-differs" });
  });

  it("lets a member leave once what it holds is settled, and gives its messages to others when its connection is gone", async () => {
    const several = new Several();
    const [one, two] = [await several.begin(), await several.begin()];
    const [here, there] = [new TestMember("here", 0), new TestMember("there", 2)];
    await here.work(one.hub);
    await there.work(two.hub);
    await publish(one.hub, "jobs.a", 1, 2);
    let left = false;
    const leaving = there.workplace?.leave(there, there.id, [1, 2] as Offset[]).then(() => {
      left = true;
    });
    await settled();
    expect(left).toBe(false);
    await there.ack();
    await leaving;
    await there.work(two.hub);
    await publish(one.hub, "jobs.a", 3);
    expect([...there.leased.values()]).toEqual([3]);
    there.workplace?.detach(there, there.id);
    // The lease runs out, which is a failure, and the message is tried again a little later.
    await several.clock.advance(65_000);
    const other = new TestMember("other");
    await other.work(one.hub);
    expect([...other.leased.values()]).toEqual([3]);
  });

  it("is taken over when its owner is gone, and its members keep what they hold under new fences (P-58, P-59)", async () => {
    const several = new Several();
    const [one, two] = [await several.begin(), await several.begin()];
    await new TestMember("here", 0).work(one.hub);
    const there = new TestMember("there");
    await there.work(two.hub);
    await publish(two.hub, "jobs.a", 1, 2);
    const before = [...there.leased.keys()];
    await several.silence(one);
    expect(there.ends).toEqual(["unavailable"]);
    const { leases } = await there.work(two.hub, [1, 2]);
    expect(leases.map(({ offset }) => offset)).toEqual([1, 2]);
    expect(Math.min(...leases.map(({ fence }) => fence))).toBeGreaterThan(Math.max(...before));
    there.workplace?.settle(
      there,
      there.id,
      leases.map(({ fence }) => fence),
      { outcome: "ack" },
    );
    await settled();
    expect(there.settledFences).toEqual(leases.map(({ fence }) => fence));
  });

  it("believes nothing of an owner that stood still and was replaced", async () => {
    const several = new Several();
    const [one, two] = [await several.begin(), await several.begin()];
    const here = new TestMember("here");
    await here.work(one.hub);
    await publish(one.hub, "jobs.a", 1);
    await several.silence(one);
    const there = new TestMember("there");
    await there.work(two.hub);
    // The old owner does not know yet: what it says now must not hold.
    here.workplace?.settle(here, here.id, [...here.leased.keys()], { outcome: "ack" });
    here.workplace?.settle(here, here.id, [...here.leased.keys()], { outcome: "extend" });
    one.engine.silence(false);
    await several.clock.advance(2_000);
    expect(here.settledFences).toEqual([]);
    expect(here.ends).toEqual(["unavailable"]);
    // It comes back to the same hub, which is not the owner any more, and is leased the message again.
    const { leases } = await here.work(one.hub, [1]);
    expect(leases.map(({ offset }) => offset)).toEqual([1]);
  });

  it("goes to another hub at once when its owner stops", async () => {
    const several = new Several();
    const [one, two] = [await several.begin(), await several.begin()];
    const here = new TestMember("here");
    await here.work(one.hub);
    await publish(one.hub, "jobs.a", 1);
    await several.stop(one);
    const { leases } = await here.work(two.hub, [1]);
    expect(leases.map(({ offset }) => offset)).toEqual([1]);
    expect(await two.hub.groups.allHere()).toHaveLength(1);
  });

  it("confirms no settlement that its owner could not store before it stopped (G10)", async () => {
    const several = new Several();
    const one = await several.begin();
    const member = new TestMember("m", 1);
    await member.work(one.hub);
    await publish(one.hub, "jobs.a", 1);
    const [fence = 0] = member.leased.keys();
    const spy = vi.spyOn(one.engine.state, "putAll").mockRejectedValue(dogearError("unavailable"));
    await member.ack();
    await several.stop(one);
    expect(member.settledFences).toEqual([]);
    spy.mockRestore();
    const two = await several.begin();
    const again = new TestMember("m", 1);
    const { leases } = await again.work(two.hub, [1]);
    expect(leases).toMatchObject([{ offset: 1, deliveries: 1 }]);
    expect(leases[0]?.fence).toBeGreaterThan(fence);
  });

  it("is opened anew where its deletion could not be stored, and leaves nobody waiting", async () => {
    const several = new Several();
    const { hub, engine } = await several.begin();
    const member = new TestMember("m", 1);
    await member.work(hub);
    await publish(hub, "jobs.a", 1);
    const leaving = member.workplace?.leave(member, "m", [1 as Offset]);
    const [group] = await hub.groups.allHere();
    const spy = vi.spyOn(engine.state, "putAll").mockRejectedValue(dogearError("unavailable"));
    await expect(hub.groups.delete(group as Group)).rejects.toMatchObject({ code: "unavailable" });
    spy.mockRestore();
    await leaving;
    expect(member.ends).toEqual(["group-deleted"]);
    const again = new TestMember("m", 1);
    expect((await again.work(hub, [1])).leases).toMatchObject([{ offset: 1, deliveries: 1 }]);
    const [opened] = await hub.groups.allHere();
    await hub.groups.delete(opened as Group);
    expect(await hub.groups.all()).toEqual([]);
  });

  it("is operated from any hub", async () => {
    const several = new Several();
    const [one, two] = [await several.begin(), await several.begin()];
    await new TestMember("here").work(one.hub);
    const all = { may: () => true, mayAnywhere: () => true };
    const ask = (action: object) => two.hub.administration.perform(action as never, all);
    expect(await ask({ do: "pause-group", group: "g" })).toMatchObject({ paused: true, members: 1 });
    expect(await ask({ do: "list-groups" })).toMatchObject({ groups: [{ group: "g", paused: true, members: 1 }] });
    expect(await ask({ do: "delete-group", group: "g" })).toMatchObject({ group: "g" });
    await settled();
    await expect(ask({ do: "show-group", group: "g" })).rejects.toMatchObject({ code: "unknown-group" });
  });
});
