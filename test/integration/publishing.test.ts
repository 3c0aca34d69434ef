/** Publishing: what is refused, when, and what becomes of the rest. */
import { DogearError } from "@dogear/client";
import { describe, expect, test } from "vitest";
import { clientOf, happening, refusal, startHub } from "../support/hub.ts";
import { Collected } from "../support/waiting.ts";
import { logged, publishNumbers, startWorld, upTo } from "./support.ts";

/** More than the hub takes, but not so much that the SDK knows. */
const tooLong = "x".repeat(262_200);

describe("the answer", () => {
  test("says where the message is and what it survives (G1, G14)", async () => {
    const { local } = await startWorld({ config: { namespaces: { fleeting: { durability: "memory" } } } });
    const answer = { epoch: expect.any(String), offset: 1, duplicate: false };
    expect(await local.publish("a.b", 1)).toEqual({ ...answer, durability: "disk" });
    expect(await local.publish("fleeting.b", 1)).toEqual({ ...answer, durability: "memory" });
  });

  test("is the first one for a second draft with the same id, from whichever client (G7)", async () => {
    const { local, remote } = await startWorld();
    const first = await local.publish("a.b", "as it was", { id: "order-1" });
    expect(first.duplicate).toBe(false);
    expect(await remote.publish("a.b", "again", { id: "order-1" })).toEqual({ ...first, duplicate: true });
    expect(await local.publish("a.c", "elsewhere", { id: "order-1" })).toMatchObject({ offset: 2, duplicate: false });
    expect(await logged(local)).toEqual(["as it was"]);
  });
});

describe("a refusal", () => {
  test("of a message that is too large harms neither the connection nor what comes after it (P-22, P-26, G6)", async () => {
    const { local } = await startWorld();
    const [first, large, second] = [local.publish("a.b", 1), local.publish("a.b", tooLong), local.publish("a.b", 2)];
    expect(await refusal(large)).toBe("message-too-large");
    expect(await refusal(local.publish("a.b", `${tooLong}${tooLong}`))).toBe("message-too-large");
    await Promise.all([first, second]);
    expect(local.state.name).toBe("open");
    expect(await logged(local)).toEqual([1, 2]);
  });

  test("never closes the connection, however many there are (P-22)", async () => {
    const { local } = await startWorld({ config: { limits: { messageBytesMax: 1_000 } } });
    await local.ready();
    const large = "x".repeat(1_500);
    const refused = upTo(150).map(() => refusal(local.publish("a.b", large)));
    const published = local.publish("a.b", "small");
    expect(await Promise.all(refused)).toEqual(upTo(150).map(() => "message-too-large"));
    expect(await published).toMatchObject({ offset: 1 });
  });

  test("comes when the queue is full, and what is in the queue is published (G4)", async () => {
    const { proxy, remote, local } = await startWorld({ remote: { publish: { queueMax: 3 } } });
    await remote.ready();
    proxy.isolate();
    await happening(remote, "state", ({ name }) => name === "waiting");
    const queued = upTo(3).map((number) => remote.publish("a.b", number));
    expect(await refusal(remote.publish("a.b", 4))).toBe("queue-full");
    proxy.admit();
    await Promise.all(queued);
    await remote.publish("a.b", 5);
    expect(await logged(local)).toEqual([1, 2, 3, 5]);
  });

  test("comes for the oldest draft that was not sent, where the user wants the newest (G4)", async () => {
    const publish = { queueMax: 3, whenFull: "drop-oldest" } as const;
    const { proxy, remote, local } = await startWorld({ remote: { publish } });
    await remote.ready();
    proxy.isolate();
    await happening(remote, "state", ({ name }) => name === "waiting");
    const queued = upTo(5).map((number) => remote.publish("a.b", number));
    expect(await refusal(queued[0] as Promise<unknown>)).toBe("draft-dropped");
    expect(await refusal(queued[1] as Promise<unknown>)).toBe("draft-dropped");
    proxy.admit();
    await Promise.all(queued.slice(2));
    expect(await logged(local)).toEqual([3, 4, 5]);
  });
});

describe("an abort", () => {
  test("takes a draft back that was not sent (G4)", async () => {
    const { proxy, remote, local } = await startWorld();
    await remote.ready();
    proxy.isolate();
    await happening(remote, "state", ({ name }) => name === "waiting");
    const abort = new AbortController();
    const aborted = remote.publish("a.b", 1, { signal: abort.signal });
    const published = remote.publish("a.b", 2);
    abort.abort(new Error("Changed my mind."));
    await expect(aborted).rejects.toThrow("Changed my mind.");
    proxy.admit();
    await published;
    expect(await logged(local)).toEqual([2]);
  });

  test("ends only the waiting for a draft that was sent", async () => {
    const { proxy, remote, local } = await startWorld();
    await remote.publish("a.b", 1);
    proxy.lose("to-client");
    const abort = new AbortController();
    const aborted = remote.publish("a.b", 2, { signal: abort.signal });
    const seen = new Collected<unknown>();
    local.subscribe("a.b", { from: "earliest" }, ({ data }) => seen.add(data));
    await seen.reach(2);
    abort.abort(new Error("Changed my mind."));
    await expect(aborted).rejects.toThrow("Changed my mind.");
    proxy.cut();
    expect(await remote.publish("a.b", 3)).toMatchObject({ offset: 3 });
  });
});

describe("closing", () => {
  test("waits for the answers to what was sent", async () => {
    const hub = await startHub();
    const dogear = clientOf(hub.url);
    await dogear.ready();
    const published = publishNumbers(dogear, 500);
    await dogear.close();
    await published;
    expect(await logged(clientOf(hub.url))).toEqual(upTo(500));
  });

  test("refuses what was not sent, and what comes later", async () => {
    const { proxy, remote, local } = await startWorld();
    await remote.ready();
    proxy.isolate();
    await happening(remote, "state", ({ name }) => name === "waiting");
    const queued = refusal(remote.publish("a.b", 1));
    await remote.close();
    expect(await queued).toBe("closed");
    expect(await refusal(remote.publish("a.b", 2))).toBe("closed");
    expect(() => remote.subscribe("a.b")).toThrow(DogearError);
    expect(await logged(local)).toEqual([]);
  });
});

describe("order", () => {
  test("holds between drafts with and without an id in two namespaces (G6)", async () => {
    const { local } = await startWorld({ config: { namespaces: { metrics: {} } } });
    await local.ready();
    const drafts = upTo(300).map((number) => {
      const channel = number % 3 === 0 ? "a.b" : "metrics.b";
      return local.publish(channel, number, number % 3 === 2 ? { id: `id-${number}` } : {});
    });
    await Promise.all(drafts);
    expect(await logged(local, "metrics.b")).toEqual(upTo(300).filter((number) => number % 3 !== 0));
    expect(await logged(local)).toEqual(upTo(300).filter((number) => number % 3 === 0));
  });
});
