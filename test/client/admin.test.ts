import type { Action, GroupReport } from "@dogear/shared";
import { describe, expect, test } from "vitest";
import { type Admin, admin } from "../../client/src/admin.ts";
import { codeOf, outcome, policy, settle, World } from "./support.ts";

async function operator(): Promise<{ world: World; hub: Admin }> {
  const world = new World();
  await world.connect();
  await world.socket.heard();
  return { world, hub: admin(world.dogear) };
}

/** What has been asked since this was last called. */
async function asked(world: World): Promise<Action[]> {
  return (await world.socket.heardOf("ask")).map(({ action }) => action);
}

function answer(world: World, request: number, result: unknown): Promise<void> {
  return world.socket.say({ is: "answer", request, result });
}

function report(redrive?: GroupReport["redrive"]): unknown {
  const position = { epoch: "e1", offset: 9 };
  const counts = { members: 1, inFlight: 0, delayed: 0, dead: 3, lost: 0, lag: { messages: 0, ageMs: null } };
  const names = { namespace: "orders", group: "billing", pattern: "orders.>", deadChannel: "orders.$dead.billing" };
  return { ...names, ...counts, policy, paused: false, position, ...(redrive && { redrive }) };
}

describe("an operator", () => {
  const name = { user: "u", subscriber: "app", pattern: "a.>" };
  const where = { namespace: "orders" };

  const requests: readonly (readonly [string, (hub: Admin) => Promise<unknown>, object])[] = [
    ["lists channels", (hub) => hub.channels(), { do: "list-channels" }],
    [
      "pages channels of a namespace",
      (hub) => hub.channels({ namespace: "orders", after: "orders.a", limit: 5 }),
      { do: "list-channels", namespace: "orders", after: "orders.a", limit: 5 },
    ],
    ["lists sessions", (hub) => hub.sessions(), { do: "list-sessions" }],
    ["pages sessions", (hub) => hub.sessions({ after: "s", limit: 5 }), { do: "list-sessions", after: "s", limit: 5 }],
    ["revokes a token", (hub) => hub.revoke({ token: "t1" }), { do: "revoke", token: "t1" }],
    ["revokes a user's tokens", (hub) => hub.revoke({ user: "ada" }), { do: "revoke", user: "ada" }],
    [
      "revokes a user's older tokens",
      (hub) => hub.revoke({ user: "ada", before: new Date(5) }),
      { do: "revoke", user: "ada", before: 5 },
    ],
    ["lists cursors", (hub) => hub.cursors(), { do: "list-cursors" }],
    ["pages cursors", (hub) => hub.cursors({ after: "x", limit: 5 }), { do: "list-cursors", after: "x", limit: 5 }],
    ["shows a cursor", (hub) => hub.cursor(name), { do: "show-cursor", ...name }],
    [
      "moves a cursor to a time",
      (hub) => hub.resetCursor(name, { time: new Date(5) }),
      { do: "reset-cursor", ...name, to: { time: 5 } },
    ],
    ["moves a cursor", (hub) => hub.resetCursor(name, "latest"), { do: "reset-cursor", ...name, to: "latest" }],
    ["lists groups", (hub) => hub.groups({ limit: 5 }), { do: "list-groups", limit: 5 }],
    ["shows a group", (hub) => hub.group("g"), { do: "show-group", group: "g" }],
    ["shows one elsewhere", (hub) => hub.group("g", where), { do: "show-group", group: "g", ...where }],
    ["pauses", (hub) => hub.pause("g", where), { do: "pause-group", group: "g", ...where }],
    ["resumes", (hub) => hub.resume("g"), { do: "resume-group", group: "g" }],
    [
      "moves a group",
      (hub) => hub.reset("g", { time: 6 }, where),
      { do: "reset-group", group: "g", ...where, to: { time: 6 } },
    ],
    ["deletes", (hub) => hub.remove("g"), { do: "delete-group", group: "g" }],
    ["stops a redrive", (hub) => hub.cancelRedrive("g"), { do: "cancel-redrive", group: "g" }],
  ];

  for (const [title, ask, action] of requests)
    test(`${title}: ${JSON.stringify(action)}`, async () => {
      const { world, hub } = await operator();
      const promise = ask(hub);
      expect(await asked(world)).toEqual([action]);
      await answer(world, 1, { the: "result" });
      expect(await promise).toEqual({ the: "result" });
    });

  test("sees the namespaces", async () => {
    const { world, hub } = await operator();
    const promise = hub.namespaces();
    expect(await asked(world)).toEqual([{ do: "list-namespaces" }]);
    await answer(world, 1, { namespaces: [{ namespace: "default" }] });
    expect(await promise).toEqual([{ namespace: "default" }]);
  });

  test("ends a session", async () => {
    const { world, hub } = await operator();
    const promise = hub.disconnect("s7");
    expect(await asked(world)).toEqual([{ do: "disconnect", session: "s7" }]);
    await answer(world, 1, null);
    expect(await outcome(promise)).toEqual({ resolved: undefined });
  });

  test("is refused with the hub's error", async () => {
    const { world, hub } = await operator();
    const promise = hub.group("g");
    await settle();
    await world.socket.say({ is: "error", code: "unknown-group", message: "There is none.", request: 1 });
    expect(await outcome(promise)).toMatchObject({ rejected: { code: "unknown-group", message: "There is none." } });
  });

  test("waits over a reconnect: what had no answer is asked again", async () => {
    const { world, hub } = await operator();
    const promise = hub.pause("g");
    expect(await asked(world)).toHaveLength(1);
    await world.reconnect();
    expect(await asked(world)).toEqual([{ do: "pause-group", group: "g" }]);
    await answer(world, 1, report());
    expect(await promise).toMatchObject({ group: "billing" });
  });

  test("can stop waiting", async () => {
    const { hub } = await operator();
    const abort = new AbortController();
    const { signal } = abort;
    const promises: Promise<unknown>[] = [
      hub.cursors({ signal }),
      hub.group("g", { signal }),
      hub.browse("g", { signal }),
    ];
    promises.push(hub.redrive("g", { signal }));
    await settle();
    abort.abort(new Error("enough"));
    for (const promise of promises) expect(await outcome(promise)).toEqual({ rejected: new Error("enough") });
  });

  test("browses messages with their payloads as a subscriber gets them", async () => {
    const { world, hub } = await operator();
    const promise = hub.browse("g", { after: 5 as never, limit: 2, ...where });
    expect(await asked(world)).toEqual([{ do: "browse-group", group: "g", after: 5, limit: 2, ...where }]);
    const common = { channel: "a.b", time: 5, state: "waiting", deliveries: 0, failures: 0 };
    const messages = [
      { ...common, offset: 6, data: "text" },
      { ...common, offset: 7, type: "image/png", data: "AQI=" },
    ];
    await answer(world, 1, { messages, through: 7, head: 9 });
    expect(await promise).toMatchObject({
      messages: [{ data: "text" }, { data: new Uint8Array([1, 2]) }],
      through: 7,
      head: 9,
    });
  });
});

