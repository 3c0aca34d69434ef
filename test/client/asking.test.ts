import { describe, expect, test } from "vitest";
import { codeOf, outcome, settle, World } from "./support.ts";

async function connected(): Promise<World> {
  const world = new World();
  await world.connect();
  await world.socket.heard();
  return world;
}

describe("cancelling what is scheduled", () => {
  test("asks the hub, and resolves with its answer (P-49, P-64)", async () => {
    const world = await connected();
    const cancelled = world.dogear.cancel("s1");
    expect(await world.socket.heard()).toEqual([{ is: "ask", request: 1, action: { do: "cancel", id: "s1" } }]);
    expect(await outcome(cancelled)).toBe("pending");
    await world.socket.say({ is: "answer", request: 1, result: null });
    expect(await outcome(cancelled)).toEqual({ resolved: undefined });
  });

  test("rejects where nothing is scheduled under the id (P-49)", async () => {
    const world = await connected();
    const cancelled = world.dogear.cancel("s1");
    await settle();
    await world.socket.say({ is: "error", code: "not-scheduled", message: "No.", request: 1 });
    expect(await codeOf(cancelled)).toBe("not-scheduled");
    expect(world.eventsOf("error")).toEqual([]);
  });
});

describe("a request", () => {
  test("has a number of its own, by which its answer is known", async () => {
    const world = await connected();
    const [first, second] = ["s1", "s2"].map((id) => world.dogear.cancel(id));
    expect(await world.socket.heardOf("ask")).toMatchObject([{ request: 1 }, { request: 2 }]);
    await world.socket.say({ is: "answer", request: 2, result: null });
    expect(await outcome(second as Promise<void>)).toEqual({ resolved: undefined });
    expect(await outcome(first as Promise<void>)).toBe("pending");
  });

  test("made while offline waits for the connection", async () => {
    const world = new World();
    const cancelled = world.dogear.cancel("s1");
    await world.socket.drop();
    await world.nextAttempt();
    world.socket.open();
    expect(world.socket.frames).toMatchObject([[{ is: "hello" }], [{ is: "ask", request: 1 }]]);
    await world.socket.say({ is: "answer", request: 1, result: null });
    expect(await outcome(cancelled)).toEqual({ resolved: undefined });
  });

  test("whose connection breaks is sent again on the next one, and one that was answered is not", async () => {
    const world = await connected();
    const [first, second] = ["s1", "s2"].map((id) => world.dogear.cancel(id));
    await settle();
    await world.socket.say({ is: "answer", request: 1, result: null });
    await world.reconnect();
    expect(await world.socket.heardOf("ask")).toEqual([{ is: "ask", request: 2, action: { do: "cancel", id: "s2" } }]);
    await world.socket.say({ is: "answer", request: 2, result: null });
    expect(await outcome(Promise.all([first, second]))).toMatchObject({ resolved: {} });
  });

  test("that the hub fails to answer is refused, although the connection goes on", async () => {
    const world = await connected();
    const asked = world.dogear.cancel("s1");
    await settle();
    await world.socket.say({ is: "error", code: "internal", message: "Oh.", request: 1 });
    expect(await outcome(asked)).toMatchObject({ rejected: { code: "internal", message: "Oh." } });
    expect(world.dogear.state.name).toBe("open");
  });

  test("ends with its signal, and is not sent again", async () => {
    const world = await connected();
    const abort = new AbortController();
    const cancelled = world.dogear.cancel("s1", { signal: abort.signal });
    await settle();
    abort.abort(new Error("enough"));
    expect(await outcome(cancelled)).toEqual({ rejected: new Error("enough") });
    await world.reconnect();
    expect(await world.socket.heardOf("ask")).toEqual([]);
    await world.socket.say({ is: "answer", request: 1, result: null });
    const late = world.dogear.cancel("s2", { signal: abort.signal });
    expect(await outcome(late)).toEqual({ rejected: new Error("enough") });
    expect(await world.socket.heardOf("ask")).toEqual([]);
  });

  test("of a closed client is refused, also one without an answer", async () => {
    const world = await connected();
    const asked = world.dogear.cancel("s1");
    await settle();
    await world.dogear.close();
    expect(await codeOf(asked)).toBe("closed");
    expect(await codeOf(world.dogear.cancel("s2"))).toBe("closed");
  });

  test("of a client that the hub refuses fails with the reason", async () => {
    const world = await connected();
    const asked = world.dogear.cancel("s1");
    await settle();
    await world.socket.drop(4_503, "too-many-errors");
    expect(await codeOf(asked)).toBe("too-many-errors");
  });
});
