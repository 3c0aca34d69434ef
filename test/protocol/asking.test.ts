/** Asking: requests and answers, cursors and what becomes of those who hold them (P-64, P-65, P-49). */
import { describe, expect, test } from "vitest";
import { open } from "../support/bare-socket.ts";
import { temporaryFolder } from "../support/temp.ts";
import { Operator, refusal } from "./group-support.ts";
import {
  type Asked,
  type BareSocket,
  count,
  dataOf,
  greet,
  hello,
  type Place,
  publish,
  Reader,
  startHub,
} from "./support.ts";

type Hub = { readonly url: string };

/** A subscriber with a durable cursor in `a`, who has everything and acknowledges nothing yet. */
async function durable(hub: Hub, subscriber: string, asked: Asked = {}): Promise<Reader> {
  const reader = new Reader(await greet(hub, { subscriber }), { acknowledges: false });
  const place = await reader.subscribe({ pattern: "a", cursor: true, from: "earliest", ...asked });
  await reader.until(() => place.state === "live");
  return reader;
}

/** Acknowledges, and waits until the hub has taken that in. */
async function acknowledge(reader: Reader, offset: number): Promise<void> {
  reader.acknowledge(1, offset);
  await reader.settle();
}

const name = { subscriber: "s", pattern: "a" };

describe("P-64: a request", () => {
  test("is answered by its number, also one of many at a time", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    const requests = count(1, 200).map((request) => ({ is: "ask", request, action: { do: "list-groups" } }));
    socket.send(requests);
    const answers = await Promise.all([collect(socket, 200)]);
    expect(answers[0]).toEqual(count(1, 200));
  });

  test("that is wrong is refused by its number (P-11)", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    const wrong = [
      {},
      null,
      "list-groups",
      { do: "list" },
      { do: "list-groups", group: "g" },
      { do: "list-groups", limit: 0 },
      { do: "list-groups", limit: 1_001 },
      { do: "list-groups", after: 1 },
      { do: "list-groups", after: "x".repeat(2_049) },
      { do: "list-cursors", limit: 1.5 },
      { do: "show-cursor", subscriber: "s", pattern: "a" },
      { do: "show-cursor", user: "", subscriber: "s", pattern: "a" },
      { do: "show-cursor", user: "u", subscriber: "s", pattern: "a..b" },
      { do: "reset-cursor", user: "u", subscriber: "s", pattern: "a" },
      { do: "reset-cursor", user: "u", subscriber: "s", pattern: "a", to: "there" },
      { do: "show-group" },
      { do: "show-group", group: "a.b" },
      { do: "reset-group", group: "g" },
      { do: "reset-group", group: "g", to: { offset: 1 } },
      { do: "browse-group", group: "g", limit: 1_001 },
      { do: "browse-group", group: "g", after: -1 },
      { do: "redrive", group: "g", to: "earliest" },
      { do: "cancel" },
      { do: "cancel", id: "" },
    ];
    for (const [i, action] of wrong.entries()) {
      const error = await refusal(socket, { is: "ask", request: i + 1, action });
      expect({ action, ...error }).toMatchObject({ code: "invalid-envelope", request: i + 1 });
    }
    for (const request of [0, -1, "1", undefined]) {
      const error = await refusal(socket, { is: "ask", request, action: { do: "list-groups" } });
      expect(error).toMatchObject({ code: "invalid-envelope" });
      expect(error).not.toHaveProperty("request");
    }
  });

  test("comes after a hello", async () => {
    const hub = await startHub();
    const rude = await open(hub.url);
    rude.send({ is: "ask", request: 1, action: { do: "list-groups" } });
    expect((await rude.closed).code).toBe(4502);
    const quick = await open(hub.url);
    quick.send([hello(), { is: "ask", request: 1, action: { do: "list-groups" } }]);
    expect(await quick.next("answer")).toEqual({ is: "answer", request: 1, result: { groups: [] } });
  });

  test.each([
    ["cancel", { id: "nothing" }, "not-scheduled"],
    ["cancel", { id: "\ud800" }, "not-scheduled"],
    ["cancel", { id: "x".repeat(512) }, "not-scheduled"],
    ["cancel", { id: "../../x" }, "not-scheduled"],
    ["show-cursor", { user: "anonymous", ...name }, "unknown-cursor"],
    ["reset-cursor", { user: "anonymous", ...name, to: "latest" }, "unknown-cursor"],
    ["show-cursor", { user: "x/../anonymous", ...name }, "unknown-cursor"],
    ["show-cursor", { user: "ü".repeat(128), subscriber: "日".repeat(128), pattern: "a" }, "unknown-cursor"],
    ["show-group", { group: "x" }, "unknown-group"],
    ["pause-group", { group: "x" }, "unknown-group"],
    ["resume-group", { group: "x" }, "unknown-group"],
    ["reset-group", { group: "x", to: "latest" }, "unknown-group"],
    ["delete-group", { group: "x" }, "unknown-group"],
    ["browse-group", { group: "x" }, "unknown-group"],
    ["redrive", { group: "x" }, "unknown-group"],
    ["cancel-redrive", { group: "x" }, "unknown-group"],
    ["show-group", { group: "x", namespace: "no such" }, "unknown-group"],
    ["show-group", { group: "x", namespace: "" }, "unknown-group"],
  ])("about what is not there is refused, as %#: %s", async (action, about, code) => {
    const operator = await Operator.of(await startHub());
    expect(await operator.refusal({ do: action, ...about })).toMatchObject({ code });
  });

  test.each([{ user: "\ud800" }, { subscriber: "\udfff" }])(
    "about a name that cannot be is refused, and is no failure of the hub: %j",
    async (wrong) => {
      const operator = await Operator.of(await startHub());
      for (const action of [{ do: "show-cursor" }, { do: "reset-cursor", to: "latest" }]) {
        const { code } = await operator.refusal({ ...action, user: "anonymous", ...name, ...wrong });
        expect(["unknown-cursor", "invalid-envelope"]).toContain(code);
      }
    },
  );

  test.each([
    "a",
    "zzz",
    "cursor",
    "cursor/",
    "cursor/zzz",
    "\uffff",
    "group/",
    "ü",
    "x".repeat(2_048),
    "\ud800",
    "\u0000",
  ])("for what comes after any text is answered: %j", async (after) => {
    const hub = await startHub();
    await durable(hub, "s");
    const operator = await Operator.of(hub);
    expect((await operator.cursors({ after })).cursors).toHaveLength(after < "cursor/anonymous/s/a" ? 1 : 0);
    expect((await operator.groups({ after })).groups).toEqual([]);
  });
});

