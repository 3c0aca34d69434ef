/**
 * What a hub counts, for Prometheus. No user or channel is a label: there may be as many as anyone likes.
 *
 * Layers say what happens, a batch at a time. What can be asked is not counted but watched: it is looked at only when
 * somebody reads.
 */
import type { ClosingErrorCode, ErrorCode, Limits } from "@dogear/shared";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { type MetricSpec, metricTable, type NameOf } from "./metric-table.ts";
import { processRegistry } from "./process-metrics.ts";

/** What layers let look at. Each names what is its own. */
export interface Watched {
  readonly sessions: () => SessionCounts;
  /** Subscriptions that wait for their turn to read the log. */
  readonly catchingUp: () => number;
  readonly groups: () => Promise<GroupLags>;
  readonly engine: () => { readonly writable: boolean; readonly freeBytes: number | undefined };
}

export interface SessionCounts {
  readonly sessions: number;
  readonly subscriptions: number;
  readonly members: number;
  readonly outboxBytes: number;
}

export interface GroupLags {
  /** How many groups there are, also those whose lag is not told. */
  readonly count: number;
  readonly lags: readonly GroupLag[];
}

export interface GroupLag {
  readonly namespace: string;
  readonly group: string;
  readonly messages: number;
  /** Age of the oldest message; `null` where there is none. */
  readonly ageMs: number | null;
}

/** What became of a token or key. */
export type LoginOutcome = "accepted" | ErrorCode;

/** Errors that are always about the same limit. Of the others, whoever knows the limit says so. */
const limitOf: Partial<Record<ErrorCode, keyof Limits>> = {
  "message-too-large": "messageBytesMax",
  "payload-too-deep": "payloadDepthMax",
  "too-many-scheduled": "scheduledMax",
  "too-many-errors": "errorsMax",
  "hello-timeout": "helloTimeoutMs",
  "hello-too-large": "helloBytesMax",
};

const flushSeconds = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
const commitMessages = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384];

export class Metrics {
  readonly #registry = new Registry();
  readonly #process = processRegistry();
  readonly #watched: Partial<Watched>[] = [];

  readonly #receivedBytes = this.#tally("dogear_received_bytes_total");
  readonly #sentBytes = this.#tally("dogear_sent_bytes_total");
  readonly #publishedMessages = this.#tally("dogear_published_messages_total");
  readonly #publishedBytes = this.#tally("dogear_published_bytes_total");
  readonly #deliveredMessages = this.#tally("dogear_delivered_messages_total");
  readonly #deliveredBytes = this.#tally("dogear_delivered_bytes_total");

  readonly #publishesRefused = this.#counter("dogear_publishes_refused_total");
  readonly #connectionsRefused = this.#counter("dogear_connections_refused_total");
  readonly #sessionsClosed = this.#counter("dogear_sessions_closed_total");
  readonly #logins = this.#counter("dogear_logins_total");
  readonly #limitHits = this.#counter("dogear_limit_hits_total");

  readonly #flushSeconds = this.#histogram("dogear_log_flush_seconds", flushSeconds);
  readonly #commitMessages = this.#histogram("dogear_log_commit_messages", commitMessages);

  readonly #sessions = this.#gauge("dogear_sessions");
  readonly #subscriptions = this.#gauge("dogear_subscriptions");
  readonly #members = this.#gauge("dogear_members");
  readonly #outboxBytes = this.#gauge("dogear_outbox_bytes");
  readonly #catchingUp = this.#gauge("dogear_catching_up");
  readonly #logWritable = this.#gauge("dogear_log_writable");
  readonly #diskFreeBytes = this.#gauge("dogear_disk_free_bytes");
  readonly #groups = this.#gauge("dogear_groups");
  readonly #groupsWithoutLag = this.#gauge("dogear_groups_without_lag");
  readonly #groupLagMessages = this.#gauge("dogear_group_lag_messages");
  readonly #groupLagSeconds = this.#gauge("dogear_group_lag_seconds");

  #reading: Promise<string> | undefined;

  /** What `text` is, as an HTTP header says it. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything, in the text format of Prometheus. Those who ask at once are given the same. */
  text(): Promise<string> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Has these looked at whenever somebody reads. */
  watch(watched: Partial<Watched>): void {
    this.#watched.push(watched);
  }

