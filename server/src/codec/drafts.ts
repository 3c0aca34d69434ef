/**
 * Turns a draft, whose fields a schema has accepted, into what the log takes. The same for every way in: what a draft may
 * be does not depend on how it came.
 */
import { type ErrorCode, hubHeaderPrefix, isJsonType, isReserved, type Limits, type Publish } from "@dogear/shared";
import type { IncomingPublish, Mistake, Wait } from "./codec.ts";
import type { Payload } from "./payloads.ts";

export type DraftFields = Omit<Publish, "is" | "number">;

export type DraftLimits = Pick<Limits, "messageBytesMax" | "payloadDepthMax">;

/** Takes a draft whose payload lies in `text`. */
export function takeDraft(
  number: number,
  fields: DraftFields,
  text: Buffer,
  payload: Payload | undefined,
  limits: DraftLimits,
): IncomingPublish | Mistake {
  const { channel, id, ttlMs } = fields;
  const attributes = attributesOf(fields);
  const refuse = (code: ErrorCode, detail: string): Mistake => ({ code, detail, number });
  if (payload === undefined)
    return refuse("invalid-envelope", "It has no `data`, or a key of it is written with escapes.");
  const bytes = payload.end - payload.start + Buffer.byteLength(attributes);
  if (bytes > limits.messageBytesMax)
    return refuse("message-too-large", `It has ${bytes} bytes of ${limits.messageBytesMax}.`);
  const mistake = mistakeIn(fields);
  if (mistake !== undefined) return refuse("invalid-envelope", mistake);
  if (payload.depth > limits.payloadDepthMax) return refuse("payload-too-deep", `It nests ${payload.depth} deep.`);
  if (isReserved(channel)) return refuse("reserved-channel", `It was ${channel}.`);
  if (!isJsonType(fields.type) && !isBase64(fields.data)) {
    return refuse("invalid-payload", `Data of type ${fields.type} is a string of base64.`);
  }
  const bytesOfData = text.subarray(payload.start, payload.end);
  return { number, channel, id, wait: waitOf(fields), ttlMs, attributes, payload: bytesOfData };
}

/** What no schema says of a draft. */
function mistakeIn({ headers, delayMs, deliverAt }: DraftFields): string | undefined {
  for (const name in headers) {
    if (name.startsWith(hubHeaderPrefix)) return `Headers that start with ${hubHeaderPrefix} are the hub's own.`;
  }
  const both = delayMs !== undefined && deliverAt !== undefined;
  return both ? "It has both `delayMs` and `deliverAt`." : undefined;
}

function waitOf({ delayMs, deliverAt }: DraftFields): Wait | undefined {
  if (delayMs !== undefined) return { delayMs };
  return deliverAt === undefined ? undefined : { deliverAt };
}

/** The optional fields of a message as they will stand in its text. */
function attributesOf({ type, key, headers }: DraftFields): string {
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
