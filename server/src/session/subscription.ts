/**
 * A session's interest in a pattern.
 *
 *                    page read through the feed's own place
 *     catching-up ──────────────────────────────────────────→ live
 *          ↑                                                    │
 *          └────────── window exhausted, or outbox full ────────┘
 *
 * Catching up reads pages from the log at the subscriber's pace; live takes what the feed encoded for everyone. The
 * log is the buffer: nobody is disconnected for being slow, and nothing is queued for them.
 */
import type { Gap, Offset, Pattern } from "@dogear/shared";
import type { Batch, Budget, Page } from "../engine/engine.ts";
import { epochOf } from "../engine/lineage.ts";
import { Messages } from "../engine/messages.ts";
import type { Cursor } from "../hub/cursors.ts";
import type { Feed, LiveBatch, Receiver } from "../hub/feed.ts";
import type { Namespace } from "../hub/namespace.ts";
import type { Start } from "../hub/place.ts";
import type { Steps } from "../hub/turns.ts";
import { Window, type WindowSize } from "./window.ts";

/** What a subscription needs of its session. */
export interface SubscriptionSession {
  readonly outbox: { readonly full: boolean };
  sendLive(live: LiveBatch): void;
  sendPrivate(subscription: number, batch: Batch): void;
  say(envelope: { readonly is: "caught-up" | "behind"; readonly subscription: number } | GapSaid): void;
  /** Asks for a turn to catch up. */
  askTurn(steps: Steps): void;
  /** So many bytes were read from the log to catch up. */
  replayed(bytes: number): void;
  failed(subscription: Subscription, error: unknown): void;
}

type GapSaid = {
  readonly is: "gap";
  readonly subscription: number;
  readonly position: { readonly epoch: ReturnType<typeof epochOf>; readonly offset: Offset };
} & Gap;

/** A page, small enough that one reader's page does not keep others waiting. */
const pageMax = { messages: 1_024, bytes: 256 * 1_024, scan: 1_024 * 1_024 } as const;

/** What a page costs beside its messages: to look for few among many is not free. */
const pageBytes = 4 * 1_024;

/** A page takes at most this share of a window, so that acknowledgements make room while the rest is on its way. */
const pageShare = 4;

export interface SubscriptionParts {
  readonly number: number;
  readonly session: SubscriptionSession;
  readonly namespace: Namespace;
  readonly feed: Feed;
  readonly cursor: Cursor | undefined;
  readonly window: WindowSize;
  readonly start: Start;
}

export class Subscription implements Receiver, Steps {
  readonly number: number;
  readonly pattern: Pattern;
  readonly #session: SubscriptionSession;
  readonly #namespace: Namespace;
  readonly #feed: Feed;
  readonly #cursor: Cursor | undefined;
  readonly #window: Window;
  #state: "catching-up" | "live" | "ended" = "catching-up";
  /** Everything that matches up to here was sent. */
  #position: Offset;
  /** Where it started, before which a late acknowledgement must not move the cursor. */
  readonly #start: Offset;
  /** The client was told so up to here. */
  #told: Offset;

  constructor({ number, session, namespace, feed, cursor, window, start }: SubscriptionParts) {
    this.number = number;
    this.pattern = feed.pattern;
    this.#session = session;
    this.#namespace = namespace;
    this.#feed = feed;
    this.#cursor = cursor;
    this.#window = new Window(window);
    this.#position = start.offset;
    this.#start = start.offset;
    this.#told = start.offset;
  }

  /** Begins to catch up; where the position was lost, the gap is told first. */
  begin(gap: Gap | undefined): void {
    if (gap !== undefined) this.#tellGap(gap, this.#position);
    this.#session.askTurn(this);
  }

