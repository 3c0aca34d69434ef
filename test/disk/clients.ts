/**
 * Clients of a hub whose disk fails, all in the test's process: it is the hub that dies, and never what they remember of
 * it. One publishes, one reads with a cursor, one works in a group; between two lives of the hub those who read and work
 * are replaced by others who go on at the same place.
 */
import type { Dogear, DogearError, PublishOptions, Worker } from "@dogear/client";
import { connect } from "@dogear/client";
import { admin } from "@dogear/client/admin";
import type { GroupReport, Offset, Pattern } from "@dogear/shared";
import { check } from "../checker/checker.ts";
import type { Happened, HistoryEvent } from "../checker/history.ts";
import type { Violation } from "../checker/violation.ts";
import { content, contentOf, endDraft } from "../crash/load.ts";
import { whenDone } from "../support/temp.ts";
import { Collected, until } from "../support/waiting.ts";

const everything = ">" as Pattern;
const crew = { group: "crew", pattern: "orders.>" as Pattern };
const channels = ["orders.eu", "orders.us", "sensors.hall"] as const;

/** They come back at once, as the hub does. */
const backoff = { baseMs: 10, capMs: 50 };

export class Clients {
  readonly history: HistoryEvent[] = [];
  /** The drafts that were acknowledged, as they are. */
  readonly acknowledged: Collected<string> = new Collected();
  readonly #url: string;
  readonly #publisher: Dogear;
  readonly #connected: Dogear[] = [];
  #reader: Dogear;
  #worker: Worker;
  #lives = 1;
  #drafts = 0;
  #ended = new Set<string>();
  /** What the group says that it was never given. */
  #lost = 0;

  constructor(url: string) {
    this.#url = url;
    whenDone(() => this.close());
    this.#publisher = this.#connect();
    this.#reader = this.#read();
    this.#worker = this.#work();
  }

