/**
 * A feed: one pattern's fan-out on this hub. Each batch is encoded once and given to every live subscription.
 *
 * Whoever catches up joins by one comparison. `through` is how far the namespace has been read, and its newest stretch
 * is kept: a subscription that has been sent everything up to there is live. No lock, no merge: between the comparison
 * and joining nothing else can run.
 */
import { type Channel, matcher, type Offset, type Pattern } from "@dogear/shared";
import type { Batch, Budget, Page } from "../engine/engine.ts";
import type { Messages } from "../engine/messages.ts";
import { collectPage, remembering } from "../engine/page.ts";
import type { Tail } from "../engine/tail.ts";
import { unexpired } from "../engine/text.ts";
import type { Clock } from "../runtime/clock.ts";

/** What a feed delivers to. */
export interface Receiver {
  /** Leaves the feed if it cannot take the batch that comes next. */
  prepare(live: LiveBatch): void;
  deliver(live: LiveBatch): void;
}

/** What encodes a batch for everyone. */
export interface LiveCodec<Encoded> {
  live(pattern: Pattern, batch: Batch): Encoded;
}

/** A batch on its way to every live subscription, encoded once for each codec. */
export class LiveBatch implements Batch {
  static #count = 0;
  /** Tells it from every other. */
  readonly number: number = ++LiveBatch.#count;
  readonly pattern: Pattern;
  readonly after: Offset;
  readonly through: Offset;
  readonly messages: Messages;
  /** Those that have not expired: what subscriptions are sent. Of the others a group may have to take note. */
  readonly unexpired: Messages;
  readonly #encoded = new Map<LiveCodec<unknown>, unknown>();

  constructor(pattern: Pattern, { after, through, messages }: Batch, now: number) {
    this.pattern = pattern;
    this.after = after;
    this.through = through;
    this.messages = messages;
    this.unexpired = unexpired(messages, now);
  }

  encoded<Encoded>(codec: LiveCodec<Encoded>): Encoded {
    let encoded = this.#encoded.get(codec);
    if (encoded === undefined) {
      encoded = codec.live(this.pattern, { after: this.after, through: this.through, messages: this.unexpired });
      this.#encoded.set(codec, encoded);
    }
    return encoded as Encoded;
  }
}

export class Feed {
  readonly pattern: Pattern;
  readonly #matches: (channel: Channel) => boolean;
  readonly #recent: Tail;
  readonly #clock: Clock;
  readonly #receivers = new Set<Receiver>();
  /** Where the batch that was sent last ended. */
  #last: Offset;

  /** `recent` is the newest stretch of the namespace, as far as it has been read. */
  constructor(pattern: Pattern, recent: Tail, clock: Clock) {
    this.pattern = pattern;
    this.#matches = matcher(pattern);
    this.#recent = recent;
    this.#clock = clock;
    this.#last = recent.through;
  }

  /** Everything that matches up to here has been given to the live subscriptions. */
  get through(): Offset {
    return this.#recent.through;
  }

  /** Resolves when the namespace has been read through an offset. */
  reached(offset: Offset): Promise<void> {
    return this.#recent.grownPast((offset - 1) as Offset);
  }

  /** What matches after an offset, out of what was read lately; `undefined` where that does not reach back so far. */
  page(after: Offset, budget: Budget): Page | undefined {
    if (after < this.#recent.start) return undefined;
    const page = collectPage(this.#recent.pieces(after), remembering(this.#matches), after, budget);
    return this.#recent.pieces(page.through).length > 0 ? page : { ...page, through: this.through };
  }

  /** Those of a page that have not expired: nobody is given the others. */
  unexpired(messages: Messages): Messages {
    return unexpired(messages, this.#clock.now());
  }

  /** Gives a batch of matching messages to every live subscription. */
  take(messages: Messages, through: Offset): void {
    const live = new LiveBatch(this.pattern, { after: this.#last, through, messages }, this.#clock.now());
    // What nobody is sent is part of what they are sent next.
    if (live.unexpired.length > 0) this.#last = through;
    // Whoever falls behind says so before the batch is sent: of several in one session it would be theirs as well.
    for (const receiver of this.#receivers) receiver.prepare(live);
    for (const receiver of this.#receivers) receiver.deliver(live);
  }

  join(receiver: Receiver): void {
    this.#receivers.add(receiver);
  }

  leave(receiver: Receiver): void {
    this.#receivers.delete(receiver);
  }
}
