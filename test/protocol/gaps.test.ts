/** What can no longer be given is told, exactly; and where nothing is missing, nothing is told. */
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { type Asked, count, dataOf, greet, type HubOptions, publish, Reader, startHub } from "./support.ts";

const small: HubOptions = { namespaces: { small: { retention: { bytes: 1_000_000 } } } };

describe("what retention removed", () => {
  it("is told by its exact range, and the subscription goes on after it (P-43)", async () => {
    const hub = await startHub(small);
    const epoch = await overflow(hub);
    const reader = new Reader(await greet(hub));
    const place = await reader.subscribe({ pattern: "small.>", from: { epoch, offset: 3 } });
    expect(place.subscribed.position).toBe(3);
    await reader.until(() => place.state === "live");
    const [gap] = place.gaps;
    expect(place.gaps).toEqual([
      { is: "gap", subscription: 1, from: 3, to: gap?.to, reason: "retention", position: { epoch, offset: gap?.to } },
    ]);
    expect(place.messages.map(({ offset }) => offset)).toEqual(count((gap?.to ?? 0) + 1, place.through));
  });

  it("is not told to those who start with the oldest message kept (P-43)", async () => {
    const hub = await startHub(small);
    await overflow(hub);
    const reader = new Reader(await greet(hub));
    const place = await reader.subscribe({ pattern: "small.>", from: "earliest" });
    await reader.until(() => place.state === "live");
    expect(place.gaps).toEqual([]);
    expect(place.messages[0]?.offset).toBe(place.subscribed.position + 1);
  });

  it("is told again until it is acknowledged (P-43)", async () => {
    const hub = await startHub(small);
    const first = new Reader(await greet(hub, { subscriber: "s" }));
    const asked: Asked = { pattern: "small.>", cursor: true };
    await first.subscribe({ ...asked, from: "earliest" });
    await leave(first);
    await overflow(hub);
    for (const acknowledges of [false, true]) {
      const reader = new Reader(await greet(hub, { subscriber: "s" }), { acknowledges });
      const place = await reader.subscribe(asked);
      expect(place.subscribed.position).toBe(0);
      await reader.until(() => place.messages.length > 0);
      expect(place.gaps).toMatchObject([{ from: 0, reason: "retention" }]);
      await leave(reader);
    }
    const reader = new Reader(await greet(hub, { subscriber: "s" }));
    const place = await reader.subscribe(asked);
    await reader.until(() => place.state === "live");
    // Retention may have gone on meanwhile, and that is told.
    expect(place.gaps.filter(({ from }) => from === 0)).toEqual([]);
  });

  it("is no gap where none of it matched (P-45)", async () => {
    const hub = await startHub(small);
    const publisher = await greet(hub);
    await publish(publisher, "small.quiet.a", "first");
    await publish(publisher, "small.quiet.b", "second");
    const epoch = await overflow(hub);
    const reader = new Reader(await greet(hub));
    const asked: [Asked, number | undefined][] = [
      [{ pattern: "small.quiet.a", from: { epoch, offset: 1 } }, undefined],
      [{ pattern: "small.quiet.*", from: { epoch, offset: 2 } }, undefined],
      [{ pattern: "small.never.*", from: { epoch, offset: 0 } }, undefined],
      // What is missing ends with the last message that matched.
      [{ pattern: "small.quiet.a", from: { epoch, offset: 0 } }, 1],
      [{ pattern: "small.quiet.*", from: { epoch, offset: 1 } }, 2],
    ];
    for (const [i, [ask, to]] of asked.entries()) {
      const place = await reader.subscribe({ subscription: i + 1, ...ask });
      await reader.until(() => place.state === "live");
      expect({ i, gaps: place.gaps.map((gap) => gap.to) }).toEqual({ i, gaps: to === undefined ? [] : [to] });
      expect(place.messages).toEqual([]);
    }
    await publish(publisher, "small.quiet.a", "last");
    const places = [...reader.places.values()].filter(({ asked: { pattern } }) => pattern !== "small.never.*");
    await reader.until(() => places.every(({ messages }) => messages.length === 1));
  });

  it("is removed however fast it is published, and the hub lives (P-43)", async () => {
    const hub = await startHubProcess({ data: temporaryFolder(), config: small });
    const publisher = await greet(hub);
    const drafts = count(1, 8).map((number) => ({
      is: "publish",
      number,
      channel: "small.a",
      data: "x".repeat(50_000),
    }));
    // Each of these fills several segments, which are rolled faster than they are seen to.
    for (const _ of count(1, 40)) {
      publisher.send(drafts);
      for (const _draft of drafts) await publisher.next("published");
    }
    await expect.poll(() => oldestOf(hub), { timeout: 5_000 }).toBeGreaterThan(280);
    expect(await hub.stop()).toEqual({ code: 0, signal: null });
  });

  it("is told to one that stopped reading in the middle, after what it had (P-43)", async () => {
    const hub = await startHub(small);
    const publisher = await greet(hub);
    const reader = new Reader(await greet(hub), { acknowledges: false });
    const place = await reader.subscribe({ pattern: "small.>", window: { messages: 3, bytes: 1_000_000 } });
    await publish(publisher, "small.slow", ...count(1, 5));
    await reader.until(() => place.messages.length === 3);
    // More than the hub keeps of the namespace in memory.
    await overflow(hub, 500);
    reader.acknowledge();
    await reader.until(() => place.gaps.length === 1 && place.messages.length > 3);
    expect(place.gaps).toMatchObject([{ from: 3, to: (place.messages[3]?.offset ?? 0) - 1, reason: "retention" }]);
  });
});

