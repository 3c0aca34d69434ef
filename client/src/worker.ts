/** Sharing a group's messages with its other members, as a worker's user sees it. */
import type { DeclaredPolicy, DogearError, GroupPolicy } from "@dogear/shared";
import type { EngagementEvents } from "./engagement.ts";
import type { TypedEventTarget } from "./events.ts";
import type { From } from "./from.ts";
import type { StoredMessage } from "./message.ts";

/**
 * How to work. `order`, `onFailure`, `maxFailures`, `leaseMs` and `backoff` declare the group's policy: the first member
 * decides, the hub stores it, and a later member that says otherwise is refused with `group-differs`. What is left out
 * is as it was declared, or else the hub's default.
 */
export interface WorkOptions {
  /** Names the group within the pattern's namespace: letters, digits, `_` and `-`. */
  readonly group: string;
  /** How many messages are worked on at a time: how many handlers run. Default 1. */
  readonly concurrency?: number;
  /**
   * How many messages may be leased to this worker at a time, worked on or waiting here. Default twice `concurrency`:
   * for each one worked on, one on its way. (A member that names no window at all would get the protocol's own default,
   * which is 100.) In a loop: how many may be unsettled before the loop has to wait.
   */
  readonly window?: number;
  /** Where the group starts, if there is none yet. Default `"earliest"`: with the oldest message kept. */
  readonly from?: From;
  /**
   * `"none"` (the hub's default): messages are leased as they come. `"key"`: of those with the same key, one at a time and
   * in order. `"all"`: one at a time.
   */
  readonly order?: DeclaredPolicy["order"];
  /** Whether a message that failed holds back those behind it in order: `"block"` (the hub's default) or `"skip"`. */
  readonly onFailure?: DeclaredPolicy["onFailure"];
  /** After so many failures a message is a dead letter. The hub's default is 10. */
  readonly maxFailures?: number;
  /**
   * How long a lease is, in milliseconds, 100 to 43,200,000. It is how soon another member gets the messages of one that
   * died, and not how long a handler may take: leases are extended for as long as it does. The hub's default is 30,000.
   */
  readonly leaseMs?: number;
  /** How long a failed message waits for its next try. The hub's default is exponential, 1 second to 5 minutes. */
  readonly backoff?: DeclaredPolicy["backoff"];
  /** Leaves, as `leave()` does. */
  readonly signal?: AbortSignal;
}

/** How a message that failed is tried again. */
export interface RetryOptions {
  /** When, in milliseconds from now, up to 7 days. Default: as the group's backoff says. */
  readonly delayMs?: number;
  /** What went wrong, for those who look into it later. At most 1,024 characters are kept. */
  readonly error?: string;
}

/**
 * A message leased to this worker. It is settled once: what is said first counts, and all that settle it later get the
 * same promise. It resolves when the hub has confirmed it, over as many connections as that takes, and rejects with a
 * DogearError `lease-lost` if the message was not this worker's any more, or if nobody can know.
 */
export interface LeasedMessage<T = unknown> extends StoredMessage<T> {
  /** How often it was delivered, this time included. */
  readonly deliveries: number;
  /** How often it failed before. */
  readonly failures: number;
  /**
   * Aborted with a DogearError `lease-lost` when the lease is known to be lost: somebody else may be working on the
   * message by then, and what this worker says of it changes nothing.
   */
  readonly signal: AbortSignal;
  /** It is done. */
  ack(): Promise<void>;
  /**
   * It failed, and is to be tried again.
   *
   * @throws RangeError `delayMs` is not from 0 to 7 days.
   */
  retry(options?: RetryOptions): Promise<void>;
  /** It failed for good: it becomes a dead letter. At most 1,024 characters of the reason are kept. */
  reject(reason?: string): Promise<void>;
  /** Gives it back untried, which is not a failure. */
  release(): Promise<void>;
  /**
   * Keeps the lease for longer. Rarely needed: each lease is extended at about a third of its length, as long as the
   * event loop turns. Say how long, and await it, before a computation that stops the loop for longer than that.
   *
   * @param leaseMs From now on, and from each extension to come, in milliseconds. Default: the group's `leaseMs`; less
   *   than that counts as that.
   * @throws RangeError `leaseMs` is more than 12 hours. DogearError (as a rejection) `lease-lost`.
   */
  extend(leaseMs?: number): Promise<void>;
}

/** Called with one message; as many calls run at a time as `concurrency` says. */
export type WorkHandler<T = unknown> = (message: LeasedMessage<T>) => void | Promise<void>;

export interface WorkerEvents<T = unknown> extends EngagementEvents {
  /** The hub has taken it in as a member; also after each reconnect. */
  working: { readonly policy: GroupPolicy };
  /** A lease was lost before the message was settled. Somebody else gets the message, or has it already. */
  lost: { readonly message: LeasedMessage<T>; readonly error: DogearError };
}

/**
 * A member of a group. Take its messages with `for await` and settle each, unless it was given a handler.
 *
 * Leaving the loop leaves the group: what was handed out and not settled by then is released, and so is what waits.
 */
export interface Worker<T = unknown>
  extends TypedEventTarget<WorkerEvents<T>>,
    AsyncIterable<LeasedMessage<T>>,
    AsyncDisposable {
  readonly pattern: string;
  readonly group: string;
  /** `"joining"` also while the connection is lost. `"leaving"`: no new message is begun. */
  readonly state: "joining" | "working" | "leaving" | "ended";
  /** The group's policy, all of it. Undefined until the hub told it once. */
  readonly policy: GroupPolicy | undefined;
  /** How many messages are leased to it, worked on or waiting, whose settlement is not confirmed. */
  readonly inFlight: number;
  /**
   * Resolves when it has left, by `leave`, abort and close; rejects with what ended it otherwise: `group-differs`,
   * `invalid-group`, `memory-namespace`, `taken-over`, `group-deleted` …
   */
  readonly ended: Promise<void>;
  /** Resolves once the hub has taken it in, with the group's policy. */
  ready(options?: { readonly signal?: AbortSignal }): Promise<GroupPolicy>;
  /**
   * Begins no new message, gives back those that were not begun, and waits until the others are settled and the hub
   * has confirmed it. Resolves when it has ended.
   *
   * @param options.signal Ends the waiting: what is not settled by then is given back, and its leases are lost.
   */
  leave(options?: { readonly signal?: AbortSignal }): Promise<void>;
}