  /** Everything up to here was processed. False, and nothing moves, where it was not sent. */
  acknowledge(offset: Offset): boolean {
    if (offset > this.#told) return false;
    this.#window.acknowledged(offset);
    this.#commit(offset);
    if (this.#state === "catching-up") this.#session.askTurn(this);
    return true;
  }

  /** The connection has room again. */
  drained(): void {
    if (this.#state === "catching-up") this.#session.askTurn(this);
  }

  prepare({ unexpired: messages }: LiveBatch): void {
    const from = messages.indexAfter(this.#position);
    const count = messages.length - from;
    if (count === 0) return;
    const bytes = messages.byteLength - messages.start(from);
    if (this.#session.outbox.full || !this.#window.admits(count, bytes)) this.#fallBehind();
  }

  /** Takes a batch of the feed, which everyone who is live takes in the same turn. */
  deliver(live: LiveBatch): void {
    const { unexpired: messages, through } = live;
    const rest = messages.slice(messages.indexAfter(this.#position));
    if (rest.length === 0) {
      this.#position = Math.max(this.#position, through) as Offset;
      return;
    }
    if (rest === messages) this.#session.sendLive(live);
    else this.#session.sendPrivate(this.number, { after: this.#told, through, messages: rest });
    this.#sent(rest, through);
  }

  /** Lets an idle position advance: nothing that matched came since, or was met so far. */
  advance(): void {
    if (this.#state === "ended") return;
    if (this.#state === "live") this.#position = Math.max(this.#position, this.#feed.through) as Offset;
    if (this.#told < this.#position) this.#tellThrough();
  }

  async step(): Promise<boolean> {
    try {
      return await this.#catchUp();
    } catch (error) {
      this.#session.failed(this, error);
      return false;
    }
  }

  /** Ends the subscription; the cursor stays, as far as it was acknowledged. */
  end(): void {
    if (this.#state === "ended") return;
    if (this.#state === "live") {
      // All that was sent was acknowledged, and nothing that matches came since.
      if (this.#window.settled) this.#commit(this.#feed.through);
      this.#feed.leave(this);
    }
    this.#state = "ended";
    this.#namespace.release(this.#feed);
    this.#cursor?.release();
  }

  async #catchUp(): Promise<boolean> {
    const budget = this.#budget();
    if (this.#state !== "catching-up" || budget === undefined || this.#session.outbox.full) return false;
    const page = this.#feed.page(this.#position, budget) ?? (await this.#read(budget));
    if (this.#state !== "catching-up") return false;
    if (page.gap !== undefined) this.#tellGap(page.gap, page.gap.to as Offset);
    if (!this.#sendIfAdmitted(page)) return false;
    if (this.#position < this.#feed.through) return true;
    if (this.#position === this.#feed.through) this.#goLive();
    // Ahead of the feed: what the others are sent until then is not for this one.
    else void this.#feed.reached(this.#position).then(() => this.#session.askTurn(this));
    return false;
  }

  async #read(budget: Budget): Promise<Page> {
    const page = await this.#namespace.log.read(this.pattern, this.#position, budget);
    this.#session.replayed(page.messages.byteLength + pageBytes);
    return page;
  }

  #budget(): Budget | undefined {
    const { room, size } = this.#window;
    return (
      room && {
        messages: Math.min(room.messages, pageMax.messages, Math.ceil(size.messages / pageShare)),
        bytes: Math.min(room.bytes, pageMax.bytes, Math.ceil(size.bytes / pageShare)),
        scan: pageMax.scan,
      }
    );
  }

  #sendIfAdmitted(page: Page): boolean {
    const { through } = page;
    const messages = this.#feed.unexpired(page.messages);
    if (messages.length > 0) {
      const bytes = messages.byteLength;
      if (!this.#window.admits(messages.length, bytes)) return false;
      this.#session.sendPrivate(this.number, { after: this.#told, through, messages });
      this.#sent(messages, through);
    }
    this.#position = Math.max(this.#position, through) as Offset;
    return true;
  }

  #goLive(): void {
    if (this.#told < this.#position) this.#tellThrough();
    this.#state = "live";
    this.#feed.join(this);
    this.#session.say({ is: "caught-up", subscription: this.number });
  }

  #fallBehind(): void {
    this.#state = "catching-up";
    this.#feed.leave(this);
    this.#session.say({ is: "behind", subscription: this.number });
    this.#session.askTurn(this);
  }

  #tellGap({ from, to, reason }: Gap, offset: Offset): void {
    const position = { epoch: epochOf(this.#namespace.log.lineage), offset };
    this.#session.say({ is: "gap", subscription: this.number, from, to, reason, position });
    // Until the client acknowledges it, the cursor stays where it was and a reconnect tells the gap again.
    this.#window.sent(offset, 0, 0);
    this.#position = offset;
    this.#told = offset;
  }

  /** Tells how far the subscription has come where nothing that matches is left to send. */
  #tellThrough(): void {
    const { number } = this;
    this.#session.sendPrivate(number, { after: this.#told, through: this.#position, messages: Messages.none });
    this.#told = this.#position;
  }

  #commit(offset: Offset): void {
    if (offset < this.#start) return;
    this.#cursor?.commit({ epoch: epochOf(this.#namespace.log.lineage), offset });
  }

  #sent(messages: Messages, through: Offset): void {
    this.#position = through;
    this.#told = through;
    this.#window.sent(messages.offsets.at(-1) as Offset, messages.length, messages.byteLength);
  }
}
