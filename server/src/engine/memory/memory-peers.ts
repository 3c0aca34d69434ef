/** Hubs in one process that share an engine: what one says is heard by another in a later turn. */
import { type DogearError, dogearError } from "@dogear/shared";
import type { Chance, Clock } from "../../runtime/clock.ts";
import type { HubId, PeerListener, Peers } from "../engine.ts";

/** What carries words from one hub to another. */
export class Exchange {
  readonly #clock: Clock;
  readonly #peers = new Map<HubId, MemoryPeers>();

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
  }

  others(self: HubId): Iterable<HubId> {
    return [...this.#peers.keys()].filter((id) => id !== self);
  }

  async deliver(to: HubId, topic: string, words: Uint8Array, from: HubId): Promise<Uint8Array | undefined> {
    await new Promise<void>((resolve) => this.#clock.soon(resolve));
    return this.#peers.get(to)?.hear(topic, words, from);
  }
}

export class MemoryPeers implements Peers {
  readonly self: HubId;
  readonly #exchange: Exchange;
  readonly #clock: Clock;
  readonly #listeners = new Map<string, PeerListener>();

  constructor(self: HubId, exchange: Exchange, clock: Clock) {
    this.self = self;
    this.#exchange = exchange;
    this.#clock = clock;
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
