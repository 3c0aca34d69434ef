/**
 * A publisher, a durable subscriber and a member of a group on the far side of a bad network, and the history of what they
 * did and saw, which the checker judges in the end.
 *
 *     publisher, subscriber, worker ◄── proxy ──► hub ◄──► reader, for the final read
 *
 * They are real clients over real sockets, for whom time goes by faster, so that what they wait seconds for is over soon.
 */

import type { LeasedMessage, Message } from "@dogear/client";
import { admin } from "@dogear/client/admin";
import type { Pattern } from "@dogear/shared";
import { expect } from "vitest";
import { Dogear } from "../../client/src/client.ts";
import { check, explain } from "../checker/checker.ts";
import type { Happened, HistoryEvent } from "../checker/history.ts";
import { content, contentOf, endDraft } from "../crash/load.ts";
import { clientOf, startHub, type TestHub } from "../support/hub.ts";
import { hurriedRuntime } from "../support/hurried.ts";
import { startProxy, type TcpProxy } from "../support/proxy.ts";
import { whenDone } from "../support/temp.ts";
import { Collected, until } from "../support/waiting.ts";

const hurry = 20;
const channel = "orders.eu";
const pattern = "orders.>" as Pattern;
const crew = {
  group: "crew",
  window: 8,
  leaseMs: 1_000,
  maxFailures: 3,
  backoff: { type: "fixed", minMs: 20, jitter: 0 },
} as const;

/** Drafts that wait for their answers at a time. */
const lanes = 4;
/** Names of the subscription in its history. */
const subscription = "orders";

export class Cast {
  readonly hub: TestHub;
  readonly proxy: TcpProxy;
  readonly random: () => number;
  readonly history: HistoryEvent[] = [];
  /** What the subscriber was given. */
  readonly delivered: Collected<string> = new Collected();
  /** Settlements that the hub has confirmed. */
  readonly settled: Collected<void> = new Collected();
  /** What came into the log, as somebody sees it whose network is well. */
  readonly witnessed: Collected<string> = new Collected();
  /** Connections that were lost, of all three. */
  readonly lost: Collected<string> = new Collected();
  readonly #clients: readonly Dogear[];
  readonly #textLengthMax: number;
  #drafts = 0;
  #isOn = true;
  #publishing: Promise<unknown> = Promise.resolve();
  #working: Promise<void> = Promise.resolve();

  /** @param textLengthMax Of what is published. */
  static async start(random: () => number, textLengthMax = 5_000): Promise<Cast> {
    const limits = { heartbeatMs: 100, heartbeatGraceMs: 700, helloTimeoutMs: 2_000 };
    const hub = await startHub({ config: { limits } });
    return new Cast(hub, await startProxy(hub.port, random), random, textLengthMax);
  }

  private constructor(hub: TestHub, proxy: TcpProxy, random: () => number, textLengthMax: number) {
    this.#textLengthMax = textLengthMax;
    this.hub = hub;
    this.proxy = proxy;
    this.random = random;
    this.#clients = ["publisher", "subscriber", "worker"].map((name) => this.#client(name));
  }