describe("P-64: a cursor", () => {
  test("is shown with where it stands, since when, and how much is left", async () => {
    const hub = await startHub();
    const published = await publish(await greet(hub), "a", ...count(1, 10));
    await publish(await greet(hub), "b", ...count(1, 10));
    const reader = await durable(hub, "s");
    const operator = await Operator.of(hub);
    const epoch = published[0]?.epoch;
    const began = await operator.cursor("show-cursor", name);
    expect(began).toMatchObject({
      user: "anonymous",
      ...name,
      namespace: "default",
      position: { epoch, offset: 0 },
      lag: { messages: 10 },
    });
    expect(began.lag.ageMs).toBeGreaterThanOrEqual(0);
    expect(Math.abs(Date.now() - began.time)).toBeLessThan(10_000);
    await acknowledge(reader, 7);
    expect(await operator.cursor("show-cursor", name)).toMatchObject({ position: { offset: 7 }, lag: { messages: 3 } });
    await acknowledge(reader, 10);
    const done = await operator.cursor("show-cursor", name);
    expect(done.lag).toEqual({ messages: 0, ageMs: null });
    expect(done.time).toBeGreaterThanOrEqual(began.time);
  });

  test("of a wildcard has only what matches before it, and only of its namespace", async () => {
    const hub = await startHub({ namespaces: { shop: {} } });
    const publisher = await greet(hub);
    for (const channel of ["a.x", "a.y", "b.x", "shop.x"]) await publish(publisher, channel, 1, 2, 3);
    await durable(hub, "s", { pattern: "*.x" });
    await durable(hub, "t", { pattern: "shop.>" });
    const operator = await Operator.of(hub);
    const { cursors } = await operator.cursors();
    expect(
      cursors.map(({ subscriber, pattern, namespace, lag }) => [subscriber, pattern, namespace, lag.messages]),
    ).toEqual([
      ["s", "*.x", "default", 6],
      ["t", "shop.>", "shop", 3],
    ]);
  });

  test("is in the list with all others, ordered, in pages", async () => {
    const hub = await startHub();
    const names = ["a b", "a/b", "%", "ü", "日本", ..."edcba"];
    for (const subscriber of names) {
      for (const pattern of ["a", "a.>"]) await durable(hub, subscriber, { pattern });
    }
    const operator = await Operator.of(hub);
    const whole = await operator.cursors();
    expect(whole).not.toHaveProperty("next");
    expect(whole.cursors).toHaveLength(2 * names.length);
    expect(new Set(whole.cursors.map(({ subscriber }) => subscriber))).toEqual(new Set(names));
    for (const limit of [1, 3, 20]) {
      const found = [];
      for (let after: string | undefined = ""; after !== undefined; ) {
        const page = await operator.cursors({ after, limit });
        expect(page.cursors.length).toBeLessThanOrEqual(limit);
        found.push(...page.cursors);
        after = page.next;
      }
      expect(found.map(({ subscriber, pattern }) => [subscriber, pattern])).toEqual(
        whole.cursors.map(({ subscriber, pattern }) => [subscriber, pattern]),
      );
    }
    for (const { subscriber, pattern } of whole.cursors) {
      expect(await operator.cursor("show-cursor", { subscriber, pattern })).toMatchObject({ subscriber, pattern });
    }
  });

  test("of the longest names there can be is shown like any other", async () => {
    const hub = await startHub();
    const subscriber = "日".repeat(128);
    const pattern = `${"x".repeat(127)}.${"y".repeat(127)}`;
    await durable(hub, subscriber, { pattern });
    const operator = await Operator.of(hub);
    expect(await operator.cursor("show-cursor", { subscriber, pattern })).toMatchObject({ subscriber, pattern });
    expect((await operator.cursors()).cursors).toMatchObject([{ subscriber, pattern }]);
  });
});

