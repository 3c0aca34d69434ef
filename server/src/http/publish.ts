/** `POST /publish/{channel}` and `POST /publish`: drafts over HTTP, on the same way to the log as every other. */
import type { IncomingMessage } from "node:http";
import { DogearError, dogearError, type ErrorCode, isJsonType } from "@dogear/shared";
import { draft, durability } from "@dogear/shared/envelopes";
import { z } from "zod";
import { missing } from "../access/access.ts";
import type { IncomingPublish, Mistake } from "../codec/codec.ts";
import { type DraftFields, takeDraft } from "../codec/drafts.ts";
import { codeOfIssue, describeIssue } from "../codec/mistakes.ts";
import { type Payload, payloadsIn, wholePayload } from "../codec/payloads.ts";
import { scopedId } from "../hub/scope.ts";
import { type Answer, Drafts } from "../session/drafts.ts";
import type { SessionParts } from "../session/session.ts";
import { answerJson, errorBody, refuse } from "./answers.ts";
import { mediaTypeOf, parseJson, readBody } from "./bodies.ts";
import type { Visitor } from "./entrance.ts";
import { errorSchema } from "./openapi.ts";
import { type Asked, inUrl, json, type Route, route } from "./route.ts";
import { traceOf } from "./trace.ts";

const { channel, key, id, ttlMs, delayMs, deliverAt } = draft.shape;

const published = z.strictObject({
  epoch: z.string(),
  offset: z.number().int(),
  duplicate: z.boolean(),
  durability,
});
const scheduled = z.strictObject({ id: z.string(), due: z.number().int(), duplicate: z.boolean(), durability });

/** Errors that a draft may be refused with. */
const errors: readonly ErrorCode[] = [
  "forbidden",
  "rate-limited",
  "invalid-channel",
  "invalid-payload",
  "reserved-channel",
  "message-too-large",
  "payload-too-deep",
  "memory-namespace",
  "too-many-scheduled",
  "outcome-unknown",
  "disk-full",
  "unavailable",
];

/** Headers of a request that become headers of the message start like this. */
const headerPrefix = "dogear-header-";

export function publishRoutes(parts: SessionParts): readonly Route[] {
  return [
    route({
      method: "post",
      path: "/publish/{channel}",
      summary: "Publish one message, whose payload is the body",
      identification: "header",
      params: z.strictObject({ channel }),
      query: z.strictObject({
        key,
        ttlMs: inUrl(ttlMs.unwrap()).optional(),
        delayMs: inUrl(delayMs.unwrap()).optional(),
        deliverAt: inUrl(deliverAt.unwrap()).optional(),
      }),
      headers: z.object({
        "idempotency-key": id,
        traceparent: z.string().optional(),
        tracestate: z.string().optional(),
      }),
      body: {
        required: true,
        description: "JSON is kept as it is written; anything else is bytes of its content type",
        content: { ...json(z.unknown()), "*/*": { schema: z.string() } },
      },
      answers: {
        200: { description: "It is in the log, as durable as it says", content: json(published) },
        202: { description: "It is scheduled, as durably as it says", content: json(scheduled) },
      },
      errors,
      answer: (asked, visitor) => publishOne(asked, visitor, parts),
    }),
    route({
      method: "post",
      path: "/publish",
      summary: "Publish several messages at once",
      identification: "header",
      body: { required: true, description: "Drafts, in order", content: json(z.array(draft)) },
      answers: {
        200: {
          description: "What became of each, in order",
          content: json(z.array(z.union([published, scheduled, errorSchema]))),
        },
      },
      errors: ["message-too-large", "invalid-payload"],
      answer: ({ request, response }, visitor) => publishSeveral(request, visitor, parts, response),
    }),
  ];
}

type OneAsked = Asked<{ readonly channel: DraftFields["channel"] }, Partial<DraftFields>>;

async function publishOne(asked: OneAsked, visitor: Visitor, parts: SessionParts): Promise<void> {
  const { params, query, request, response } = asked;
  // Who may not publish need not be listened to.
  if (!visitor.principal.permissions.may("publish", params.channel)) {
    throw dogearError("forbidden", missing("publish", params.channel));
  }
  const body = await readBody(request, parts.limits.messageBytesMax);
  const { type, data, text, payload } = payloadOf(request, body);
  const id = request.headers["idempotency-key"] as string | undefined;
  const fields = { ...params, ...query, type, id, headers: headersOf(request), data };
  const [answer] = await publishAll([take(1, fields, text, payload, parts)], visitor, parts);
  if (answer === undefined) throw new Error("A draft was not answered.");
  if (isRefused(answer)) return refuse(response, refusalOf(answer));
  answerJson(response, answer.is === "scheduled" ? 202 : 200, said(answer));
}

