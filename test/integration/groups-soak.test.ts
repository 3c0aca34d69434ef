/**
 * A group under everything at once: members over connections that break, who settle, fail, forget, leave and come back
 * as chance has it, a publisher, operators, and a hub that is restarted. What the hub says is held against itself.
 */
import { expect, test } from "vitest";
import type { Server } from "../../server/src/server.ts";
import {
  deadLetters,
  fencesOf,
  type Lease,
  leases,
  Operator,
  offsetsOf,
  randomOf,
  settle,
  worker,
} from "../protocol/group-support.ts";
import { type BareSocket, count, greet, publishAll, startHub } from "../protocol/support.ts";
import { startProxy, type TcpProxy } from "../support/proxy.ts";
import { temporaryFolder } from "../support/temp.ts";

const leaseMs = 250;
const asked = { leaseMs, maxFailures: 4, backoff: { minMs: 5, maxMs: 20 } };
const workers = 5;
const batches = 12;
const perBatch = 40;

type Outcome = "ack" | "retry" | "reject" | "release" | "extend";

interface Held {
  readonly offset: number;
  readonly fence: number;
}

/** What was said of the messages, by whom, and in which order: all of it happens in this process. */
class Record {
  /** The largest fence that was seen for each message, and its counts. */
  readonly #newest = new Map<number, { fence: number; deliveries: number; failures: number }>();
  /** What members have said of a lease, and the hub has not answered yet. */
  readonly #said = new Map<number, { readonly offset: number; readonly outcome: Outcome; readonly late: boolean }[]>();
  readonly acknowledged = new Map<number, number>();
  readonly rejected = new Set<number>();
  /** Acknowledged or rejected where the connection broke before the answer. */
  readonly unknown = new Set<number>();
  readonly problems: string[] = [];

  leased({ offset, fence, deliveries, failures }: Lease): void {
    const before = this.#newest.get(offset);
    if (before !== undefined && before.fence >= fence) return;
    this.#holds(!this.acknowledged.has(offset), `${offset} is leased (${fence}) after it was acknowledged`);
    this.#holds(!this.rejected.has(offset), `${offset} is leased (${fence}) after it was rejected`);
    this.#holds(deliveries > (before?.deliveries ?? 0), `${offset} (${fence}) has ${deliveries} deliveries again`);
    this.#holds(failures >= (before?.failures ?? 0), `${offset} (${fence}) has fewer failures: ${failures}`);
    this.#holds(failures < asked.maxFailures, `${offset} (${fence}) is leased though it failed ${failures} times`);
    this.#newest.set(offset, { fence, deliveries, failures });
  }

  /** A member kept a lease, under a new fence. */
  kept({ offset, fence }: Held): void {
    const before = this.#newest.get(offset);
    this.#holds(before !== undefined, `${offset} was never leased`);
    if (before !== undefined && before.fence < fence) before.fence = fence;
  }

  says({ offset, fence }: Held, outcome: Outcome): void {
    // Whoever is told of a later lease before the word goes out knows that this one is over.
    const late = (this.#newest.get(offset)?.fence ?? 0) > fence;
    this.#said.set(fence, [...(this.#said.get(fence) ?? []), { offset, outcome, late }]);
  }

  settled(fence: number): void {
    const said = this.#said.get(fence)?.shift();
    if (said === undefined) return this.#holds(false, `${fence} was confirmed, and nobody said anything of it`);
    const { offset, outcome, late } = said;
    this.#holds(!late, `${offset} was settled by ${fence} (${outcome}), and was leased to somebody else by then`);
    this.#holds(!this.acknowledged.has(offset), `${offset} was settled by ${fence} after it was acknowledged`);
    if (outcome === "ack") this.acknowledged.set(offset, fence);
    if (outcome === "reject") this.rejected.add(offset);
  }

  lost(fence: number): void {
    const said = this.#said.get(fence)?.shift();
    this.#holds(said !== undefined, `${fence} is lost, and nobody said anything of it`);
  }

  /** A connection broke: what was said over it and not answered may have been heard or not. */
  broke(fences: Iterable<number>): void {
    for (const fence of fences) {
      for (const { offset, outcome } of this.#said.get(fence) ?? []) {
        if (outcome === "ack" || outcome === "reject") this.unknown.add(offset);
      }
      this.#said.delete(fence);
    }
  }

  #holds(condition: boolean, problem: string): void {
    if (!condition) this.problems.push(problem);
  }
}

