import { describe, expect, test } from "vitest";
import type { LoadAnnex } from "../../client/src/client.ts";
import { Deferred } from "../../client/src/deferred.ts";
import { codeOf, outcome, settle, World } from "./support.ts";

const minute = 60_000;
const hour = 60 * minute;

/** Hands out `t1`, `t2` … as they are asked for, or fails while told to. */
class Tokens {
  asked = 0;
  failing: Error | undefined;
  readonly fetch = async (): Promise<string> => {
    this.asked++;
    if (this.failing) throw this.failing;
    return `t${this.asked}`;
  };
}

/** Hands out tokens when the test says so. */
class SlowTokens {
  readonly calls: Deferred<string>[] = [];
  readonly fetch = (): Promise<string> => {
    const call = new Deferred<string>();
    this.calls.push(call);
    return call.promise;
  };
}

/** A client of these tokens that is welcomed, with a token that lives so long. */
async function welcomed(tokens: Tokens | SlowTokens, lifeMs?: number): Promise<World> {
  const world = new World({ token: tokens.fetch });
  await settle();
  if (tokens instanceof SlowTokens) tokens.calls[0]?.resolve("t1");
  await settle();
  await welcome(world, lifeMs);
  return world;
}

/** The hub's clock is far behind the client's: only differences count. */
const hubTime = 5_000;

async function welcome(world: World, lifeMs?: number): Promise<void> {
  world.socket.open();
  await world.socket.welcome({}, hubTime, lifeMs === undefined ? {} : { expires: hubTime + lifeMs });
}

function refreshed(world: World, lifeMs?: number): Promise<void> {
  return world.socket.say({
    is: "refreshed",
    time: hubTime,
    ...(lifeMs !== undefined && { expires: hubTime + lifeMs }),
  });
}

async function tokensOf(world: World): Promise<string[]> {
  return (await world.socket.heardOf("refresh")).map(({ token }) => token);
}

describe("a token", () => {
  test("goes with hello, and nowhere else", async () => {
    const world = new World({ token: "secret", subscriber: "app" });
    world.socket.open();
    expect(world.socket.said).toMatchObject([{ is: "hello", token: "secret", subscriber: "app" }]);
    expect(world.socket.url).toBe("ws://hub");
  });

  test("is left out where there is none", () => {
    const world = new World();
    world.socket.open();
    expect(world.socket.said).not.toContainEqual(expect.objectContaining({ token: expect.anything() }));
  });

  test("says who the user is, from the first welcome to the next", async () => {
    const world = new World({ token: "secret" });
    expect(world.dogear.user).toBeUndefined();
    world.socket.open();
    await world.socket.welcome({}, hubTime, { user: "ada" });
    expect(world.dogear.user).toBe("ada");
    await world.socket.drop();
    expect(world.dogear.user).toBe("ada");
    await world.nextAttempt();
    world.socket.open();
    await world.socket.welcome({}, hubTime, { user: "grace" });
    expect(world.dogear.user).toBe("grace");
  });

  test("of a function is a new one for each session, and there is no socket before it", async () => {
    const tokens = new SlowTokens();
    const world = new World({ token: tokens.fetch });
    await world.clock.pass(5_000);
    expect(world.sockets).toHaveLength(0);
    tokens.calls[0]?.resolve("first");
    await settle();
    await welcome(world);
    expect(world.socket.said).toMatchObject([{ is: "hello", token: "first" }]);
    await world.socket.drop();
    await world.clock.pass(500);
    expect(world.sockets).toHaveLength(1);
    tokens.calls[1]?.resolve("second");
    await settle();
    await welcome(world);
    expect(world.socket.said).toMatchObject([{ is: "hello", token: "second" }]);
    expect(world.dogear.state.name).toBe("open");
  });

  test("may come from a function that returns it at once", async () => {
    const world = new World({ token: () => "now" });
    await settle();
    await welcome(world);
    expect(world.socket.said).toMatchObject([{ is: "hello", token: "now" }]);
  });
});

