/** The hub stops, is killed, or comes back without its data. */
import { rmSync } from "node:fs";
import { GapError } from "@dogear/client";
import { describe, expect, test } from "vitest";
import { clientOf, happening, refusal, startHub } from "../support/hub.ts";
import { startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { Collected, Door } from "../support/waiting.ts";
import { logged, publishNumbers, startWorld, upTo } from "./support.ts";

describe("a hub that stops", () => {
  test("says when to come back, and its clients do, without losing a message (P-16, G5)", async () => {
    const { hub, proxy, remote, local } = await startWorld();
    const seen = new Collected<unknown>();
    await remote.subscribe("a.*", {}, ({ data }) => seen.add(data)).ready();
    await publishNumbers(local, 3);
    await seen.reach(3);
    const waiting = happening(remote, "state", ({ name }) => name === "waiting");
    await hub.close();
    const { code, retryInMs } = await waiting;
    expect(code).toBe("draining");
    expect(retryInMs).toBeLessThanOrEqual(500);
    proxy.isolate();
    await startHub({ port: hub.port, data: hub.data });
    await publishNumbers(local, 20);
    const resumed = happening(remote, "resumed");
    proxy.admit();
    expect(await resumed).toMatchObject({ missed: 20, gap: undefined });
    expect(seen.items).toEqual([...upTo(3), ...upTo(20)]);
  });

  test("is nothing its clients report as an error", async () => {
    const { hub, remote } = await startWorld({ remote: { expectErrors: true } });
    const errors = new Collected<unknown>();
    remote.addEventListener("error", ({ detail }) => errors.add(detail.error));
    await remote.ready();
    const waiting = happening(remote, "state", ({ name }) => name === "waiting");
    await hub.close();
    await waiting;
    expect(errors.items).toEqual([]);
  });

  test("answers what it has taken, and the rest is published after it came back (G4, G6, G7)", async () => {
    const { hub, local } = await startWorld({ config: { limits: { draftBytesMax: 20_000 } } });
    await local.ready();
    const publishing = publishNumbers(local, 3_000);
    await hub.close();
    await startHub({ port: hub.port, data: hub.data });
    await publishing;
    expect(await logged(local)).toEqual(upTo(3_000));
  });

  test("keeps what was acknowledged, so that a durable subscriber goes on right there (G9)", async () => {
    const { hub, remote, local } = await startWorld();
    const seen = new Collected<unknown>();
    const door = new Door();
    const subscription = remote.subscribe("a.*", { cursor: true }, async ({ data }) => {
      if (data === 8) await door.pass();
      seen.add(data);
    });
    await subscription.ready();
    await publishNumbers(local, 10);
    await seen.reach(7);
    await door.arrivals.reach(1);
    await subscription.unsubscribe();
    await hub.close();
    const again = await startHub({ data: hub.data });
    const rest = new Collected<unknown>();
    clientOf(again.url, { subscriber: "remote" }).subscribe("a.*", { cursor: true }, ({ data }) => rest.add(data));
    expect(await rest.reach(3)).toEqual([8, 9, 10]);
  });
});

describe("a hub process", () => {
  test("ends in good order on SIGTERM, and its successor goes on (P-16, G5, G6, G7)", async () => {
    const data = temporaryFolder();
    const hub = await startHubProcess({ data });
    const [publisher, reader] = [clientOf(hub.url), clientOf(hub.url, { subscriber: "reader" })];
    const seen = new Collected<unknown>();
    await reader.subscribe("a.*", { cursor: true }, ({ data }) => seen.add(data)).ready();
    await publisher.ready();
    const publishing = publishNumbers(publisher, 3_000);
    await seen.reach(100);
    expect((await hub.stop()).signal).toBe(null);
    await startHubProcess({ data, port: hub.port });
    await publishing;
    expect(await seen.reach(3_000)).toEqual(upTo(3_000));
  });

  test("that is killed takes nothing along (G1, G5, G6, G7, G9)", async () => {
    const data = temporaryFolder();
    const hub = await startHubProcess({ data });
    const [publisher, reader] = [clientOf(hub.url), clientOf(hub.url, { subscriber: "reader" })];
    const seen = new Collected<unknown>();
    await reader.subscribe("a.*", { cursor: true }, ({ data }) => seen.add(data)).ready();
    const publishing = publishNumbers(publisher, 3_000);
    await seen.reach(100);
    await hub.kill("SIGKILL");
    await startHubProcess({ data, port: hub.port });
    await publishing;
    expect(await seen.reach(3_000)).toEqual(upTo(3_000));
    expect(await logged(publisher)).toEqual(upTo(3_000));
  });
});

describe("a hub that lost its data", () => {
  for (const cursor of [false, true]) {
    const kind = cursor ? "with" : "without";

    test(`ends a subscription ${kind} a cursor with a gap of reason epoch (G5, P-44)`, async () => {
      const { hub, local } = await startWorld();
      const seen = new Collected<unknown>();
      const subscription = local.subscribe("a.*", { cursor }, ({ data }) => seen.add(data));
      await subscription.ready();
      await publishNumbers(local, 5);
      await seen.reach(5);
      await hub.close();
      rmSync(hub.data, { recursive: true });
      await startHub({ port: hub.port, data: hub.data });
      const error = await subscription.ended.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(GapError);
      const { gap, position } = error as GapError;
      expect(gap).toEqual({ from: 0, to: null, reason: "epoch" });
      const again = new Collected<unknown>();
      local.subscribe("a.*", { cursor, from: position, reset: true }, ({ data }) => again.add(data));
      await local.publish("a.b", "new");
      expect(await again.reach(1)).toEqual(["new"]);
    });

    test(`tells a subscription ${kind} a cursor the gap and goes on, where it wants that (G5, P-44)`, async () => {
      const { hub, local } = await startWorld();
      const seen = new Collected<unknown>();
      const options = { cursor, onGap: "continue" } as const;
      const subscription = local.subscribe("a.*", options, ({ data }) => seen.add(data));
      await subscription.ready();
      await publishNumbers(local, 5);
      await seen.reach(5);
      const gap = happening(subscription, "gap");
      const resumed = happening(local, "resumed");
      await hub.close();
      rmSync(hub.data, { recursive: true });
      await startHub({ port: hub.port, data: hub.data });
      expect(await gap).toMatchObject({ from: 0, to: null, reason: "epoch" });
      expect(await resumed).toMatchObject({ gap: { from: 0, to: null, reason: "epoch" } });
      await local.publish("a.b", "new");
      expect(await seen.reach(6)).toEqual([...upTo(5), "new"]);
    });
  }

  test("publishes what it had not answered, also after a draft that it had refused (P-25, P-26, G13)", async () => {
    const { hub, proxy, remote, local } = await startWorld();
    await remote.ready();
    const answered: number[] = [];
    const publish = (number: number) => remote.publish("a.b", number).then(() => answered.push(number));
    const before = upTo(50).map(publish);
    const refused = refusal(remote.publish("a.b", "x".repeat(262_200)));
    const after = upTo(50).map((number) => publish(50 + number));
    expect(await refused).toBe("message-too-large");
    proxy.isolate();
    await happening(remote, "state", ({ name }) => name === "waiting");
    const unanswered = upTo(100).filter((number) => !answered.includes(number));
    await hub.close();
    rmSync(hub.data, { recursive: true });
    await startHub({ port: hub.port, data: hub.data });
    proxy.admit();
    await Promise.all([...before, ...after]);
    expect(await logged(local)).toEqual(unanswered);
  });
});

describe("a namespace in memory", () => {
  const config = { namespaces: { fleeting: { durability: "memory" } } };

  test("begins a new epoch with each start of the hub (G5)", async () => {
    const { hub, local } = await startWorld({ config });
    const seen = new Collected<unknown>();
    const subscription = local.subscribe("fleeting.>", { onGap: "continue" }, ({ data }) => seen.add(data));
    const { epoch } = await subscription.ready();
    await publishNumbers(local, 5, "fleeting.a");
    await seen.reach(5);
    const gap = happening(subscription, "gap");
    await hub.close();
    await startHub({ port: hub.port, data: hub.data, config });
    const { reason, position } = await gap;
    expect(reason).toBe("epoch");
    expect(position.epoch).not.toBe(epoch);
    await local.publish("fleeting.a", 1);
    expect(await seen.reach(6)).toEqual([...upTo(5), 1]);
  });

  test("takes no cursor, and says so (P-34)", async () => {
    const { local } = await startWorld({ config });
    expect(await refusal(local.subscribe("fleeting.>", { cursor: true }).ended)).toBe("memory-namespace");
  });
});