/** What they all live in. */
class World {
  readonly record = new Record();
  readonly random: () => number;
  /** From then on everybody does what they are there for. */
  calm = false;
  over = false;
  /** The hub, or the one that comes after it. */
  hub: Promise<Server>;

  constructor(seed: number, data: string) {
    this.random = randomOf(seed);
    this.hub = startHub({ data });
  }

  async restart(data: string): Promise<void> {
    const before = await this.hub;
    this.hub = before.close().then(() => startHub({ data }));
    await this.hub;
  }

  chance(share: number): boolean {
    return !this.calm && this.random() < share;
  }

  pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.random() * all.length)] as T;
  }
}

class Worker {
  readonly #world: World;
  readonly #id: string;
  #held: Held[] = [];
  /** Fences of which something was said over this connection. */
  #said = new Set<number>();
  #proxy: TcpProxy | undefined;
  #leaves = false;

  constructor(world: World, id: string) {
    this.#world = world;
    this.#id = id;
  }

  async run(): Promise<void> {
    while (!this.#world.over) {
      let socket: BareSocket | undefined;
      try {
        this.#proxy = await startProxy((await this.#world.hub).port);
        socket = await greet(this.#proxy);
        await this.#work(socket);
      } catch {
        // The connection broke, by chance or with the hub.
      }
      socket?.terminate();
      this.#world.record.broke(this.#said);
      this.#said = new Set();
    }
  }

  async #work(socket: BareSocket): Promise<void> {
    const { record, random } = this.#world;
    // Now and then it has forgotten something.
    const holding = this.#held.filter(() => !this.#world.chance(0.1)).map(({ offset }) => offset);
    const window = 1 + Math.floor(random() * 20);
    socket.send({ is: "work", member: 1, id: this.#id, group: "g", pattern: "jobs.>", window, holding, ...asked });
    this.#held = [];
    this.#leaves = false;
    for (;;) {
      const envelope = await socket.next();
      if (envelope.is === "working") {
        for (const kept of envelope.leases) record.kept(kept);
        this.#held.push(...envelope.leases);
      } else if (envelope.is === "leased") {
        const all = envelope.leases.map((lease, i) => ({ ...lease, offset: envelope.messages[i]?.offset as number }));
        for (const lease of all) record.leased(lease as unknown as Lease);
        if (!this.#leaves) this.#held.push(...all);
      } else if (envelope.is === "settled") {
        for (const fence of envelope.fences) record.settled(fence);
      } else if (envelope.is === "error" && envelope.fence !== undefined) {
        if (envelope.fence < 1_000_000) record.lost(envelope.fence);
      } else if (envelope.is === "error" && envelope.code !== "draining") {
        record.problems.push(JSON.stringify(envelope));
      } else if (envelope.is === "left") {
        return;
      }
      if (!this.#leaves) this.#act(socket);
    }
  }

  #act(socket: BareSocket): void {
    const world = this.#world;
    if (world.calm) return this.#settle(socket, "ack", this.#held.splice(0));
    if (world.chance(0.02)) return socket.terminate();
    if (world.chance(0.02)) return this.#proxy?.cutNear();
    if (world.chance(0.02)) {
      this.#held = [];
      this.#leaves = true;
      return socket.send({ is: "leave", member: 1 });
    }
    if (world.chance(0.05)) socket.send({ is: "settle", member: 1, outcome: "ack", fences: [1_000_000] });
    const some = this.#held.filter(() => world.chance(0.6));
    const outcome = world.pick<Outcome>(["ack", "ack", "ack", "retry", "reject", "release", "extend"]);
    if (outcome !== "extend") this.#held = this.#held.filter((held) => !some.includes(held));
    this.#settle(socket, outcome, some);
  }

  #settle(socket: BareSocket, outcome: Outcome, some: readonly Held[]): void {
    if (some.length === 0) return;
    for (const held of some) {
      this.#world.record.says(held, outcome);
      this.#said.add(held.fence);
    }
    const more = outcome === "retry" ? { delayMs: Math.floor(this.#world.random() * 30) } : {};
    socket.send({ is: "settle", member: 1, outcome, fences: fencesOf(some), ...more });
  }
}

test.each([
  [1, "none", 0],
  [2, "none", 3],
  [3, "key", 1],
  [4, "key", 0],
])(
  "every message is settled once, or is a dead letter once (P-53 to P-61): seed %i, order %s, %i restarts",
  async (seed, order, restarts) => {
    const data = temporaryFolder();
    const world = new World(seed, data);
    const { record } = world;
    const declaring = await worker(await world.hub, { ...asked, order, id: "declares" });
    declaring.terminate();
    const team = count(1, workers).map((i) => new Worker(world, `${i}`).run());
    for (const batch of count(1, batches)) {
      if (restarts > 0 && batch % Math.ceil(batches / (restarts + 1)) === 0) await world.restart(data);
      const publisher = await greet(await world.hub);
      const drafts = count(1, perBatch).map(() => ({
        channel: "jobs.a",
        data: batch,
        ...(world.random() < 0.5 && { key: world.pick(["a", "b", "c"]) }),
      }));
      await publishAll(publisher, drafts);
      publisher.close();
    }
    const operator = await Operator.of(await world.hub);
    // Half of it happens in disorder.
    await operator.until(({ lag }) => lag.messages < (batches * perBatch) / 2);
    world.calm = true;
    await operator.until(({ lag }) => lag.messages === 0);
    world.over = true;
    await world.restart(data);
    await Promise.all(team);
    const hub = await world.hub;
    expect(record.problems).toEqual([]);
    const report = await (await Operator.of(hub)).show();
    expect(report).toMatchObject({ lag: { messages: 0 }, inFlight: 0, delayed: 0, lost: 0 });
    const all = report.dead === 0 ? [] : await deadLetters(hub, report.dead);
    const dead = all.map(({ headers }) => Number(headers?.["dogear-offset"]));
    const published = offsetsOf(await deadLetters(hub, batches * perBatch, "jobs.a"));
    expect(published).toHaveLength(batches * perBatch);
    expect(new Set(dead).size).toBe(dead.length);
    expect(dead.filter((offset) => record.acknowledged.has(offset))).toEqual([]);
    expect([...record.rejected].filter((offset) => !dead.includes(offset))).toEqual([]);
    const ended = new Set([...record.acknowledged.keys(), ...dead, ...record.unknown]);
    expect(published.filter((offset) => !ended.has(offset))).toEqual([]);
    // It was what it is meant to be.
    expect(record.acknowledged.size).toBeGreaterThan(200);
    expect(dead.length).toBeGreaterThan(10);
    await redriven(hub, dead);
  },
);

/** The dead letters are given to the group once more, each once. */
async function redriven(hub: Server, dead: readonly number[]): Promise<void> {
  const operator = await Operator.of(hub);
  const socket = await worker(hub, { id: "last", window: 1_000 });
  await operator.group("redrive");
  if (dead.length === 0) return;
  const origins: number[] = [];
  while (origins.length < dead.length) {
    for (const one of await leases(socket, 1)) {
      origins.push(Number(one.headers?.["dogear-offset"]));
      settle(socket, "ack", [one]);
    }
  }
  await operator.until(({ lag }) => lag.messages === 0);
  expect(origins.sort((a, b) => a - b)).toEqual(dead.toSorted((a, b) => a - b));
  expect(await operator.show()).toMatchObject({ dead: 0 });
}
