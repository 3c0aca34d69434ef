/**
 * The hubs on the same NATS servers, and what they say to each other, which JetStream has no part in:
 *
 *     <prefix>.here.<id>            a hub is there, once a second and when another one comes; "gone" when it stops
 *     <prefix>.hub.<id>.<topic>     said to one hub, or asked it
 *     <prefix>.hubs.<topic>         said to all
 */
import { type DogearError, dogearError } from "@dogear/shared";
import { headers, type Msg, type MsgHdrs } from "@nats-io/transport-node";
import type { Chance, Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { type HubId, type PeerListener, type Peers, silentMs } from "../engine.ts";
import type { Cluster } from "./cluster.ts";
import { decodeKey, encodeKey } from "./keys.ts";

export interface JetStreamPeersParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
}

/** How often a hub says that it is there. */
const hereMs = 1_000;
/** Who does not hear itself for so long stood still, or its server did: it heard nobody meanwhile. */
const deafMs = 3 * hereMs;
/** How many hubs are remembered that are there no more. */
const leftMax = 1_000;

const gone = Buffer.from("gone");
const nothing = new Uint8Array();

/** In a message: who says it; in an answer: that it is none. */
const fromHeader = "Dogear-From";
const refusedHeader = "Dogear-Refused";

export class JetStreamPeers implements Peers {
  readonly self: HubId;
  readonly canBe = true;
  readonly #parts: JetStreamPeersParts;
  readonly #prefix: string;
  readonly #listeners = new Map<string, PeerListener>();
  readonly #goneListeners: ((hub: HubId) => void)[] = [];
  /** When each of the others was heard of last, by the monotonic clock. */
  readonly #heard = new Map<HubId, number>();
  /** Those that were there and are no more, as far as it matters while this hub has not listened for long. */
  readonly #left = new Set<HubId>();
  /** Since when this hub listens without a break. */
  #listeningSince: number;
  /** When it heard itself last: then it would have heard others too. */
  #heardSelf: number;
  #cancelTick = () => {};
  #closed = false;

  constructor(parts: JetStreamPeersParts) {
    const { cluster, clock, chance } = parts;
    this.#parts = parts;
    this.self = chance.id();
    this.#prefix = cluster.settings.prefix;
    this.#listeningSince = clock.monotonic();
    this.#heardSelf = this.#listeningSince;
    this.#subscribe(`${this.#prefix}.here.*`, (message) => this.#hearOf(message));
    for (const whom of [`hub.${this.self}`, "hubs"]) {
      const root = `${this.#prefix}.${whom}.`;
      this.#subscribe(`${root}>`, (message) => this.#hear(message, decodeKey(message.subject.slice(root.length))));
    }
    cluster.onReconnect(() => this.#listenAnew());
    this.#tick();
  }

  get others(): readonly HubId[] {
    return [...this.#heard.keys()];
  }

  isThere(hub: HubId): boolean {
    const isNew = this.#parts.clock.monotonic() - this.#listeningSince < silentMs;
    return hub === this.self || this.#heard.has(hub) || (isNew && !this.#left.has(hub));
  }

  onGone(listener: (hub: HubId) => void): void {
    this.#goneListeners.push(listener);
  }

  on(topic: string, listener: PeerListener): void {
    if (this.#listeners.has(topic)) throw new Error(`Somebody listens to ${topic} already.`);
    this.#listeners.set(topic, listener);
  }

  tell(hub: HubId, topic: string, words: Uint8Array): void {
    this.#publish(`${this.#prefix}.hub.${hub}.${encodeKey(topic)}`, words);
  }

  tellAll(topic: string, words: Uint8Array): void {
    this.#publish(`${this.#prefix}.hubs.${encodeKey(topic)}`, words);
  }

  async ask(hub: HubId, topic: string, words: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const subject = `${this.#prefix}.hub.${hub}.${encodeKey(topic)}`;
    let answer: Msg;
    try {
      const options = { timeout: timeoutMs, headers: this.#signed() };
      answer = await this.#parts.cluster.connection.request(subject, words, options);
    } catch (cause) {
      throw unanswered(cause);
    }
    if (answer.headers?.has(refusedHeader)) throw unanswered();
    return new Uint8Array(answer.data);
  }

  /** Says goodbye. */
  async close(): Promise<void> {
    this.#cancelTick();
    this.#closed = true;
    this.#publish(`${this.#prefix}.here.${this.self}`, gone);
    await this.#parts.cluster.connection.flush().catch(() => {});
  }

  #subscribe(subject: string, hear: (message: Msg) => void): void {
    this.#parts.cluster.connection.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) hear(message);
        else this.#parts.logger.warn("peers.not-heard", { subject, error });
      },
    });
  }

