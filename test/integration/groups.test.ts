/** Groups over hubs that stop and start, and connections that break: nothing is lost, nothing is leased twice. */
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  allLeases,
  dataOf,
  deadLetters,
  fencesOf,
  type Lease,
  leases,
  Operator,
  offsetsOf,
  settle,
  settled,
  work,
  worker,
} from "../protocol/group-support.ts";
import { count, greet, publish, startHub } from "../protocol/support.ts";
import { startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder } from "../support/temp.ts";

test.each(["show-group", "reset-group", "delete-group"])(
  "a hub stops in good order while it turns what was given up into dead letters: %s (P-61, P-16)",
  { timeout: 15_000 },
  async (action) => {
    const data = temporaryFolder();
    const first = await startHubProcess({ data });
    const socket = await worker(first, { window: 10_000 });
    for (const i of count(0, 2)) await publish(socket, "jobs.a", ...count(i * 1_000 + 1, (i + 1) * 1_000));
    settle(socket, "reject", await leases(socket, 3_000));
    const operator = await Operator.of(first);
    // They are dying, and some are dead.
    await operator.until(({ dead }) => dead > 0);
    const asked = { do: action, group: "g", ...(action === "reset-group" && { to: "latest" }) };
    operator.socket.send({ is: "ask", request: 1_000_000, action: asked });
    expect(await first.stop()).toEqual({ code: 0, signal: null });
    const hub = await startHub({ data });
    expect(dataOf(await deadLetters(hub, 3_000))).toEqual(count(1, 3_000));
  },
);

test("groups go on where they were after every one of many restarts (P-52, P-58)", async () => {
  const data = temporaryFolder();
  const groups = ["returns", "forgets", "changes"];
  const done = new Map(groups.map((group) => [group, [] as unknown[]]));
  const held = new Map(groups.map((group) => [group, [] as number[]]));
  const fences = new Map(groups.map((group) => [group, 0]));
  for (const round of count(1, 5)) {
    const hub = await startHub({ data });
    await publish(await greet(hub), "jobs.a", ...count(20 * round - 19, 20 * round));
    for (const group of groups) {
      const socket = await greet(hub);
      // One comes back for what it holds, one comes back for nothing, and one is somebody else each time.
      const holding = group === "returns" ? held.get(group) : [];
      const id = group === "changes" ? `${round}` : "w";
      const { leases: kept } = await work(socket, { group, id, holding, window: 10, leaseMs: 2_000 });
      expect(kept.map(({ offset }) => offset)).toEqual(holding);
      const some = kept.length < 5 ? await leases(socket, 5) : kept;
      const settling = some.slice(0, 5);
      for (const { fence } of [...kept, ...some]) expect(fence).toBeGreaterThan(fences.get(group) as number);
      await settled(socket, "ack", fencesOf(settling));
      done.get(group)?.push(...offsetsOf(settling));
      const all = [...kept, ...allLeases(socket)];
      fences.set(group, Math.max(...fencesOf(all)));
      held.set(
        group,
        offsetsOf(all).filter((offset) => !done.get(group)?.includes(offset)),
      );
    }
    await hub.close();
  }
  const hub = await startHub({ data });
  const operator = await Operator.of(hub);
  for (const group of groups) {
    const all = done.get(group) as number[];
    const socket = await worker(hub, { group, id: "last", window: 1_000 });
    const rest: Lease[] = [];
    while (rest.length < 100 - all.length) {
      const some = await leases(socket, 1);
      await settled(socket, "ack", some);
      rest.push(...some);
    }
    for (const { failures } of rest) expect(failures).toBe(0);
    expect([...all, ...offsetsOf(rest)].sort((a, b) => a - b)).toEqual(count(1, 100));
    expect(await operator.show({ group })).toMatchObject({ lag: { messages: 0 }, dead: 0, lost: 0 });
  }
});

test("a group goes on where its log was cut, and gives up nothing twice (P-44, P-52)", async () => {
  const data = temporaryFolder();
  const backup = join(temporaryFolder(), "logs");
  const first = await startHub({ data });
  const before = await worker(first, { window: 2 });
  await publish(before, "jobs.a", ...count(1, 5));
  await settled(before, "ack", (await leases(before, 2)).slice(0, 1));
  await leases(before, 1);
  await first.close();
  cpSync(join(data, "logs"), backup, { recursive: true });
  const second = await startHub({ data });
  const socket = await worker(second, { window: 100 });
  await publish(socket, "jobs.a", ...count(6, 10));
  const all = (await leases(socket, 9)).sort((a, b) => a.offset - b.offset);
  await settled(socket, "ack", all.slice(5, 8));
  await settled(socket, "reject", all.slice(8));
  expect((await deadLetters(second, 1))[0]?.data).toBe(10);
  await second.close();
  // The log is as it was; what the hub remembers of the group is not.
  rmSync(join(data, "logs"), { recursive: true });
  cpSync(backup, join(data, "logs"), { recursive: true });
  const hub = await startHub({ data });
  const last = await worker(hub, { id: "last", window: 1 });
  await publish(last, "jobs.a", "new");
  const operator = await Operator.of(hub);
  expect(await operator.show()).toMatchObject({ lag: { messages: 5 }, dead: 0, lost: 0 });
  expect(dataOf(await leases(last, 1))).toEqual(["new"]);
  socket.close();
  const again = await worker(hub, { window: 100 });
  const rest = await leases(again, 4);
  expect(dataOf(rest).sort()).toEqual([2, 3, 4, 5]);
  await settled(again, "reject", rest);
  expect(dataOf(await deadLetters(hub, 4)).sort()).toEqual([2, 3, 4, 5]);
});
