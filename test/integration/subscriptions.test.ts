/** Subscriptions as their users see them: which messages come, in which form, and how one ends. */
import type { Message } from "@dogear/client";
import { describe, expect, test } from "vitest";
import { refusal } from "../support/hub.ts";
import { Collected, Door } from "../support/waiting.ts";
import { publishNumbers, startWorld, upTo } from "./support.ts";

describe("the messages", () => {
  test("are what was published: payload, type, key, headers, place and time (G4, P-20)", async () => {
    const { remote, local } = await startWorld();
    const seen = new Collected<Message>();
    await remote.subscribe("a.>", {}, seen.add).ready();
    const every = Uint8Array.from({ length: 256 }, (_, i) => i);
    const before = Date.now();
    const headers = { trace: 'ß €😀"\n', empty: "" };
    await local.publish("a.json", { text: "ß€😀\u2028", number: 1.5, list: [null, true, {}] }, { key: "k", headers });
    await local.publish("a.null", null);
    await local.publish("a.bytes", every);
    await local.publish("a.none", new Uint8Array(0), { type: "image/png" });
    await local.publish("a.plus", [1], { type: "application/geo+json" });
    const [json, nothing, bytes, none, plus] = await seen.reach(5);
    const plain = { type: "application/json", key: undefined, headers: undefined };
    expect(json).toMatchObject({ channel: "a.json", offset: 1, type: "application/json", key: "k", headers });
    expect(json?.data).toEqual({ text: "ß€😀\u2028", number: 1.5, list: [null, true, {}] });
    expect(json?.time).toBeGreaterThanOrEqual(before);
    expect(json?.time).toBeLessThanOrEqual(Date.now());
    expect(nothing).toMatchObject({ ...plain, data: null });
    expect(bytes).toMatchObject({ type: "application/octet-stream", data: every });
    expect(none).toMatchObject({ type: "image/png", data: new Uint8Array(0) });
    expect(plus).toMatchObject({ type: "application/geo+json", data: [1] });
  });

  test("come once to each of several overlapping patterns of a session, in order (G5)", async () => {
    const { remote, local } = await startWorld();
    const patterns = [">", "a.>", "a.*", "*.b", "a.b"];
    const seen = patterns.map(() => new Collected<unknown>());
    await Promise.all(
      patterns.map((pattern, i) => remote.subscribe(pattern, {}, ({ data }) => seen[i]?.add(data)).ready()),
    );
    await Promise.all(upTo(900).map((number) => local.publish(["a.b", "a.c", "x.b"][number % 3] as string, number)));
    const of = (...rests: number[]): number[] => upTo(900).filter((number) => rests.includes(number % 3));
    const expected = [of(0, 1, 2), of(0, 1), of(0, 1), of(0, 2), of(0)];
    for (const [i, numbers] of expected.entries()) expect(await seen[i]?.reach(numbers.length)).toEqual(numbers);
  });

  test("come from where each of several subscriptions to one pattern begins (P-33, P-37)", async () => {
    const { remote, local } = await startWorld();
    const { epoch } = await local.publish("a.b", 1);
    await publishNumbers(local, 4);
    const fifth = upTo(4);
    const starts = [
      { from: "earliest" as const, expected: [1, ...fifth, "last"] },
      { from: { epoch, offset: 3 as Message["offset"] }, expected: [3, 4, "last"] },
      { from: { time: 0 }, expected: [1, ...fifth, "last"] },
      { from: { time: new Date(Date.now() + 60_000) }, expected: ["last"] },
      { from: "latest" as const, expected: ["last"] },
    ];
    const seen = starts.map(() => new Collected<unknown>());
    await Promise.all(
      starts.map(({ from }, i) => remote.subscribe("a.*", { from }, ({ data }) => seen[i]?.add(data)).ready()),
    );
    await local.publish("a.b", "last");
    for (const [i, { expected }] of starts.entries()) {
      await seen[i]?.find((data) => data === "last");
      expect(seen[i]?.items).toEqual(expected);
    }
  });

  test("from a time on begin with the first that was published then or later (P-33)", async () => {
    const { local } = await startWorld();
    for (const number of upTo(20)) await local.publish("a.b", number);
    const seen = new Collected<Message>();
    await local.subscribe("a.*", { from: "earliest" }, seen.add).ready();
    const times = (await seen.reach(20)).map(({ time }) => time);
    const last = times.at(-1) as number;
    for (const time of new Set(times.flatMap((time) => [time - 1, time, Math.min(time + 1, last)]))) {
      const [first] = await firstOf(local.subscribe("a.*", { from: { time } }));
      expect(first?.offset).toBe(times.findIndex((other) => other >= time) + 1);
    }
  });
});

/** Takes the first message that is there already. */
async function firstOf(subscription: AsyncIterable<Message>): Promise<Message[]> {
  for await (const message of subscription) return [message];
  return [];
}

