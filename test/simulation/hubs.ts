/** The hubs of a simulation: each is a place where one process after the other runs. */
import { defaultLimits, type Limits } from "@dogear/shared";
import type { Authenticate } from "../../server/src/access/access.ts";
import { hubJsonCodec } from "../../server/src/codec/json.ts";
import { alone } from "../../server/src/engine/alone.ts";
import type { Peers } from "../../server/src/engine/engine.ts";
import { Hub } from "../../server/src/hub/hub.ts";
import type { HubPolicy } from "../../server/src/hub/namespace.ts";
import type { Logger } from "../../server/src/runtime/logger.ts";
import { Metrics } from "../../server/src/runtime/metrics.ts";
import { handle } from "../../server/src/session/handlers.ts";
import { Heartbeats } from "../../server/src/session/heartbeats.ts";
import { Session, type SessionParts } from "../../server/src/session/session.ts";
import type { Socket } from "../../server/src/session/socket.ts";
import { type Disk, DiskEngine } from "./disk.ts";
import { Exchange, type HubPeers } from "./exchange.ts";
import { Machine } from "./machine.ts";
import type { Door, Network } from "./network.ts";
import type { Timeline, Watch } from "./timeline.ts";

/** Everything is a little smaller and quicker than by default, so that limits are met. */
export const limits: Limits = {
  ...defaultLimits,
  outboxBytesMax: 4_096,
  draftBytesMax: 4_096,
  helloTimeoutMs: 3_000,
  heartbeatMs: 3_000,
  heartbeatGraceMs: 1_500,
  drainMs: 2_000,
};

const codec = hubJsonCodec(limits);

/** Shared by all hubs, because nothing is read from them here. */
const metrics = new Metrics();

const policy: HubPolicy = {
  namespace: "default",
  durability: "disk",
  retention: { ageMs: undefined, bytes: undefined },
  deduplicationWindowMs: 300_000,
  deduplicationIdsMax: 1_000,
  producerMemoryMs: limits.producerMemoryMs,
  ttlMs: undefined,
};

/** `default` keeps everything, `metrics` little. */
export const policies: readonly HubPolicy[] = [
  policy,
  { ...policy, namespace: "metrics", retention: { ageMs: undefined, bytes: 6_000 } },
];

export interface SiteParts {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly disk: Disk;
  readonly hubs: number;
  readonly authenticate: Authenticate | undefined;
  /** Told of what hubs log as errors. */
  readonly complain: (what: string) => void;
  /** Told of everything they log. */
  readonly watch: Watch;
}

/** All hubs there are, and how clients find one. */
export class Site {
  readonly hubs: readonly SimulatedHub[];
  readonly exchange: Exchange;
  readonly #timeline: Timeline;

  constructor(parts: SiteParts) {
    this.#timeline = parts.timeline;
    this.exchange = new Exchange(parts.timeline);
    this.hubs = Array.from({ length: parts.hubs }, (_, i) => new SimulatedHub(`hub-${i}`, parts, this.exchange));
  }

  /** One that takes connections, as a balancer finds it; it may find one that is frozen. */
  readonly find = (): Door | undefined => {
    const open = this.hubs.filter((hub) => hub.open);
    return open.length === 0 ? undefined : this.#timeline.pick(open).door;
  };
}

/** One life. */
interface Life {
  readonly machine: Machine;
  readonly peers: Peers;
  readonly sessions: Set<Session>;
  readonly door: Door;
  readonly engine: DiskEngine;
  /** What its sessions share, once it is open. */
  parts: SessionParts | undefined;
  /** Whether it takes connections. */
  listens: boolean;
}

export class SimulatedHub {
  readonly name: string;
  readonly #parts: SiteParts;
  readonly #exchange: Exchange;
  #lives = 0;
  #life: Life | undefined;

  constructor(name: string, parts: SiteParts, exchange: Exchange) {
    this.name = name;
    this.#parts = parts;
    this.#exchange = exchange;
  }

  get open(): boolean {
    return this.#life?.listens ?? false;
  }

  get door(): Door | undefined {
    return this.#life?.door;
  }

  get machine(): Machine | undefined {
    return this.#life?.machine;
  }

