/** A subscription as its user sees it. */
import type { Gap, Offset, Position } from "@dogear/shared";
import type { Window } from "./acknowledgements.ts";
import type { EngagementEvents } from "./engagement.ts";
import type { TypedEventTarget } from "./events.ts";
import type { From } from "./from.ts";
import type { Message } from "./message.ts";

export interface SubscribeOptions {
  /**
   * Keep a durable cursor: the hub stores what this client's `subscriber` has acknowledged in this pattern, and the
   * next subscription goes on from there. Default false: the place is kept over reconnects, for the life of the client.
   */
  readonly cursor?: boolean;
  /** Where to start, if there is no stored cursor. Default `"latest"`: after the newest message. */
  readonly from?: From;
  /** Start at `from` although a cursor is stored. Default false. */
  readonly reset?: boolean;
  /** How much the hub may send beyond what was acknowledged. Default 1,000 messages and 1 MiB. */
  readonly window?: Window;
  /**
   * What to do when messages were removed before they could be delivered: end with a `GapError` (`"throw"`, the
   * default), or dispatch `gap` and go on. Either way what came before the gap is handled first.
   */
  readonly onGap?: "throw" | "continue";
  /**
   * `"auto"` (the default): a message is acknowledged when its handler is done, or when the loop asks for the next.
   * `"manual"`: when `message.acknowledge()` is called.
   */
  readonly acknowledge?: "auto" | "manual";
  /** Unsubscribes. */
  readonly signal?: AbortSignal;
}

/** Called with one message at a time; the next one waits for the promise it returns. */
export type Handler<T = unknown> = (message: Message<T>) => void | Promise<void>;

export interface SubscriptionEvents extends EngagementEvents {
  /** Confirmed by the hub, also after each reconnect. */
  subscribed: { readonly position: Position; readonly head: Offset };
  /** Caught up: messages now arrive as they are published. */
  live: undefined;
  /** Reads from the log again, because it was slower than what is published. */
  behind: undefined;
  /** With `onGap: "continue"`. */
  gap: Gap & { readonly position: Position };
}

/**
 * Interest in a pattern. Take its messages with `for await`, unless it was given a handler.
 *
 * Leaving the loop unsubscribes and leaves the last message unacknowledged: with a cursor it is delivered again.
 */
export interface Subscription<T = unknown>
  extends TypedEventTarget<SubscriptionEvents>,
    AsyncIterable<Message<T>>,
    AsyncDisposable {
  readonly pattern: string;
  readonly state: "subscribing" | "catching-up" | "live" | "ended";
  /** Everything that matches, up to and including here, was handled. Undefined until the hub confirmed it once. */
  readonly position: Position | undefined;
  /** Resolves on unsubscribe, abort and close; rejects with what ended it otherwise. */
  readonly ended: Promise<void>;
  /** Resolves once the hub has confirmed it: what is published from now on will arrive. */
  ready(options?: { readonly signal?: AbortSignal }): Promise<Position>;
  /** Sends the last acknowledgement and ends. Resolves when the hub confirmed it or the connection is gone. */
  unsubscribe(): Promise<void>;
}
