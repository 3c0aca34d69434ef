/** A hub on disk whose clock is moved by hand, and a client of it that schedules. */
import { cpSync } from "node:fs";
import { defaultLimits, type Limits, type Offset, type Pattern, type WireMessage } from "@dogear/shared";
import { hubJsonCodec } from "../../server/src/codec/json.ts";
import type { Engine, Log, State } from "../../server/src/engine/engine.ts";
import { LmdbEngine } from "../../server/src/engine/lmdb/lmdb-engine.ts";
import { Hub } from "../../server/src/hub/hub.ts";
import type { HubPolicy, Namespace } from "../../server/src/hub/namespace.ts";
import type { Sequencer } from "../../server/src/hub/sequencer.ts";
import { type Clock, systemClock } from "../../server/src/runtime/clock.ts";
import { Metrics } from "../../server/src/runtime/metrics.ts";
import { type Answer, Drafts } from "../../server/src/session/drafts.ts";
import { chance } from "../support/clock.ts";
import { temporaryFolder, whenDone } from "../support/temp.ts";
import { Collected } from "../support/waiting.ts";
import { policy, settled, VirtualClock } from "./support.ts";

/** A virtual clock whose wall time can jump as well. */
export class JumpingClock implements Clock {
  readonly #virtual = new VirtualClock();
  #jumped = 0;

  now(): number {
    return this.#virtual.now() + this.#jumped;
  }

  monotonic(): number {
    return this.#virtual.monotonic();
  }

  after(ms: number, call: () => void): () => void {
    return this.#virtual.after(ms, call);
  }

  soon(call: () => void): void {
    systemClock.soon(call);
  }

  advance(ms: number): Promise<void> {
    return this.#virtual.advance(ms);
  }

  /** Somebody sets the machine's clock. */
  jump(ms: number): void {
    this.#jumped += ms;
  }
}

/** Where a call to what is stored may be interrupted. */
export type Interrupt = (when: "before" | "after", what: "append" | "putAll") => void;

export interface WorldOptions {
  readonly data?: string;
  readonly clock?: JumpingClock;
  readonly limits?: Partial<Limits>;
  /** Besides `default`, or instead of the one there is. */
  readonly policies?: readonly Partial<HubPolicy>[];
  /** May throw, which fails the call. */
  readonly interrupt?: Interrupt;
  /** Instead of one on disk. */
  readonly engine?: Engine;
}

/** A message, as text and read. */
export interface Read extends WireMessage {
  readonly text: string;
}

export class World {
  readonly hub: Hub;
  readonly clock: JumpingClock;
  readonly data: string;
  readonly logged: Collected<string>;
  readonly #engine: Engine;
  readonly #drafts: Drafts;
  readonly #answers = new Collected<Answer>();
  #number = 0;
  #open = true;

  static async open(options: WorldOptions = {}): Promise<World> {
    const { data = temporaryFolder(), clock = new JumpingClock(), limits, policies = [], interrupt } = options;
    const logged = new Collected<string>();
    const note = (event: string): void => logged.add(event);
    const logger = { info: () => {}, warn: note, error: note };
    const fatal = (error: unknown): void => {
      throw error;
    };
    const beneath =
      options.engine ?? (await LmdbEngine.open({ data, clock, chance, logger, metrics: new Metrics(), fatal }));
    const engine = interrupt === undefined ? beneath : interruptible(beneath, interrupt);
    const all = new Map<string, HubPolicy>([["default", { ...policy, durability: "disk" }]]);
    for (const one of policies) {
      const { namespace = "default" } = one;
      all.set(namespace, { ...policy, durability: "disk", namespace, ...one });
    }
    const merged = { ...defaultLimits, ...limits };
    const hub = await Hub.open({ engine, clock, chance, logger, policies: [...all.values()], limits: merged });
    const world = new World({ data, clock, logged, hub, engine, limits: merged, logger });
    // One that is not on disk has nothing to leave behind, and may be dead.
    if (options.engine === undefined) whenDone(() => world.close());
    return world;
  }