describe("P-65: resetting a cursor", () => {
  test("ends the subscription that holds it, and another starts there", async () => {
    const hub = await startHub();
    await publish(await greet(hub), "a", ...count(1, 10));
    const reader = await durable(hub, "s");
    const other = await reader.subscribe({ subscription: 2, pattern: "b" });
    await acknowledge(reader, 8);
    const operator = await Operator.of(hub);
    const report = await operator.cursor("reset-cursor", { ...name, to: "earliest" });
    expect(report).toMatchObject({ position: { offset: 0 }, lag: { messages: 10 } });
    await reader.until(() => reader.others.length > 0);
    expect(reader.others).toMatchObject([{ is: "unsubscribed", subscription: 1, code: "cursor-reset" }]);
    // What it still says of the old one is heard no more, and is no mistake.
    reader.socket.send({ is: "ack", subscription: 1, offset: 10 });
    expect(await operator.cursor("show-cursor", name)).toMatchObject({ position: { offset: 0 } });
    await publish(await greet(hub), "b", "still");
    await reader.until(() => other.messages.length === 1);
    const again = await durable(hub, "s", { from: "latest" });
    expect(dataOf(again.places.get(1) as Place)).toEqual(count(1, 10));
    // Nothing is heard of the old acknowledgement.
    expect(reader.others).toHaveLength(1);
  });

  test.each([
    ["latest", 10],
    ["earliest", 0],
    [{ time: 0 }, 0],
    [{ time: 9_999_999_999_999 }, 10],
    [{ epoch: "of another life", offset: 3 }, 0],
  ])("to %j leads to offset %j, whether somebody holds it or not", async (to, offset) => {
    const data = temporaryFolder();
    const hub = await startHub({ data });
    await publish(await greet(hub), "a", ...count(1, 10));
    const operator = await Operator.of(hub);
    const reader = await durable(hub, "s");
    await acknowledge(reader, 5);
    expect(await operator.cursor("reset-cursor", { ...name, to })).toMatchObject({ position: { offset } });
    await reader.until(() => reader.others.length > 0);
    const { epoch } = (await operator.cursor("show-cursor", name)).position;
    await operator.cursor("reset-cursor", { ...name, to: { epoch, offset: 4 } });
    expect(await operator.cursor("reset-cursor", { ...name, to })).toMatchObject({ position: { offset } });
    await hub.close();
    const next = await startHub({ data });
    const place = (await durable(next, "s")).places.get(1);
    expect(place?.subscribed.position).toBe(offset);
  });

  test("wins over what is acknowledged at the same time", async () => {
    const hub = await startHub();
    await publish(await greet(hub), "a", ...count(1, 100));
    const operator = await Operator.of(hub);
    for (const to of ["earliest", "latest", "earliest"]) {
      const reader = await durable(hub, "s", { reset: true });
      const reset = operator.cursor("reset-cursor", { ...name, to });
      for (const offset of count(1, 100)) reader.socket.send({ is: "ack", subscription: 1, offset });
      await reset;
      await reader.until(() => reader.others.length > 0);
      const offset = to === "earliest" ? 0 : 100;
      expect(await operator.cursor("show-cursor", name)).toMatchObject({ position: { offset } });
    }
  });

  test("at the same time as somebody takes it over leaves one holder and one place", async () => {
    const hub = await startHub();
    await publish(await greet(hub), "a", ...count(1, 10));
    const operator = await Operator.of(hub);
    for (const _ of count(1, 10)) {
      const socket = await greet(hub, { subscriber: "s" });
      const reset = operator.cursor("reset-cursor", { ...name, to: "earliest" }).catch(() => undefined);
      socket.send({ is: "subscribe", subscription: 1, pattern: "a", cursor: true, from: "earliest" });
      await reset;
      for (;;) {
        const envelope = await socket.next();
        if (envelope.is === "unsubscribed") expect(envelope.code).toBe("cursor-reset");
        if (envelope.is === "unsubscribed" || envelope.is === "caught-up") break;
      }
      socket.close();
    }
  });
});

/** The requests that were answered, in the order of their numbers. */
async function collect(socket: BareSocket, many: number): Promise<number[]> {
  const requests: number[] = [];
  while (requests.length < many) requests.push((await socket.next("answer")).request);
  return requests.sort((a, b) => a - b);
}
