/**
 * One connection: who it is, what it subscribes to, what it is sent. It wires its parts together; each rule of the
 * protocol lives in one of them or in `handlers.ts`.
 */
import {
  type Channel,
  type ClientEnvelope,
  type ClosingErrorCode,
  closeCodes,
  type DogearError,
  dogearError,
  type ErrorCode,
  type Limits,
  type Pattern,
  type SessionReport,
  sentences,
} from "@dogear/shared";
import type { Right } from "../access/capabilities.ts";
import type { Principal } from "../access/principal.ts";
import { type HubCodec, type Incoming, type LeasedText, Malformed, type Mistake, type Said } from "../codec/codec.ts";
import type { Batch } from "../engine/engine.ts";
import type { LiveBatch } from "../hub/feed.ts";
import type { Hub } from "../hub/hub.ts";
import type { Attendee } from "../hub/roster.ts";
import type { Steps } from "../hub/turns.ts";
import type { Chance, Clock } from "../runtime/clock.ts";
import { type Logger, weightOf } from "../runtime/logger.ts";
import type { Metrics } from "../runtime/metrics.ts";
import { inFew } from "./answers.ts";
import { asDogearError, Drafts } from "./drafts.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Heartbeats } from "./heartbeats.ts";
import { giveBack, type Identity, reportOn } from "./identity.ts";
import type { Member, MemberSession } from "./member.ts";
import { Numbered, type Opening } from "./numbered.ts";
import { Outbox } from "./outbox.ts";
import { type PublishingSession, publish, refuse } from "./publishing.ts";
import type { Socket } from "./socket.ts";
import type { Subscription, SubscriptionSession } from "./subscription.ts";

/** What all sessions of a hub share. */
export interface SessionParts {
  readonly hub: Hub;
  readonly limits: Limits;
  readonly heartbeats: Heartbeats;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** How the hub names itself in `welcome`. */
  readonly name: string;
  readonly handle: Handle;
}

/** Does what an envelope asks for. Rejects only where the hub itself failed. */
export type Handle = (session: Session, envelope: Request) => Promise<void>;

/** What a client asks for, publishing aside. */
export type Request = Exclude<ClientEnvelope, { is: "publish" }>;

/** As many requests as these may be under way before no more are read. */
const waitingMax = 100;

export class Session implements SubscriptionSession, MemberSession, PublishingSession, Attendee {
  readonly id: string;
  /** The client's, as far as it is known. */
  readonly address: string;
  readonly parts: SessionParts;
  readonly outbox: Outbox;
  readonly drafts: Drafts;
  readonly subscriptions: Numbered<Subscription> = new Numbered();
  /** Its memberships in groups. */
  readonly members: Numbered<Member> = new Numbered();
  readonly heartbeat: Heartbeat;
  /** The refresh that was asked for last: they are done in order, one at a time. */
  refreshing: Promise<void> = Promise.resolve();
  identity: Identity | undefined;
  readonly #socket: Socket;
  readonly #codec: HubCodec;
  /** What arrived while hello is being answered, not looked at yet. */
  #beforeWelcome: Iterator<Incoming>[] | undefined;
  /** The number of the last live batch sent. Not the batch, which an idle session would keep alive. */
  #lastLive = 0;
  #mistakes = 0;
  #receivedBytes = 0;
  #paused = false;
  #draining = false;
  /** Requests under way that wait for others than this hub, or for its disk. */
  #waiting = 0;
  #closed = false;