describe("a function that fails to bring a token", () => {
  const why = new Error("The network is down.");
  const ways: readonly (readonly [string, () => string | Promise<string>])[] = [
    ["rejects", () => Promise.reject(why)],
    [
      "throws",
      () => {
        throw why;
      },
    ],
  ];

  for (const [how, fail] of ways)
    test(`and ${how} is a failed attempt, and told by an event`, async () => {
      const world = new World({ token: fail });
      await settle();
      expect(world.dogear.state).toMatchObject({ name: "waiting", code: "token-failed", retryInMs: 250 });
      expect(world.eventsOf("error")).toMatchObject([{ error: { code: "token-failed", retry: "later", cause: why } }]);
      expect(world.sockets).toHaveLength(0);
    });

  test("is called again after the usual backoff, until it brings one", async () => {
    const tokens = new Tokens();
    tokens.failing = why;
    const world = new World({ token: tokens.fetch });
    const ready = world.dogear.ready();
    const waits: unknown[] = [];
    for (let attempt = 1; attempt <= 4; attempt++) {
      await settle();
      expect(tokens.asked).toBe(attempt);
      waits.push(world.dogear.state.retryInMs);
      await world.clock.pass(world.dogear.state.retryInMs ?? 0);
    }
    expect(waits).toEqual([250, 500, 1_000, 2_000]);
    tokens.failing = undefined;
    await world.clock.pass(4_000);
    await welcome(world);
    expect(await outcome(ready)).toEqual({ resolved: undefined });
  });

  test("loses nothing that was published meanwhile", async () => {
    const tokens = new Tokens();
    tokens.failing = why;
    const world = new World({ token: tokens.fetch });
    const published = world.dogear.publish("a.b", 1);
    await settle();
    tokens.failing = undefined;
    await world.clock.pass(250);
    await welcome(world);
    await world.socket.published(1);
    expect(await outcome(published)).toMatchObject({ resolved: { offset: 101 } });
  });
});

describe("a token that comes too late", () => {
  test("for its attempt is ignored, and the next attempt asks for another", async () => {
    const tokens = new SlowTokens();
    const world = new World({ token: tokens.fetch });
    await world.clock.pass(10_000);
    expect(world.dogear.state).toMatchObject({ name: "waiting" });
    tokens.calls[0]?.resolve("late");
    await settle();
    expect(world.sockets).toHaveLength(0);
    await world.clock.pass(250);
    expect(tokens.calls).toHaveLength(2);
    tokens.calls[1]?.resolve("in time");
    await settle();
    await welcome(world);
    expect(world.socket.said).toMatchObject([{ is: "hello", token: "in time" }]);
    expect(world.sockets).toHaveLength(1);
  });

  test("is not sent while the next one is on its way", async () => {
    const tokens = new SlowTokens();
    const world = new World({ token: tokens.fetch });
    await world.clock.pass(10_250);
    tokens.calls[1]?.resolve("in time");
    await settle();
    tokens.calls[0]?.resolve("late");
    await settle();
    await welcome(world);
    expect(world.socket.said).toMatchObject([{ is: "hello", token: "in time" }]);
  });

  test("and fails is not told, nor does it disturb the attempt after it", async () => {
    const tokens = new SlowTokens();
    const world = new World({ token: tokens.fetch });
    await world.clock.pass(10_250);
    tokens.calls[0]?.reject(new Error("late"));
    await settle();
    expect(world.dogear.state.name).toBe("connecting");
    expect(world.eventsOf("error")).toEqual([]);
  });

  test("finds the client offline, or closed", async () => {
    for (const end of [(world: World) => world.page.offline(), (world: World) => world.dogear.close()]) {
      const tokens = new SlowTokens();
      const world = new World({ token: tokens.fetch });
      await settle();
      const ended = end(world);
      await world.clock.pass(0);
      await ended;
      tokens.calls[0]?.resolve("late");
      await settle();
      expect(world.sockets).toHaveLength(0);
      expect(world.dogear.state.name).not.toBe("connecting");
    }
  });
});

