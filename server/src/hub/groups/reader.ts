/**
 * Brings a group the messages of its pattern, as far as it has room: in pages from the log until it meets the feed, then
 * from the feed. Like a subscription that acknowledges nothing.
 */
import type { Gap, Offset, Pattern } from "@dogear/shared";
import type { Budget } from "../../engine/engine.ts";
import type { Messages } from "../../engine/messages.ts";
import type { Feed, LiveBatch, Receiver } from "../feed.ts";
import type { Namespace } from "../namespace.ts";

/** What a reader brings messages to. */
export interface Taker {
  /** Whether there is room for more. */
  hasRoom(): boolean;
  take(messages: Messages): void;
  /** What can no longer be given. */
  lost(gap: Gap): void;
  /** There is something new to see to. */
  wake(): void;
}

const page: Budget = { messages: 2_048, bytes: 768 * 1_024, scan: 1_024 * 1_024 };

export class Reader implements Receiver {
  readonly #namespace: Namespace;
  readonly #pattern: Pattern;
  readonly #taker: Taker;
  /** Everything that matches up to here was taken, when last something was. */
  #through: Offset;
  #feed: Feed | undefined;
  /** How often it was stopped. */
  #stops = 0;
  /** It takes what the feed brings. */
  #joined = false;
  /** The next page is after the end of what the feed has seen. */
  #ahead = false;

  constructor(namespace: Namespace, pattern: Pattern, after: Offset, taker: Taker) {
    this.#namespace = namespace;
    this.#pattern = pattern;
    this.#through = after;
    this.#taker = taker;
  }

  /** Everything that matches up to here was taken. While a batch is being delivered only its feed knows. */
  get through(): Offset {
    return this.#joined && this.#feed !== undefined ? this.#feed.through : this.#through;
  }

  /** Whether there may be something to read that the feed does not bring. */
  get isBehind(): boolean {
    return !this.#joined && !this.#ahead;
  }

  /** Reads a page, if there is room and something to read. */
  async read(): Promise<void> {
    if (!this.isBehind || !this.#taker.hasRoom()) return;
    const feed = await this.#useFeed();
    if (feed === undefined) return;
    const after = this.#through;
    const { gap, messages, through } =
      feed.page(after, page) ?? (await this.#namespace.log.read(this.#pattern, after, page));
    // It was stopped, or skipped ahead.
    if (this.#feed !== feed || this.#through !== after) return;
    if (gap !== undefined) this.#taker.lost(gap);
    this.#through = through;
    this.#taker.take(messages);
    if (through === feed.through) this.#join(feed);
    else if (through > feed.through) this.#wait(feed);
  }

  /** Goes on after an offset, if it has not come so far. */
  skip(through: Offset): void {
    if (this.through < through) this.#through = through;
  }

  /** Lets go of the feed; reading again goes on where it was. */
  stop(): void {
    this.#stops++;
    const feed = this.#feed;
    if (feed === undefined) return;
    this.#leave();
    this.#feed = undefined;
    this.#ahead = false;
    this.#namespace.release(feed);
  }

  prepare(): void {
    if (!this.#taker.hasRoom()) this.#leave();
  }

  deliver({ messages, through }: LiveBatch): void {
    const rest = messages.slice(messages.indexAfter(this.#through));
    this.#through = through;
    if (rest.length === 0) return;
    this.#taker.take(rest);
    this.#taker.wake();
  }

  /** The feed; `undefined` where it was stopped while it waited for it. */
  async #useFeed(): Promise<Feed | undefined> {
    if (this.#feed !== undefined) return this.#feed;
    const stops = this.#stops;
    const feed = await this.#namespace.feed(this.#pattern);
    if (stops === this.#stops) this.#feed = feed;
    else this.#namespace.release(feed);
    return this.#feed;
  }

  #join(feed: Feed): void {
    this.#joined = true;
    feed.join(this);
  }

  /** Goes on later after what was taken: the feed may be about to deliver more. */
  #leave(): void {
    this.#joined = false;
    this.#feed?.leave(this);
  }

  #wait(feed: Feed): void {
    this.#ahead = true;
    void feed.reached(this.#through).then(() => {
      if (this.#feed !== feed) return;
      this.#ahead = false;
      this.#taker.wake();
    });
  }
}
