/**
 * A feed: one pattern's fan-out on this hub. Each batch is encoded once and given to every live subscription.
 *
 * Whoever catches up joins by one comparison. A feed keeps its newest messages, and `through` is how far it has read
 * its namespace: a subscription that has been sent everything up to there is live. No lock, no merge: between the
 * comparison and joining nothing else can run.
 */
import { type Channel, matcher, type Offset, type Pattern } from "@dogear/shared";
import type { Frame, HubCodec } from "../codec/codec.ts";
import type { Batch } from "../engine/engine.ts";
import type { Messages } from "../engine/messages.ts";
import { Tail } from "../engine/tail.ts";

/** What a feed delivers to. */
export interface Receiver {
  deliver(live: LiveBatch): void;
}

/** A batch on its way to every live subscription, encoded once for each codec. */
export class LiveBatch implements Batch {
  readonly pattern: Pattern;
  readonly after: Offset;
  readonly through: Offset;
  readonly messages: Messages;
  readonly #frames = new Map<HubCodec, Frame>();

  constructor(pattern: Pattern, { after, through, messages }: Batch) {
    this.pattern = pattern;
    this.after = after;
    this.through = through;
    this.messages = messages;
  }

  frame(codec: HubCodec): Frame {
    let frame = this.#frames.get(codec);
    if (frame === undefined) {
      frame = codec.live(this.pattern, this);
      this.#frames.set(codec, frame);
    }
    return frame;
  }
}

/** The newest messages a feed keeps: several pages, so that whoever has read one page too few finds the rest here. */
const recentBytesMax = 1_024 * 1_024;

export class Feed {
  readonly pattern: Pattern;
  readonly matches: (channel: Channel) => boolean;
  /** The newest messages of the pattern. */
  readonly recent: Tail;
  readonly #through: () => Offset;
  readonly #receivers = new Set<Receiver>();

  /** `through` tells how far the namespace has been read. */
  constructor(pattern: Pattern, through: () => Offset) {
    this.pattern = pattern;
    this.matches = matcher(pattern);
    this.#through = through;
    this.recent = new Tail(through(), recentBytesMax);
  }

  /** Everything that matches up to here has been given to the live subscriptions. */
  get through(): Offset {
    return this.#through();
  }

  /** Gives a batch of matching messages to every live subscription. */
  take(messages: Messages, through: Offset): void {
    const after = this.recent.through;
    this.recent.push(messages, through);
    const live = new LiveBatch(this.pattern, { after, through, messages });
    for (const receiver of this.#receivers) receiver.deliver(live);
  }

  join(receiver: Receiver): void {
    this.#receivers.add(receiver);
  }

  leave(receiver: Receiver): void {
    this.#receivers.delete(receiver);
  }
}
