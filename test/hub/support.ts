/** Parts of a hub for tests: a clock that is moved by hand, and a log whose appends are answered by hand. */
import { defaultLimits, type Limits } from "@dogear/shared";
import { alone } from "../../server/src/engine/alone.ts";
import type { Appended, Draft, Engine, Log, NamespacePolicy } from "../../server/src/engine/engine.ts";
import { MemoryEngine } from "../../server/src/engine/memory/memory-engine.ts";
import { Hub, type HubParts } from "../../server/src/hub/hub.ts";
import { Namespace } from "../../server/src/hub/namespace.ts";
import { type Clock, systemClock } from "../../server/src/runtime/clock.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { chance } from "../support/clock.ts";

export const policy: NamespacePolicy = {
  namespace: "default",
  durability: "memory",
  retention: { ageMs: undefined, bytes: undefined },
  deduplicationWindowMs: 300_000,
  deduplicationIdsMax: 1_000,
  producerMemoryMs: 7 * 86_400_000,
};

/** Time stands still until it is advanced; what is to happen `soon` does not wait for that. */
export class VirtualClock implements Clock {
  #now = 1_795_400_000_000;
  #timers: { readonly at: number; readonly call: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.#now + ms, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  soon(call: () => void): void {
    systemClock.soon(call);
  }

  /** Moves time, calls what is due in order, and lets what follows from that happen. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const [due] = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (due === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== due);
      this.#now = due.at;
      due.call();
      await settled();
    }
    this.#now = end;
    await settled();
  }
}

/** Lets everything happen that needs no time. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

interface HeldAppend {
  readonly drafts: readonly Draft[];
  /** Hands it to the log beneath. */
  release(): Promise<void>;
  fail(error: Error): Promise<void>;
  /** Hands it to the log beneath, and loses the answer. */
  lose(error: Error): Promise<void>;
}

/** A log whose appends wait, each until it is released or made to fail. */
export class HeldLog {
  readonly held: HeldAppend[] = [];
  readonly log: Log;
  /** While it is false, appends pass. */
  holding = true;

  constructor(beneath: Log, overrides: Partial<Log> = {}) {
    const changed: Partial<Log> = { append: (drafts) => this.#append(beneath, drafts), ...overrides };
    this.log = new Proxy(beneath, {
      get: (target, name) => {
        const value: unknown = Reflect.get(name in changed ? changed : target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  /** Releases the oldest one that waits. */
  async release(): Promise<void> {
    await this.#oldest().release();
  }

  async fail(error: Error): Promise<void> {
    await this.#oldest().fail(error);
  }

  /** Appends what the oldest one that waits is to append, and answers as if nobody knew. */
  async lose(error: Error): Promise<void> {
    await this.#oldest().lose(error);
  }

  #oldest(): HeldAppend {
    const [oldest] = this.held;
    if (oldest === undefined) throw new Error("Nothing is held.");
    return oldest;
  }

  #append(beneath: Log, drafts: readonly Draft[]): Promise<readonly Appended[]> {
    if (!this.holding) return beneath.append(drafts);
    return new Promise((resolve, reject) => {
      const take = async (settle: () => void): Promise<void> => {
        this.held.splice(this.held.indexOf(held), 1);
        settle();
        await settled();
      };
      const held: HeldAppend = {
        drafts,
        release: () => take(() => void beneath.append(drafts).then(resolve, reject)),
        fail: (error) => take(() => reject(error)),
        lose: (error) => take(() => void beneath.append(drafts).then(() => reject(error), reject)),
      };
      this.held.push(held);
    });
  }
}

export interface HeldNamespace {
  readonly namespace: Namespace;
  readonly log: HeldLog;
}

/** A namespace over a held log in memory. */
export async function heldNamespace(name: string): Promise<HeldNamespace> {
  const parts = { clock: systemClock, chance, logger: silentLogger };
  const held = new HeldLog(await new MemoryEngine(parts).open({ ...policy, namespace: name }));
  return { namespace: new Namespace({ ...policy, namespace: name }, held.log, parts), log: held };
}

interface MemoryHubOptions extends Partial<Pick<HubParts, "access" | "hit">> {
  readonly namespaces?: readonly string[];
  readonly overrides?: Partial<Log>;
  readonly limits?: Partial<Limits>;
  readonly policy?: Partial<NamespacePolicy>;
  /** One that other hubs share; otherwise the hub has its own. */
  readonly engine?: MemoryEngine;
}

/** A hub in memory, which says of its logs that they are on disk so that cursors may be kept. */
export async function memoryHub(
  clock: Clock,
  { namespaces = ["default"], overrides = {}, engine: engineOfSeveral, ...parts }: MemoryHubOptions = {},
): Promise<{ readonly hub: Hub; readonly logs: readonly HeldLog[] }> {
  const memory = engineOfSeveral ?? new MemoryEngine({ clock, chance });
  const logs: HeldLog[] = [];
  const engine: Engine = {
    state: memory.state,
    peers: engineOfSeveral?.peers ?? alone,
    health: () => memory.health(),
    close: () => memory.close(),
    open: async (opened) => {
      const held = new HeldLog(await memory.open(opened), { durability: "disk", ...overrides });
      held.holding = false;
      logs.push(held);
      return held.log;
    },
  };
  const policies = namespaces.map((namespace) => ({ ...policy, ...parts.policy, namespace }));
  const hub = await Hub.open({
    engine,
    clock,
    chance,
    logger: silentLogger,
    policies,
    limits: { ...defaultLimits, ...parts.limits },
    ...(parts.access && { access: parts.access }),
    ...(parts.hit && { hit: parts.hit }),
  });
  return { hub, logs };
}