describe("refreshing", () => {
  test("replaces a token when 80 to 90 % of its life is over, by the hub's clock", async () => {
    for (const [random, share] of [
      [0, 0.9],
      [0.5, 0.85],
      [0.999, 0.8001],
    ] as const) {
      const lifeMs = 30_000;
      const world = await welcomed(new Tokens(), lifeMs);
      world.random = random;
      await refreshed(world, lifeMs);
      await world.clock.pass(share * lifeMs - 1);
      expect(await tokensOf(world)).toEqual([]);
      await world.clock.pass(1);
      expect(await tokensOf(world)).toEqual(["t2"]);
    }
  });

  test("goes on with each new token, and interrupts nothing", async () => {
    const tokens = new Tokens();
    const world = await welcomed(tokens, hour);
    await world.clock.pass(0);
    for (let n = 2; n <= 5; n++) {
      // Pings keep the connection, as the hub's would.
      for (let passed = 0; passed < 0.85 * hour; passed += 30_000) {
        await world.socket.say({ is: "ping" });
        await world.clock.pass(30_000);
      }
      expect(await tokensOf(world)).toEqual([`t${n}`]);
      await refreshed(world, hour);
    }
    expect(world.sockets).toHaveLength(1);
    expect(world.eventsOf("state")).toEqual([{ name: "open" }]);
  });

  test("ends with a token that never expires, and does not begin with one", async () => {
    const tokens = new Tokens();
    const world = await welcomed(tokens);
    expect(world.clock.timers).toBe(1);
    await refreshed(world);
    expect(world.clock.timers).toBe(1);

    const other = await welcomed(new Tokens(), 1_000);
    expect(other.clock.timers).toBe(2);
    await refreshed(other);
    expect(other.clock.timers).toBe(1);
  });

  test("of tokens that live for a moment is no tight loop", async () => {
    const tokens = new Tokens();
    const world = await welcomed(tokens, 10);
    for (let n = 0; n < 5; n++) {
      await world.clock.pass(999);
      expect(await tokensOf(world)).toEqual([]);
      await world.clock.pass(1);
      expect(await tokensOf(world)).toHaveLength(1);
      await refreshed(world, 10);
    }
  });

  test("of tokens that live for years is done within what a timer can hold", async () => {
    const tokens = new Tokens();
    const world = await welcomed(tokens, 10 * 365 * 24 * hour);
    const { setTimer } = world.dogear.runtime;
    const delays: number[] = [];
    Object.assign(world.dogear.runtime, {
      setTimer(delayMs: number, run: () => void) {
        delays.push(delayMs);
        return setTimer(delayMs, run);
      },
    });
    await refreshed(world, 10 * 365 * 24 * hour);
    expect(Math.max(...delays)).toBe(2 ** 31 - 1);
  });

  test("waits for a function that takes its time", async () => {
    const tokens = new SlowTokens();
    const world = await welcomed(tokens, 10_000);
    await world.clock.pass(9_000);
    expect(tokens.calls).toHaveLength(2);
    await world.clock.pass(500);
    expect(await tokensOf(world)).toEqual([]);
    tokens.calls[1]?.resolve("t2");
    expect(await tokensOf(world)).toEqual(["t2"]);
    expect(tokens.calls).toHaveLength(2);
  });

  test("that fails is told, and tried again while there is time", async () => {
    const tokens = new Tokens();
    const world = await welcomed(tokens, 20_000);
    tokens.failing = new Error("No.");
    await world.clock.pass(17_000);
    expect(world.eventsOf("error")).toMatchObject([{ error: { code: "token-failed", cause: tokens.failing } }]);
    await world.clock.pass(250);
    expect(world.eventsOf("error")).toHaveLength(2);
    expect(world.dogear.state.name).toBe("open");
    tokens.failing = undefined;
    await world.clock.pass(500);
    expect(await tokensOf(world)).toEqual(["t4"]);
    await refreshed(world, 20_000);
    await world.clock.pass(16_000);
    expect(await tokensOf(world)).toEqual([]);
  });

  test("is made up for when the page wakes", async () => {
    const tokens = new Tokens();
    const world = await welcomed(tokens, 30_000);
    world.clock.sleep(20_000);
    world.page.woke();
    expect(await tokensOf(world)).toEqual([]);
    world.clock.sleep(9_000);
    world.page.woke();
    expect(await tokensOf(world)).toEqual(["t2"]);
    world.page.woke();
    expect(await tokensOf(world)).toEqual([]);
    expect(tokens.asked).toBe(2);
  });

  test("that failed is tried again when the page wakes", async () => {
    const tokens = new Tokens();
    const world = await welcomed(tokens, 20_000);
    tokens.failing = new Error("No.");
    await world.clock.pass(17_000);
    tokens.failing = undefined;
    world.page.woke();
    expect(await tokensOf(world)).toEqual(["t3"]);
    await world.clock.pass(10_000);
    expect(tokens.asked).toBe(3);
  });

  test("stops with the session, whose token is nobody's any more", async () => {
    const tokens = new SlowTokens();
    const world = await welcomed(tokens, 10_000);
    await world.clock.pass(9_000);
    await world.socket.drop();
    await world.clock.pass(250);
    expect(tokens.calls).toHaveLength(3);
    tokens.calls[2]?.resolve("of the session");
    await settle();
    await welcome(world, 10_000);
    tokens.calls[1]?.resolve("late");
    expect(await world.socket.heard()).toMatchObject([{ is: "hello", token: "of the session" }]);
    expect(await tokensOf(world)).toEqual([]);
  });

  test("does not happen while the connection is lost", async () => {
    const tokens = new Tokens();
    const world = await welcomed(tokens, 10_000);
    await world.socket.drop();
    world.hidden = true;
    await world.clock.pass(hour);
    expect(tokens.asked).toBe(1);
  });

  test("ends with the client", async () => {
    const tokens = new Tokens();
    const world = await welcomed(tokens, 10_000);
    await world.dogear.close();
    expect(world.clock.timers).toBe(0);
    world.clock.sleep(hour);
    world.page.woke();
    await settle();
    expect(tokens.asked).toBe(1);
  });

  test("does not happen with a string", async () => {
    const world = new World({ token: "secret" }, "ws://hub", () => Promise.reject(new Error("Not needed.")));
    await welcome(world, 10_000);
    expect(world.clock.timers).toBe(1);
    await world.clock.pass(10_000);
    expect(await tokensOf(world)).toEqual([]);
    expect(world.eventsOf("error")).toEqual([]);
  });

  test("that cannot be loaded is told, and the session goes on", async () => {
    const gone = new Error("404");
    const world = new World({ token: () => "secret" }, "ws://hub", () => Promise.reject(gone));
    await settle();
    await welcome(world, 10_000);
    expect(world.eventsOf("error")).toEqual([{ error: gone }]);
    expect(world.dogear.state.name).toBe("open");
  });

  test("is loaded with the first token that expires, and by nobody else", async () => {
    for (const [token, lifeMs, loads] of [
      [undefined, undefined, 0],
      ["secret", 10_000, 0],
      [() => "secret", undefined, 0],
      [() => "secret", 10_000, 1],
    ] as const) {
      let loaded = 0;
      const load: LoadAnnex = async () => {
        loaded++;
        return import("../../client/src/annex.ts");
      };
      const world = new World(token === undefined ? {} : { token }, "ws://hub", load);
      await settle();
      await welcome(world, lifeMs);
      expect(loaded).toBe(loads);
    }
  });
});

