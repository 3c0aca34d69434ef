/**
 * An engine for hubs that die: logs and state in memory that outlive them, written to as to a disk. What is handed in takes
 * time, and a hub that dies meanwhile leaves it written or not, and never hears which.
 *
 *     hub ── append ──► waits ──► written ──► answered
 *                         │          └─ died: it is there, and nobody was told
 *                         └─ died, full or failed: it is not there
 *
 * One hub has it as an embedded engine; several share it as a distributed one, whose answers may be lost on their way.
 */
import { type DogearError, dogearError, type Offset, type Pattern } from "@dogear/shared";
import type {
  Appended,
  Batch,
  Bounds,
  Budget,
  Change,
  Changed,
  ChannelCount,
  Draft,
  Engine,
  Entry,
  Health,
  KeyedEntry,
  Log,
  NamespacePolicy,
  Page,
  Peers,
  State,
} from "../../server/src/engine/engine.ts";
import { MemoryLog } from "../../server/src/engine/memory/memory-log.ts";
import { MemoryState } from "../../server/src/engine/memory/memory-state.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { Machine } from "./machine.ts";
import type { Timeline, Watch } from "./timeline.ts";

/** How the disk, or the cluster, is at the moment. */
export interface Condition {
  /** The longest that a write takes, in milliseconds, and a read. */
  writeMsMax: number;
  readMsMax: number;
  full: boolean;
  /** Of all writes, how many fail for good, which stops a hub with an embedded engine. */
  failing: number;
  /** Of all writes to a distributed engine, how many are refused for now, and of those to its state, how many are made and not answered. */
  unavailable: number;
}

export const sound: Condition = { writeMsMax: 10, readMsMax: 1, full: false, failing: 0, unavailable: 0 };

/** A message as it was written, whatever retention did to it later. */
export interface Written {
  readonly namespace: string;
  readonly offset: Offset;
  readonly draft: Draft;
}

export class Disk {
  readonly timeline: Timeline;
  readonly condition: Condition = { ...sound };
  readonly state: MemoryState = new MemoryState();
  readonly logs = new Map<string, MemoryLog>();
  /** Everything that was ever written, in order. */
  readonly written: Written[] = [];
  /** Told of what is written. */
  readonly watch: Watch;
  /** Where the disk itself is at home; it never dies. */
  readonly #machine: Machine;

  constructor(timeline: Timeline, watch: Watch) {
    this.timeline = timeline;
    this.watch = watch;
    this.#machine = new Machine("disk", timeline);
  }

  log(policy: NamespacePolicy): MemoryLog {
    let log = this.logs.get(policy.namespace);
    if (log === undefined) {
      const { clock, chance } = this.#machine;
      log = new MemoryLog(policy, { clock, chance, logger: silentLogger });
      this.logs.set(policy.namespace, log);
    }
    return log;
  }

  async append(namespace: string, drafts: readonly Draft[], hub: Machine): Promise<readonly Appended[]> {
    const answers = await (this.logs.get(namespace) as MemoryLog).append(drafts);
    for (const [i, answer] of answers.entries()) {
      const draft = drafts[i] as Draft;
      this.watch(() => `${hub.name} appended ${JSON.stringify(answer)} to ${namespace}: ${sayDraft(draft)}`);
      if ("offset" in answer && !answer.duplicate) this.written.push({ namespace, offset: answer.offset, draft });
    }
    return answers;
  }
}

/** How one hub, in one life, sees the disk. */
export class DiskEngine implements Engine {
  readonly state: State;
  readonly peers: Peers;
  readonly #access: Access;

  /** @param failed Called where the disk failed for good under an embedded engine. */
  constructor(disk: Disk, machine: Machine, peers: Peers, failed: (() => void) | undefined) {
    this.#access = new Access(disk, machine, failed);
    this.peers = peers;
    this.state = new DiskState(this.#access);
  }

  async open(policy: NamespacePolicy): Promise<Log> {
    await this.#access.read(async () => undefined);
    return new DiskLog(this.#access, policy);
  }

  health(): Health {
    return { writable: !this.#access.disk.condition.full, freeBytes: undefined };
  }

  async close(): Promise<void> {
    await this.#access.idle();
  }
}

/** What every access of one life goes through. */
class Access {
  readonly disk: Disk;
  readonly machine: Machine;
  readonly #failed: (() => void) | undefined;
  /** Writes are made one after the other, in the order in which they were handed in. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(disk: Disk, machine: Machine, failed: (() => void) | undefined) {
    this.disk = disk;
    this.machine = machine;
    this.#failed = failed;
  }

  read<T>(look: () => Promise<T>): Promise<T> {
    const { timeline, condition } = this.disk;
    return this.machine.hear(look(), timeline.random() * condition.readMsMax);
  }

  /** @param isLog There is room left for the state when the disk is full; and of the log it is known what was refused. */
  write<T>(make: () => Promise<T>, isLog: boolean): Promise<T> {
    const { machine } = this;
    const made = this.#last.then(() => this.#write(make, isLog));
    this.#last = made.catch(() => {});
    return machine.hear(made);
  }

  async idle(): Promise<void> {
    await this.#last;
  }

  async #write<T>(make: () => Promise<T>, isLog: boolean): Promise<T> {
    const { timeline, condition } = this.disk;
    await this.#wait();
    if (condition.full && isLog) throw dogearError("disk-full");
    const refused = timeline.chance(condition.unavailable);
    if (refused && (isLog || timeline.chance(0.5))) throw unavailable();
    const fails = timeline.chance(condition.failing);
    if (fails && timeline.chance(0.5)) await this.#fail();
    const made = await make();
    if (fails) await this.#fail();
    await this.#wait();
    if (refused) throw unavailable();
    return made;
  }

  #wait(): Promise<void> {
    const { timeline, condition } = this.disk;
    // It is the disk that waits: a frozen hub does not keep it from writing, a dead one does.
    return new Promise((resolve) => {
      timeline.after(timeline.random() ** 2 * condition.writeMsMax, () => {
        if (this.machine.alive) resolve();
      });
    });
  }

  /** Never resolves: the hub stops here. */
  async #fail(): Promise<void> {
    if (this.#failed === undefined) return;
    this.#failed();
    await new Promise(() => {});
  }
}

function unavailable(): DogearError {
  return dogearError("unavailable");
}

class DiskLog implements Log {
  readonly durability = "disk";
  readonly #access: Access;
  readonly #policy: NamespacePolicy;
  readonly #log: MemoryLog;

