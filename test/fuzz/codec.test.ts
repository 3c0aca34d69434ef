/** What clients say and what hubs say, read by the codecs of the other side. */
import { defaultLimits, isJsonType, jsonCodec, type Messages, type WireMessage } from "@dogear/shared";
import { clientEnvelope, hubEnvelope, message } from "@dogear/shared/envelopes";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Incoming, type IncomingPublish, Malformed } from "../../server/src/codec/codec.ts";
import { hubJsonCodec } from "../../server/src/codec/json.ts";
import { mutatedText } from "./mutation.ts";
import { corpus, fuzz, oddValue, typed } from "./support.ts";

const hub = hubJsonCodec(defaultLimits);
const said = corpus("client-envelopes.txt");

/** What a WebSocket message turns out to hold; nothing where it is malformed, which alone it may throw. */
function read(text: string): readonly Incoming[] {
  const found = typed(() => [...hub.decode(Buffer.from(text), false)], Malformed);
  return found instanceof Error ? [] : found;
}

/** The message that the log would hold of a draft. */
function stored({ channel, attributes, payload }: IncomingPublish): WireMessage {
  const text = `{"offset":1,"channel":"${channel}","time":1${attributes},"data":${Buffer.from(payload)}}`;
  return message.parse(JSON.parse(text)) as WireMessage;
}

/** Holds that what was read of a text is what the text says, and what will be stored is what was checked. */
function expectFaithful(text: string): void {
  const incoming = read(text);
  if (incoming.length === 0) return;
  const parsed = [JSON.parse(text)].flat() as { readonly data?: unknown; readonly headers?: object }[];
  expect(incoming).toHaveLength(parsed.length);
  for (const [i, one] of incoming.entries()) {
    if (one.kind === "envelope") expect(clientEnvelope.parse(one.envelope)).toEqual(parsed[i]);
    if (one.kind === "mistake") expect(one.mistake.code).toEqual(expect.any(String));
    if (one.kind !== "publish") continue;
    const { data, type, headers, key } = stored(one.publish);
    const { is, number, channel, id, ttlMs, delayMs, deliverAt, ...kept } = parsed[i] as Record<string, unknown>;
    expect({ data, ...(type && { type }), ...(headers && { headers }), ...(key && { key }) }).toEqual(kept);
  }
}

describe("what a client says", () => {
  it("is read as it is, or refused by name, however it was mangled (P-6, P-11)", async () => {
    await fuzz(mutatedText(said), expectFaithful, { share: 4 });
  });

  it("in several envelopes is read as each by itself", async () => {
    const several = fc.array(mutatedText(said, 2), { minLength: 1, maxLength: 5 });
    await fuzz(several, (texts) => {
      const good = texts.filter((text) => read(text).length === 1);
      if (good.length > 0) expect(read(`[${good.join(",")}]`)).toEqual(good.flatMap(read));
    });
  });

  it("in any bytes at all is no JSON, or read", async () => {
    await fuzz(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      typed(() => [...hub.decode(Buffer.from(bytes), false)], Malformed);
    });
  });

  it("is what its SDK encoded (P-18, P-20)", async () => {
    const draft = fc.record(
      {
        type: fc.constantFrom(undefined, "application/json", "text/plain", "application/x+json"),
        key: fc.string({ minLength: 1, maxLength: 20, unit: "binary" }),
        headers: fc.dictionary(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ maxLength: 20 }), {
          maxKeys: 5,
        }),
        data: fc.jsonValue({ maxDepth: 3 }),
        bytes: fc.uint8Array({ maxLength: 50 }),
      },
      { requiredKeys: ["data", "bytes"] },
    );
    await fuzz(draft, ({ data: json, bytes, ...rest }) => {
      const data = isJsonType(rest.type) ? json : bytes;
      const text = jsonCodec.publish(7, jsonCodec.draft({ channel: "a" as never, ...rest, data } as never));
      const [one] = read(text);
      if (one?.kind === "mistake") return expect(Object.keys(rest.headers ?? {}).join()).toContain("dogear-");
      expect(one?.kind).toBe("publish");
      const wire = stored((one as Extract<Incoming, { kind: "publish" }>).publish);
      const [decoded] = jsonCodec.decode(messagesText(wire)) as readonly Messages[];
      // JSON has one zero.
      expect(decoded?.messages[0]?.data).toEqual(data instanceof Uint8Array ? data : JSON.parse(JSON.stringify(data)));
    });
  });
});

function messagesText(wire: WireMessage): string {
  return JSON.stringify({ is: "messages", subscription: 1, after: 0, through: 1, messages: [wire] });
}

describe("what a hub says", () => {
  it("is what its codec encoded", async () => {
    const whole = corpus("hub-envelopes.txt").flatMap((text) => [JSON.parse(text)].flat());
    await fuzz(fc.shuffledSubarray(whole, { minLength: 1 }), (envelopes) => {
      const sayable = envelopes.filter(({ is }) => is !== "messages" && is !== "leased");
      for (const envelope of sayable) expect(hubEnvelope.parse(JSON.parse(hub.encode(envelope)))).toEqual(envelope);
    });
  });

  it("is taken by the client's codec, or refused by an error, however it was mangled", async () => {
    await fuzz(mutatedText(corpus("hub-envelopes.txt")), (text) => void typed(() => jsonCodec.decode(text), Error));
  });
});

describe("the fields of an envelope", () => {
  it("of any kind and any value are right, or a mistake that names its request (P-11)", async () => {
    const kinds = said.map((text) => [JSON.parse(text)].flat()[0] as object);
    const changed = fc
      .tuple(fc.constantFrom(...kinds), fc.string(), oddValue, fc.nat())
      .map(([kind, name, value, at]) => {
        const names = Object.keys(kind);
        return { ...kind, [at % 3 === 0 ? name : (names[at % names.length] as string)]: value };
      });
    await fuzz(changed, (envelope) => expectFaithful(JSON.stringify(envelope)), { share: 2 });
  });
});
