/** `dogear.v1.json`, the hub's half. */
import {
  type ClientEnvelope,
  type ErrorCode,
  hubHeaderPrefix,
  isJsonType,
  isReserved,
  jsonSubprotocol,
  type Limits,
  type Publish,
} from "@dogear/shared";
import { clientEnvelope, protocolVersion } from "@dogear/shared/envelopes";
import { z } from "zod";
import type { Batch } from "../engine/engine.ts";
import { type HubCodec, type Incoming, type LeasedText, Malformed, type Mistake, type Wait } from "./codec.ts";
import { textFrame } from "./frame.ts";
import { type Payload, payloadsIn } from "./payloads.ts";

type PayloadLimits = Pick<Limits, "messageBytesMax" | "payloadDepthMax" | "frameEnvelopesMax">;

/** An unknown field, or one that is wrong, found in 30 ns where nothing is. */
const schema = z.compile(clientEnvelope, { strict: true });

export function hubJsonCodec(limits: PayloadLimits): HubCodec {
  return {
    subprotocol: jsonSubprotocol,
    decode: (message, binary) => decode(message, binary, limits),
    encode,
    join: (encoded) =>
      textFrame([Buffer.from(encoded.length === 1 ? (encoded[0] as string) : `[${encoded.join(",")}]`)]),
    live: (pattern, batch) => messagesFrame(`"pattern":"${pattern}"`, batch),
    private: (subscription, batch) => messagesFrame(`"subscription":${subscription}`, batch),
    leased: leasedFrame,
  };
}

/** Answers to drafts are the most frequent of all, and every part of one is known to need no escaping. */
function encode(envelope: Parameters<HubCodec["encode"]>[0]): string {
  if (envelope.is !== "published") return JSON.stringify(envelope);
  const { number, epoch, offset, duplicate, durability } = envelope;
  return `{"is":"published","number":${number},"epoch":"${epoch}","offset":${offset},"duplicate":${duplicate},"durability":"${durability}"}`;
}

function messagesFrame(addressee: string, { after, through, messages }: Batch): Buffer {
  const head = `{"is":"messages",${addressee},"after":${after},"through":${through},"messages":[`;
  return textFrame([head, messages.bytes, "]}"]);
}

function leasedFrame(member: number, leased: readonly LeasedText[]): Buffer {
  const leases = leased.map(
    ({ fence, deliveries, failures }) => `{"fence":${fence},"deliveries":${deliveries},"failures":${failures}}`,
  );
  const head = `{"is":"leased","member":${member},"leases":[${leases.join(",")}],"messages":[`;
  const texts = leased.flatMap(({ text }, i) => (i === 0 ? [text] : [",", text]));
  return textFrame([head, ...texts, "]}"]);
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
      throw new Malformed(`It holds ${parsed.length} envelopes; ${frameEnvelopesMax} are the most.`);
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
  for (const [i, envelope] of envelopes.entries()) yield incoming(envelope, message, payloads[i], limits);
}

function incoming(parsed: unknown, message: Buffer, payload: Payload | undefined, limits: PayloadLimits): Incoming {
  if (!z.validate(schema, parsed)) {
    return { kind: "mistake", mistake: describe(parsed, schema.safeParse(parsed).error?.issues ?? []) };
  }
  const envelope = parsed as ClientEnvelope;
  return envelope.is === "publish" ? publish(envelope, message, payload, limits) : { kind: "envelope", envelope };
}

function publish(envelope: Publish, message: Buffer, payload: Payload | undefined, limits: PayloadLimits): Incoming {
  const { number, channel, id, ttlMs } = envelope;
  const attributes = attributesOf(envelope);
  const refuse = (code: ErrorCode, detail: string): Incoming => ({
    kind: "mistake",
    mistake: { code, detail, number },
  });
  if (payload === undefined)
    return refuse("invalid-envelope", "It has no `data`, or a key of it is written with escapes.");
  const bytes = payload.end - payload.start + Buffer.byteLength(attributes);
  if (bytes > limits.messageBytesMax)
    return refuse("message-too-large", `It has ${bytes} bytes of ${limits.messageBytesMax}.`);
  const mistake = mistakeIn(envelope);
  if (mistake !== undefined) return refuse("invalid-envelope", mistake);
  if (payload.depth > limits.payloadDepthMax) return refuse("payload-too-deep", `It nests ${payload.depth} deep.`);
  if (isReserved(channel)) return refuse("reserved-channel", `It was ${channel}.`);
  if (!isJsonType(envelope.type) && !isBase64(envelope.data)) {
    return refuse("invalid-payload", `Data of type ${envelope.type} is a string of base64.`);
  }
  const bytesOfData = message.subarray(payload.start, payload.end);
  const wait = waitOf(envelope);
  return { kind: "publish", publish: { number, channel, id, wait, ttlMs, attributes, payload: bytesOfData } };
}

/** What no schema says of a publish. */
function mistakeIn({ headers, delayMs, deliverAt }: Publish): string | undefined {
  for (const name in headers) {
    if (name.startsWith(hubHeaderPrefix)) return `Headers that start with ${hubHeaderPrefix} are the hub's own.`;
  }
  const both = delayMs !== undefined && deliverAt !== undefined;
  return both ? "It has both `delayMs` and `deliverAt`." : undefined;
}

function waitOf({ delayMs, deliverAt }: Publish): Wait | undefined {
  if (delayMs !== undefined) return { delayMs };
  return deliverAt === undefined ? undefined : { deliverAt };
}

/** The optional fields of a message as they will stand in its text. */
function attributesOf({ type, key, headers }: Publish): string {
  let text = "";
  if (type !== undefined) text += `,"type":${JSON.stringify(type)}`;
  if (key !== undefined) text += `,"key":${JSON.stringify(key)}`;
  if (headers !== undefined) text += `,"headers":${JSON.stringify(headers)}`;
  return text;
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function isBase64(data: unknown): boolean {
  return typeof data === "string" && base64.test(data);
}

/** Says what is wrong with an envelope, where, and which request it was. */
function describe(parsed: unknown, issues: readonly z.core.$ZodIssue[]): Mistake {
  const fields = typeof parsed === "object" && parsed !== null ? (parsed as Readonly<Record<string, unknown>>) : {};
  const issue = issues[0];
  const where = issue === undefined || issue.path.length === 0 ? "" : `\`${issue.path.join(".")}\`: `;
  return {
    code: codeOf(fields, issue),
    detail: shortened(`${where}${issue?.message ?? ""}.`),
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
  const field = issue?.path[0];
  if (field === "channel" && "channel" in fields) return "invalid-channel";
  if (field === "group" && "group" in fields) return "invalid-group";
  return field === "pattern" && "pattern" in fields ? "invalid-pattern" : "invalid-envelope";
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

/** Longest part of a mistake that is repeated to whoever made it. */
const detailLengthMax = 200;

function shortened(detail: string): string {
  return detail.length <= detailLengthMax ? detail : `${detail.slice(0, detailLengthMax)}…`;
}
