/**
 * One page of what matches after a position. Where there is nothing it waits for a while, as a subscription that is live: a
 * subscription is what it is, until the first messages come.
 */
import type { ServerResponse } from "node:http";
import type { Epoch, Gap, Offset, Pattern } from "@dogear/shared";
import type { Quota } from "../access/quotas.ts";
import type { Batch } from "../engine/engine.ts";
import { epochOf } from "../engine/lineage.ts";
import { Messages } from "../engine/messages.ts";
import type { LiveBatch } from "../hub/feed.ts";
import type { Hub } from "../hub/hub.ts";
import { type From, startIn } from "../hub/place.ts";
import type { Steps } from "../hub/turns.ts";
import type { SessionParts } from "../session/session.ts";
import { Subscription, type SubscriptionSession } from "../session/subscription.ts";
import { HungUp } from "./bodies.ts";
import type { Stay, Staying } from "./staying.ts";

export interface PollParts {
  readonly session: SessionParts;
  readonly quota: Quota;
  readonly pattern: Pattern;
  readonly from: From;
  /** Messages of a page. */
  readonly limit: number;
  /** How long to wait where there is nothing; 0 for not at all. */
  readonly waitMs: number;
  /** Where whoever asked is gone, nobody waits any more. */
  readonly response: ServerResponse;
  readonly staying: Staying;
}

export interface Polled {
  readonly epoch: Epoch;
  /** Everything that matches up to here is in it, or was before it. */
  readonly offset: Offset;
  readonly messages: Messages;
  readonly gap: Gap | undefined;
}

/** Bytes of a page: four of them are a window, of which a subscription reads a quarter at a time. */
const pageBytes = 256 * 1_024;

/** @throws DogearError `unavailable`; HungUp */
export async function poll(parts: PollParts): Promise<Polled> {
  const { session, pattern, from, limit, waitMs, response, staying } = parts;
  const { hub, clock, limits } = session;
  const namespace = hub.namespace(pattern);
  const start = await startIn(namespace.log, from);
  const feed = await namespace.feed(pattern);
  const collecting = new Poll(parts, start.offset);
  const window = { messages: 4 * limit, bytes: 4 * pageBytes };
  const subscription = new Subscription({
    number: 1,
    session: collecting,
    namespace,
    feed,
    cursor: undefined,
    window,
    start,
  });
  // Also where nothing is waited for, a log in which nothing matches is not read to its end in one request.
  const cancel = clock.after(waitMs > 0 ? waitMs : limits.pollMsMax, () => collecting.leave(subscription));
  const stay: Stay = { leave: () => collecting.leave(subscription) };
  const hangUp = () => collecting.fail(new HungUp());
  staying.add(stay);
  response.once("close", hangUp);
  try {
    if (response.destroyed) throw new HungUp();
    subscription.begin(start.gap);
    const { offset, messages, gap } = await collecting.done;
    return { epoch: epochOf(namespace.log.lineage), offset, messages, gap };
  } finally {
    cancel();
    staying.delete(stay);
    response.off("close", hangUp);
    subscription.end();
  }
}

/** The page as it is sent: messages are copied as they lie in the log. */
export function pollText({ epoch, offset, messages, gap }: Polled): Buffer {
  const told = gap === undefined ? "" : `"gap":${JSON.stringify(gap)},`;
  const head = Buffer.from(`{"position":"${epoch}:${offset}",${told}"messages":[`);
  return Buffer.concat([head, messages.bytes, Buffer.from("]}")]);
}

/** What its subscription says to it, until it has something to answer. */
class Poll implements SubscriptionSession {
  readonly done: Promise<Pick<Polled, "offset" | "messages" | "gap">>;
  readonly #hub: Hub;
  readonly #quota: Quota;
  readonly #limit: number;
  readonly #waits: boolean;
  #offset: Offset;
  #gap: Gap | undefined;
  #isDone = false;
  #resolve: (found: Pick<Polled, "offset" | "messages" | "gap">) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor({ session, quota, limit, waitMs }: PollParts, offset: Offset) {
    this.#hub = session.hub;
    this.#quota = quota;
    this.#limit = limit;
    this.#waits = waitMs > 0;
    this.#offset = offset;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Nothing more is wanted once there is an answer. */
  get outbox(): { readonly full: boolean } {
    return { full: this.#isDone };
  }

  sendLive({ unexpired, through }: LiveBatch): void {
    this.#take(unexpired, through);
  }

  sendPrivate(_subscription: number, { messages, through }: Batch): void {
    this.#take(messages, through);
  }

  say(envelope: Parameters<SubscriptionSession["say"]>[0]): void {
    if (envelope.is === "gap") this.#lose(envelope);
    // What is lost is told at once, as messages are.
    else if (envelope.is === "caught-up" && (!this.#waits || this.#gap !== undefined)) this.#finish(Messages.none);
  }

  askTurn(steps: Steps): void {
    this.#hub.turns.ask(steps, this.#quota);
  }

  replayed(bytes: number): void {
    this.#quota.replayed(bytes);
  }

  failed(_subscription: Subscription, error: unknown): void {
    this.fail(error);
  }

  /** Answers with what there is, which is how far it has come. */
  leave(subscription: Subscription): void {
    subscription.advance();
    this.#finish(Messages.none);
  }

  fail(error: unknown): void {
    this.#isDone = true;
    this.#reject(error);
  }

  #take(messages: Messages, through: Offset): void {
    if (this.#isDone) return;
    const taken = messages.slice(0, Math.min(this.#limit, messages.length));
    this.#offset = taken.length < messages.length ? (taken.offsets.at(-1) as Offset) : through;
    if (taken.length > 0) this.#finish(taken);
  }

  /** One page tells of one gap: what comes after a second one is for the next. */
  #lose({ from, to, reason, position }: Gap & { readonly position: { readonly offset: Offset } }): void {
    if (this.#isDone) return;
    if (this.#gap !== undefined) return this.#finish(Messages.none);
    this.#gap = { from, to, reason };
    this.#offset = position.offset;
  }

  #finish(messages: Messages): void {
    this.#isDone = true;
    this.#resolve({ offset: this.#offset, messages, gap: this.#gap });
  }
}