describe("all there are", () => {
  test("are asked for page by page, as they are taken", async () => {
    const { world, hub } = await operator();
    const loop = hub.allGroups()[Symbol.asyncIterator]();
    const first = loop.next();
    expect(await asked(world)).toEqual([{ do: "list-groups" }]);
    await answer(world, 1, { groups: [{ group: "a" }, { group: "b" }], next: "b" });
    expect((await first).value).toEqual({ group: "a" });
    expect((await loop.next()).value).toEqual({ group: "b" });
    expect(await asked(world)).toEqual([]);
    const third = loop.next();
    expect(await asked(world)).toEqual([{ do: "list-groups", after: "b" }]);
    await answer(world, 2, { groups: [{ group: "c" }] });
    expect((await third).value).toEqual({ group: "c" });
    expect(await loop.next()).toEqual({ done: true, value: undefined });
  });

  test("so are cursors, channels and sessions", async () => {
    const { world, hub } = await operator();
    const firsts = [hub.allCursors(), hub.allChannels({ namespace: "default" }), hub.allSessions()].map((all) =>
      all.next(),
    );
    expect(await asked(world)).toEqual([
      { do: "list-cursors" },
      { do: "list-channels", namespace: "default" },
      { do: "list-sessions" },
    ]);
    await answer(world, 1, { cursors: [{ user: "u" }] });
    await answer(world, 2, { channels: [{ channel: "a.b" }] });
    await answer(world, 3, { sessions: [{ session: "s1" }] });
    expect(await Promise.all(firsts)).toEqual(
      [{ user: "u" }, { channel: "a.b" }, { session: "s1" }].map((value) => ({ done: false, value })),
    );
  });
});

