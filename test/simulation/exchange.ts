/** What hubs say to each other: in order, with delay, or lost; and who is heard of. */
import { dogearError } from "@dogear/shared";
import { type HubId, type PeerListener, type Peers, silentMs } from "../../server/src/engine/engine.ts";
import type { Machine } from "./machine.ts";
import type { Timeline } from "./timeline.ts";

/** The longest that words take, in milliseconds. */
const delayMsMax = 5;

/** How often hubs look who is there. */
const lookMs = 500;

export class Exchange {
  readonly timeline: Timeline;
  readonly #present = new Map<HubId, HubPeers>();
  /** Of all words, how many are lost. */
  loss = 0;
  /** Hubs that nobody hears, and that hear nobody. */
  readonly isolated = new Set<Machine>();

  constructor(timeline: Timeline) {
    this.timeline = timeline;
  }

  enter(machine: Machine): HubPeers {
    const peers = new HubPeers(machine, this);
    for (const other of this.#present.values()) {
      peers.meet(other);
      other.meet(peers);
    }
    this.#present.set(peers.self, peers);
    machine.onDeath(() => this.#present.delete(peers.self));
    return peers;
  }

  get(hub: HubId): HubPeers | undefined {
    return this.#present.get(hub);
  }

  /** Whether what one says now can reach the other. */
  reaches(from: Machine, to: Machine): boolean {
    return from.alive && !from.frozen && to.alive && !this.isolated.has(from) && !this.isolated.has(to);
  }

  delay(): number {
    return this.timeline.random() * delayMsMax;
  }
}

interface Acquaintance {
  readonly machine: Machine;
  heardAt: number;
  gone: boolean;
  /** When the last of what it was told arrives. */
  last: number;
}

export class HubPeers implements Peers {
  readonly self: HubId;
  readonly canBe = true;
  readonly machine: Machine;
  readonly #exchange: Exchange;
  readonly #known = new Map<HubId, Acquaintance>();
  readonly #listeners = new Map<string, PeerListener>();
  readonly #goneListeners: ((hub: HubId) => void)[] = [];

  constructor(machine: Machine, exchange: Exchange) {
    this.self = machine.timeline.id("hub");
    this.machine = machine;
    this.#exchange = exchange;
    this.#look();
  }

  meet({ self, machine }: HubPeers): void {
    this.#known.set(self, { machine, heardAt: this.#exchange.timeline.now, gone: false, last: 0 });
  }

  get others(): readonly HubId[] {
    return [...this.#known].filter(([, { gone }]) => !gone).map(([hub]) => hub);
  }

  isThere(hub: HubId): boolean {
    return hub === this.self || this.#known.get(hub)?.gone === false;
  }

  onGone(listener: (hub: HubId) => void): void {
    this.#goneListeners.push(listener);
  }

  on(topic: string, listener: PeerListener): void {
    this.#listeners.set(topic, listener);
  }

  tell(hub: HubId, topic: string, words: Uint8Array): void {
    this.#say(hub, (there) => void there.hear(topic, words, this.self)?.catch(() => {}));
  }

  tellAll(topic: string, words: Uint8Array): void {
    for (const hub of this.others) this.tell(hub, topic, words);
  }

  ask(hub: HubId, topic: string, words: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const refuse = (): void => reject(dogearError("unavailable", "Another hub does not answer."));
      const cancel = this.machine.after(timeoutMs, refuse);
      const settle = (run: () => void): void => {
        cancel();
        run();
      };
      this.#say(hub, (there) => {
        const answer = there.hear(topic, words, this.self) ?? Promise.reject(new Error("Nobody listens."));
        answer.then(
          (said) => there.#say(this.self, () => settle(() => resolve(said))),
          () => there.#say(this.self, () => settle(refuse)),
        );
      });
    });
  }

  /** It says good-bye. */
  leave(): void {
    for (const hub of this.others) this.#say(hub, (there) => there.#lose(this.self));
  }

  hear(topic: string, words: Uint8Array, from: HubId): Promise<Uint8Array> | undefined {
    return this.#listeners.get(topic)?.(words, from);
  }

  #say(hub: HubId, arrive: (there: HubPeers) => void): void {
    const there = this.#exchange.get(hub);
    const known = this.#known.get(hub);
    const { timeline, loss } = this.#exchange;
    if (there === undefined || known === undefined || timeline.chance(loss)) return;
    if (!this.#exchange.reaches(this.machine, there.machine)) return;
    known.last = Math.max(known.last, timeline.now + this.#exchange.delay());
    there.machine.after(known.last - timeline.now, () => arrive(there));
  }

  /** Who was heard of lately, and who was not. */
  #look(): void {
    this.machine.after(lookMs, () => {
      const { now } = this.#exchange.timeline;
      for (const [hub, known] of this.#known) {
        if (this.#exchange.reaches(known.machine, this.machine)) {
          known.heardAt = now;
          known.gone = false;
        } else if (now - known.heardAt > silentMs) {
          this.#lose(hub);
        }
      }
      this.#look();
    });
  }

  #lose(hub: HubId): void {
    const known = this.#known.get(hub);
    if (known === undefined || known.gone) return;
    known.gone = true;
    for (const listener of this.#goneListeners) this.machine.after(0, () => listener(hub));
  }
}