  /** Starts a process where none runs. One that cannot start is started again, as a service manager does. */
  start(): void {
    if (this.#life !== undefined) return;
    const life = this.#begin();
    this.#life = life;
    this.#openHub(life).catch((error: unknown) => {
      const isPassing = (error as { readonly code?: string }).code === "unavailable";
      if (life.machine.alive && !isPassing) this.#parts.complain(`${life.machine.name} could not start: ${error}`);
      this.crash();
      this.#parts.timeline.after(100, () => this.start());
    });
  }

  /** `kill -9`, or the loss of the whole machine. */
  crash({ silently = false } = {}): void {
    const life = this.#life;
    if (life === undefined) return;
    this.#life = undefined;
    life.machine.die();
    for (const link of [...this.#parts.network.links]) if (link.hub === life.machine) link.hubDied(silently);
  }

  /** As a service manager stops it: clients are asked to come back, and what they published is answered. */
  async stop(): Promise<void> {
    const life = this.#life;
    if (life?.parts === undefined || !life.listens) return;
    life.listens = false;
    const { machine } = life;
    for (const session of life.sessions) session.drain(Math.round(machine.timeline.random() * 500));
    const answered = Promise.all([...life.sessions].map((session) => session.drafts.idle()));
    await Promise.race([answered, machine.sleep(limits.drainMs)]);
    for (const session of [...life.sessions]) session.close("draining");
    await life.parts.hub.close();
    await life.engine.close();
    if (life.peers !== alone) (life.peers as HubPeers).leave();
    // What was said last leaves with it.
    await machine.sleep(10);
    if (this.#life === life) this.crash();
  }

  #begin(): Life {
    const { timeline, disk, hubs } = this.#parts;
    const machine = new Machine(`${this.name}#${++this.#lives}`, timeline);
    const peers = hubs > 1 ? this.#exchange.enter(machine) : alone;
    const failed = hubs > 1 ? undefined : () => this.#restart(machine);
    const sessions = new Set<Session>();
    const door: Door = {
      machine,
      accept: (socket) => this.#accept(machine, socket),
      left: (session) => void sessions.delete(session),
    };
    const engine = new DiskEngine(disk, machine, peers, failed);
    return { machine, peers, sessions, door, engine, parts: undefined, listens: false };
  }

  async #openHub(life: Life): Promise<void> {
    const { authenticate } = this.#parts;
    const { machine, engine } = life;
    const { clock, chance } = machine;
    const runtime = { clock, chance, limits, logger: this.#logger(machine) };
    const access = authenticate && { policy: { tokens: undefined, keys: [], cookie: "dogear" }, authenticate };
    const hub = await Hub.open({ ...runtime, engine, policies, ...(access && { access }) });
    life.parts = { ...runtime, hub, metrics, handle, heartbeats: new Heartbeats(clock), name: "dogear/simulated" };
    life.listens = true;
  }

  #accept(machine: Machine, socket: Socket): Session | undefined {
    const life = this.#life;
    if (life?.machine !== machine || life.parts === undefined || !life.listens) return undefined;
    const session = new Session(socket, codec, life.parts, "127.0.0.1");
    life.sessions.add(session);
    return session;
  }

  /** The disk has failed under it: it stops at once, and is started again. */
  #restart(machine: Machine): void {
    if (this.#life?.machine !== machine) return;
    this.crash();
    this.#parts.timeline.after(200, () => this.start());
  }

  #logger(machine: Machine): Logger {
    const log: Logger["info"] = (event, facts = {}) => {
      if (machine.alive) this.#parts.watch(() => `${machine.name} logged ${event}: ${sayFacts(facts)}`);
    };
    const error: Logger["error"] = (event, facts = {}) => {
      log(event, facts);
      const { code } = (facts.error ?? {}) as { readonly code?: string };
      // It is told so that somebody does something about it.
      const isTold = code === "disk-full";
      if (machine.alive && !isTold) this.#parts.complain(`${machine.name} logged ${event}: ${sayFacts(facts)}`);
    };
    return { info: log, warn: log, error };
  }
}

function sayFacts(facts: Readonly<Record<string, unknown>>): string {
  return Object.entries(facts)
    .map(([name, value]) => `${name}=${value instanceof Error ? value.stack : JSON.stringify(value)}`)
    .join(" ");
}