describe("a loop", () => {
  test("acknowledges a message when it asks for the next; leaving it leaves the last one to come again (G8)", async () => {
    const { local } = await startWorld();
    await publishNumbers(local, 5);
    const take = async (count: number): Promise<unknown[]> => {
      const seen: unknown[] = [];
      const subscription = local.subscribe("a.*", { cursor: true, from: "earliest" });
      for await (const { data } of subscription) {
        seen.push(data);
        if (seen.length === count) break;
      }
      expect(subscription.state).toBe("ended");
      await subscription.unsubscribe();
      return seen;
    };
    expect(await take(3)).toEqual([1, 2, 3]);
    expect(await take(3)).toEqual([3, 4, 5]);
  });

  test("that throws leaves the message to come again, too (G8)", async () => {
    const { local } = await startWorld();
    await publishNumbers(local, 2);
    const subscription = local.subscribe("a.*", { cursor: true, from: "earliest" });
    const loop = async (): Promise<void> => {
      for await (const { data } of subscription) if (data === 2) throw new Error("This one is too much.");
    };
    await expect(loop()).rejects.toThrow("This one is too much.");
    await subscription.unsubscribe();
    const [message] = await firstOf(local.subscribe("a.*", { cursor: true }));
    expect(message?.data).toBe(2);
  });

  test("ends quietly when its subscription is aborted, unsubscribed or closed", async () => {
    const { local } = await startWorld();
    const loop = async (subscription: AsyncIterable<Message>): Promise<string> => {
      for await (const _ of subscription);
      return "ended";
    };
    const abort = new AbortController();
    const loops = [loop(local.subscribe("a.*", { signal: abort.signal }))];
    const unsubscribed = local.subscribe("a.*");
    loops.push(loop(unsubscribed), loop(local.subscribe("a.*")));
    abort.abort();
    await unsubscribed.unsubscribe();
    await local.close();
    expect(await Promise.all(loops)).toEqual(["ended", "ended", "ended"]);
  });
});

describe("a handler", () => {
  test("that throws ends the subscription and leaves the message to come again (G8)", async () => {
    const { local } = await startWorld();
    await publishNumbers(local, 4);
    const seen = new Collected<unknown>();
    const failing = local.subscribe("a.*", { cursor: true, from: "earliest" }, async ({ data }) => {
      await new Promise(setImmediate);
      seen.add(data);
      if (data === 3) throw new Error("This one is too much.");
    });
    await expect(failing.ended).rejects.toThrow("This one is too much.");
    expect(seen.items).toEqual([1, 2, 3]);
    await failing.unsubscribe();
    const again = new Collected<unknown>();
    local.subscribe("a.*", { cursor: true }, ({ data }) => again.add(data));
    expect(await again.reach(2)).toEqual([3, 4]);
  });

  test("acknowledges when it wants, with everything before (P-39)", async () => {
    const { local } = await startWorld();
    await publishNumbers(local, 5);
    const seen = new Collected<Message>();
    const options = { cursor: true, from: "earliest", acknowledge: "manual" } as const;
    const subscription = local.subscribe("a.*", options, seen.add);
    await seen.reach(5);
    seen.items[2]?.acknowledge();
    seen.items[0]?.acknowledge();
    expect(subscription.position?.offset).toBe(3);
    await subscription.unsubscribe();
    const [message] = await firstOf(local.subscribe("a.*", { cursor: true }));
    expect(message?.data).toBe(4);
  });

  test("is not called again once it has unsubscribed", async () => {
    const { local } = await startWorld();
    await publishNumbers(local, 5);
    const seen = new Collected<unknown>();
    const subscription = local.subscribe("a.*", { from: "earliest" }, ({ data }) => {
      seen.add(data);
      if (data === 2) void subscription.unsubscribe();
    });
    await subscription.ended;
    await subscription.unsubscribe();
    await local.publish("a.b", 6);
    expect(seen.items).toEqual([1, 2]);
  });

  test("is not interrupted by an end, and what it was at is left to come again (G8)", async () => {
    const { local } = await startWorld();
    await publishNumbers(local, 2);
    const door = new Door();
    const subscription = local.subscribe("a.*", { cursor: true, from: "earliest" }, () => door.pass());
    await door.arrivals.reach(1);
    await subscription.unsubscribe();
    door.open();
    const [message] = await firstOf(local.subscribe("a.*", { cursor: true }));
    expect(message?.data).toBe(1);
  });
});

describe("a client that closes", () => {
  test("has said what was handled, and ends its subscriptions (G9)", async () => {
    const { local, remote } = await startWorld();
    const subscription = remote.subscribe("a.*", { cursor: true });
    await subscription.ready();
    const ready = refusal(remote.subscribe("never", { signal: AbortSignal.abort() }).ready());
    expect(await ready).toBe("closed");
    await remote.close();
    await subscription.ended;
    expect(subscription.state).toBe("ended");
    expect(remote.state).toMatchObject({ name: "closed", code: "closed" });
    expect(() => remote.subscribe("a.*")).toThrow("closed");
    await local.publish("a.b", 1);
  });
});
