/**
 * One connection: who it is, what it subscribes to, what it is sent. It wires its parts together; each rule of the
 * protocol lives in one of them or in `handlers.ts`.
 */
import {
  type ClientEnvelope,
  type ClosingErrorCode,
  type DogearError,
  dogearError,
  type ErrorCode,
  errors,
  type HubEnvelope,
  type Limits,
  sentences,
} from "@dogear/shared";
import {
  type HubCodec,
  type Incoming,
  type IncomingPublish,
  type LeasedText,
  Malformed,
  type Mistake,
} from "../codec/codec.ts";
import type { Batch } from "../engine/engine.ts";
import type { LiveBatch } from "../hub/feed.ts";
import type { Hub } from "../hub/hub.ts";
import type { Sequencer } from "../hub/sequencer.ts";
import type { Steps } from "../hub/turns.ts";
import type { Chance, Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import { asDogearError, Drafts } from "./drafts.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Heartbeats } from "./heartbeats.ts";
import type { Member, MemberSession } from "./member.ts";
import { Outbox } from "./outbox.ts";
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
  /** How the hub names itself in `welcome`. */
  readonly name: string;
  readonly handle: Handle;
}

/** Does what an envelope asks for. Rejects only where the hub itself failed. */
export type Handle = (session: Session, envelope: Request) => Promise<void>;

/** What a client asks for, publishing aside. */
export type Request = Exclude<ClientEnvelope, { is: "publish" }>;

/** Holds the number of a subscription or a member until it is confirmed or refused. */
export interface Opening {
  readonly opening: true;
}

/** Who a session is, once it has said hello. */
export interface Identity {
  readonly user: string;
  readonly subscriber: string | undefined;
  readonly producer: { readonly id: string; readonly sequencer: Sequencer | undefined } | undefined;
}

export class Session implements SubscriptionSession, MemberSession {
  readonly id: string;
  readonly parts: SessionParts;
  readonly outbox: Outbox;
  readonly drafts: Drafts;
  /** By number, from when one is asked for. */
  readonly subscriptions: Map<number, Subscription | Opening> = new Map();
  /** The same for its memberships in groups. */
  readonly members: Map<number, Member | Opening> = new Map();
  readonly heartbeat: Heartbeat;
  identity: Identity | undefined;
  readonly #socket: Socket;
  readonly #codec: HubCodec;
  /** What arrived while hello is being answered, not looked at yet. */
  #beforeWelcome: Iterator<Incoming>[] | undefined;
  /** The number of the last live batch sent. Not the batch, which an idle session would keep alive. */
  #lastLive = 0;
  /** Numbers of what the hub ended, until they are used again. */
  readonly #ended = { subscription: new Set<number>(), member: new Set<number>() };
  #mistakes = 0;
  #receivedBytes = 0;
  #paused = false;
  #draining = false;
  #closed = false;

