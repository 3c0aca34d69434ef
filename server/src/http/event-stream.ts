/**
 * A subscription as a stream of server-sent events: what an `EventSource` in a browser reads.
 *
 * Nobody acknowledges over HTTP, so what has left for the network counts as acknowledged: a reader that does not keep up
 * falls behind to reading from the log, like every other subscription.
 */
import type { ServerResponse } from "node:http";
import {
  type ClosingErrorCode,
  defaultWindow,
  dogearError,
  type Gap,
  type Offset,
  type SessionReport,
} from "@dogear/shared";
import type { Principal } from "../access/principal.ts";
import { type EventCodec, heartbeat, namedEvent, retryAfter } from "../codec/events.ts";
import type { Batch } from "../engine/engine.ts";
import type { Feed, LiveBatch } from "../hub/feed.ts";
import type { Namespace } from "../hub/namespace.ts";
import type { Start } from "../hub/place.ts";
import type { Attendee } from "../hub/roster.ts";
import type { Steps } from "../hub/turns.ts";
import { weightOf } from "../runtime/logger.ts";
import { asDogearError } from "../session/drafts.ts";
import type { Beating } from "../session/heartbeats.ts";
import { type Identity, reportOn } from "../session/identity.ts";
import type { SessionParts } from "../session/session.ts";
import { Subscription, type SubscriptionSession } from "../session/subscription.ts";
import { errorBody } from "./answers.ts";
import type { Visitor } from "./entrance.ts";
import type { Stay, Staying } from "./staying.ts";

export interface EventStreamParts {
  readonly session: SessionParts;
  readonly visitor: Visitor;
  readonly response: ServerResponse;
  readonly codec: EventCodec;
  readonly namespace: Namespace;
  readonly feed: Feed;
  readonly start: Start;
  readonly staying: Staying;
  /** Gives back the place that it has among its user's connections. */
  readonly leave: () => void;
}

/** How often an idle stream says something: proxies take a connection for dead after less than a minute. */
const heartbeatMsMax = 15_000;

/** How long a reader waits before it comes back, if nothing else is said: from `min` up to twice as long. */
const retryMsMin = 1_000;

/** How long a reader that was told of the end may take to read it. */
const closeGraceMs = 2_000;

export class EventStream implements SubscriptionSession, Attendee, Beating, Stay {
  readonly id: string;
  readonly principal: Principal;
  readonly outbox: { readonly full: boolean };
  readonly #parts: EventStreamParts;
  readonly #identity: Identity;
  readonly #subscription: Subscription;
  #nextBeat: number;
  /** Bytes that had left when that was looked at last, and when they began to be as many. */
  #left = 0;
  #leftSince: number;
  #ended = false;

