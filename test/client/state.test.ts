import { describe, expect, test } from "vitest";
import {
  attemptMs,
  connectingFrom,
  type Event,
  graceMs,
  type State,
  type Surroundings,
  stableMs,
  step,
  wakeJitterMs,
} from "../../client/src/connection/state.ts";

const now = 100_000;
const heartbeatMs = 25_000;
const at: Surroundings = { now, hidden: false, backoff: { baseMs: 500, capMs: 20_000 }, fixedToken: false };

const states: { [N in State["name"]]: Extract<State, { name: N }> } = {
  connecting: { name: "connecting", failures: 2, until: now + 1 },
  open: { name: "open", failures: 2, until: now + 1, since: now - 10, patienceMs: heartbeatMs + graceMs },
  waiting: { name: "waiting", failures: 2, code: 1006, reason: "" },
  closed: { name: "closed", code: "closed", reason: undefined },
};

const events: { [E in Event["is"]]: Extract<Event, { is: E }> } = {
  opened: { is: "opened" },
  welcome: { is: "welcome", heartbeatMs },
  heard: { is: "heard" },
  draining: { is: "draining", reconnectAfterMs: 700 },
  dropped: { is: "dropped", closeCode: 1006, reason: "" },
  elapsed: { is: "elapsed" },
  woke: { is: "woke" },
  offline: { is: "offline" },
  restart: { is: "restart", code: "producer-forgotten" },
  close: { is: "close" },
};

/** The next state's name and what is done, in short: `arm 0+500` is a timer of 0 ms and up to 500 ms of jitter. */
type Expected = readonly [State["name"], ...string[]];

const table: Record<State["name"], Record<Event["is"], Expected>> = {
  connecting: {
    opened: ["connecting", "greet"],
    welcome: ["open", "arm 35000+0"],
    heard: ["connecting"],
    draining: ["connecting"],
    dropped: ["waiting", "hang-up", "arm 0+2000"],
    elapsed: ["connecting", "arm 1+0"],
    woke: ["connecting", "arm 1+0"],
    offline: ["waiting", "hang-up", "arm 20000+0"],
    restart: ["waiting", "hang-up", "arm 0+2000"],
    close: ["closed", "hang-up"],
  },
  open: {
    opened: ["open"],
    welcome: ["open", "arm 35000+0"],
    heard: ["open"],
    draining: ["open"],
    dropped: ["waiting", "hang-up", "arm 0+2000"],
    elapsed: ["open", "arm 1+0"],
    woke: ["open", "arm 1+0"],
    offline: ["waiting", "hang-up", "arm 20000+0"],
    restart: ["waiting", "hang-up", "arm 0+2000"],
    close: ["closed", "hang-up"],
  },
  waiting: {
    opened: ["waiting"],
    welcome: ["waiting"],
    heard: ["waiting"],
    draining: ["waiting"],
    dropped: ["waiting"],
    elapsed: ["connecting", "open", `arm ${attemptMs}+0`],
    woke: ["waiting", `arm 0+${wakeJitterMs}`],
    offline: ["waiting"],
    restart: ["waiting"],
    close: ["closed", "hang-up"],
  },
  closed: {
    opened: ["closed"],
    welcome: ["closed"],
    heard: ["closed"],
    draining: ["closed"],
    dropped: ["closed"],
    elapsed: ["closed"],
    woke: ["closed"],
    offline: ["closed"],
    restart: ["closed"],
    close: ["closed"],
  },
};

function run(state: State, event: Event, surroundings: Surroundings = at): Expected {
  const next = step(state, event, surroundings);
  const effects = next.effects.map((effect) =>
    effect.do === "arm" ? `arm ${effect.afterMs}+${effect.jitterMs}` : effect.do,
  );
  return [next.state.name, ...effects];
}

describe("the table of transitions", () => {
  for (const [name, row] of Object.entries(table) as [State["name"], Record<Event["is"], Expected>][])
    for (const [is, expected] of Object.entries(row) as [Event["is"], Expected][])
      test(`${name}, ${is}: ${expected.join(", ")}`, () => expect(run(states[name], events[is])).toEqual(expected));
});