  constructor(socket: Socket, codec: HubCodec, parts: SessionParts, address: string) {
    const { limits, clock, chance, heartbeats, metrics } = parts;
    this.id = chance.id();
    this.address = address;
    this.parts = parts;
    this.#socket = socket;
    this.#codec = codec;
    this.outbox = new Outbox(socket, codec, limits.outboxBytesMax, metrics);
    this.drafts = new Drafts(parts, (answers) => {
      for (const answer of inFew(answers)) this.say(answer);
      // Before the next commit is prepared: whoever publishes all it can waits for these.
      queueMicrotask(() => this.outbox.flush());
      this.pace();
    });
    this.heartbeat = new Heartbeat(clock.monotonic(), limits.helloTimeoutMs, limits.heartbeatGraceMs);
    heartbeats.add(this);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether nothing has come yet that says who this is. */
  get isUnknown(): boolean {
    return this.identity === undefined && this.#beforeWelcome === undefined && !this.#closed;
  }

  get principal(): Principal {
    return this.known.principal;
  }

  /** Who it is; asked only of a session that was welcomed. */
  get known(): Identity {
    if (this.identity === undefined) throw new Error("The session has not said hello.");
    return this.identity;
  }

  report(): SessionReport {
    const counts = { subscriptions: this.subscriptions.size, members: this.members.size };
    return { session: this.id, address: this.address, ...reportOn(this.known), ...counts };
  }

  may(right: Right, name: Channel | Pattern): boolean {
    return this.principal.permissions.may(right, name);
  }

  /** It was let in: from now on it is listed, and counted among its user's. */
  welcomed(identity: Identity): void {
    this.identity = identity;
    this.parts.hub.roster.enter(this);
  }

  /** A WebSocket message arrived. */
  receive(message: Buffer, binary: boolean): void {
    if (this.#closed) return;
    this.parts.metrics.received(message.length);
    let envelopes: Iterator<Incoming>;
    try {
      envelopes = this.#codec.decode(message, binary)[Symbol.iterator]();
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      if (error.limit !== undefined) this.parts.hub.hit(error.limit);
      return this.close("malformed", error.message);
    }
    if (this.#beforeWelcome === undefined) this.#handleAll(envelopes);
    else this.#beforeWelcome.push(envelopes);
    this.drafts.hand();
    this.pace();
  }

  /** The connection has room again. */
  drained(): void {
    for (const subscription of this.subscriptions) subscription.drained();
    for (const member of this.members) member.drained();
    this.pace();
  }

  /** The connection is gone. */
  disconnected(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.parts.heartbeats.remove(this);
    for (const subscription of this.subscriptions) subscription.end();
    for (const member of this.members) member.detach();
    for (const number of this.subscriptions.numbers()) this.release(this.subscriptions, number);
    for (const number of this.members.numbers()) this.release(this.members, number);
    if (this.identity === undefined) return;
    this.parts.hub.roster.leave(this);
    giveBack(this.identity, this.parts.hub);
  }

  beat(now: number): void {
    const { identity } = this;
    if (identity !== undefined && this.parts.hub.access.hasExpired(identity.principal)) {
      return this.close("token-expired");
    }
    if (!this.heartbeat.isDue(now)) return;
    const { receivedBytes } = this.#socket;
    // A client is not silent while it is the hub that does not listen; one that does not read its answers is.
    const deaf = this.#paused && !this.outbox.overfull;
    if (deaf || receivedBytes !== this.#receivedBytes) this.heartbeat.heard();
    this.#receivedBytes = receivedBytes;
    const beat = this.heartbeat.beat(now);
    if (beat === "hello-timeout" || beat === "heartbeat-timeout") return this.close(beat);
    if (beat !== "ping") return;
    for (const subscription of this.subscriptions) subscription.advance();
    this.say({ is: "ping" });
  }

  say(envelope: Said): void {
    if (!this.#closed) this.outbox.say(envelope);
  }

  /** Sends what several live subscriptions to one pattern share, once. */
  sendLive(live: LiveBatch): void {
    if (this.#lastLive === live.number) return;
    this.#lastLive = live.number;
    this.outbox.send(live.encoded(this.#codec), live.unexpired.length);
  }

  sendPrivate(subscription: number, batch: Batch): void {
    const { after, through, messages } = batch;
    if (messages.length === 0) return this.say({ is: "messages", subscription, after, through, messages: [] });
    this.outbox.send(this.#codec.private(subscription, batch), messages.length);
  }

  sendLeased(member: number, leased: readonly LeasedText[]): void {
    this.outbox.send(this.#codec.leased(member, leased), leased.length);
  }

  askTurn(steps: Steps): void {
    this.parts.hub.turns.ask(steps, this.known.quota);
  }

  replayed(bytes: number): void {
    this.known.quota.replayed(bytes);
  }

  failed(subscription: Subscription, error: unknown): void {
    const { code, message } = asDogearError(error);
    this.parts.logger[weightOf(error)]("subscription.failed", {
      session: this.id,
      subscription: subscription.number,
      error,
    });
    this.endSubscription(subscription, code, message);
  }

  /** Ends a subscription and tells the client why. */
  endSubscription(subscription: Subscription, code: ErrorCode, message: string = sentences[code]): void {
    if (this.subscriptions.get(subscription.number) !== subscription) return;
    this.release(this.subscriptions, subscription.number);
    this.subscriptions.ended(subscription.number);
    subscription.end();
    this.say({ is: "unsubscribed", subscription: subscription.number, code, message });
  }

  isMember(member: Member): boolean {
    return this.members.get(member.number) === member;
  }

  /** The group has ended a member: tells the client why. */
  endMember(member: Member, { code, message }: DogearError): void {
    if (!this.isMember(member)) return;
    this.release(this.members, member.number);
    this.members.ended(member.number);
    this.say({ is: "left", member: member.number, code, message });
  }

  /** Holds a number; undefined where the session, or its user, has as many as may be. */
  open(all: Numbered<Subscription> | Numbered<Member>, number: number): Opening | undefined {
    const { limits } = this.parts;
    if (this.subscriptions.size + this.members.size >= limits.subscriptionsMax) {
      this.parts.hub.hit("subscriptionsMax");
      return undefined;
    }
    return this.known.quota.subscribe() ? all.open(number) : undefined;
  }

  /** Gives back the number of a subscription or a member that is no more. */
  release(all: Numbered<Subscription> | Numbered<Member>, number: number): void {
    if (all.delete(number)) this.known.quota.unsubscribe();
  }

  /** Answers a request that is refused. */
  refuse({ code, detail, ...about }: Mistake): void {
    if (about.number !== undefined) this.parts.metrics.publishRefused(code);
    this.say({ is: "error", code, message: dogearError(code, detail).message, ...about });
  }

  /** Tells the client why and closes; everything said before still arrives. */
  close(code: ClosingErrorCode, detail?: string): void {
    this.closeOver(code, dogearError(code, detail).message);
  }

  /** The same, in words of its own. */
  closeOver(code: ClosingErrorCode, message: string): void {
    if (this.#closed) return;
    this.parts.metrics.closed(code);
    this.say({ is: "error", code, message });
    this.outbox.flush();
    this.disconnected();
    this.#socket.close(closeCodes[code], code);
  }

  /** Asks the client to come back later and takes nothing more from it. */
  drain(reconnectAfterMs: number): void {
    this.say({ is: "draining", reconnectAfterMs });
    this.outbox.flush();
    this.#draining = true;
    this.pace();
  }

  /** Reads the connection, or not while too much is on its way in or out. */
  pace(): void {
    const { full } = this.drafts;
    const waits = this.#beforeWelcome !== undefined || this.#waiting >= waitingMax;
    const blocked = full || waits || this.#draining || this.outbox.overfull;
    if (blocked === this.#paused || this.#closed) return;
    this.#paused = blocked;
    if (full) this.parts.hub.hit("draftBytesMax");
    if (blocked) return this.#socket.pause();
    // What it said meanwhile is about to be read.
    this.heartbeat.heard();
    this.#socket.resume();
  }

  /** Handles envelopes until the session closes; what follows a hello waits for its answer. */
  #handleAll(envelopes: Iterator<Incoming>): void {
    for (let next = envelopes.next(); !next.done; next = envelopes.next()) {
      this.#handle(next.value);
      if (this.#closed) return;
      if (this.#beforeWelcome !== undefined) return void this.#beforeWelcome.push(envelopes);
    }
  }

  #handle(incoming: Incoming): void {
    if (this.identity === undefined && (incoming.kind !== "envelope" || incoming.envelope.is !== "hello")) {
      if (incoming.kind !== "mistake") return this.close("hello-expected");
      const { code, detail } = incoming.mistake;
      return this.close(code === "unsupported-protocol" ? code : "hello-expected", detail);
    }
    switch (incoming.kind) {
      case "mistake":
        return this.#mistaken(incoming.mistake);
      case "publish":
        return publish(this, incoming.publish);
      case "envelope":
        return this.#dispatch(incoming.envelope);
    }
  }

  #dispatch(envelope: Request): void {
    if (envelope.is === "hello") this.#beforeWelcome = [];
    const waits = envelope.is === "refresh" || envelope.is === "ask";
    if (waits) this.#waiting++;
    this.parts
      .handle(this, envelope)
      .catch((error: unknown) => {
        this.parts.logger[weightOf(error)]("session.failed", { session: this.id, error });
        this.close("internal");
      })
      .finally(() => {
        if (envelope.is === "hello") this.#welcomed();
        if (!waits) return;
        this.#waiting--;
        this.pace();
      });
  }

  #welcomed(): void {
    const waiting = this.#beforeWelcome ?? [];
    this.#beforeWelcome = undefined;
    for (const envelopes of waiting) this.#handleAll(envelopes);
    this.drafts.hand();
    this.pace();
  }

  /** Answers an envelope that is wrong. Of those that are no drafts only so many are forgiven. */
  #mistaken(mistake: Mistake): void {
    if (mistake.number !== undefined) return refuse(this, mistake.number, mistake);
    this.refuse(mistake);
    if (++this.#mistakes >= this.parts.limits.errorsMax) this.close("too-many-errors");
  }
}
