/** Hubs in one process that share an engine: what one says is heard by another in a later turn. */
import { type DogearError, dogearError } from "@dogear/shared";
import type { Chance, Clock } from "../../runtime/clock.ts";
import type { HubId, PeerListener, Peers } from "../engine.ts";

/** What carries words from one hub to another. */
export class Exchange {
  readonly #clock: Clock;
  readonly #peers = new Map<HubId, MemoryPeers>();
  /** Those who said nothing for long. */
  readonly #silent = new Set<HubId>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  enter(chance: Chance): MemoryPeers {
    const peers = new MemoryPeers(chance.id(), this, this.#clock);
    this.#peers.set(peers.self, peers);
    return peers;
  }

  leave(self: HubId): void {
    this.#peers.delete(self);
    this.#tellGone(self);
  }

  /** A hub is not heard of, and hears nothing, any more; or again. */
  silence(self: HubId, silent: boolean): void {
    if (silent) this.#silent.add(self);
    else this.#silent.delete(self);
    if (silent) this.#tellGone(self);
  }

  others(self: HubId): readonly HubId[] {
    return [...this.#peers.keys()].filter((id) => id !== self && !this.#silent.has(id));
  }

  async deliver(to: HubId, topic: string, words: Uint8Array, from: HubId): Promise<Uint8Array | undefined> {
    await new Promise<void>((resolve) => this.#clock.soon(resolve));
    if (this.#silent.has(from) || this.#silent.has(to)) return undefined;
    return this.#peers.get(to)?.hear(topic, words, from);
  }

  #tellGone(gone: HubId): void {
    for (const peers of this.#peers.values()) if (peers.self !== gone) peers.gone(gone);
  }
}

export class MemoryPeers implements Peers {
  readonly self: HubId;
  readonly canBe = true;
  readonly #exchange: Exchange;
  readonly #clock: Clock;
  readonly #listeners = new Map<string, PeerListener>();
  readonly #goneListeners: ((hub: HubId) => void)[] = [];

  constructor(self: HubId, exchange: Exchange, clock: Clock) {
    this.self = self;
    this.#exchange = exchange;
    this.#clock = clock;
  }

  get others(): readonly HubId[] {
    return this.#exchange.others(this.self);
  }

  isThere(hub: HubId): boolean {
    return hub === this.self || this.others.includes(hub);
  }

  onGone(listener: (hub: HubId) => void): void {
    this.#goneListeners.push(listener);
  }

  gone(hub: HubId): void {
    for (const listener of this.#goneListeners) this.#clock.soon(() => listener(hub));
  }

  on(topic: string, listener: PeerListener): void {
    if (this.#listeners.has(topic)) throw new Error(`Somebody listens to ${topic} already.`);
    this.#listeners.set(topic, listener);
  }

  tell(hub: HubId, topic: string, words: Uint8Array): void {
    this.#exchange.deliver(hub, topic, words, this.self).catch(() => {});
  }

  tellAll(topic: string, words: Uint8Array): void {
    for (const hub of this.#exchange.others(this.self)) this.tell(hub, topic, words);
  }

  ask(hub: HubId, topic: string, words: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const refuse = (cause?: unknown) => reject(unanswered(cause));
      const cancel = this.#clock.after(timeoutMs, refuse);
      this.#exchange.deliver(hub, topic, words, this.self).then((answer) => {
        cancel();
        if (answer === undefined) refuse();
        else resolve(answer);
      }, refuse);
    });
  }

  hear(topic: string, words: Uint8Array, from: HubId): Promise<Uint8Array> | undefined {
    return this.#listeners.get(topic)?.(words, from);
  }
}

function unanswered(cause: unknown): DogearError {
  return dogearError("unavailable", "Another hub does not answer.", { cause });
}