  constructor(access: Access, policy: NamespacePolicy) {
    this.#access = access;
    this.#policy = policy;
    this.#log = access.disk.log(policy);
  }

  get lineage(): Log["lineage"] {
    return this.#log.lineage;
  }

  append(drafts: readonly Draft[]): Promise<readonly Appended[]> {
    return this.#access.write(
      () => this.#access.disk.append(this.#policy.namespace, drafts, this.#access.machine),
      true,
    );
  }

  read(pattern: Pattern, after: Offset, budget: Budget): Promise<Page> {
    return this.#access.read(() => this.#log.read(pattern, after, budget));
  }

  async *follow(after: Offset, signal: AbortSignal): AsyncGenerator<Batch> {
    const { machine } = this.#access;
    for await (const batch of this.#log.follow(after, untilDeath(machine, signal))) {
      yield await machine.hear(Promise.resolve(batch));
    }
  }

  bounds(): Promise<Bounds> {
    return this.#access.read(() => this.#log.bounds());
  }

  count(pattern: Pattern, after: Offset): Promise<number> {
    return this.#access.read(() => this.#log.count(pattern, after));
  }

  channels(after: string, limit: number): Promise<readonly ChannelCount[]> {
    return this.#access.read(() => this.#log.channels(after, limit));
  }

  offsetAt(time: number): Promise<Offset> {
    return this.#access.read(() => this.#log.offsetAt(time));
  }

  lastNumber(producer: string): Promise<number> {
    return this.#access.read(() => this.#log.lastNumber(producer));
  }

  beforeRemoval(call: (through: Offset) => Promise<void>): void {
    const { machine } = this.#access;
    this.#log.beforeRemoval(async (through) => {
      if (!machine.alive) throw unavailable();
      // It must not take for ever, should the hub die over it.
      await new Promise<void>((resolve, reject) => {
        machine.onDeath(() => reject(unavailable()));
        machine.after(0, () => call(through).then(resolve, reject));
      });
    });
  }
}

class DiskState implements State {
  readonly #access: Access;

  constructor(access: Access) {
    this.#access = access;
  }

  get(key: string): Promise<Entry | undefined> {
    return this.#access.read(() => this.#state.get(key));
  }

  put(key: string, value: Uint8Array, version: number): Promise<number | undefined> {
    return this.putAll([{ key, value, version }]).then((versions) => versions?.[0]);
  }

  putAll(changes: readonly Change[]): Promise<readonly number[] | undefined> {
    const { disk, machine } = this.#access;
    return this.#access.write(async () => {
      const versions = await this.#state.putAll(changes);
      disk.watch(() => `${machine.name} stored ${changes.map(sayChange).join(", ")}: ${versions ?? "refused"}`);
      return versions;
    }, false);
  }

  list(prefix: string, after?: string, limit?: number): Promise<readonly KeyedEntry[]> {
    return this.#access.read(() => this.#state.list(prefix, after, limit));
  }

  async *watch(prefix: string, signal: AbortSignal): AsyncGenerator<Changed> {
    const { machine } = this.#access;
    for await (const changed of this.#state.watch(prefix, untilDeath(machine, signal))) {
      yield await machine.hear(Promise.resolve(changed));
    }
  }

  get #state(): MemoryState {
    return this.#access.disk.state;
  }
}

function untilDeath(machine: Machine, signal: AbortSignal): AbortSignal {
  const both = new AbortController();
  const end = (): void => both.abort();
  signal.addEventListener("abort", end, { once: true });
  machine.onDeath(end);
  return both.signal;
}

function sayDraft({ channel, attributes, data, id }: Draft): string {
  return `${channel} ${attributes} ${id ?? ""} ${Buffer.from(data)}`;
}

function sayChange({ key, value, version }: Change): string {
  return `${key}@${version} ${value && Buffer.from(value)}`;
}
