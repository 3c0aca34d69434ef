/**
 * One run of everything: the SDK, the protocol, the hub and the in-memory engine, in one process under a virtual clock.
 * All that happens follows from a seed.
 *
 *     roles ── processes ── SDK ── network ── sessions ── hub ── disk
 *       └───────────────── recorder ──► history ──► checker
 */
import type { GroupPolicy } from "@dogear/shared";
import { check, explain, type Violation } from "../checker/checker.ts";
import { Disk } from "./disk.ts";
import { beginFaults, heal } from "./faults.ts";
import { limits, policies, Site } from "./hubs.ts";
import { Network } from "./network.ts";
import { Role } from "./process.ts";
import { publish } from "./publisher.ts";
import { Recorder, readAll } from "./recorder.ts";
import { subscribe } from "./subscriber.ts";
import { Timeline, type Watch } from "./timeline.ts";
import { Tokens } from "./tokens.ts";
import { group, groupPattern, work } from "./worker.ts";

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
const patienceMs = 600_000;

/** Where nothing at all happened for so long, nothing more is expected: longer than most retries, leases and silences. */
const quietMs = 8_000;

export interface SimulateOptions {
  /** Is told what everybody does and what hubs log, as it happens. */
  readonly watch?: ((what: string) => void) | undefined;
}

/** The same seed gives the same run, whatever the machine, as long as nothing of what takes part in it is changed. */
export function simulate(seed: number, { watch }: SimulateOptions = {}): Promise<Outcome> {
  return new World(seed, watch).run();
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
  /** When the last of what was scheduled is due, by the clock of a hub that may be wrong. */
  lastDue = 0;
  readonly #watch: Watch;
  readonly #mode: Mode;
  readonly #order: GroupPolicy["order"];
  readonly #complaints: string[] = [];
  readonly #buffered = new Map<string, number>();

  constructor(seed: number, watch: ((what: string) => void) | undefined) {
    this.seed = seed;
    const timeline = new Timeline(seed);
    this.timeline = timeline;
    this.#watch = (say) => watch?.(`${timeline.now.toFixed(3)} ${say()}`);
    this.recorder = new Recorder(timeline, this.#watch);
    this.network = new Network(timeline, this.#watch);
    this.disk = new Disk(timeline, this.#watch);
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
      watch: this.#watch,
    });
    this.roles = this.#cast();
    this.network.onBuffered = (hub, bytes) => {
      if (bytes > (this.#buffered.get(hub) ?? 0)) this.#buffered.set(hub, bytes);
    };
  }

  /** Something that nobody may meet, whatever happens. */
  complain(what: string): void {
    this.#complaints.push(`${Math.round(this.timeline.now)} ms: ${what}`);
    this.#watch(() => what);
  }

  async run(): Promise<Outcome> {
    const { timeline, recorder, site } = this;
    for (const hub of site.hubs) hub.start();
    for (const role of this.roles) timeline.after(timeline.random() * 2_000, () => role.start());
    const kinds = beginFaults(this);
    await timeline.runUntil(timeline.between(4_000, 16_000));
    this.loading = false;
    const violations = this.#mode === "safety" ? await this.#judge() : await this.#settle();
    const wrong = [...this.#complaints, ...(violations.length > 0 ? [explain(violations)] : [])].join("\n");
    const circumstances = [`${site.hubs.length} hubs`, `order ${this.#order}`, ...kinds];
    return { seed: this.seed, mode: this.#mode, circumstances, wrong, history: recorder.history };
  }

  /** The faults stop. Resolves with what is wrong once nothing is, or nothing happens any more. */
  async #settle(): Promise<Violation[]> {
    const { timeline } = this;
    heal(this);
    const end = timeline.now + patienceMs;
    for (;;) {
      await this.#quiet(end);
      const violations = await this.#judge();
      // Whoever is only late has until then.
      const isLate = violations.length > 0 && violations.every(({ promises }) => promises.includes("G13"));
      if (!isLate || timeline.now >= end) return violations;
    }
  }

  async #quiet(end: number): Promise<void> {
    const { timeline, recorder } = this;
    const { history } = recorder;
    const isDue = () => this.site.hubs.every(({ machine }) => machine === undefined || machine.now() >= this.lastDue);
    for (let seen = -1; (seen !== history.length || !isDue()) && timeline.now < end; ) {
      seen = history.length;
      await timeline.runUntil(timeline.now + quietMs);
    }
  }

  async #judge(): Promise<Violation[]> {
    const { timeline, recorder, roles, disk } = this;
    const finished = this.#mode === "liveness";
    const processes = finished ? roles.flatMap((role) => role.processes) : [];
    const { outboxBytesMax } = limits;
    const bytesMax = outboxBytesMax + Math.max(outboxBytesMax, this.network.largestBurst) + wordsBytesMax;
    const buffers = [...this.#buffered].map(([process, bytes]) => {
      return { process, at: timeline.now, op: "buffer", kind: "info", bytes, bytesMax } as const;
    });
    return check([...recorder.history, ...buffers, ...(await readAll(disk, timeline.now))], {
      namespaces: policies.map(({ namespace }) => namespace),
      finishers: processes.map(({ machine }) => machine.name),
      cutShort: !finished,
      durability: { default: "disk", metrics: "disk" },
      groups: {
        [group]: { pattern: groupPattern, order: this.#order === "none" ? undefined : "key", finished },
      },
    });
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

/** Beyond what an outbox may hold a hub may hold what was the last to fit, or answers, and says little more. */
const wordsBytesMax = 1_024;
