import { PassThrough } from "node:stream";
import { dogearError } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import { type Facts, jsonLogger, type Logger, type LogLevel, weightOf } from "../../server/src/runtime/logger.ts";

/** What reaches the stream of a logger that is used. */
function linesOf(use: (logger: Logger) => void, level?: LogLevel): string[] {
  const destination = new PassThrough();
  use(jsonLogger({ destination, now: () => 1_795_400_000_000, ...(level !== undefined && { level }) }));
  return (destination.read()?.toString() ?? "").split("\n").slice(0, -1);
}

function factsOf(facts: Facts): Record<string, unknown> {
  const [line, ...more] = linesOf((logger) => logger.info("happened", facts));
  expect(more).toEqual([]);
  const { time, level, event, ...logged } = JSON.parse(line as string) as Record<string, unknown>;
  expect({ time, level, event }).toEqual({ time: "2026-11-23T02:13:20.000Z", level: "info", event: "happened" });
  return logged;
}

describe("a line", () => {
  it("is one JSON object with time, level and event before the facts", () => {
    const lines = linesOf((logger) => {
      logger.info("one");
      logger.warn("two", { namespace: "default", offset: 7, gone: undefined, none: null });
      logger.error("three", { list: [1, "a", true] });
    });
    const start = (level: string) => `{"level":"${level}","time":"2026-11-23T02:13:20.000Z","event":`;
    expect(lines).toEqual([
      `${start("info")}"one"}`,
      `${start("warn")}"two","namespace":"default","offset":7,"none":null}`,
      `${start("error")}"three","list":[1,"a",true]}`,
    ]);
  });

  it("tells an error as text, with its causes", () => {
    const cause = new RangeError("no room");
    const { error } = factsOf({ error: dogearError("disk-full", undefined, { cause }) });
    expect(error).toMatch(/^DogearError: .*\n {4}at [\s\S]*\nCaused by: RangeError: no room\n {4}at /);
  });

  it("ends with an error that is its own cause", () => {
    const error = new Error("round and round");
    error.cause = error;
    expect(String(factsOf({ error }).error).match(/Caused by/g)).toHaveLength(4);
  });
});

describe("a level", () => {
  const all = (logger: Logger) => {
    logger.info("i");
    logger.warn("w");
    logger.error("e");
  };

  it.each([
    ["debug", ["i", "w", "e"]],
    ["info", ["i", "w", "e"]],
    ["warn", ["w", "e"]],
    ["error", ["e"]],
    ["silent", []],
  ] as const)("%s lets through %j", (level, events) => {
    expect(linesOf(all, level).map((line) => (JSON.parse(line) as { event: string }).event)).toEqual(events);
  });

  it("is info where none is named", () => {
    expect(linesOf(all)).toHaveLength(3);
  });
});

describe("what is nobody's business", () => {
  it.each([
    "token",
    "refreshToken",
    "Authorization",
    "cookie",
    "set-cookie",
    "secret",
    "secrets",
    "ticket",
    "key",
    "privateKey",
    "keySet",
    "jwk",
    "hash",
    "password",
    "data",
    "payload",
    "headers",
  ])("is redacted where a fact is named %s, at any depth", (name) => {
    const value = "s3cr3t";
    const facts = { [name]: value, a: { [name]: { deeper: value } }, b: [{ c: { [name]: [value] } }] };
    const hidden = "[redacted]";
    expect(factsOf(facts)).toEqual({
      [name]: hidden,
      a: { [name]: hidden },
      b: [{ c: { [name]: hidden } }],
    });
  });

  it("does not hide what only sounds like it", () => {
    const facts = { cursor: "c", database: "d", keptThrough: 3, tickets: undefined, dataset: "x" };
    expect(factsOf(facts)).toEqual({ cursor: "c", database: "d", keptThrough: 3, dataset: "x" });
  });

  it("is left out of URLs, wherever one stands", () => {
    const error = new Error("GET https://hub.example/events?token=s3cr3t failed");
    const logged = factsOf({
      url: "/events?ticket=s3cr3t&x=1",
      at: new URL("wss://hub.example/?s3cr3t"),
      error,
      list: ["see https://hub.example/a?b=s3cr3t, please"],
    });
    expect(JSON.stringify(logged)).not.toContain("s3cr3t");
    expect(logged).toMatchObject({ url: "/events?[redacted]", at: "wss://hub.example/?[redacted]" });
    expect(factsOf({ text: "Really? Yes." })).toEqual({ text: "Really? Yes." });
  });

  it("is left out where an error quotes it", () => {
    const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl";
    const { error } = factsOf({ error: new Error(`"${token}" is no token, nor is Bearer abc.def`) });
    expect(error).toMatch(/^Error: "\[redacted\]" is no token, nor is \[redacted\]\n/);
  });

  it("is left out where bytes are logged", () => {
    expect(factsOf({ chunk: Buffer.from("s3cr3t") })).toEqual({ chunk: "[6 bytes]" });
  });
});

describe("whoever chooses a name", () => {
  const forged = 'dashboard"}\r\n{"level":"error","event":"forged","x":"';

  it("cannot write a line, wherever the name stands", () => {
    expect(factsOf({ subscriber: forged, deep: { list: [forged] } })).toEqual({
      subscriber: forged,
      deep: { list: [forged] },
    });
    expect(factsOf({ [forged]: 1, deep: { [forged]: 2 } })).toEqual({ [forged]: 1, deep: { [forged]: 2 } });
    expect(factsOf({ error: new Error(forged) }).error).toContain(forged);
  });

  it("cannot write to the terminal either", () => {
    const controls = Array.from({ length: 0xa0 }, (_, code) => String.fromCharCode(code)).join("");
    const [line] = linesOf((logger) => logger.warn("x", { name: `${controls}\u2028\u202e\u2066` }));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: They are what must not be there.
    expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e\u2066]/);
    expect(line).toContain("\\u001b");
    expect(line).toContain("u009b");
  });

  it("cannot take the place of the event, nor reach a prototype", () => {
    const facts = JSON.parse('{"__proto__":{"polluted":true},"constructor":"c"}') as Facts;
    expect(Object.keys(factsOf(facts)).sort()).toEqual(["__proto__", "constructor"]);
    expect("polluted" in {}).toBe(false);
  });
});

describe("what is endless", () => {
  it("is cut: texts, lists, objects, depth", () => {
    const round: { self?: unknown } = {};
    round.self = round;
    const { text, list, wide, ...logged } = factsOf({
      text: "x".repeat(100_000),
      list: Array.from({ length: 1_000 }, () => 0),
      wide: Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`f${i}`, i])),
      round,
      map: new Map([["a", new Set([1, 2])]]),
      big: 12n,
    });
    expect(text).toBe(`${"x".repeat(4_096)} [95904 more]`);
    expect(list).toEqual([...Array.from({ length: 100 }, () => 0), "[900 more]"]);
    expect(Object.keys(wide as object)).toHaveLength(101);
    expect(logged).toMatchObject({ map: { a: [1, 2] }, big: 12 });
    expect(JSON.stringify(logged.round).length).toBeLessThan(100);
  });
});

describe("a failure that is met again", () => {
  it("is a warning where the log cannot be reached now, and an error otherwise", () => {
    expect(weightOf(dogearError("unavailable"))).toBe("warn");
    for (const error of [dogearError("disk-full"), dogearError("internal"), new Error("no"), undefined]) {
      expect(weightOf(error)).toBe("error");
    }
  });
});
