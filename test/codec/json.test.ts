/** Reading what clients say: nothing they can write makes it fail in another way than the protocol names. */
import { defaultLimits, type Publish } from "@dogear/shared";
import { clientEnvelope, hubEnvelope } from "@dogear/shared/envelopes";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Incoming, Malformed } from "../../server/src/codec/codec.ts";
import { hubJsonCodec } from "../../server/src/codec/json.ts";

const codec = hubJsonCodec(defaultLimits);

/** Values of the right kind, of the wrong kind, and at the edges. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, 1, -1, 1.5, 2 ** 53, 1e300, "", "a", "a..b", "a.*", ">", "latest", [], {}),
  fc.string(),
  fc.jsonValue({ maxDepth: 2 }),
);
const kinds = fc.constantFrom("hello", "subscribe", "unsubscribe", "ack", "publish", "pong");

/** Fields as they should be, of which each may be left out or be odd. */
const fields: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  protocol: fc.constantFrom(1, 2),
  subscriber: fc.constant("s"),
  producer: fc.constant({ id: "p", settled: 0 }),
  heartbeatMs: fc.constant(5_000),
  subscription: fc.constant(1),
  pattern: fc.constantFrom("a", "a.>"),
  cursor: fc.boolean(),
  reset: fc.boolean(),
  from: fc.constantFrom<unknown>("latest", "earliest", { epoch: "e", offset: 1 }, { time: 5 }),
  window: fc.constant({ messages: 1, bytes: 1 }),
  offset: fc.constant(3),
  number: fc.constant(4),
  channel: fc.constant("a.b"),
  type: fc.constantFrom("application/json", "text/plain"),
  key: fc.constant("k"),
  headers: fc.constantFrom({ h: "v" }, { h: "v", "dogear-due": "1" }),
  delayMs: fc.constantFrom(0, 5),
  deliverAt: fc.constant(1_795_400_000_000),
  ttlMs: fc.constant(1),
  id: fc.constant("i"),
  data: fc.constantFrom<unknown>({ x: 1 }, "AAEC"),
};
const fieldsOf: Readonly<Record<string, readonly string[]>> = {
  hello: ["protocol", "subscriber", "producer", "heartbeatMs"],
  subscribe: ["subscription", "pattern", "cursor", "reset", "from", "window"],
  unsubscribe: ["subscription"],
  ack: ["subscription", "offset"],
  publish: ["number", "channel", "type", "key", "headers", "id", "delayMs", "deliverAt", "ttlMs", "data"],
  pong: [],
};

/** An envelope that is right, or nearly. */
const nearEnvelope = kinds.chain((is) => {
  const own = Object.fromEntries(
    (fieldsOf[is] ?? []).map((name) => [
      name,
      fc.oneof({ weight: 12, arbitrary: fields[name] ?? odd }, { weight: 1, arbitrary: odd }),
    ]),
  );
  const extra = fc.option(fc.tuple(fc.constantFrom(...Object.keys(fields), "extra", "__proto__"), odd), {
    freq: 8,
    nil: undefined,
  });
  return fc.tuple(fc.record(own, { requiredKeys: [] }), extra).map(([record, added]) => {
    const members = Object.entries({ is, ...record }).map(([key, value]) => [key, JSON.stringify(value)] as const);
    if (added !== undefined) members.push([added[0], JSON.stringify(added[1])]);
    return `{${members.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(",")}}`;
  });
});