  /** Everybody begins with what they do. Called when the weather is set. */
  begin(): void {
    clientOf(this.hub.url).subscribe(pattern, {}, (message) => this.witnessed.add(content(message).draft));
    const [publisher, subscriber, worker] = this.#clients as [Dogear, Dogear, Dogear];
    this.#subscribe(subscriber);
    this.#working = this.#work(worker);
    this.#publishing = Promise.all(Array.from({ length: lanes }, () => this.#publishOn(publisher)));
    // Told at the end, unless the test has failed before.
    for (const doing of [this.#working, this.#publishing]) doing.catch(() => {});
  }

  /** Resolves when so many more messages were given to the subscriber, and work goes on. */
  async progress(count = 20): Promise<void> {
    const worked = this.settled.items.length + count / 2;
    await this.delivered.reach(this.delivered.items.length + count);
    await this.settled.reach(worked);
  }

  /** Resolves when the hub has taken something more, which nobody may have been told. */
  async hubHears(): Promise<void> {
    await this.witnessed.reach(this.witnessed.items.length + 1);
  }

  /** Resolves when every one of the three has lost a connection once more. */
  async losses(): Promise<void> {
    const before = this.lost.items.length;
    const since = () => new Set(this.lost.items.slice(before));
    await until(async () => since().size === this.#clients.length, "a lost connection of each");
  }

  /** The network is well again; all finish, and nothing was promised that was not kept. */
  async finish(): Promise<void> {
    this.#isOn = false;
    await this.#publishing;
    const reader = clientOf(this.hub.url);
    const end = endDraft(channel);
    const { draft, ...rest } = contentOf(end);
    this.#note("closer", { op: "publish", kind: "invoke", draft, ...rest });
    const { epoch, offset, durability } = await reader.publish(channel, end.data, end.options);
    this.#note("closer", { op: "publish", kind: "ok", draft, epoch, offset, durability });
    await this.delivered.find((given) => given === draft);
    const operator = admin(reader);
    const isSettled = async () => (await operator.group(crew.group)).lag.messages === 0;
    await until(isSettled, "a group that has settled everything");
    await Promise.all(this.#clients.map((client) => client.close()));
    await this.#working;
    await this.#readAll(reader);
    this.#judge();
  }

  #client(name: string): Dogear {
    const options = { backoff: { baseMs: 200, capMs: 1_000 }, subscriber: name };
    const dogear = new Dogear(this.proxy.url, options, hurriedRuntime(hurry));
    dogear.addEventListener("state", ({ detail }) => {
      if (detail.name === "waiting") this.lost.add(name);
      // Nothing that a network does may end a client.
      if (detail.name === "closed") expect(detail.code).toBe("closed");
    });
    whenDone(() => dogear.close({ signal: AbortSignal.abort() }));
    return dogear;
  }

  async #publishOn(dogear: Dogear): Promise<void> {
    while (this.#isOn) {
      const draft = `draft-${++this.#drafts}`;
      const data = { draft, text: "ß".repeat(this.random() * (this.random() < 0.1 ? this.#textLengthMax : 100)) };
      this.#note("publisher", { op: "publish", kind: "invoke", ...contentOf({ channel, data, options: {} }) });
      const { epoch, offset, durability } = await dogear.publish(channel, data);
      this.#note("publisher", { op: "publish", kind: "ok", draft, epoch, offset, durability });
    }
  }

  #subscribe(dogear: Dogear): void {
    const process = "subscriber";
    this.#note(process, {
      op: "subscribe",
      kind: "invoke",
      subscription,
      pattern,
      subscriber: process,
      fromEarliest: true,
    });
    const options = { cursor: true, from: "earliest", onGap: "continue", window: { messages: 64 } } as const;
    const open = dogear.subscribe(pattern, options, async (message: Message) => {
      const { epoch, offset } = message;
      const found = content(message);
      this.#note(process, { op: "deliver", kind: "invoke", subscription, epoch, offset, ...found });
      await new Promise(setImmediate);
      this.#note(process, { op: "deliver", kind: "ok", subscription, epoch, offset });
      this.delivered.add(found.draft);
    });
    open.addEventListener("subscribed", ({ detail: { position } }) =>
      this.#note(process, { op: "subscribe", kind: "ok", subscription, ...position }),
    );
    open.addEventListener("gap", ({ detail: { from, to, reason, position } }) =>
      this.#note(process, { op: "gap", kind: "info", subscription, from, to, reason, ...position }),
    );
  }

  async #work(dogear: Dogear): Promise<void> {
    for await (const message of dogear.work(pattern, crew)) {
      const { epoch, offset, deliveries, failures } = message;
      this.#note("worker", { op: "lease", kind: "invoke", group: crew.group, epoch, offset, deliveries, failures });
      void this.#settle(message);
    }
  }

  async #settle(message: LeasedMessage): Promise<void> {
    const { epoch, offset, deliveries } = message;
    const chance = this.random();
    const outcome = chance < 0.9 ? "ack" : chance < 0.95 ? "retry" : chance < 0.97 ? "reject" : "release";
    const settle = { op: "settle", group: crew.group, epoch, offset, deliveries, outcome } as const;
    this.#note("worker", { ...settle, kind: "invoke" });
    try {
      await message[outcome]();
      this.#note("worker", { ...settle, kind: "ok" });
      this.settled.add();
    } catch {
      // It was lost, or the connection was before the hub could confirm it.
      this.#note("worker", { ...settle, kind: "info" });
    }
  }

  async #readAll(reader: Dogear): Promise<void> {
    for await (const message of reader.subscribe(pattern, { from: "earliest" })) {
      const { epoch, offset, key } = message;
      this.#note("reader", { op: "read", kind: "ok", epoch, offset, key, ...content(message) });
      if (message.headers?.end) break;
    }
    let { dead: left } = await admin(reader).group(crew.group);
    if (left === 0) return;
    for await (const { headers = {} } of reader.subscribe(`orders.$dead.${crew.group}`, { from: "earliest" })) {
      const about = Number(headers["dogear-offset"]) as never;
      this.#note("reader", {
        op: "read-dead",
        kind: "ok",
        group: crew.group,
        about,
        reason: headers["dogear-reason"] ?? "",
      });
      if (--left === 0) break;
    }
  }

  #judge(): void {
    const violations = check(this.history, {
      namespaces: ["default"],
      finishers: ["publisher", "subscriber", "worker"],
      durability: { default: "disk" },
      groups: { [crew.group]: { pattern, finished: true } },
    });
    expect(violations.length, explain(violations)).toBe(0);
  }

  #note(process: string, happened: Happened): void {
    this.history.push({ process, at: performance.now(), ...happened });
  }
}