  private constructor({
    data,
    clock,
    logged,
    hub,
    engine,
    limits,
    logger,
  }: Pick<World, "data" | "clock" | "logged" | "hub"> & {
    readonly engine: Engine;
    readonly limits: Limits;
    readonly logger: ConstructorParameters<typeof Drafts>[0]["logger"];
  }) {
    this.data = data;
    this.clock = clock;
    this.logged = logged;
    this.hub = hub;
    this.#engine = engine;
    this.#drafts = new Drafts({ hub, limits, clock, logger, metrics: new Metrics() }, (answers) => {
      for (const answer of answers) this.#answers.add(answer);
    });
  }

  get namespace(): Namespace {
    return this.hub.namespace("any" as Pattern);
  }

  /** Publishes as a client would, and waits for the answer. Unnumbered, unless a number and its sequence are given. */
  async publish(fields: object, numbered?: { readonly number: number; readonly by: Sequencer }): Promise<Answer> {
    const [answer] = await this.publishAll([fields], numbered);
    return answer as Answer;
  }

  /** Publishes several in one frame; answered in this order. */
  async publishAll(
    all: readonly object[],
    numbered?: { readonly number: number; readonly by: Sequencer },
  ): Promise<readonly Answer[]> {
    const first = numbered?.number ?? this.#number + 1;
    if (numbered === undefined) this.#number += all.length;
    const from = this.#answers.items.length;
    const frame = all.map((fields, i) => ({ is: "publish", number: first + i, channel: "a", data: 1, ...fields }));
    for (const incoming of hubJsonCodec(defaultLimits).decode(Buffer.from(JSON.stringify(frame)), false)) {
      if (incoming.kind !== "publish") throw new Error(JSON.stringify(incoming));
      this.#drafts.add(incoming.publish, incoming.publish.id, numbered?.by);
    }
    this.#drafts.hand();
    await this.#answers.reach(from + all.length);
    const answers = this.#answers.items.slice(from);
    return answers.sort((a, b) => a.number - b.number);
  }

  /** Schedules, and gives the id. */
  async schedule(fields: object): Promise<string> {
    const answer = await this.publish(fields);
    if (answer.is !== "scheduled") throw new Error(JSON.stringify(answer));
    return answer.id;
  }

  /** Moves time and lets everything happen that follows. */
  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.rest();
  }

  /** Lets a long time pass, without everything that happens every second of it. */
  async pass(ms: number): Promise<void> {
    this.clock.jump(ms);
    await this.advance(10_000);
  }

  /** Lets everything happen that is to happen now. */
  async rest(): Promise<void> {
    let before: string;
    do {
      before = await this.#state();
      // A round may be under way, another may follow because something happened meanwhile, and that one stores as well.
      for (let rounds = 0; rounds < 3; rounds++) {
        await settled();
        // Whoever asks for this comes after what is under way.
        for (const namespace of this.#namespaces()) await this.hub.schedules.retire(namespace, 0 as Offset);
      }
    } while ((await this.#state()) !== before);
  }

  /** What the log holds of a pattern. */
  async messages(pattern = ">", namespace: Namespace = this.namespace): Promise<readonly Read[]> {
    const found: Read[] = [];
    const { newest } = await namespace.log.bounds();
    let at = 0 as Offset;
    while (at < newest) {
      const budget = { messages: 10_000, bytes: 10_000_000, scan: 100_000_000 };
      const { messages, through } = await namespace.log.read(pattern as Pattern, at, budget);
      let start = 0;
      for (const end of messages.ends) {
        const text = messages.bytes.subarray(start, end).toString();
        found.push({ ...(JSON.parse(text) as WireMessage), text });
        start = end + 1;
      }
      at = through;
    }
    return found;
  }

  async dataOf(pattern?: string, namespace?: Namespace): Promise<readonly unknown[]> {
    return (await this.messages(pattern, namespace)).map(({ data }) => data);
  }

  /** Stops in good order. */
  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.hub.close();
    await this.#engine.close();
  }

  /** Stops, and opens the same data again. */
  async restart(options: Omit<WorldOptions, "data"> = {}): Promise<World> {
    await this.close();
    return World.open({ clock: this.clock, ...options, data: this.data });
  }

  /** The data as a hub would leave it that is killed now. */
  image(): string {
    const copy = temporaryFolder();
    cpSync(this.data, copy, { recursive: true, filter: (path) => !path.endsWith(".sock") });
    return copy;
  }

  *#namespaces(): Generator<Namespace> {
    const seen = new Set<Namespace>();
    for (const name of ["any", "orders.any"]) seen.add(this.hub.namespace(name as Pattern));
    yield* seen;
  }

  async #state(): Promise<string> {
    const facts: number[] = [];
    for (const namespace of this.#namespaces()) {
      facts.push(this.hub.schedules.pending(namespace), (await namespace.log.bounds()).newest);
    }
    return facts.join();
  }
}

function interruptible(engine: Engine, interrupt: Interrupt): Engine {
  const state = wrapped<State>(engine.state, "putAll", interrupt);
  return {
    state,
    peers: engine.peers,
    health: () => engine.health(),
    close: () => engine.close(),
    open: async (opened) => wrapped<Log>(await engine.open(opened), "append", interrupt),
  };
}

/** The same object, with one of its calls interrupted. */
function wrapped<T extends object>(target: T, what: "append" | "putAll", interrupt: Interrupt): T {
  return new Proxy(target, {
    get: (object, name) => {
      const value: unknown = Reflect.get(object, name);
      if (typeof value !== "function") return value;
      if (name !== what) return value.bind(object);
      return async (...parameters: unknown[]) => {
        interrupt("before", what);
        const result: unknown = await value.apply(object, parameters);
        interrupt("after", what);
        return result;
      };
    },
  });
}

/** Of who may publish to every channel. */
export const anywhere = (): boolean => true;
