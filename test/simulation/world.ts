/**
 * One run of everything: the SDK, the protocol, the hub and the in-memory engine, in one process under a virtual clock.
 * All that happens follows from a seed.
 *
 *     roles ── processes ── SDK ── network ── sessions ── hub ── disk
 *       └───────────────── recorder ──► history ──► checker
 */
import type { GroupPolicy } from "@dogear/shared";
import { check, explain } from "../checker/checker.ts";
import { group, groupPattern, publish, Role, subscribe, work } from "./clients.ts";
import { Disk } from "./disk.ts";
import { beginFaults, heal } from "./faults.ts";
import { limits, policies, Site } from "./hubs.ts";
import { Network } from "./network.ts";
import { Recorder } from "./recorder.ts";
import { Timeline } from "./timeline.ts";
import { Tokens } from "./tokens.ts";

/**
 * `safety`: faults until the end, and nothing that was seen may break a promise. `liveness`: faults stop, and then
 * everybody has to get everything, too.
 */
export type Mode = "safety" | "liveness";

export interface Outcome {
  readonly seed: number;
  readonly mode: Mode;
  /** What this seed had: hubs, faults. */
  readonly circumstances: readonly string[];
  /** What is wrong, in words; empty where nothing is. */
  readonly wrong: string;
  readonly history: Recorder["history"];
}

/** How long everything may take to arrive after faults have stopped, in milliseconds. */
const patienceMs = 120_000;

/** Where nothing at all happened for so long, nothing more will: longer than any retry, lease or silence lasts. */
const quietMs = 15_000;

export async function simulate(seed: number): Promise<Outcome> {
  const world = new World(seed);
  return world.run();
}

export class World {
  readonly seed: number;
  readonly timeline: Timeline;
  readonly recorder: Recorder;
  readonly network: Network;
  readonly disk: Disk;
  readonly site: Site;
  readonly tokens: Tokens | undefined;
  readonly roles: readonly Role[];
  /** Whether some of what is published is for later, and whether subscriptions are begun anew. */
  readonly schedules: boolean;
  readonly resubscribes: boolean;
  /** Until the load ends. */
  loading = true;
  readonly #mode: Mode;
  readonly #order: GroupPolicy["order"];
  readonly #complaints: string[] = [];
  readonly #buffered = new Map<string, number>();

  constructor(seed: number) {
    this.seed = seed;
    const timeline = new Timeline(seed);
    this.timeline = timeline;
    this.recorder = new Recorder(timeline);
    this.network = new Network(timeline);
    this.disk = new Disk(timeline);
    this.#mode = timeline.chance(0.7) ? "liveness" : "safety";
    this.tokens = timeline.chance(0.3) ? new Tokens(timeline) : undefined;
    this.schedules = timeline.chance(0.5);
    this.resubscribes = timeline.chance(0.5);
    this.#order = timeline.pick(["none", "key", "all"]);
    this.site = new Site({
      timeline,
      network: this.network,
      disk: this.disk,
      hubs: timeline.pick([1, 1, 1, 2, 3]),
      authenticate: this.tokens?.authenticate,
      complain: (what) => this.complain(what),
    });
    this.roles = this.#cast();
    this.network.onBuffered = (hub, bytes) => {
      if (bytes > (this.#buffered.get(hub) ?? 0)) this.#buffered.set(hub, bytes);
    };
  }

  /** Something that nobody may meet, whatever happens. */
  complain(what: string): void {
    this.#complaints.push(`${Math.round(this.timeline.now)} ms: ${what}`);
  }

  async run(): Promise<Outcome> {
    const { timeline, recorder } = this;
    for (const hub of this.site.hubs) hub.start();
    for (const role of this.roles) timeline.after(timeline.random() * 2_000, () => role.start());
    const kinds = beginFaults(this);
    await timeline.runUntil(timeline.between(5_000, 25_000));
    this.loading = false;
    if (this.#mode === "liveness") await this.#settle();
    const processes = this.roles.flatMap((role) => role.processes);
    const finishers = this.#mode === "liveness" ? processes.map(({ machine }) => machine.name) : [];
    for (const [hub, bytes] of this.#buffered) recorder.note(hub, { op: "buffer", kind: "info", bytes, bytesMax });
    await recorder.read(this.disk);
    const violations = check(recorder.history, {
      namespaces: policies.map(({ namespace }) => namespace),
      finishers,
      cutShort: this.#mode === "safety",
      durability: { default: "disk", metrics: "disk" },
      groups: {
        [group]: {
          pattern: groupPattern,
          order: this.#order === "none" ? undefined : "key",
          finished: this.#mode === "liveness",
        },
      },
    });
    const wrong = [...this.#complaints, ...(violations.length > 0 ? [explain(violations)] : [])].join("\n");
    const circumstances = [`${this.site.hubs.length} hubs`, `order ${this.#order}`, ...kinds];
    return { seed: this.seed, mode: this.#mode, circumstances, wrong, history: recorder.history };
  }

  /** The faults stop; resolves when nothing happens any more. */
  async #settle(): Promise<void> {
    const { timeline, recorder } = this;
    heal(this);
    const end = timeline.now + patienceMs;
    let quietSince = timeline.now;
    for (let seen = -1; timeline.now < end && timeline.now - quietSince < quietMs; ) {
      await timeline.runUntil(timeline.now + 2_500);
      if (recorder.history.length !== seen) quietSince = timeline.now;
      seen = recorder.history.length;
    }
  }

  #cast(): Role[] {
    const { timeline } = this;
    const policy = {
      order: this.#order,
      leaseMs: 1_500,
      maxFailures: 3,
      backoff: { type: "fixed", minMs: 100, maxMs: 100, jitter: 0 },
    } as const;
    const durable = (name: string, ...patterns: string[]) =>
      new Role(name, this, { subscriber: name }, subscribe(patterns, name));
    return [
      ...Array.from({ length: 1 + timeline.below(3) }, (_, i) => new Role(`publisher-${i}`, this, {}, publish)),
      durable("everything", ">", "metrics.>"),
      durable("some", "orders.*", "*.eu", "metrics.cpu"),
      new Role("visitor", this, {}, subscribe([">"], undefined)),
      ...Array.from({ length: 1 + timeline.below(3) }, (_, i) => new Role(`worker-${i}`, this, {}, work(policy))),
    ];
  }
}

/** What a hub may hold for one connection: its outbox, answers up to as much again, and the frame that was the last to fit. */
const bytesMax = 2 * limits.outboxBytesMax + 64 * 1_024;
