/**
 * One lease: a message, the fence under which this member holds it, and what was said of it and is not confirmed yet.
 *
 *     held ── extend, extend, … ──► settle(ack | retry | reject | release) ── confirmed ──► over
 *       └───────────────── lost: its signal is aborted, and what was said is refused ─────► over
 *
 * The hub confirms what is said of a lease in the order in which it was said. So a confirmation, which names the fence
 * only, is of the oldest that has none; and extensions do not pass for the settlement that follows them.
 */
import type { DogearError, Epoch, Leased, WireMessage } from "@dogear/shared";
import { Deferred } from "../deferred.ts";
import { HeldMessage, type Keeper, type Words } from "./held-message.ts";

export interface Statement {
  readonly words: Words;
  /** Settled when it is confirmed or refused; undefined where nobody waits for that. */
  readonly done: Deferred<void> | undefined;
  /** It went out, in this session or an earlier one. */
  sent: boolean;
}

/** What the leases of a member have in common. */
export interface Terms {
  readonly epoch: Epoch;
  /** How long they are, unless extended by more. */
  readonly leaseMs: number;
  /** Says it to the hub, if there is a session to say it in. */
  readonly speak: (lease: Lease, statement: Statement) => void;
}

export class Lease implements Keeper {
  readonly message: HeldMessage;
  fence: number;
  readonly #terms: Terms;
  readonly #lost = new AbortController();
  /** Not confirmed, the oldest first. */
  #statements: Statement[] = [];
  #settled: Promise<void> | undefined;
  /** How long each extension is, where its user wants another than the group's. */
  #leaseMs: number | undefined;

  constructor(wire: WireMessage, lease: Leased["leases"][number], terms: Terms) {
    this.message = new HeldMessage(wire, terms.epoch, lease, this);
    this.fence = lease.fence;
    this.#terms = terms;
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** What became of the message, as far as its user is concerned. */
  get settlement(): Statement | undefined {
    const last = this.#statements.at(-1);
    return last && isSettlement(last) ? last : undefined;
  }

  settle(words: Words): Promise<void> {
    this.#settled ??= this.#promise(words);
    return this.#settled;
  }

  extend(leaseMs = 0): Promise<void> {
    this.#leaseMs = leaseMs > this.#terms.leaseMs ? leaseMs : undefined;
    return this.#settled ?? this.#promise({ outcome: "extend", leaseMs: this.#leaseMs });
  }

  /** Extends it for as long as it is worked on. */
  renew(): void {
    if (!this.#settled) this.#say({ outcome: "extend", leaseMs: this.#leaseMs }, undefined);
  }

  /** The hub has confirmed something. Returns whether it was the settlement. */
  confirmed(): boolean {
    const statement = this.#statements.shift();
    statement?.done?.resolve();
    return statement !== undefined && isSettlement(statement);
  }

  /** It is held in a new session: says again what was not confirmed, except what the session itself has done. */
  resume(fence: number): void {
    this.fence = fence;
    this.#statements = this.#statements.filter(({ done }) => done);
    for (const statement of this.#statements) this.#terms.speak(this, statement);
  }

  lose(error: DogearError): void {
    for (const { done } of this.#statements.splice(0)) done?.reject(error);
    this.#lost.abort(error);
  }

  #promise(words: Words): Promise<void> {
    const done = new Deferred<void>();
    if (this.signal.aborted) done.reject(this.signal.reason);
    else this.#say(words, done);
    return done.promise;
  }

  #say(words: Words, done: Deferred<void> | undefined): void {
    const statement = { words, done, sent: false };
    this.#statements.push(statement);
    this.#terms.speak(this, statement);
  }
}

function isSettlement({ words }: Statement): boolean {
  return words.outcome !== "extend";
}
