/** What is read of a message's text without parsing it. */
import type { Channel, Offset } from "@dogear/shared";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Accepted } from "../../server/src/engine/admission.ts";
import { Messages, MessagesBuilder } from "../../server/src/engine/messages.ts";
import {
  bodyOf,
  expiryOf,
  joinBodies,
  textOf,
  textsBytesMax,
  timeOfBody,
  unexpired,
  writeTexts,
} from "../../server/src/engine/text.ts";

interface Written {
  readonly offset?: number;
  readonly channel?: string;
  readonly attributes?: string;
  readonly data?: string;
}

function written(list: readonly Written[], time = 1_795_400_000_000): Messages {
  const accepted = list.map(
    ({ offset, channel = "a", attributes = "", data = "1" }, i): Accepted => ({
      offset: (offset ?? i + 1) as Offset,
      draft: { channel: channel as Channel, attributes, data: Buffer.from(data), origin: { by: "nobody" } },
      provenance: undefined,
    }),
  );
  return writeTexts(accepted, time);
}

const expires = (at: number, rest = "") => `,"expires":${at}${rest}`;
const expiries = (messages: Messages) => messages.offsets.map((_, i) => expiryOf(messages, i));
const offsetsOf = (messages: Messages) =>
  (JSON.parse(`[${messages.bytes.toString()}]`) as { offset: number }[]).map(({ offset }) => offset);

describe("expiryOf", () => {
  it("finds it whatever the length of offset, channel and time", () => {
    for (const time of [0, 7, 1_000, 1_795_400_000_000, 99_999_999_999_999]) {
      for (let digits = 1; digits <= 16; digits++) {
        const offset = digits === 16 ? Number.MAX_SAFE_INTEGER : 10 ** digits - 1;
        for (const channel of ["a", "a.expires", `${"level-of-64.".repeat(20)}x`, "orders.$dead.billing"]) {
          const list = [{ attributes: expires(time + 20) }, {}, { attributes: expires(3, ',"key":"a"') }];
          const messages = written(
            list.map((one, i) => ({ ...one, channel, offset: offset - 2 + i })),
            time,
          );
          expect(expiries(messages)).toEqual([time + 20, undefined, 3]);
        }
      }
    }
  });

  it("takes nothing that a publisher wrote for it", () => {
    const trap = '"expires":1';
    const messages = written([
      { data: `{${trap},"a":{"b":",${trap},"}}`.replaceAll('",', '\\",') },
      { data: `{${trap}}` },
      { attributes: ',"key":",\\"expires\\":1"' },
      { attributes: `,"headers":{${trap},"expires2":"1"}` },
      { attributes: ',"type":"expires"' },
      { attributes: `,"headers":{${trap}}`, channel: "a.expires" },
      { attributes: expires(1_795_400_000_020, `,"headers":{${trap}}`), data: `{${trap}}` },
    ]);
    expect(expiries(messages)).toEqual([...Array(6).fill(undefined), 1_795_400_000_020]);
  });

  it("is the same in a slice and in a run that begins elsewhere", () => {
    const messages = written([{}, { attributes: expires(5) }, {}, { attributes: expires(7) }]);
    expect(expiries(messages.slice(1, 4))).toEqual([5, undefined, 7]);
  });
});

describe("unexpired", () => {
  it("is the same run where nothing has expired", () => {
    const messages = written([{}, { attributes: expires(100) }, { attributes: expires(200) }]);
    expect(unexpired(messages, 99)).toBe(messages);
    expect(unexpired(Messages.none, 99)).toBe(Messages.none);
  });

  it("leaves out what has expired, from its very millisecond on", () => {
    const messages = written([
      { attributes: expires(100) },
      {},
      { attributes: expires(101) },
      { attributes: expires(100) },
      { channel: "b" },
      { attributes: expires(50) },
    ]);
    expect(offsetsOf(unexpired(messages, 100))).toEqual([2, 3, 5]);
    expect(unexpired(messages, 100).offsets).toEqual([2, 3, 5]);
    expect(unexpired(messages, 100).channels).toEqual(["a", "a", "b"]);
    expect(offsetsOf(unexpired(messages, 101))).toEqual([2, 5]);
    expect(offsetsOf(unexpired(messages.slice(2), 101))).toEqual([5]);
  });

  it("is empty where everything has expired", () => {
    expect(unexpired(written([{ attributes: expires(1) }, { attributes: expires(2) }]), 2).length).toBe(0);
  });
});

