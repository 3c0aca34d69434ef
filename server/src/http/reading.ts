/** `GET /messages` and `GET /events`: subscriptions over HTTP, a page at a time or as a stream. */
import type { IncomingMessage } from "node:http";
import {
  browseMax,
  dogearError,
  type Epoch,
  type ErrorCode,
  nameLengthMax,
  type Offset,
  type Pattern,
  type Position,
} from "@dogear/shared";
import { message, milliseconds, pattern } from "@dogear/shared/envelopes";
import { z } from "zod";
import { missing } from "../access/access.ts";
import type { Addresses } from "../access/addresses.ts";
import { EventCodec } from "../codec/events.ts";
import { epochOf } from "../engine/lineage.ts";
import { type From, startIn } from "../hub/place.ts";
import type { SessionParts } from "../session/session.ts";
import { answer } from "./answers.ts";
import type { Entrance, Visitor } from "./entrance.ts";
import { answerStreamHead, EventStream } from "./event-stream.ts";
import { poll, pollText } from "./poll.ts";
import { type Asked, inUrl, json, type Route, route } from "./route.ts";
import type { Staying } from "./staying.ts";

export interface ReadingParts {
  readonly session: SessionParts;
  readonly entrance: Entrance;
  readonly staying: Staying;
}

const place = z
  .string()
  .regex(
    new RegExp(`^[^:]{1,${nameLengthMax}}:\\d{1,15}$`),
    "it is no position, which is an epoch, a colon and an offset",
  )
  .transform((text): Position => {
    const [epoch, offset] = text.split(":") as [Epoch, string];
    return { epoch, offset: Number(offset) as Offset };
  });

/** Where to start. The first of them that is given counts. */
const where = {
  after: place.optional(),
  from: z.union([z.enum(["latest", "earliest"]), inUrl(milliseconds)]).optional(),
  ticket: z.string().optional(),
} as const;

interface Where {
  readonly after?: Position | undefined;
  readonly from?: "latest" | "earliest" | number | undefined;
}

const errors: readonly ErrorCode[] = ["forbidden", "invalid-pattern", "too-many-connections", "unavailable"];

/** Messages of one page, unless somebody says how many. */
const limitDefault = 100;

export function readingRoutes(parts: ReadingParts): readonly Route[] {
  const codecs = new Map<Epoch, EventCodec>();
  return [
    route({
      method: "get",
      path: "/messages",
      summary: "Read what matches after a position, or wait for it",
      identification: "reading",
      query: z.strictObject({
        pattern,
        ...where,
        limit: inUrl(z.number().int().positive().max(browseMax)).optional(),
        waitMs: inUrl(milliseconds).optional(),
      }),
      answers: { 200: { description: "A page, which may be empty", content: json(page) } },
      errors: [...errors, "rate-limited"],
      answer: (asked, visitor) => answerPage(asked, visitor, parts),
    }),
    route({
      method: "get",
      path: "/events",
      summary: "Stream what matches as server-sent events",
      identification: "reading",
      query: z.strictObject({ pattern, ...where }),
      headers: z.object({ "last-event-id": z.string().optional() }),
      answers: {
        200: {
          description: "Messages, `gap` and `closed` as events; the id of each is a position",
          content: { "text/event-stream": { schema: z.string() } },
        },
      },
      errors: [...errors, "too-many-subscriptions"],
      answer: (asked, visitor) => beginStream(asked, visitor, parts, codecs),
    }),
  ];
}

const page = z.strictObject({
  /** Go on from here. */
  position: z.string(),
  messages: z.array(message),
  /** What can no longer be given; the messages come after it. */
  gap: z
    .strictObject({
      from: z.number().int(),
      to: z.number().int().nullable(),
      reason: z.enum(["retention", "corruption", "epoch"]),
    })
    .optional(),
});

interface PageQuery extends Where {
  readonly pattern: Pattern;
  readonly limit?: number | undefined;
  readonly waitMs?: number | undefined;
}

async function answerPage(
  { query, request, response }: Asked<unknown, PageQuery>,
  visitor: Visitor,
  { session, entrance, staying }: ReadingParts,
): Promise<void> {
  const { hub, limits } = session;
  const { quota } = visitor;
  const { pattern, limit = limitDefault, waitMs = 0 } = query;
  mayRead(visitor, pattern);
  const restMs = quota.replayWaitMs();
  if (restMs > 0) {
    response.setHeader("retry-after", Math.ceil(restMs / 1_000));
    throw dogearError("rate-limited");
  }
  const leave = takePlace(visitor, hub.access.addresses);
  try {
    const polled = await poll({
      session,
      quota,
      pattern,
      from: fromOf(query, request),
      limit,
      waitMs: Math.min(waitMs, limits.pollMsMax),
      response,
      staying,
    });
    entrance.check(visitor);
    const text = pollText(polled);
    answer(response, 200, "application/json", text);
    session.metrics.delivered(polled.messages.length, text.length);
  } finally {
    leave();
  }
}

async function beginStream(
  { query, request, response }: Asked<unknown, Where & { readonly pattern: Pattern }>,
  visitor: Visitor,
  { session, entrance, staying }: ReadingParts,
  codecs: Map<Epoch, EventCodec>,
): Promise<void> {
  const { hub } = session;
  const { quota } = visitor;
  const { pattern } = query;
  mayRead(visitor, pattern);
  entrance.rememberIn(response, visitor);
  const from = fromOf(query, request);
  if (request.method === "HEAD") return void answerStreamHead(response).end();
  const leave = takePlace(visitor, hub.access.addresses, () => quota.subscribe());
  try {
    const namespace = hub.namespace(pattern);
    const start = await startIn(namespace.log, from);
    const feed = await namespace.feed(pattern);
    const epoch = epochOf(namespace.log.lineage);
    const codec = codecs.get(epoch) ?? new EventCodec(epoch);
    codecs.set(epoch, codec);
    const stream = new EventStream({ session, visitor, response, codec, namespace, feed, start, staying, leave });
    stream.begin(start.gap);
  } catch (error) {
    leave();
    throw error;
  }
}

function mayRead({ principal }: Visitor, pattern: Pattern): void {
  if (!principal.permissions.may("subscribe", pattern)) throw dogearError("forbidden", missing("subscribe", pattern));
}

/** Where a browser says that it was wins over where its URL says to begin. */
function fromOf({ after, from = "latest" }: Where, { headers }: IncomingMessage): From {
  const last = headers["last-event-id"];
  if (typeof last === "string" && last !== "") {
    const parsed = place.safeParse(last);
    if (!parsed.success) throw dogearError("invalid-request", "The Last-Event-ID is no position.");
    return parsed.data;
  }
  return after ?? (typeof from === "number" ? { time: from } : from);
}

/**
 * Counts a request that stays among its user's connections, and behind a proxy among its address's. Returns how to give the
 * place back, once.
 *
 * @throws DogearError `too-many-connections`, `too-many-subscriptions`
 */
function takePlace({ quota, peer }: Visitor, addresses: Addresses, subscribe?: () => boolean): () => void {
  // A connection of its own is counted already.
  const address = peer.direct ? "" : peer.address;
  if (!addresses.enter(address)) throw dogearError("too-many-connections");
  if (!quota.connect()) {
    addresses.leave(address);
    throw dogearError("too-many-connections");
  }
  const subscribed = subscribe?.();
  let left = false;
  const leave = () => {
    if (left) return;
    left = true;
    addresses.leave(address);
    quota.disconnect();
    if (subscribed) quota.unsubscribe();
  };
  if (subscribed === false) {
    leave();
    throw dogearError("too-many-subscriptions");
  }
  return leave;
}
