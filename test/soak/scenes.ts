/**
 * The checker, during a soak: its clients are connected all the time, and what they do is cut into scenes, so that histories
 * stay small. In a scene publishers publish, then stop; once every subscriber has come to the end of it and the group has
 * settled everything, the scene is held to what its stretch of the log holds, and forgotten.
 *
 *     ├── scene ──────────────────────────┤├── scene ─── …
 *      publish … churn … publish │ends │check
 *
 * Between two scenes nothing is published here, so that each begins where the one before it has ended for everybody.
 */
import { setTimeout as after } from "node:timers/promises";
import { connect, type Dogear, type Message, type Position, type Subscription, type Worker } from "@dogear/client";
import { type Admin, admin } from "@dogear/client/admin";
import type { Offset, Pattern } from "@dogear/shared";
import { until } from "../bench/measure.ts";
import { check } from "../checker/checker.ts";
import type { HistoryEvent } from "../checker/history.ts";
import { content, crew, endChannels, endDraft, namespaces, subscribers } from "../crash/load.ts";
import { publish, publishUntil, subscribe, work } from "../crash/roles.ts";
import { Notebook } from "./notebook.ts";

export interface ScenesOptions {
  readonly url: string;
  readonly random: () => number;
  /** How long publishers publish in each. */
  readonly sceneMs: number;
}

/** Drafts of a publisher that wait for their answers, and how long it rests after one. */
const pace = { inFlight: 3, restMsMax: 200, delayMsMax: 5_000 };
const publishers = 2;
const workers = 3;

/** How long a scene may take to come to its end, once nothing more is published. */
const endWithinS = 60;

interface Audience {
  readonly dogear: Dogear;
  readonly process: string;
  readonly role: (typeof subscribers)[number];
  readonly subscriptions: Map<Pattern, Subscription>;
}

interface Hand {
  readonly dogear: Dogear;
  readonly worker: Worker;
  readonly done: Promise<void>;
}

export class Scenes {
  scenes = 0;
  /** What was held to the promises: messages of the log, deliveries, leases. */
  readonly checked = { messages: 0, deliveries: 0, leases: 0 };
  readonly violations: string[] = [];
  readonly #options: ScenesOptions;
  readonly #notebook = new Notebook();
  readonly #operator: Dogear;
  readonly #admin: Admin;
  /** Replaced one after another, so that the hub has producers to forget. */
  readonly #publishers: Dogear[] = [];
  readonly #audience: Audience[] = [];
  readonly #hands: Hand[] = [];
  /** Patterns whose end somebody has still to be given. */
  readonly #awaited = new Set<string>();
  #lives = 0;
  #closed = false;

  constructor(options: ScenesOptions) {
    this.#options = options;
    this.#operator = this.#client();
    this.#admin = admin(this.#operator);
    for (let i = 0; i < publishers; i++) this.#publishers.push(this.#client());
    for (let i = 0; i < workers; i++) this.#hands.push(this.#newHand());
  }

  /** Scene after scene, until it is told to stop and the last has ended. */
  async run(stopping: () => boolean): Promise<void> {
    for (const role of subscribers) this.#audience.push(this.#newAudience(role));
    for (const { subscriptions } of this.#audience) {
      await Promise.all([...subscriptions.values()].map((subscription) => subscription.ready()));
    }
    while (!stopping()) await this.#scene(stopping);
  }

