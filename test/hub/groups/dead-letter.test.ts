/** Dead letters, from the message they are about to the message that is given again; byte by byte where it matters. */
import type { Channel, WireMessage } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import type { Accepted } from "../../../server/src/engine/admission.ts";
import { textOf, writeTexts } from "../../../server/src/engine/text.ts";
import { causeOf, deadLetter, redrivenText } from "../../../server/src/hub/groups/dead-letter.ts";
import type { Item } from "../../../server/src/hub/groups/item.ts";
import type { Unnumbered } from "../../../server/src/hub/sequencer.ts";
import { at, newItem } from "./support.ts";

const time = 1_795_400_010_020;
const billing = { incarnation: "i1", group: "billing", channel: "orders.$dead.billing" as Channel };

/** A message as the log has it. */
function stored(offset: number, { channel, attributes, data }: Omit<Unnumbered, "id">): Buffer {
  const draft = { channel, attributes, data, origin: { by: "nobody" } } as const;
  return textOf(writeTexts([{ draft, offset: at(offset), provenance: undefined } as Accepted], time), 0);
}

function message(data: string, attributes = "", offset = 71): Buffer {
  return stored(offset, { channel: "orders.new" as Channel, attributes, data: Buffer.from(data) });
}

const dead = (facts: Partial<Item> = {}, offset = 71) =>
  newItem(offset, { stage: "dying", reason: "rejected", deliveries: 3, failures: 2, ...facts });

/** Buries a message: the dead letter as the log has it. */
const buried = (item: Item, text: Buffer, offset: number) => stored(offset, deadLetter(item, text, billing));

const parse = (text: Buffer) => JSON.parse(text.toString()) as WireMessage;

describe("a dead letter", () => {
  it("says what became of the message (P-61)", () => {
    const letter = deadLetter(dead({ error: "no such customer" }), message('{"id":1}'), billing);
    expect([letter.channel, letter.id]).toEqual(["orders.$dead.billing", "$dead/i1/71"]);
    expect(parse(stored(90, letter))).toEqual({
      offset: 90,
      channel: "orders.$dead.billing",
      time,
      headers: {
        "dogear-reason": "rejected",
        "dogear-error": "no such customer",
        "dogear-channel": "orders.new",
        "dogear-offset": "71",
        "dogear-group": "billing",
        "dogear-deliveries": "3",
        "dogear-failures": "2",
        "dogear-cause": "71",
      },
      data: { id: 1 },
    });
  });

  it.each(["1.0", "12345678901234567890", '{ "a" : 1e2,"a":-0 }', '"\\u00e9\\/"', '"é"', "null"])(
    "has the payload %s as it was written (P-61)",
    (payload) => {
      const text = message(payload, ',"key":"data","headers":{"data":"\\"data\\":0"}');
      const letter = deadLetter(dead(), text, billing);
      expect(Buffer.from(letter.data).toString()).toBe(payload);
      expect(redrivenText(stored(90, letter)).toString()).toMatch(new RegExp(`,"data":${escaped(payload)}}$`));
    },
  );

  it("has the type and the key of the message, and bytes stay base64 (P-61)", () => {
    const letter = buried(dead(), message('"3q2+7w=="', ',"type":"image/png","key":"o-81"'), 90);
    expect(parse(letter)).toMatchObject({ type: "image/png", key: "o-81", data: "3q2+7w==" });
  });

  it("has the headers of the message, and not when it expired (P-61, P-62)", () => {
    const expired = message("1", `,"expires":${time + 5},"headers":{"trace":"a\\"b","__proto__":"x"}`);
    const letter = buried(dead({ reason: "ttl", deliveries: 0, failures: 0 }), expired, 90);
    expect(letter.toString()).toContain('"headers":{"trace":"a\\"b","__proto__":"x","dogear-reason":"ttl"');
    expect(parse(letter)).not.toHaveProperty("expires");
  });

  it("says nothing of an error where there was none (P-61)", () => {
    expect(parse(buried(dead(), message("1"), 90)).headers).not.toHaveProperty("dogear-error");
  });

  it("names the message that it settles", () => {
    expect(causeOf(buried(dead(), message("1"), 90))).toBe(71);
    expect(causeOf(message("1"))).toBeUndefined();
    expect(causeOf(message("1", ',"headers":{"trace":"a"}'))).toBeUndefined();
  });
});

describe("a message that is redriven", () => {
  const letter = buried(dead({ error: "timeout" }), message("1.0", ',"type":"text/json","key":"k"'), 90);
  const redriven = redrivenText(letter);

  it("has its channel, payload, type and key again, and the dead letter's headers and offset (P-63)", () => {
    const { headers, ...rest } = parse(redriven);
    expect(rest).toEqual({ offset: 90, channel: "orders.new", time, type: "text/json", key: "k", data: 1 });
    expect(headers).toEqual(parse(letter).headers);
    expect(redriven.toString().endsWith('"data":1.0}')).toBe(true);
  });

  it.each([
    ["its member saw it", redriven],
    ["the log has it", letter],
  ])("becomes, as %s, a dead letter that still tells where it came from, and the rest anew (P-63)", (_, text) => {
    const item = dead({ reason: "max-failures", deliveries: 1, failures: 1, redriven: true }, 90);
    const again = parse(buried(item, text, 120));
    expect(again).toMatchObject({ offset: 120, channel: "orders.$dead.billing", type: "text/json", key: "k" });
    expect(again.headers).toEqual({
      "dogear-reason": "max-failures",
      "dogear-channel": "orders.new",
      "dogear-offset": "71",
      "dogear-group": "billing",
      "dogear-deliveries": "1",
      "dogear-failures": "1",
      "dogear-cause": "90",
    });
  });

  it("comes from the same channel each time (P-63)", () => {
    const item = dead({ redriven: true }, 90);
    expect(parse(redrivenText(buried(item, redriven, 120))).channel).toBe("orders.new");
  });
});

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