async function publishSeveral(
  request: IncomingMessage,
  visitor: Visitor,
  parts: SessionParts,
  response: Asked<unknown, unknown>["response"],
): Promise<void> {
  const { limits } = parts;
  if (!isJsonType(mediaTypeOf(request).type))
    throw dogearError("invalid-request", "Several drafts are an array of JSON.");
  const text = await readBody(request, limits.frameBytesMax);
  const drafts = parseJson(text);
  if (!Array.isArray(drafts)) throw dogearError("invalid-request", "Several drafts are an array of JSON.");
  if (drafts.length > limits.frameEnvelopesMax) {
    throw dogearError("invalid-request", `It holds ${drafts.length} drafts; ${limits.frameEnvelopesMax} are the most.`);
  }
  const payloads = drafts.length === 0 ? [] : payloadsIn(text);
  const taken = drafts.map((fields: unknown, i) => take(i + 1, fields, text, payloads[i], parts));
  const answers = await publishAll(taken, visitor, parts);
  answerJson(
    response,
    200,
    answers.map((answer) => (isRefused(answer) ? { error: errorBody(refusalOf(answer)) } : said(answer))),
  );
}

/** The schema of drafts, which finds nothing wrong in 30 ns. */
const schema = z.compile(draft, { strict: true });

function take(
  number: number,
  fields: unknown,
  text: Buffer,
  payload: Payload | undefined,
  { limits }: SessionParts,
): IncomingPublish | Mistake {
  if (!z.validate(schema, fields)) {
    const [issue] = schema.safeParse(fields).error?.issues ?? [];
    const code = codeOfIssue(Object(fields), issue) ?? "invalid-request";
    return { code, detail: describeIssue(issue), number };
  }
  return takeDraft(number, fields as DraftFields, text, payload, limits);
}

type Said = Exclude<Answer, { is: "error" }>;
type Refused = Mistake | Extract<Answer, { is: "error" }>;

/** Publishes drafts, numbered from 1, and resolves with what became of each. */
async function publishAll(
  taken: readonly (IncomingPublish | Mistake)[],
  { principal, quota }: Visitor,
  parts: SessionParts,
): Promise<readonly (Said | Refused)[]> {
  const { user, permissions } = principal;
  const became: (Said | Refused)[] = [];
  const drafts = new Drafts(parts, (answers) => {
    for (const answer of answers) became[answer.number - 1] = answer;
  });
  const refuse = (i: number, mistake: Mistake) => {
    became[i] = mistake;
    parts.metrics.publishRefused(mistake.code);
  };
  for (const [i, draft] of taken.entries()) {
    if ("code" in draft) {
      refuse(i, draft);
      continue;
    }
    const { channel, id, payload, attributes } = draft;
    if (!permissions.may("publish", channel)) refuse(i, { code: "forbidden", detail: missing("publish", channel) });
    else if (!quota.publish(payload.length + attributes.length)) refuse(i, { code: "rate-limited" });
    else drafts.add(draft, scopedId(user, channel, id), undefined);
  }
  drafts.hand();
  await drafts.idle();
  return became;
}

function isRefused(answer: Said | Refused): answer is Refused {
  return "code" in answer;
}

/** What a draft was refused with, in the words of HTTP: here nobody sends envelopes. */
function refusalOf(refused: Refused): DogearError {
  if ("is" in refused) return new DogearError(refused.code, refused.message);
  const { code, detail } = refused;
  return dogearError(code === "invalid-envelope" ? "invalid-request" : code, detail);
}

function said({ is, number, ...rest }: Said): object {
  return rest;
}

interface Body {
  readonly type: string | undefined;
  readonly data: unknown;
  readonly text: Buffer;
  readonly payload: Payload;
}

/** The payload that a body is: JSON as it was written, or bytes as base64. */
function payloadOf(request: IncomingMessage, body: Buffer): Body {
  const { type, charset = "utf-8" } = mediaTypeOf(request);
  if (type !== "" && isJsonType(type)) {
    if (charset !== "utf-8") throw dogearError("invalid-payload", "JSON is UTF-8.");
    const data = parseJson(body);
    return { type: type === "application/json" ? undefined : type, data, text: body, payload: wholePayload(body) };
  }
  const named = request.headers["content-type"] ?? "application/octet-stream";
  // Only the end of a type says whether it is JSON, and this is none.
  if (isJsonType(named)) throw dogearError("invalid-request", "A content type ends in +json and is none.");
  const data = body.toString("base64");
  const text = Buffer.from(`"${data}"`);
  return { type: named, data, text, payload: { start: 0, end: text.length, depth: 0 } };
}

function headersOf(request: IncomingMessage): Readonly<Record<string, string>> | undefined {
  const headers: Record<string, string> = traceOf(request);
  for (const [name, value] of Object.entries(request.headers)) {
    if (name.startsWith(headerPrefix)) headers[name.slice(headerPrefix.length)] = String(value);
  }
  return Object.keys(headers).length === 0 ? undefined : headers;
}