  /** Leases that members hold, and messages they wait for. */
  async unsettled(): Promise<number> {
    const { inFlight, delayed } = await this.#admin.group(crew.options.group);
    return inFlight + delayed;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#hands.map(leave));
    const clients = [this.#operator, ...this.#publishers, ...this.#audience.map(({ dogear }) => dogear)];
    await Promise.all(clients.map((dogear) => dogear.close()));
  }

  async #scene(stopping: () => boolean): Promise<void> {
    const start = await this.#heads();
    this.#notebook.take();
    for (const audience of this.#audience) this.#introduce(audience);
    await this.#publish(stopping);
    await this.#ends();
    await this.#readAll(start);
    this.#verdict(this.#notebook.take());
    this.scenes++;
  }

  async #publish(stopping: () => boolean): Promise<void> {
    let ending = false;
    const isOver = () => ending || stopping();
    const publishing = this.#publishers.map((dogear, i) => {
      const process = `publisher-${i}#${++this.#lives}`;
      const notes = this.#notebook.of(process);
      return publishUntil(isOver, { dogear, notes, random: this.#options.random }, { process, ...pace });
    });
    for (let slept = 0; slept < this.#options.sceneMs / 2 && !stopping(); slept += 100) await after(100);
    await this.#churn();
    for (let slept = 0; slept < this.#options.sceneMs / 2 && !stopping(); slept += 100) await after(100);
    ending = true;
    await Promise.all(publishing);
    const last = this.#publishers.shift() as Dogear;
    this.#publishers.push(this.#client());
    await last.close();
  }

  /** A durable subscriber goes and comes back, and one member leaves for another. */
  async #churn(): Promise<void> {
    const [gone] = this.#audience.splice(this.scenes % (subscribers.length - 1), 1) as [Audience];
    await gone.dogear.close();
    this.#audience.unshift(this.#newAudience(gone.role));
    await leave(this.#hands.shift() as Hand);
    this.#hands.push(this.#newHand());
  }

  /** Publishes the last message of each channel that has one, and waits until everybody is done. */
  async #ends(): Promise<void> {
    const scheduled = async () => (await this.#admin.namespaces()).reduce((sum, { scheduled }) => sum + scheduled, 0);
    await this.#holds(async () => (await scheduled()) === 0, "nothing that is scheduled");
    for (const { role } of this.#audience)
      for (const pattern of role.patterns) this.#awaited.add(`${role.name} in ${pattern}`);
    const closer = this.#notebook.of(`closer#${++this.#lives}`);
    for (const channel of endChannels) await publish(this.#operator, closer, endDraft(channel));
    await until(() => this.#awaited.size === 0, "giving everybody everything", endWithinS).catch(() => {
      this.violations.push(`G13: the end did not come to ${[...this.#awaited].join(", ")}.`);
    });
    const settled = async () => (await this.#admin.group(crew.options.group)).lag.messages === 0;
    await this.#holds(settled, "a group that has settled everything");
  }

  async #holds(look: () => Promise<boolean>, what: string): Promise<void> {
    for (const end = performance.now() + endWithinS * 1_000; !(await look()); await after(50)) {
      if (performance.now() > end) throw new Error(`Not ${what} within ${endWithinS} s.`);
    }
  }

  #verdict(history: readonly HistoryEvent[]): void {
    const found = check(history, {
      namespaces,
      finishers: this.#audience.map(({ process }) => process),
      durability: Object.fromEntries(namespaces.map((namespace) => [namespace, "disk"])),
      groups: { [crew.options.group]: { pattern: crew.pattern, finished: true } },
    });
    this.violations.push(...found.map((violation) => `scene ${this.scenes + 1}: ${violation}`));
    const count = (op: string) => history.filter((event) => event.op === op && event.kind !== "info").length;
    this.checked.messages += count("read");
    this.checked.deliveries += count("deliver") / 2;
    this.checked.leases += count("lease");
  }

  /** What the scene has left in the log. */
  async #readAll(start: ReadonlyMap<Pattern, Position>): Promise<void> {
    const notes = this.#notebook.of("reader");
    for (const [pattern, from] of start) {
      for (const message of await this.#read(pattern, from)) {
        const { epoch, offset, key } = message;
        notes.write({ op: "read", kind: "ok", epoch, offset, key, ...content(message) });
      }
    }
    const deadLetters = await this.#read(crew.deadChannel as Pattern, start.get(">" as Pattern) as Position);
    for (const { headers = {} } of deadLetters) {
      notes.write({
        op: "read-dead",
        kind: "ok",
        group: headers["dogear-group"] as string,
        about: Number(headers["dogear-offset"]) as Offset,
        reason: headers["dogear-reason"] as string,
      });
    }
  }

  /** Where the log of each namespace ends, by the pattern of all that is in it. */
  async #heads(): Promise<Map<Pattern, Position>> {
    const reports = await this.#admin.namespaces();
    const heads = new Map<Pattern, Position>();
    for (const { namespace, epoch, newest } of reports) {
      const pattern = namespace === "default" ? ">" : `${namespace}.>`;
      if (namespaces.includes(namespace)) heads.set(pattern as Pattern, { epoch, offset: newest });
    }
    return heads;
  }

  /** All that a pattern selects after a position, as a newcomer is given it. */
  async #read(pattern: Pattern, from: Position): Promise<Message[]> {
    const messages: Message[] = [];
    const reading = this.#operator.subscribe(pattern, { from }, (message) => void messages.push(message));
    let head: number | undefined;
    reading.addEventListener("subscribed", ({ detail }) => {
      head ??= detail.head;
    });
    await until(() => head !== undefined && (reading.position?.offset ?? 0) >= head, `reading ${pattern}`, endWithinS);
    await reading.unsubscribe();
    return messages;
  }

  /** Notes who listens, and where each is, as if they had come just now. */
  #introduce({ process, role, subscriptions }: Audience): void {
    const notes = this.#notebook.of(process);
    for (const [pattern, { position }] of subscriptions) {
      const { subscriber } = role;
      notes.write({ op: "subscribe", kind: "invoke", subscription: pattern, pattern, subscriber, fromEarliest: true });
      notes.write({ op: "subscribe", kind: "ok", subscription: pattern, ...(position as Position) });
    }
  }

  #newAudience(role: (typeof subscribers)[number]): Audience {
    const { name, subscriber, patterns } = role;
    const process = `${name}#${++this.#lives}`;
    const dogear = this.#client(subscriber);
    const open = (patterns as readonly string[] as readonly Pattern[]).map((pattern) => {
      const ended = () => void this.#awaited.delete(`${name} in ${pattern}`);
      return [pattern, subscribe(dogear, this.#notebook.of(process), { pattern, subscriber, ended })] as const;
    });
    return { dogear, process, role, subscriptions: new Map(open) };
  }

  #newHand(): Hand {
    const dogear = this.#client();
    const process = `worker#${++this.#lives}`;
    return { dogear, ...work(dogear, this.#notebook.of(process), this.#options.random) };
  }

  /** A client whose errors nobody else would hear of. */
  #client(subscriber?: string): Dogear {
    const dogear = connect(this.#options.url, subscriber === undefined ? {} : { subscriber });
    dogear.addEventListener("error", ({ detail: { error } }) => {
      if (!this.#closed) this.violations.push(`A client met an error: ${error}`);
    });
    return dogear;
  }
}

async function leave({ dogear, worker, done }: Hand): Promise<void> {
  await worker.leave();
  await done;
  await dogear.close();
}