describe("a position of another epoch", () => {
  it("is answered with a gap whose end nobody knows, and the log from its beginning (P-43, P-44)", async () => {
    const hub = await startHub();
    const [published] = await publish(await greet(hub), "a", 1, 2, 3);
    const reader = new Reader(await greet(hub));
    const place = await reader.subscribe({ pattern: "a", from: { epoch: "of another life", offset: 2 } });
    await reader.until(() => place.state === "live");
    expect(place.subscribed).toMatchObject({ epoch: published?.epoch, position: 0 });
    expect(place.gaps).toEqual([
      {
        is: "gap",
        subscription: 1,
        from: 0,
        to: null,
        reason: "epoch",
        position: { epoch: published?.epoch, offset: 0 },
      },
    ]);
    expect(dataOf(place)).toEqual([1, 2, 3]);
  });

  it("is told of also where a new cursor starts there (P-44)", async () => {
    const hub = await startHub();
    await publish(await greet(hub), "a", 1, 2, 3);
    const reader = new Reader(await greet(hub, { subscriber: "s" }));
    const from = { epoch: "of another life", offset: 2 };
    const place = await reader.subscribe({ pattern: "a", cursor: true, from });
    await reader.until(() => place.state === "live");
    expect(dataOf(place)).toEqual([1, 2, 3]);
    expect(place.gaps).toMatchObject([{ to: null, reason: "epoch" }]);
  });

  it("is what a namespace kept in memory gives after a restart (P-44)", async () => {
    const data = temporaryFolder();
    const options = { data, namespaces: { fleeting: { durability: "memory" } } };
    const before = await startHub(options);
    const [last] = (await publish(await greet(before), "fleeting.a", 1, 2, 3)).slice(-1);
    await before.close();
    const hub = await startHub(options);
    const reader = new Reader(await greet(hub));
    const from = { epoch: last?.epoch ?? "", offset: 3 };
    const place = await reader.subscribe({ pattern: "fleeting.a", from });
    await publish(await greet(hub), "fleeting.a", "new");
    await reader.until(() => place.messages.length === 1);
    expect(place.gaps).toMatchObject([{ to: null, reason: "epoch", position: { offset: 0 } }]);
    expect(place.subscribed.epoch).not.toBe(last?.epoch);
  });

  it("is valid where the log descends from it, and told where they parted (P-44)", async () => {
    const data = temporaryFolder();
    const backup = join(temporaryFolder(), "logs");
    const first = await startHub({ data });
    const [old] = await publish(await greet(first), "a", ...count(1, 5));
    await first.close();
    cpSync(join(data, "logs"), backup, { recursive: true });
    const second = await startHub({ data });
    await publish(await greet(second), "a", ...count(6, 10));
    await subscribeAndAcknowledge(second, 8);
    await second.close();
    rmSync(join(data, "logs"), { recursive: true });
    cpSync(backup, join(data, "logs"), { recursive: true });
    const hub = await startHub({ data });
    const [fresh] = await publish(await greet(hub), "a", "new");
    expect(fresh?.epoch).not.toBe(old?.epoch);
    const epoch = old?.epoch ?? "";
    const reader = new Reader(await greet(hub, { subscriber: "s" }));
    const starts: [Asked, number, unknown[]][] = [
      [{ from: { epoch, offset: 3 } }, 3, []],
      [{ from: { epoch, offset: 5 } }, 5, []],
      [{ from: { epoch, offset: 8 } }, 5, [{ from: 5, to: null, reason: "epoch" }]],
      [{ cursor: true }, 5, [{ from: 5, to: null, reason: "epoch" }]],
    ];
    for (const [i, [asked, position, gaps]] of starts.entries()) {
      const place = await reader.subscribe({ subscription: i + 1, pattern: "a", ...asked });
      await reader.until(() => place.state === "live");
      expect(place.subscribed).toMatchObject({ epoch: fresh?.epoch, position });
      expect(place.gaps).toMatchObject(gaps);
      expect(dataOf(place)).toEqual([...count(1, 5), "new"].slice(position));
    }
  });
});