  #hear(message: Msg, topic: string): void {
    const from = message.headers?.get(fromHeader) ?? "";
    if (from === this.self || from === "") return;
    let answer: Promise<Uint8Array> | undefined;
    try {
      answer = this.#listeners.get(topic)?.(new Uint8Array(message.data), from);
    } catch (error) {
      answer = Promise.reject(error);
    }
    void this.#answer(message, answer, topic);
  }

  async #answer(message: Msg, answer: Promise<Uint8Array> | undefined, topic: string): Promise<void> {
    try {
      const words = await answer;
      if (words !== undefined) message.respond(words, { headers: this.#signed() });
      else if (message.reply) message.respond(nothing, { headers: refused() });
    } catch (error) {
      this.#parts.logger.warn("peers.not-answered", { topic, error });
      message.respond(nothing, { headers: refused() });
    }
  }

  #publish(subject: string, words: Uint8Array): void {
    try {
      this.#parts.cluster.connection.publish(subject, words, { headers: this.#signed() });
    } catch (error) {
      this.#parts.logger.warn("peers.not-told", { subject, error });
    }
  }

  #signed(): MsgHdrs {
    const fields = headers();
    fields.set(fromHeader, this.self);
    return fields;
  }

  #hearOf({ subject, data }: Msg): void {
    const hub = subject.slice(subject.lastIndexOf(".") + 1);
    if (hub === this.self) return this.#hearSelf();
    if (data.length > 0) return this.#hasGone(hub);
    const isNew = !this.#heard.has(hub);
    this.#heard.set(hub, this.#parts.clock.monotonic());
    this.#left.delete(hub);
    // So that who comes does not wait to know who is there.
    if (isNew) this.#sayHere();
  }

  #hearSelf(): void {
    const now = this.#parts.clock.monotonic();
    if (now - this.#heardSelf > deafMs) this.#listenAnew();
    this.#heardSelf = now;
  }

  #hasGone(hub: HubId): void {
    this.#left.add(hub);
    if (this.#left.size > leftMax) this.#left.delete(this.#left.values().next().value as HubId);
    if (this.#heard.delete(hub)) for (const listener of this.#goneListeners) listener(hub);
  }

  #sayHere(): void {
    if (!this.#closed) this.#publish(`${this.#prefix}.here.${this.self}`, nothing);
  }

  #tick(): void {
    const now = this.#parts.clock.monotonic();
    this.#sayHere();
    if (now - this.#heardSelf <= deafMs) this.#forgetSilent(now);
    this.#cancelTick = this.#parts.clock.after(hereMs, () => this.#tick());
  }

  /** Nobody could be heard for a while, which says nothing about them. */
  #listenAnew(): void {
    const now = this.#parts.clock.monotonic();
    this.#listeningSince = now;
    for (const hub of this.#heard.keys()) this.#heard.set(hub, now);
  }

  #forgetSilent(now: number): void {
    for (const [hub, at] of [...this.#heard]) if (now - at > silentMs) this.#hasGone(hub);
  }
}

function refused(): MsgHdrs {
  const fields = headers();
  fields.set(refusedHeader, "1");
  return fields;
}

function unanswered(cause?: unknown): DogearError {
  return dogearError("unavailable", "Another hub does not answer.", { cause });
}