describe("a connection", () => {
  test("is given up when no welcome came in time", () => {
    const { state } = connectingFrom(0, at);
    const late = { ...at, now: now + attemptMs };
    expect(run(state, events.elapsed, { ...late, now: late.now - 1 })).toEqual(["connecting", "arm 1+0"]);
    expect(run(state, events.elapsed, late)).toEqual(["waiting", "hang-up", "arm 0+500"]);
    expect(run(state, events.woke, late)).toEqual(["waiting", "hang-up", "arm 0+500"]);
  });

  test("is dead when nothing was heard for a heartbeat and a grace, and anything heard puts that off", () => {
    const { state } = step(states.connecting, events.welcome, at);
    const heard = step(state, events.heard, { ...at, now: now + 5_000 }).state;
    expect(run(state, events.elapsed, { ...at, now: now + 35_000 })[0]).toBe("waiting");
    expect(run(heard, events.elapsed, { ...at, now: now + 35_000 })).toEqual(["open", "arm 5000+0"]);
    expect(step(heard, events.elapsed, { ...at, now: now + 40_000 }).state).toMatchObject({
      name: "waiting",
      code: "heartbeat-timeout",
    });
  });

  test("starts its backoff anew only after it was stable", () => {
    const { state } = step(states.connecting, events.welcome, at);
    expect(run(state, events.dropped, { ...at, now: now + stableMs - 1 })).toContain("arm 0+2000");
    expect(run(state, events.dropped, { ...at, now: now + stableMs })).toContain("arm 0+500");
  });

  test("comes back when a draining hub said, not before", () => {
    const { state } = step(states.open, events.draining, at);
    expect(run(state, { is: "dropped", closeCode: 4001, reason: "draining" })).toContain("arm 700+0");
  });

  test("does not come back after a close code of 4500 to 4999, and does after every other", () => {
    for (const closeCode of [1000, 1006, 1009, 4000, 4499, 5000])
      expect(run(states.open, { is: "dropped", closeCode, reason: "" })[0]).toBe("waiting");
    for (const closeCode of [4500, 4999])
      expect(run(states.open, { is: "dropped", closeCode, reason: "" })[0]).toBe("closed");
  });

  test("comes back when its token has expired, unless it has no other", () => {
    const expired: Event = { is: "dropped", closeCode: 4005, reason: "token-expired" };
    for (const state of [states.connecting, states.open]) {
      expect(run(state, expired)).toEqual(["waiting", "hang-up", "arm 0+2000"]);
      expect(run(state, expired, { ...at, fixedToken: true })).toEqual(["closed", "hang-up"]);
      expect(run(state, events.dropped, { ...at, fixedToken: true })[0]).toBe("waiting");
    }
    expect(step(states.open, expired, { ...at, fixedToken: true }).state).toMatchObject({ code: "token-expired" });
  });

  test("waits as after any other failure where no token was to be had", () => {
    const failed: Event = { is: "restart", code: "token-failed" };
    expect(run(states.connecting, failed)).toEqual(["waiting", "hang-up", "arm 0+2000"]);
    expect(step(states.connecting, failed, at).state).toMatchObject({ failures: 3, code: "token-failed" });
  });

  test("names the error where the close reason does", () => {
    const named = step(states.open, { is: "dropped", closeCode: 4500, reason: "malformed" }, at);
    expect(named.state).toEqual({ name: "closed", code: "malformed", reason: undefined });
    const unnamed = step(states.open, { is: "dropped", closeCode: 4777, reason: "no idea" }, at);
    expect(unnamed.state).toEqual({ name: "closed", code: 4777, reason: "no idea" });
  });

  test("makes no attempts while the page is hidden", () => {
    expect(run(states.waiting, events.elapsed, { ...at, hidden: true })).toEqual(["waiting"]);
  });

  test("forgets its failures when the page wakes", () => {
    expect(step(states.waiting, events.woke, at).state).toMatchObject({ failures: 0 });
  });
});