  constructor(parts: EventStreamParts) {
    const { session, visitor, response, namespace, feed, start } = parts;
    const { clock, chance, limits } = session;
    this.#parts = parts;
    this.id = chance.id();
    this.principal = visitor.principal;
    this.#identity = {
      ...visitor,
      since: clock.now(),
      subscriber: undefined,
      producer: undefined,
      connection: undefined,
    };
    this.outbox = {
      get full() {
        return response.writableLength >= limits.outboxBytesMax;
      },
    };
    const window = {
      messages: limits.windowMessagesMax,
      bytes: Math.min(defaultWindow.bytes, limits.windowBytesMax),
    };
    this.#subscription = new Subscription({
      number: 1,
      session: this,
      namespace,
      feed,
      cursor: undefined,
      window,
      start,
    });
    this.#leftSince = clock.monotonic();
    this.#nextBeat = this.#leftSince + this.#heartbeatMs;
  }

  /** Answers with the head of the stream, and begins. */
  begin(gap: Gap | undefined): void {
    const { session, response, codec, start, staying } = this.#parts;
    // Whoever asked may be gone already.
    if (response.destroyed) return this.#gone();
    answerStreamHead(response);
    response.on("drain", () => this.#subscription.drained());
    response.once("close", () => this.#gone());
    session.heartbeats.add(this);
    session.hub.roster.enter(this);
    // Whoever revoked it meanwhile did not know this stream yet.
    if (session.hub.access.isRevoked(this.principal)) return this.close("revoked");
    staying.add(this);
    this.#write(retryAfter(retryMsMin + Math.round(session.chance.random() * retryMsMin)));
    // From now on the reader has a place to come back to. A gap is told with one.
    if (gap === undefined) this.#write(codec.position(start.offset));
    this.#subscription.begin(gap);
  }

  report(): SessionReport {
    const { address } = this.#parts.visitor.peer;
    return { session: this.id, address, ...reportOn(this.#identity), subscriptions: 1, members: 0 };
  }

  sendLive(live: LiveBatch): void {
    this.#deliver(live.encoded(this.#parts.codec), live.through, live.unexpired.length);
  }

  sendPrivate(_subscription: number, batch: Batch): void {
    this.#deliver(this.#parts.codec.batch(batch), batch.through, batch.messages.length);
  }

  say(envelope: Parameters<SubscriptionSession["say"]>[0]): void {
    if (envelope.is !== "gap") return;
    const { from, to, reason, position } = envelope;
    this.#send(this.#parts.codec.gap({ from, to, reason }, position.offset), position.offset);
  }

  askTurn(steps: Steps): void {
    this.#parts.session.hub.turns.ask(steps, this.#parts.visitor.quota);
  }

  replayed(bytes: number): void {
    this.#parts.visitor.quota.replayed(bytes);
  }

  failed(_subscription: Subscription, error: unknown): void {
    this.#parts.session.logger[weightOf(error)]("subscription.failed", { session: this.id, error });
    const { code } = asDogearError(error);
    this.#end(namedEvent("closed", errorBody(dogearError(code))));
  }

  beat(now: number): void {
    const { session, response } = this.#parts;
    if (session.hub.access.hasExpired(this.principal)) return this.close("token-expired");
    if (this.#isStuck(now)) return void response.destroy();
    if (now < this.#nextBeat) return;
    this.#nextBeat = now + this.#heartbeatMs;
    if (this.outbox.full) return;
    this.#subscription.advance();
    this.#write(heartbeat);
  }

  /** Says why, and ends it. */
  close(code: ClosingErrorCode): void {
    if (!this.#ended) this.#parts.session.metrics.closed(code);
    this.#end(namedEvent("closed", errorBody(dogearError(code))));
  }

  leave(reconnectAfterMs: number): void {
    this.#end(retryAfter(reconnectAfterMs));
  }

  get #heartbeatMs(): number {
    return Math.min(heartbeatMsMax, this.#parts.session.limits.heartbeatMs);
  }

  /** Whether nothing has left for so long that nobody can be there any more. */
  #isStuck(now: number): boolean {
    const { session, response } = this.#parts;
    const left = (response.socket?.bytesWritten ?? 0) - response.writableLength;
    if (response.writableLength === 0 || left !== this.#left) {
      this.#left = left;
      this.#leftSince = now;
    }
    return now - this.#leftSince > session.limits.heartbeatMs + session.limits.heartbeatGraceMs;
  }

  #deliver(events: Buffer, through: Offset, messages: number): void {
    this.#send(events, through);
    this.#parts.session.metrics.delivered(messages, events.length);
  }

  /** Sends what reaches through an offset, which is acknowledged when it has left. */
  #send(events: Buffer, through: Offset): void {
    this.#write(events, (error) => {
      if (!error) this.#subscription.acknowledge(through);
    });
  }

  #write(events: Buffer, written?: (error: Error | null | undefined) => void): void {
    if (this.#ended) return;
    this.#parts.response.write(events, written);
    this.#parts.session.metrics.sent(events.length);
  }

  #end(last: Buffer): void {
    if (this.#ended) return;
    const { session, response } = this.#parts;
    this.#write(last);
    this.#gone();
    response.end();
    response.once(
      "close",
      session.clock.after(closeGraceMs, () => response.destroy()),
    );
  }

  /** Its reader is no more, or is not to be any more. */
  #gone(): void {
    if (this.#ended) return;
    this.#ended = true;
    const { session, staying, leave } = this.#parts;
    session.heartbeats.remove(this);
    session.hub.roster.leave(this);
    staying.delete(this);
    this.#subscription.end();
    leave();
  }
}

/** The head of a stream. It ends with its connection: to frame every piece once more would cost each reader two writes. */
export function answerStreamHead(response: ServerResponse): ServerResponse {
  response.useChunkedEncodingByDefault = false;
  return response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
    connection: "close",
  });
}