describe("textOf", () => {
  it("is the text of one message, which shares memory with the run", () => {
    const messages = written([{ data: '"one"' }, { data: '"two, {}"', channel: "b.c" }]);
    expect(textOf(messages, 0).toString()).toBe('{"offset":1,"channel":"a","time":1795400000000,"data":"one"}');
    expect(textOf(messages, 1).toString()).toBe('{"offset":2,"channel":"b.c","time":1795400000000,"data":"two, {}"}');
    expect(textOf(messages, 1).buffer).toBe(messages.bytes.buffer);
  });
});

describe("a run of texts", () => {
  const draft = fc.record({
    channel: fc.constantFrom("a", "a", "a", "b.c"),
    attributes: fc.constantFrom("", "", "", ',"key":"schlüssel"', expires(7)),
    data: fc.constantFrom("1", '"x"', '{"offset":1}'),
  });
  const first = fc.constantFrom(1, 7, 8, 95, 999_999_990, Number.MAX_SAFE_INTEGER - 40);

  it("reads as if each had been written by itself, wherever in a buffer it begins", () => {
    fc.assert(
      fc.property(fc.array(draft, { minLength: 1, maxLength: 30 }), first, fc.nat(50), (drafts, offset, start) => {
        const accepted = drafts.map(
          ({ channel, attributes, data }, i): Accepted => ({
            offset: (offset + i) as Offset,
            draft: { channel: channel as Channel, attributes, data: Buffer.from(data), origin: { by: "nobody" } },
            provenance: undefined,
          }),
        );
        const alone = accepted.map((one) => writeTexts([one], 5).bytes.toString());
        const into = Buffer.alloc(start + textsBytesMax(accepted), "#");
        const messages = writeTexts(accepted, 5, into, start);
        expect(messages.bytes.toString()).toBe(alone.join(","));
        expect(alone.map((_, i) => textOf(messages, i).toString())).toEqual(alone);
        expect(messages.channels).toEqual(drafts.map(({ channel }) => channel));
        expect(into.toString("latin1", 0, start)).toBe("#".repeat(start));
      }),
    );
  });
});

describe("a run put together", () => {
  const one = written([{ data: "10" }, { data: "200" }, { data: "3" }]);
  const other = written([{ offset: 7, channel: "b" }, { offset: 9 }]);

  it("of pieces is these pieces, and reads as one", () => {
    const builder = new MessagesBuilder();
    builder.add(one, 1);
    builder.add(other);
    builder.add(one, 0, 1);
    expect([builder.length, builder.bytes]).toEqual([5, builder.build().bytes.length]);
    const built = builder.build();
    expect(offsetsOf(built)).toEqual([2, 3, 7, 9, 1]);
    expect(built.offsets).toEqual([2, 3, 7, 9, 1]);
    expect(built.channels).toEqual(["a", "a", "b", "a", "a"]);
    expect(built.offsets.map((_, i) => JSON.parse(textOf(built, i).toString()))).toEqual(
      JSON.parse(`[${built.bytes}]`),
    );
  });

  it("of what lies side by side shares memory with it, and is the run itself where it is all of it", () => {
    const builder = new MessagesBuilder();
    for (let i = 0; i < one.length; i++) builder.add(one, i, i + 1);
    expect(builder.build()).toBe(one);
    const part = new MessagesBuilder();
    part.add(one, 1, 2);
    part.add(one, 2, 3);
    expect(part.build().bytes.buffer).toBe(one.bytes.buffer);
    expect(offsetsOf(part.build())).toEqual([2, 3]);
  });

  it("of nothing is nothing", () => {
    const builder = new MessagesBuilder();
    builder.add(one, 2, 2);
    expect(builder.build()).toBe(Messages.none);
  });
});

describe("a body", () => {
  const drafts = ["a", "orders.$dead.billing"].map((channel, i) => ({
    channel: channel as Channel,
    attributes: i === 0 ? "" : ',"expires":7,"key":"schlüssel"',
    data: Buffer.from(`{"text":"${"é".repeat(i)}"}`),
    origin: { by: "nobody" as const },
  }));

  it("is the text of a message without its offset and its channel", () => {
    const time = 1_795_400_000_000;
    const offsets = [9, 1_234_567_890_123] as Offset[];
    const accepted = drafts.map(
      (draft, i): Accepted => ({
        draft,
        offset: offsets[i] as Offset,
        provenance: undefined,
      }),
    );
    const stored = drafts.map((draft, i) => ({
      offset: offsets[i] as Offset,
      channel: draft.channel,
      body: bodyOf(draft, time),
    }));
    expect(joinBodies(stored)).toEqual(writeTexts(accepted, time));
    expect(stored.map(({ body }) => timeOfBody(body))).toEqual([time, time]);
    expect(joinBodies([])).toBe(Messages.none);
  });
});
