/**
 * One namespace on this hub: its log, and the feeds that fan it out.
 *
 * The hub follows the log once for all feeds, and only while there are any. A publish never comes through here: the
 * hub learns of its own messages as any other hub would, from the log.
 */
import { type Channel, isWildcard, type Offset, type Pattern } from "@dogear/shared";
import type { Batch, Log, NamespacePolicy } from "../engine/engine.ts";
import { MessagesBuilder } from "../engine/messages.ts";
import { Tail } from "../engine/tail.ts";
import type { Clock } from "../runtime/clock.ts";
import { type Logger, weightOf } from "../runtime/logger.ts";
import { Feed } from "./feed.ts";
import { Routes } from "./routes.ts";

/**
 * The newest stretch of the namespace that is kept: several pages, so that whoever has read one page too few finds the
 * rest here. For all feeds together, since a feed each would keep a chunk alive for the one message in it.
 */
const recentBytesMax = 256 * 1_024;

/** Pause before a log that failed is followed again. */
const refollowMs = 250;

/** What holds for a namespace: what its engine must honour, and what the hub sees to. */
export interface HubPolicy extends NamespacePolicy {
  /** Its messages live no longer than this. */
  readonly ttlMs?: number | undefined;
}

interface Counted {
  readonly feed: Feed;
  uses: number;
}

export class Namespace {
  readonly policy: HubPolicy;
  readonly log: Log;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #feeds = new Map<Pattern, Counted>();
  /** The feeds with a wildcard. Those without one are found by the name of the channel. */
  readonly #wildcards = new Routes<Feed>();
  /** What was read of the log since it is being followed. */
  #recent = new Tail(0 as Offset, recentBytesMax);
  #following: { readonly ready: Promise<void>; readonly stop: AbortController } | undefined;

  constructor(policy: HubPolicy, log: Log, { clock, logger }: { clock: Clock; logger: Logger }) {
    this.policy = policy;
    this.log = log;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** The feed of a pattern, to be given back with `release`. */
  async feed(pattern: Pattern): Promise<Feed> {
    this.#following ??= this.#follow();
    const { ready, stop } = this.#following;
    await ready;
    // The last feed may have been given back while this one waited.
    if (stop.signal.aborted) return this.feed(pattern);
    let counted = this.#feeds.get(pattern);
    if (counted === undefined) {
      counted = { feed: new Feed(pattern, this.#recent, this.#clock), uses: 0 };
      this.#feeds.set(pattern, counted);
      if (isWildcard(pattern)) this.#wildcards.set(pattern, counted.feed);
    }
    counted.uses++;
    return counted.feed;
  }

  release({ pattern }: Feed): void {
    const counted = this.#feeds.get(pattern);
    if (counted === undefined || --counted.uses > 0) return;
    this.#feeds.delete(pattern);
    if (isWildcard(pattern)) this.#wildcards.delete(pattern);
    if (this.#feeds.size === 0) this.stop();
  }

  /** Stops following the log. */
  stop(): void {
    this.#following?.stop.abort();
    this.#following = undefined;
  }

  #follow(): { readonly ready: Promise<void>; readonly stop: AbortController } {
    const stop = new AbortController();
    const ready = this.log.bounds().then(
      ({ newest }) => {
        this.#recent = new Tail(newest, recentBytesMax);
        void this.#run(this.#recent, stop.signal);
      },
      (error: unknown) => {
        // Whoever asks next tries again.
        this.stop();
        throw error;
      },
    );
    return { ready, stop };
  }

  async #run(recent: Tail, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const batch of this.log.follow(recent.through, signal)) {
          if (signal.aborted) return;
          recent.push(batch.messages, batch.through);
          this.#route(batch);
          // Whatever else waits, sockets above all, has its turn between two batches.
          await new Promise<void>((resolve) => this.#clock.soon(resolve));
        }
      } catch (error) {
        this.#logger[weightOf(error)]("namespace.follow-failed", { namespace: this.policy.namespace, error });
        await new Promise<void>((resolve) => void this.#clock.after(refollowMs, resolve));
      }
    }
  }

  #route({ messages, through }: Batch): void {
    const runs = new Map<Feed, MessagesBuilder>();
    let from = 0;
    for (let i = 1; i <= messages.length; i++) {
      if (i < messages.length && messages.channels[i] === messages.channels[from]) continue;
      for (const feed of this.#feedsOf(messages.channels[from] as Channel)) {
        let run = runs.get(feed);
        if (run === undefined) {
          run = new MessagesBuilder();
          runs.set(feed, run);
        }
        run.add(messages, from, i);
      }
      from = i;
    }
    for (const [feed, run] of runs) feed.take(run.build(), through);
  }

  *#feedsOf(channel: Channel): Generator<Feed> {
    const named = this.#feeds.get(channel as string as Pattern);
    if (named !== undefined) yield named.feed;
    if (!this.#wildcards.isEmpty) yield* this.#wildcards.find(channel);
  }
}