describe("a position beyond the end of the log", () => {
  it("is answered with a gap, and the subscription goes on from the end (P-44)", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    const [published] = await publish(publisher, "a", 1, 2, 3);
    const reader = new Reader(await greet(hub));
    const from = { epoch: published?.epoch ?? "", offset: 4 };
    const place = await reader.subscribe({ pattern: "a", from });
    await publish(publisher, "a", 4);
    await reader.until(() => place.messages.length === 1);
    expect(place.gaps).toMatchObject([{ from: 3, to: null, reason: "epoch", position: { offset: 3 } }]);
    expect(dataOf(place)).toEqual([4]);
  });

  it("is no gap where it is the end itself (P-44)", async () => {
    const hub = await startHub();
    const [published] = await publish(await greet(hub), "a", 1, 2, 3);
    const reader = new Reader(await greet(hub));
    const place = await reader.subscribe({ pattern: "a", from: { epoch: published?.epoch ?? "", offset: 3 } });
    await reader.until(() => place.state === "live");
    expect(place.gaps).toEqual([]);
  });
});

/** Publishes to a small namespace until retention has removed this much of what was there; returns the epoch. */
async function overflow(hub: { readonly url: string }, past = 10): Promise<string> {
  const publisher = await greet(hub);
  for (;;) {
    const data = count(1, 10).map(() => "x".repeat(10_000));
    for (let commit = 0; commit < 4; commit++) await publish(publisher, "small.noise", ...data);
    const [last] = await publish(publisher, "small.noise", "last");
    if ((await oldestOf(hub)) > past) return last?.epoch ?? "";
  }
}

/** The offset before the oldest message that is kept. */
async function oldestOf(hub: { readonly url: string }): Promise<number> {
  const reader = new Reader(await greet(hub));
  const { subscribed } = await reader.subscribe({ pattern: "small.>", from: "earliest" });
  await leave(reader);
  return subscribed.position;
}

async function subscribeAndAcknowledge(hub: { readonly url: string }, offset: number): Promise<void> {
  const reader = new Reader(await greet(hub, { subscriber: "s" }), { acknowledges: false });
  const place = await reader.subscribe({ pattern: "a", cursor: true, from: "earliest" });
  await reader.until(() => place.state === "live");
  reader.acknowledge(1, offset);
  await leave(reader);
}

async function leave(reader: Reader): Promise<void> {
  reader.socket.close();
  await reader.socket.closed;
}