  /** A WebSocket message arrived. */
  received(bytes: number): void {
    this.#receivedBytes.add(bytes);
  }

  /** A frame was sent. */
  sent(bytes: number): void {
    this.#sentBytes.add(bytes);
  }

  /** Drafts of a client were acknowledged. */
  published(messages: number, bytes: number): void {
    this.#publishedMessages.add(messages);
    this.#publishedBytes.add(bytes);
  }

  /** A draft of a client was refused. */
  publishRefused(code: ErrorCode): void {
    this.#publishesRefused.inc({ code });
    this.#metLimitOf(code);
  }

  /** A frame with messages was sent to a session. */
  delivered(messages: number, bytes: number): void {
    this.#deliveredMessages.add(messages);
    this.#deliveredBytes.add(bytes);
  }

  /** The log made a commit and flushed it. */
  committed(messages: number, ms: number): void {
    this.#commitMessages.observe(messages);
    this.#flushSeconds.observe(ms / 1_000);
  }

  /** A connection was turned away before it became a session. */
  connectionRefused(code: ErrorCode): void {
    this.#connectionsRefused.inc({ code });
  }

  /** The hub ended a session. */
  closed(code: ClosingErrorCode): void {
    this.#sessionsClosed.inc({ code });
    this.#metLimitOf(code);
  }

  /** A token or key was shown. */
  login(outcome: LoginOutcome): void {
    this.#logins.inc({ outcome });
  }

  /** A limit kept somebody from something. */
  limitHit(limit: keyof Limits): void {
    this.#limitHits.inc({ limit });
  }

  #metLimitOf(code: ErrorCode): void {
    const limit = limitOf[code];
    if (limit !== undefined) this.limitHit(limit);
  }

  async #read(): Promise<string> {
    await Promise.all(this.#watched.map((watched) => this.#look(watched)));
    return `${await this.#registry.metrics()}\n${await this.#process.metrics()}`;
  }

  async #look({ sessions, catchingUp, engine, groups }: Partial<Watched>): Promise<void> {
    if (sessions !== undefined) this.#lookAtSessions(sessions());
    if (catchingUp !== undefined) this.#catchingUp.set(catchingUp());
    if (engine !== undefined) {
      const { writable, freeBytes } = engine();
      this.#logWritable.set(writable ? 1 : 0);
      if (freeBytes !== undefined) this.#diskFreeBytes.set(freeBytes);
    }
    if (groups !== undefined) this.#lookAtGroups(await groups());
  }

  #lookAtSessions({ sessions, subscriptions, members, outboxBytes }: SessionCounts): void {
    this.#sessions.set(sessions);
    this.#subscriptions.set(subscriptions);
    this.#members.set(members);
    this.#outboxBytes.set(outboxBytes);
  }

  #lookAtGroups({ count, lags }: GroupLags): void {
    this.#groups.set(count);
    this.#groupsWithoutLag.set(count - lags.length);
    // A group that is gone leaves no lag behind.
    this.#groupLagMessages.reset();
    this.#groupLagSeconds.reset();
    for (const { namespace, group, messages, ageMs } of lags) {
      this.#groupLagMessages.set({ namespace, group }, messages);
      this.#groupLagSeconds.set({ namespace, group }, (ageMs ?? 0) / 1_000);
    }
  }

  #tally(name: NameOf<"counter">): Tally {
    const tally = new Tally();
    const counter = new Counter({
      ...this.#about(name),
      collect() {
        counter.reset();
        counter.inc(tally.sum);
      },
    });
    return tally;
  }

  #counter(name: NameOf<"counter">): Counter {
    return new Counter(this.#about(name));
  }

  #gauge(name: NameOf<"gauge">): Gauge {
    return new Gauge(this.#about(name));
  }

  #histogram(name: NameOf<"histogram">, buckets: number[]): Histogram {
    return new Histogram({ ...this.#about(name), buckets });
  }

  #about(name: keyof typeof metricTable): { name: string; help: string; labelNames: string[]; registers: Registry[] } {
    const { help, labels = [] }: MetricSpec = metricTable[name];
    return { name, help, labelNames: [...labels], registers: [this.#registry] };
  }
}

/** Counts what happens so often that adding is all there is time for. */
class Tally {
  sum = 0;

  add(amount: number): void {
    this.sum += amount;
  }
}