describe("reading a WebSocket message", () => {
  it("gives envelopes, mistakes or Malformed, and never another error (P-6, P-11)", () => {
    const text = fc.oneof(
      nearEnvelope,
      fc.array(nearEnvelope).map((all) => `[${all.join(",")}]`),
      fc.json(),
      fc.string(),
    );
    fc.assert(
      fc.property(text, (message) => {
        const parsed = parse(message);
        const read = decode(message);
        if (typeof parsed !== "object" || parsed === null) expect(read).toBeInstanceOf(Malformed);
        else expect([...(read as Iterable<Incoming>)]).toHaveLength(Array.isArray(parsed) ? parsed.length : 1);
      }),
      { numRuns: 500 },
    );
  });

  it("takes for an envelope exactly what the schema takes for one (P-11)", () => {
    fc.assert(
      fc.property(nearEnvelope, (message) => {
        const parsed: unknown = JSON.parse(message);
        const [read] = [...(decode(message) as Iterable<Incoming>)];
        const right = clientEnvelope.safeParse(parsed).success;
        if (read?.kind === "envelope") expect(parsed).toEqual(read.envelope);
        if (read?.kind !== "mistake") expect({ message, right }).toEqual({ message, right: true });
        else if (right) expect(whatNoSchemaSays(parsed as Publish)).toContain(read.mistake.code);
      }),
      { numRuns: 1_500 },
    );
  });

  it("says of a mistake what the protocol has words for, and which request it was (P-11)", () => {
    fc.assert(
      fc.property(nearEnvelope, (message) => {
        for (const read of decode(message) as Iterable<Incoming>) {
          if (read.kind !== "mistake") continue;
          const { code, number, subscription, detail = "" } = read.mistake;
          const said = {
            is: "error",
            code,
            message: detail,
            ...(number === undefined ? {} : { number }),
            ...(subscription === undefined ? {} : { subscription }),
          };
          expect(hubEnvelope.safeParse(said)).toMatchObject({ success: true });
          const { is } = JSON.parse(message) as { is: unknown };
          if (is !== "publish") expect(number).toBeUndefined();
        }
      }),
      { numRuns: 500 },
    );
  });

  it("is malformed where it holds more envelopes than a hub looks at (P-6)", () => {
    const many = (count: number) => codec.decode(Buffer.from(`[${"1,".repeat(count - 1)}1]`), false);
    expect([...many(defaultLimits.frameEnvelopesMax)]).toHaveLength(defaultLimits.frameEnvelopesMax);
    expect(() => many(defaultLimits.frameEnvelopesMax + 1)).toThrow(Malformed);
  });
});

describe("a publish", () => {
  const draft = { is: "publish", number: 1, channel: "a", data: 1 };
  const read = (fields: object) => [...(decode(JSON.stringify({ ...draft, ...fields })) as Iterable<Incoming>)][0];

  it("says how long it waits and how long it lives, and neither is an attribute of its message (P-46, P-47)", () => {
    const nothing = { wait: undefined, ttlMs: undefined, attributes: "" };
    expect(read({})).toMatchObject({ kind: "publish", publish: nothing });
    expect(read({ delayMs: 0 })).toMatchObject({ publish: { ...nothing, wait: { delayMs: 0 } } });
    expect(read({ deliverAt: 0, ttlMs: 3 })).toMatchObject({
      publish: { ...nothing, wait: { deliverAt: 0 }, ttlMs: 3 },
    });
  });

  it("has its headers last among its attributes, where the hub may add to them (P-18)", () => {
    expect(read({ headers: {}, key: "}", type: "application/json" })).toMatchObject({
      publish: { attributes: ',"type":"application/json","key":"}","headers":{}' },
    });
  });

  it.each([
    [{ delayMs: 1, deliverAt: 1 }, "deliverAt"],
    [{ headers: { "x-dogear-due": "1", "dogear-": "" } }, "dogear-"],
  ])("with %j is a mistake, and says which (P-18, P-47)", (fields, why) => {
    const mistake = { code: "invalid-envelope", number: 1, detail: expect.stringContaining(why) };
    expect(read(fields)).toEqual({ kind: "mistake", mistake });
  });

  it("may have headers that only look like the hub's (P-18)", () => {
    expect(read({ headers: { dogear: "1", "x-dogear-due": "1" } })).toMatchObject({ kind: "publish" });
  });
});

/** Codes of mistakes that an envelope of the right shape can still make. */
function whatNoSchemaSays({ headers = {}, delayMs, deliverAt }: Publish): readonly string[] {
  const codes = ["reserved-channel", "invalid-payload", "payload-too-deep"];
  const both = delayMs !== undefined && deliverAt !== undefined;
  return both || "dogear-due" in headers ? ["invalid-envelope", ...codes] : codes;
}

function parse(message: string): unknown {
  try {
    return JSON.parse(message);
  } catch {
    return undefined;
  }
}

function decode(message: string): Iterable<Incoming> | unknown {
  try {
    return codec.decode(Buffer.from(message), false);
  } catch (error) {
    if (error instanceof Malformed) return error;
    throw error;
  }
}