describe("a token that has expired", () => {
  test("is replaced by a client that has a function", async () => {
    const tokens = new Tokens();
    const world = await welcomed(tokens, hour);
    await world.clock.pass(30_000);
    await world.socket.drop(4_005, "token-expired");
    expect(world.dogear.state).toMatchObject({ name: "waiting", code: "token-expired", retryInMs: 250 });
    await world.nextAttempt();
    await welcome(world, hour);
    expect(world.socket.said).toMatchObject([{ is: "hello", token: "t2" }]);
  });

  test("ends a client that has no other, and says so to all that wait", async () => {
    for (const options of [{ token: "secret" }, {}]) {
      const world = new World(options);
      const published = world.dogear.publish("a.b", 1);
      const ready = world.dogear.ready();
      world.socket.open();
      await world.socket.say({ is: "error", code: "token-expired", message: "Too old." });
      await world.socket.drop(4_005, "token-expired");
      expect(world.dogear.state).toMatchObject({ name: "closed", code: "token-expired" });
      for (const promise of [published, ready])
        expect(await outcome(promise)).toMatchObject({ rejected: { code: "token-expired", message: "Too old." } });
      expect(world.clock.timers).toBe(0);
    }
  });

  test("again and again is fetched again less and less often", async () => {
    const tokens = new Tokens();
    const world = new World({ token: tokens.fetch });
    const waits: unknown[] = [];
    for (let attempt = 0; attempt < 4; attempt++) {
      await settle();
      world.socket.open();
      await world.socket.drop(4_005, "token-expired");
      waits.push(world.dogear.state.retryInMs);
      await world.nextAttempt();
    }
    expect(waits).toEqual([250, 500, 1_000, 2_000]);
  });
});

describe("a hub that does not let the client in", () => {
  for (const [closeCode, code] of [
    [4_504, "unauthorized"],
    [4_505, "revoked"],
  ] as const)
    test(`and says ${code} ends it, also where there is a function`, async () => {
      const tokens = new Tokens();
      const world = new World({ token: tokens.fetch });
      const published = world.dogear.publish("a.b", 1);
      await settle();
      world.socket.open();
      await world.socket.drop(closeCode, code);
      expect(await codeOf(published)).toBe(code);
      expect(await codeOf(world.dogear.ready())).toBe(code);
      await world.clock.pass(hour);
      expect(tokens.asked).toBe(1);
    });

  for (const [closeCode, code] of [
    [4_006, "disconnected"],
    [4_007, "too-many-connections"],
  ] as const)
    test(`for now and says ${code} is asked again`, async () => {
      const world = await welcomed(new Tokens());
      await world.socket.drop(closeCode, code);
      expect(world.dogear.state).toMatchObject({ name: "waiting", code });
    });

  test("to a channel any more ends the subscription, and nothing else", async () => {
    const world = await welcomed(new Tokens());
    const subscription = world.dogear.subscribe("a.b");
    await world.socket.subscribed(1);
    await world.socket.say({ is: "unsubscribed", subscription: 1, code: "forbidden", message: "Not yours." });
    expect(await codeOf(subscription.ended)).toBe("forbidden");
    expect(world.dogear.state.name).toBe("open");
  });
});
