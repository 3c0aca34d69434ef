/** Names and patterns: what is one, whose it is, and what selects what. */
import { type Channel, isChannel, isPattern, matcher, type Pattern } from "@dogear/shared";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dataOf, greet, publish, publishAll, Reader, startHub } from "./support.ts";

const level = fc.constantFrom("a", "b", "ab", "A", "0", "_", "-", "$a", "$dead");
const channelName = fc.array(level, { minLength: 1, maxLength: 6 }).map((levels) => levels.join("."));
const patternName = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("*")), { maxLength: 6 }), fc.boolean())
  .map(([levels, open]) => (open || levels.length === 0 ? [...levels, ">"] : levels).join("."));
/** Anything that looks a little like a name. */
const nearName = fc.string({ unit: fc.constantFrom("a", "Z", "9", ".", "$", "*", ">", "_", "-", " ", "é", "\n") });

describe("a channel", () => {
  const good = ["a", "A-b_9", "$sys", "a.$dead.b", count16(), "x".repeat(255)];
  const bad = ["", ".", "a.", ".a", "a..b", "a b", "é", "a.*", "a.>", "$", "a.$", "$$a", "a$", "a\n", `${count16()}.a`];

  it("is 1 to 16 levels of at most 255 bytes (P-1)", () => {
    expect(good.filter((name) => !isChannel(name))).toEqual([]);
    expect([...bad, "x".repeat(256)].filter(isChannel)).toEqual([]);
  });

  it("that is none is refused in a publish, with its number (P-1)", async () => {
    const socket = await greet(await startHub());
    for (const [i, channel] of bad.entries()) {
      socket.send({ is: "publish", number: i + 1, channel, data: 1 });
      expect(await socket.next("error")).toMatchObject({ code: "invalid-channel", number: i + 1 });
    }
  });

  it("agrees with the grammar of the page, whatever is tried (P-1)", () => {
    fc.assert(
      fc.property(nearName, (name) => {
        const levels = name.split(".");
        const spelled = levels.every((one) => /^\$?[A-Za-z0-9_-]+$/.test(one) && !one.includes("\n"));
        expect(isChannel(name)).toBe(spelled && levels.length <= 16);
      }),
    );
  });
});

describe("a level that starts with $", () => {
  it("is the hub's: publishing there is refused (P-2)", async () => {
    const socket = await greet(await startHub());
    for (const [i, channel] of ["$sys", "a.$dead", "a.$dead.b"].entries()) {
      socket.send({ is: "publish", number: i + 1, channel, data: 1 });
      expect(await socket.next("error")).toMatchObject({ code: "reserved-channel", number: i + 1 });
    }
  });

  it("can be subscribed to by name, also with wildcards after it (P-2)", async () => {
    const reader = new Reader(await greet(await startHub()));
    await reader.subscribe({ subscription: 1, pattern: "orders.$dead.billing" });
    await reader.subscribe({ subscription: 2, pattern: "orders.$dead.>" });
  });

  it("is never matched by a wildcard (P-3)", () => {
    for (const pattern of [">", "*", "orders.>", "orders.*", "orders.*.billing", "*.*.*"] as Pattern[]) {
      expect(matcher(pattern)("orders.$dead.billing" as Channel)).toBe(false);
      expect(matcher(pattern)("$sys" as Channel)).toBe(false);
    }
    expect(matcher("orders.$dead.*" as Pattern)("orders.$dead.billing" as Channel)).toBe(true);
  });
});

describe("a pattern", () => {
  it("selects exactly what a naive reading of the rule selects (P-3)", () => {
    fc.assert(
      fc.property(patternName, channelName, (pattern, channel) => {
        expect(matcher(pattern as Pattern)(channel as Channel)).toBe(selects(pattern.split("."), channel.split(".")));
      }),
      { numRuns: 2_000 },
    );
  });

  it("has > only at its end, and * and > only as whole levels (P-3)", () => {
    expect(["*", ">", "a.*", "*.a", "a.>", "*.>", "a.*.>", "$a.*"].filter((name) => !isPattern(name))).toEqual([]);
    expect(["", "a*", "*a", "**", "a.>.b", ">.a", ">>", "a>", "$*", "$>", "a.*.", ".>"].filter(isPattern)).toEqual([]);
  });

  it("that is none is refused, with its subscription (P-3)", async () => {
    const socket = await greet(await startHub());
    socket.send({ is: "subscribe", subscription: 7, pattern: "a.>.b" });
    expect(await socket.next("error")).toMatchObject({ code: "invalid-pattern", subscription: 7 });
  });

  it("brings what it selects and nothing else (P-3)", async () => {
    const socket = await greet(await startHub());
    const channels = ["a", "a.b", "a.b.c", "b.a", "ab"];
    const drafts = channels.map((channel) => ({ channel, data: channel }));
    await publishAll(socket, drafts);
    const reader = new Reader(socket);
    const patterns = { "*": ["a", "ab"], "a.>": ["a.b", "a.b.c"], "a.*": ["a.b"], "*.a": ["b.a"], ">": channels };
    for (const [i, pattern] of Object.keys(patterns).entries()) {
      await reader.subscribe({ subscription: i + 1, pattern, from: "earliest" });
    }
    const seen = () => [...reader.places.values()].map(dataOf);
    await reader.until(() => [...reader.places.values()].every(({ state }) => state === "live"));
    expect(seen()).toEqual(Object.values(patterns));
    await publishAll(socket, drafts);
    await reader.until(() => seen().flat().length === 2 * Object.values(patterns).flat().length);
    expect(seen()).toEqual(Object.values(patterns).map((names) => [...names, ...names]));
  });
});

describe("a namespace", () => {
  const namespaces = { orders: {}, fleeting: { durability: "memory" } };

  it("holds the channels whose first level names it, and default holds the rest (P-4)", async () => {
    const socket = await greet(await startHub({ namespaces }));
    const [first] = await publish(socket, "elsewhere", 1);
    const [orders] = await publish(socket, "orders.new", 1);
    const [bare] = await publish(socket, "orders", 1);
    const [fleeting] = await publish(socket, "fleeting.a", 1);
    expect(orders?.epoch).not.toBe(first?.epoch);
    expect(bare).toMatchObject({ epoch: orders?.epoch, offset: 2 });
    expect(fleeting).toMatchObject({ offset: 1, durability: "memory" });
  });

  it("is default for a pattern whose first level is a wildcard (P-4)", async () => {
    const socket = await greet(await startHub({ namespaces }));
    const reader = new Reader(socket);
    await publish(socket, "orders.new", "in orders");
    await publish(socket, "others.new", "in default");
    for (const [i, pattern] of [">", "*.new", "orders.>"].entries()) {
      await reader.subscribe({ subscription: i + 1, pattern, from: "earliest" });
    }
    await reader.until(() => [...reader.places.values()].every(({ state }) => state === "live"));
    expect([...reader.places.values()].map(dataOf)).toEqual([["in default"], ["in default"], ["in orders"]]);
  });
});

/** The rule on patterns, word by word. */
function selects([wanted, ...pattern]: readonly string[], [level, ...channel]: readonly string[]): boolean {
  if (wanted === undefined || level === undefined) return wanted === level;
  const own = level.startsWith("$");
  if (wanted === ">") return !own && channel.every((one) => !one.startsWith("$"));
  if (wanted === "*" ? own : wanted !== level) return false;
  return selects(pattern, channel);
}

function count16(): string {
  return Array.from({ length: 16 }, () => "a").join(".");
}