  constructor(socket: Socket, codec: HubCodec, parts: SessionParts) {
    const { limits, clock, chance, heartbeats } = parts;
    this.id = chance.id();
    this.parts = parts;
    this.#socket = socket;
    this.#codec = codec;
    this.outbox = new Outbox(socket, codec, limits.outboxBytesMax);
    this.drafts = new Drafts(parts, (answers) => {
      for (const answer of answers) this.say(answer);
      this.pace();
    });
    this.heartbeat = new Heartbeat(clock.monotonic(), limits.helloTimeoutMs, limits.heartbeatGraceMs);
    heartbeats.add(this);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** A WebSocket message arrived. */
  receive(message: Buffer, binary: boolean): void {
    if (this.#closed) return;
    let envelopes: Iterator<Incoming>;
    try {
      envelopes = this.#codec.decode(message, binary)[Symbol.iterator]();
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      return this.close("malformed", error.message);
    }
    if (this.#beforeWelcome === undefined) this.#handleAll(envelopes);
    else this.#beforeWelcome.push(envelopes);
    this.drafts.hand();
    this.pace();
  }

  /** The connection has room again. */
  drained(): void {
    for (const subscription of opened(this.subscriptions)) subscription.drained();
    for (const member of opened(this.members)) member.drained();
    this.pace();
  }

  /** The connection is gone. */
  disconnected(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.parts.heartbeats.remove(this);
    for (const subscription of opened(this.subscriptions)) subscription.end();
    for (const member of opened(this.members)) member.detach();
    this.subscriptions.clear();
    this.members.clear();
    const { identity } = this;
    if (identity?.producer !== undefined) this.parts.hub.leaveProducer(identity.user, identity.producer.id);
  }

  beat(now: number): void {
    const { receivedBytes } = this.#socket;
    // A client is not silent while it is the hub that does not listen; one that does not read its answers is.
    const deaf = this.#paused && !this.outbox.overfull;
    if (deaf || receivedBytes !== this.#receivedBytes) this.heartbeat.heard();
    this.#receivedBytes = receivedBytes;
    const beat = this.heartbeat.beat(now);
    if (beat === "hello-timeout" || beat === "heartbeat-timeout") return this.close(beat);
    if (beat !== "ping") return;
    for (const subscription of opened(this.subscriptions)) subscription.advance();
    this.say({ is: "ping" });
  }

  say(envelope: Exclude<HubEnvelope, { is: "messages" }>): void {
    if (!this.#closed) this.outbox.say(envelope);
  }

  /** Sends what several live subscriptions to one pattern share, once. */
  sendLive(live: LiveBatch): void {
    if (this.#lastLive === live.number) return;
    this.#lastLive = live.number;
    this.outbox.send(live.frame(this.#codec));
  }

  sendPrivate(subscription: number, batch: Batch): void {
    this.outbox.send(this.#codec.private(subscription, batch));
  }

  sendLeased(member: number, leased: readonly LeasedText[]): void {
    this.outbox.send(this.#codec.leased(member, leased));
  }

  askTurn(steps: Steps): void {
    this.parts.hub.turns.ask(steps);
  }

  failed(subscription: Subscription, error: unknown): void {
    const { code, message } = asDogearError(error);
    this.parts.logger.error("subscription.failed", { session: this.id, subscription: subscription.number, error });
    this.endSubscription(subscription, code, message);
  }

  /** Ends a subscription and tells the client why. */
  endSubscription(subscription: Subscription, code: ErrorCode, message: string = sentences[code]): void {
    if (this.subscriptions.get(subscription.number) !== subscription) return;
    this.subscriptions.delete(subscription.number);
    this.#ended.subscription.add(subscription.number);
    subscription.end();
    this.say({ is: "unsubscribed", subscription: subscription.number, code, message });
  }

  isMember(member: Member): boolean {
    return this.members.get(member.number) === member;
  }

  /** The group has ended a member: tells the client why. */
  endMember(member: Member, { code, message }: DogearError): void {
    if (!this.isMember(member)) return;
    this.members.delete(member.number);
    this.#ended.member.add(member.number);
    this.say({ is: "left", member: member.number, code, message });
  }

  /** Holds a number for a subscription or a member that is being opened. */
  open(what: "subscription" | "member", number: number): Opening {
    const opening: Opening = { opening: true };
    const all: Map<number, unknown> = what === "subscription" ? this.subscriptions : this.members;
    all.set(number, opening);
    this.#ended[what].delete(number);
    return opening;
  }

  /** Whether the hub ended the subscription or member of this number, which the client may not know yet. */
  hasEnded(what: "subscription" | "member", number: number): boolean {
    return this.#ended[what].has(number);
  }

  /** Answers a request that is refused. */
  refuse({ code, detail, ...about }: Mistake): void {
    this.say({ is: "error", code, message: dogearError(code, detail).message, ...about });
  }

  /** Tells the client why and closes; everything said before still arrives. */
  close(code: ClosingErrorCode, detail?: string): void {
    if (this.#closed) return;
    this.say({ is: "error", code, message: dogearError(code, detail).message });
    this.outbox.flush();
    this.disconnected();
    this.#socket.close(errors[code].closeCode, code);
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
    const blocked = full || this.#beforeWelcome !== undefined || this.#draining || this.outbox.overfull;
    if (blocked === this.#paused || this.#closed) return;
    this.#paused = blocked;
    if (blocked) this.#socket.pause();
    else this.#socket.resume();
  }

  /** Handles envelopes until the session closes; what follows a hello waits for its answer. */
  #handleAll(envelopes: Iterator<Incoming>): void {
    for (let next = envelopes.next(); !next.done; next = envelopes.next()) {
      this.#handle(next.value);
      if (this.#closed) return;
      if (this.#beforeWelcome !== undefined) {
        this.#beforeWelcome.push(envelopes);
        return;
      }
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
        return this.#publish(incoming.publish);
      case "envelope":
        return this.#dispatch(incoming.envelope);
    }
  }

  #dispatch(envelope: Request): void {
    if (envelope.is === "hello") this.#beforeWelcome = [];
    this.parts
      .handle(this, envelope)
      .catch((error: unknown) => {
        this.parts.logger.error("session.failed", { session: this.id, error });
        this.close("internal");
      })
      .finally(() => {
        if (envelope.is === "hello") this.#welcomed();
      });
  }

  #welcomed(): void {
    const waiting = this.#beforeWelcome ?? [];
    this.#beforeWelcome = undefined;
    for (const envelopes of waiting) this.#handleAll(envelopes);
    this.drafts.hand();
    this.pace();
  }

  /**
   * Answers an envelope that is wrong. A draft uses up its number, so that the drafts after it are in order; of others
   * only so many are forgiven.
   */
  #mistaken(mistake: Mistake): void {
    const { number } = mistake;
    if (number !== undefined && !this.#uses(number)) return this.refuse({ code: "out-of-order", number });
    this.refuse(mistake);
    if (number !== undefined) return;
    this.#mistakes++;
    if (this.#mistakes >= this.parts.limits.errorsMax) this.close("too-many-errors");
  }

  #publish(publish: IncomingPublish): void {
    const { number, channel, id } = publish;
    const { user, producer } = this.identity as Identity;
    if (producer !== undefined && producer.sequencer === undefined) {
      return this.refuse({ code: "producer-forgotten", number });
    }
    const scoped = id === undefined ? undefined : `${user}/${channel}/${id}`;
    this.drafts.add(publish, scoped, producer?.sequencer);
  }

  /** Uses up a number of the session's producer, if it has one, without appending under it. */
  #uses(number: number): boolean {
    const sequencer = this.identity?.producer?.sequencer;
    if (sequencer === undefined) return true;
    this.drafts.hand();
    return sequencer.use(number);
  }
}

/** Those that are not just being opened. A copy: each may end while the others have their turn. */
function opened<T extends object>(all: ReadonlyMap<number, T | Opening>): readonly T[] {
  return [...all.values()].filter((one): one is T => !("opening" in one));
}
