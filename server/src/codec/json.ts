/** `dogear.v1.json`, the hub's half. */
import { type ClientEnvelope, type ErrorCode, jsonSubprotocol, type Limits, type Publish } from "@dogear/shared";
import { clientEnvelope, protocolVersion } from "@dogear/shared/envelopes";
import { z } from "zod";
import type { Batch } from "../engine/engine.ts";
import { type Frame, type HubCodec, type Incoming, type LeasedText, Malformed, type Mistake } from "./codec.ts";
import { type DraftLimits, takeDraft } from "./drafts.ts";
import { type FramePart, textFrame, textFrameInPieces } from "./frame.ts";
import { codeOfIssue, describeIssue, shortened } from "./mistakes.ts";
import { type Payload, payloadsIn } from "./payloads.ts";

type PayloadLimits = DraftLimits & Pick<Limits, "frameEnvelopesMax">;

/** An unknown field, or one that is wrong, found in 30 ns where nothing is. */
const schema = z.compile(clientEnvelope, { strict: true });

export function hubJsonCodec(limits: PayloadLimits): HubCodec {
  return {
    subprotocol: jsonSubprotocol,
    decode: (message, binary) => decode(message, binary, limits),
    encode,
    join: (encoded) => [textFrame([inAscii(encoded.length === 1 ? (encoded[0] as string) : `[${encoded.join(",")}]`)])],
    live: (pattern, batch) => [textFrame(messagesParts(`"pattern":"${pattern}"`, batch))],
    private: (subscription, batch) => textFrameInPieces(messagesParts(`"subscription":${subscription}`, batch)),
    leased: leasedFrame,
  };
}

/** Answers to drafts are the most frequent of all, and every part of one is known to need no escaping. */
function encode(envelope: Parameters<HubCodec["encode"]>[0]): string {
  if (envelope.is !== "published") return JSON.stringify(envelope);
  const { number, count = 1, epoch, offset, duplicate, durability } = envelope;
  const many = count > 1 ? `,"count":${count}` : "";
  return `{"is":"published","number":${number}${many},"epoch":"${epoch}","offset":${offset},"duplicate":${duplicate},"durability":"${durability}"}`;
}

/** Text for a frame: as it is where it is ASCII, which most of it is and which costs no copy. */
function inAscii(text: string): FramePart {
  return Buffer.byteLength(text) === text.length ? text : Buffer.from(text);
}

function messagesParts(addressee: string, { after, through, messages }: Batch): readonly FramePart[] {
  const head = `{"is":"messages",${addressee},"after":${after},"through":${through},"messages":[`;
  return [head, ...messages.pieces, "]}"];
}

function leasedFrame(member: number, leased: readonly LeasedText[]): Frame {
  const leases = leased.map(
    ({ fence, deliveries, failures }) => `{"fence":${fence},"deliveries":${deliveries},"failures":${failures}}`,
  );
  const head = `{"is":"leased","member":${member},"leases":[${leases.join(",")}],"messages":[`;
  const texts = leased.flatMap(({ text }, i) => (i === 0 ? [text] : [",", text]));
  return textFrameInPieces([head, ...texts, "]}"]);
}

function decode(message: Buffer, binary: boolean, limits: PayloadLimits): Iterable<Incoming> {
  if (binary) throw new Malformed("A binary WebSocket message came.");
  let parsed: unknown;
  try {
    parsed = JSON.parse(message.toString());
  } catch (error) {
    throw new Malformed(shortened((error as Error).message));
  }
  if (Array.isArray(parsed)) {
    const { frameEnvelopesMax } = limits;
    if (parsed.length > frameEnvelopesMax) {
      throw new Malformed(
        `It holds ${parsed.length} envelopes; ${frameEnvelopesMax} are the most.`,
        "frameEnvelopesMax",
      );
    }
    return each(parsed, message, limits);
  }
  if (typeof parsed !== "object" || parsed === null) throw new Malformed("It is neither an object nor an array.");
  const payload = "data" in parsed ? payloadsIn(message)[0] : undefined;
  return [incoming(parsed, message, payload, limits)];
}

/** One by one: a session that is closed over the first does not pay for the rest. */
function* each(envelopes: readonly unknown[], message: Buffer, limits: PayloadLimits): Generator<Incoming> {
  const payloads = payloadsIn(message);
  for (let i = 0; i < envelopes.length; i++) yield incoming(envelopes[i], message, payloads[i], limits);
}

function incoming(parsed: unknown, message: Buffer, payload: Payload | undefined, limits: PayloadLimits): Incoming {
  if (!z.validate(schema, parsed)) {
    return { kind: "mistake", mistake: describe(parsed, schema.safeParse(parsed).error?.issues ?? []) };
  }
  const envelope = parsed as ClientEnvelope;
  return envelope.is === "publish" ? publish(envelope, message, payload, limits) : { kind: "envelope", envelope };
}

function publish(envelope: Publish, message: Buffer, payload: Payload | undefined, limits: PayloadLimits): Incoming {
  const taken = takeDraft(envelope.number, envelope, message, payload, limits);
  return "code" in taken ? { kind: "mistake", mistake: taken } : { kind: "publish", publish: taken };
}

/** Says what is wrong with an envelope, where, and which request it was. */
function describe(parsed: unknown, issues: readonly z.core.$ZodIssue[]): Mistake {
  const fields = typeof parsed === "object" && parsed !== null ? (parsed as Readonly<Record<string, unknown>>) : {};
  const issue = issues[0];
  return {
    code: codeOf(fields, issue),
    detail: describeIssue(issue),
    ...(fields.is === "publish" && isNumber(fields.number) ? { number: fields.number } : {}),
    ...(fields.is !== "publish" && isNumber(fields.subscription) ? { subscription: fields.subscription } : {}),
    ...(fields.is !== "publish" && isNumber(fields.member) ? { member: fields.member } : {}),
    ...(fields.is === "ask" && isNumber(fields.request) ? { request: fields.request } : {}),
  };
}

function codeOf(fields: Readonly<Record<string, unknown>>, issue: z.core.$ZodIssue | undefined): ErrorCode {
  // Whatever else a hello of another version says, this hub cannot know.
  if (fields.is === "hello" && isNumber(fields.protocol) && fields.protocol !== protocolVersion) {
    return "unsupported-protocol";
  }
  return codeOfIssue(fields, issue) ?? "invalid-envelope";
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