  /** Publishes so many drafts at once; resolves when each is answered, be it by a later life of the hub. */
  async publish(count: number, length = 40, to?: (typeof channels)[number]): Promise<void> {
    await Promise.all(
      Array.from({ length: count }, () => {
        const draft = `draft-${++this.#drafts}`;
        const channel = to ?? (channels[this.#drafts % channels.length] as string);
        return this.#publish({ channel, data: { draft, text: "x".repeat(length) }, options: {} });
      }),
    );
  }

  /** Replaces those who read and work by others, as after a crash of theirs: nothing is said to the hub at the end. */
  async replace(): Promise<void> {
    const before = this.#reader;
    this.#lives++;
    this.#reader = this.#read();
    await before.close({ signal: AbortSignal.abort() }).catch(() => {});
  }

  /** Resolves when the group has settled everything. */
  async settled(): Promise<void> {
    const operator = admin(this.#publisher);
    let seen: GroupReport | undefined;
    const isSettled = async () => {
      try {
        seen = await operator.group(crew.group);
        return seen.lag.messages === 0;
      } catch (error) {
        // Its worker, which begins it, may come later than everybody else.
        if ((error as DogearError).code !== "unknown-group") throw error;
        return false;
      }
    };
    await until(isSettled, () => `a group that has settled everything, but ${JSON.stringify(seen)},`);
  }

  /** Publishes the end, and resolves when everybody has everything. */
  async finish(): Promise<void> {
    await this.#publish(endDraft("orders.eu"));
    await until(async () => this.#ended.has(this.#readerName), "a reader that has everything");
    await this.settled();
    await this.#worker.leave();
    this.#lost = (await admin(this.#publisher).group(crew.group)).lost;
    await this.#readAll();
  }

  /** What the checker says of all that happened; after `finish`. */
  violations(): Violation[] {
    return check(this.history, {
      namespaces: ["default"],
      finishers: [this.#readerName],
      durability: { default: "disk" },
      groups: { [crew.group]: { pattern: crew.pattern, finished: true, lost: this.#lost } },
    });
  }

  /** All of them leave. */
  async close(): Promise<void> {
    await Promise.all(this.#connected.map((dogear) => dogear.close({ signal: AbortSignal.timeout(1_000) })));
  }

  note(process: string, happened: Happened): void {
    this.history.push({ process, at: performance.now(), ...happened });
  }

  get #readerName(): string {
    return `reader#${this.#lives}`;
  }

  #connect(subscriber?: string): Dogear {
    const dogear = connect(this.#url, { backoff, ...(subscriber !== undefined && { subscriber }) });
    this.#connected.push(dogear);
    return dogear;
  }

  async #publish(draft: Parameters<typeof contentOf>[0] & { readonly options: object }): Promise<void> {
    const told = contentOf(draft);
    this.note("publisher", { op: "publish", kind: "invoke", ...told });
    try {
      const { epoch, offset, durability } = await this.#publisher.publish(
        draft.channel,
        draft.data,
        draft.options as PublishOptions,
      );
      this.note("publisher", { op: "publish", kind: "ok", draft: told.draft, epoch, offset, durability });
      this.acknowledged.add(told.draft);
    } catch (error) {
      const { code } = error as DogearError;
      this.note("publisher", { op: "publish", kind: "info", draft: told.draft, error: code });
    }
  }

  #read(): Dogear {
    const reader = this.#connect("reader");
    const [name, subscription, pattern] = [this.#readerName, "1", everything];
    this.note(name, {
      op: "subscribe",
      kind: "invoke",
      subscription,
      pattern,
      subscriber: "reader",
      fromEarliest: true,
    });
    const options = { cursor: true, from: "earliest", onGap: "continue", window: { messages: 8 } } as const;
    const open = reader.subscribe(pattern, options, (message) => {
      const { epoch, offset } = message;
      this.note(name, { op: "deliver", kind: "invoke", subscription, epoch, offset, ...content(message) });
      this.note(name, { op: "deliver", kind: "ok", subscription, epoch, offset });
      if (message.headers?.end) this.#ended.add(name);
    });
    open.addEventListener("subscribed", ({ detail: { position } }) =>
      this.note(name, { op: "subscribe", kind: "ok", subscription, ...position }),
    );
    open.addEventListener("gap", ({ detail: { from, to, reason, position } }) =>
      this.note(name, { op: "gap", kind: "info", subscription, from, to, reason, ...position }),
    );
    return reader;
  }

  #work(): Worker {
    const { group, pattern } = crew;
    const settings = { group, leaseMs: 1_000, maxFailures: 100, backoff: { minMs: 0 } };
    const worker = this.#connect().work(pattern, settings);
    void this.#takeAll(worker);
    return worker;
  }

  async #takeAll(worker: Worker): Promise<void> {
    for await (const message of worker) {
      const { epoch, offset, deliveries, failures } = message;
      const lease = { group: crew.group, epoch, offset, deliveries } as const;
      this.note("worker", { op: "lease", kind: "invoke", ...lease, failures });
      const settle = { op: "settle", outcome: "ack", ...lease } as const;
      this.note("worker", { ...settle, kind: "invoke" });
      message.ack().then(
        () => this.note("worker", { ...settle, kind: "ok" }),
        () => this.note("worker", { ...settle, kind: "info" }),
      );
    }
  }

  /** The final, full read. */
  async #readAll(): Promise<void> {
    for await (const message of this.#connect().subscribe(everything, { from: "earliest", onGap: "continue" })) {
      this.note("log", { op: "read", kind: "ok", epoch: message.epoch, offset: message.offset, ...content(message) });
      if (message.headers?.end) break;
    }
    // Asked afterwards: retention may have removed something while it was being read.
    for (const { namespace, oldest, newest } of await admin(this.#publisher).namespaces())
      this.note("log", {
        op: "read-bounds",
        kind: "ok",
        namespace,
        oldest: oldest as Offset,
        newest: newest as Offset,
      });
  }
}