describe("a redrive", () => {
  test("resolves with the report when it is done, and tells how far it is (P-63)", async () => {
    const { world, hub } = await operator();
    const progress: unknown[] = [];
    const promise = hub.redrive("billing", { namespace: "orders", onProgress: (redrive) => progress.push(redrive) });
    expect(await asked(world)).toEqual([{ do: "redrive", group: "billing", namespace: "orders" }]);
    await answer(world, 1, report({ state: "running", moved: 0, total: 3 }));
    expect(await asked(world)).toEqual([]);
    await world.clock.pass(250);
    expect(await asked(world)).toEqual([{ do: "show-group", group: "billing", namespace: "orders" }]);
    await answer(world, 2, report({ state: "running", moved: 2, total: 3 }));
    await world.clock.pass(250);
    await answer(world, 3, report({ state: "done", moved: 3, total: 3 }));
    expect(await promise).toMatchObject({ group: "billing", redrive: { state: "done", moved: 3 } });
    expect(progress).toMatchObject([{ moved: 0 }, { moved: 2 }, { state: "done" }]);
    expect(world.clock.timers).toBe(1);
  });

  test("that has nothing to do, or was cancelled, resolves too", async () => {
    for (const state of ["done", "cancelled", undefined] as const) {
      const { world, hub } = await operator();
      const promise = hub.redrive("billing");
      await settle();
      await answer(world, 1, report(state && { state, moved: 0, total: 0 }));
      expect(await outcome(promise)).toMatchObject({ resolved: { group: "billing" } });
    }
  });

  test("is waited for over a reconnect", async () => {
    const { world, hub } = await operator();
    const promise = hub.redrive("billing");
    await settle();
    await answer(world, 1, report({ state: "running", moved: 0, total: 3 }));
    await world.reconnect();
    expect(await asked(world)).toEqual([{ do: "show-group", group: "billing" }]);
    await answer(world, 2, report({ state: "done", moved: 3, total: 3 }));
    expect(await outcome(promise)).toMatchObject({ resolved: { redrive: { state: "done" } } });
  });

  test("goes on when nobody waits for it any more", async () => {
    const { world, hub } = await operator();
    const abort = new AbortController();
    const promise = hub.redrive("billing", { signal: abort.signal });
    await settle();
    await answer(world, 1, report({ state: "running", moved: 0, total: 3 }));
    await world.socket.heard();
    abort.abort(new Error("enough"));
    expect(await outcome(promise)).toEqual({ rejected: new Error("enough") });
    expect(world.clock.timers).toBe(1);
    await world.clock.pass(1_000);
    expect(await asked(world)).toEqual([]);
  });

  test("fails with a client that is closed", async () => {
    const { world, hub } = await operator();
    const promise = hub.redrive("billing");
    await settle();
    await answer(world, 1, report({ state: "running", moved: 0, total: 3 }));
    await world.dogear.close();
    await world.clock.pass(250);
    expect(await codeOf(promise)).toBe("closed");
  });
});
