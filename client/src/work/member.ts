/**
 * A worker at work: a member of a group, over any number of sessions. What the hub says of it comes in on one side; on the
 * other its messages go to a handler or a loop.
 *
 *     joining ◄──────► working          a lost connection leads back
 *        └──────┬─────────┘
 *            leaving                    nothing new is begun, what is held is settled, the hub gives no more
 *            parting                    nothing is held: the hub lets it go
 *             ended
 */
import { type DogearError, type Epoch, type Leased, leasesMax, type Settled, type Working } from "@dogear/shared";
import type { Connection } from "../connection/driver.ts";
import { Deferred } from "../deferred.ts";
import { emitter } from "../events.ts";
import type { errorFrom } from "../failure.ts";
import { onWire } from "../from.ts";
import type { LeasedMessage, WorkerEvents, WorkHandler, WorkOptions } from "../worker.ts";
import { Hands } from "./hands.ts";
import { Held } from "./held.ts";
import { Lease, type Terms } from "./lease.ts";
import type { Labour, OpenWorker } from "./open-worker.ts";
import { Renewal } from "./renewal.ts";
import { Settlements } from "./settlements.ts";

const emit = emitter<WorkerEvents>();

/** What a member needs of those it is among. */
export interface Membership {
  readonly connection: Connection;
  readonly errorFrom: typeof errorFrom;
  ended(member: Member): void;
}

export class Member implements Labour {
  /** Its number on the wire, another one in each attempt. */
  number = 0;
  readonly worker: OpenWorker;
  readonly #membership: Membership;
  readonly #options: WorkOptions;
  /** Names this member as long as it lives, over any number of sessions (P-50). */
  readonly #id: string;
  readonly #window: number;
  readonly #hands: Hands | undefined;
  readonly #held = new Held();
  readonly #settlements: Settlements;
  readonly #renewal: Renewal;
  #epoch: Epoch | undefined;
  /** The hub was asked, in this session, to take it in. */
  #asked = false;
  /** The hub was told, in this session, that it wants no more. */
  #isFull = false;
  /** The hub has let it go. */
  #hasLeft = false;
  #parting = false;
  /** A loop has begun to take its messages. */
  #looped = false;
  /** Resolved when there may be something to take, for a loop that waits. */
  #arrival: Deferred<void> | undefined;
  readonly #over = new Deferred<void>();
  readonly #abort = (): void => void this.leave();

  constructor(membership: Membership, worker: OpenWorker, options: WorkOptions, handler: WorkHandler | undefined) {
    const { connection } = membership;
    const { concurrency = 1, window = 2 * concurrency, signal } = options;
    this.worker = worker;
    this.#membership = membership;
    this.#options = options;
    this.#id = connection.runtime.newId();
    this.#window = Math.min(window, leasesMax);
    this.#hands = handler && new Hands(handler, concurrency, () => this.#proceed());
    this.#settlements = new Settlements((words, fences) =>
      connection.say({ is: "settle", member: this.number, fences, ...words }),
    );
    this.#renewal = new Renewal(connection.runtime, this.#held);
    signal?.addEventListener("abort", this.#abort);
    worker.member = this;
  }

  /** Whether the hub has taken it in, in this session. */
  get isIn(): boolean {
    return this.#settlements.isOpen;
  }

  /** Whether it waits for nothing but the hub's word that it has left. */
  get isParting(): boolean {
    return this.#parting;
  }

  get #isLeaving(): boolean {
    return this.worker.state === "leaving";
  }

  /** Asks the hub to take it in, first and after each reconnect. */
  join(): void {
    const { group, from, order, onFailure, maxFailures, leaseMs, backoff } = this.#options;
    const { offsets } = this.#held;
    // One that leaves comes back for what it holds, and has no room for more.
    if (this.#isLeaving && offsets.length === 0) return;
    this.#asked = this.#membership.connection.say({
      is: "work",
      member: this.number,
      id: this.#id,
      group,
      pattern: this.worker.pattern,
      from: onWire(from),
      window: this.#isLeaving ? offsets.length : this.#window,
      holding: offsets.length > 0 ? offsets : undefined,
      order,
      onFailure,
      maxFailures,
      leaseMs,
      backoff,
    });
  }

  /** The hub has taken it in: it holds what is named, under new fences, and nothing else (P-58). */
  working({ epoch, policy, leases }: Working): void {
    const known = this.#epoch === undefined || this.#epoch === epoch;
    const given = new Map(leases.map((lease) => [lease.offset, lease]));
    this.#epoch = epoch;
    this.#settlements.open();
    for (const lease of this.#held.all()) {
      const { offset, deliveries } = lease.message;
      const held = given.get(offset);
      if (!known || held?.deliveries !== deliveries) {
        this.#miss(lease);
      } else {
        given.delete(offset);
        this.#held.resume(lease, held.fence);
      }
    }
    // In another epoch an offset may be another message; and of another delivery, which did not arrive here, somebody else
    // may have had it meanwhile. What came back like that is not ours to settle.
    if (given.size > 0)
      this.#say(
        "release",
        [...given.values()].map(({ fence }) => fence),
      );
    this.worker.policy = policy;
    this.#renewal.begin(policy.leaseMs);
    if (this.#isLeaving) this.#wantNoMore();
    else this.worker.state = "working";
    this.worker.confirm(policy);
    emit(this.worker, "working", { policy });
    this.#proceed();
  }

  leased({ leases, messages }: Leased): void {
    const { policy } = this.worker;
    if (this.#parting || this.#epoch === undefined || !policy) return;
    const terms: Terms = {
      epoch: this.#epoch,
      leaseMs: policy.leaseMs,
      speak: (lease, statement) => this.#settlements.add(lease, statement),
    };
    leases.forEach((grant, index) => {
      const message = messages[index];
      if (!message) return;
      // It is ours once more, so the lease we had has run out.
      const earlier = this.#held.at(message.offset);
      if (earlier) this.#lose(earlier, this.#leaseLost("It ran out."));
      this.#held.add(new Lease(message, grant, terms));
    });
    if (this.#isLeaving) this.#dismiss();
    this.#proceed();
  }

  settled({ fences }: Settled): void {
    for (const fence of fences) {
      const lease = this.#held.under(fence);
      if (lease?.confirmed()) this.#held.delete(lease);
    }
    this.#proceed();
  }

  /** The hub says that a lease is not held any more. */
  leaseLost(fence: number, error: DogearError): void {
    const lease = this.#held.under(fence);
    if (lease) this.#lose(lease, error);
    this.#proceed();
  }

  /** The session is over, or has refused it for now. */
  lost(): void {
    this.#asked = false;
    this.#isFull = false;
    this.#settlements.close();
    this.#renewal.stop();
    if (this.#parting) this.end();
    else if (this.#isLeaving) this.#proceed();
    else this.worker.state = "joining";
  }

  async leave(signal?: AbortSignal): Promise<void> {
    if (this.worker.state === "ended") return;
    const abandon = (): void => this.#abandon();
    signal?.addEventListener("abort", abandon);
    this.worker.state = "leaving";
    if (this.isIn) this.#wantNoMore();
    this.#dismiss();
    this.#arrival?.resolve();
    if (signal?.aborted) abandon();
    this.#proceed();
    await this.#over.promise;
    signal?.removeEventListener("abort", abandon);
  }

  async *messages(): AsyncGenerator<LeasedMessage, void, undefined> {
    if (this.#hands || this.#looped) throw new TypeError("Its messages are already taken.");
    this.#looped = true;
    try {
      while (this.worker.state === "joining" || this.worker.state === "working") {
        const lease = this.#held.take();
        if (lease) {
          yield lease.message;
        } else {
          this.#arrival = new Deferred();
          await this.#arrival.promise;
        }
      }
      if (this.worker.state === "ended") await this.worker.ended;
    } finally {
      for (const lease of this.#held.all()) void lease.settle({ outcome: "release" });
      void this.leave();
    }
  }

  /** Ends it, if it has not ended yet: with an error, or because its user wished so. */
  end(error?: DogearError): void {
    if (this.worker.state === "ended") return;
    this.#settlements.close();
    this.#renewal.stop();
    this.#options.signal?.removeEventListener("abort", this.#abort);
    for (const lease of this.#held.all()) this.#miss(lease, error?.message ?? "The worker has left.");
    this.worker.inFlight = 0;
    this.#membership.ended(this);
    this.worker.end(error);
    this.#over.resolve();
    this.#arrival?.resolve();
  }

  /** Something has changed: begins what can be begun, or leaves when nothing is left. */
  #proceed(): void {
    this.worker.inFlight = this.#held.size;
    this.#renewal.consider();
    if (this.#isLeaving) {
      if (this.#held.size === 0 && !this.#hands?.areBusy) this.#part();
      else if (this.isIn) this.#wantNoMore();
    } else if (this.#hands) {
      for (let lease = this.#next(this.#hands); lease; lease = this.#next(this.#hands)) void this.#hands.work(lease);
    } else if (this.#held.isWaiting) {
      this.#arrival?.resolve();
    }
  }

  #next(hands: Hands): Lease | undefined {
    return hands.areFree ? this.#held.take() : undefined;
  }

  /** Gives back what was not begun. */
  #dismiss(): void {
    for (let lease = this.#held.take(); lease; lease = this.#held.take()) void lease.settle({ outcome: "release" });
  }

  /** The hub has let it go: it ends, as soon as no handler runs any more. */
  left(): void {
    this.#hasLeft = true;
    if (this.#hands?.areBusy) this.#proceed();
    else this.end();
  }

  /** Gets nothing more while it settles what it holds; the hub lets it go after that (P-59). */
  #wantNoMore(): void {
    const { size, offsets } = this.#held;
    if (this.#isFull || this.#hasLeft || size === 0) return;
    this.#isFull = true;
    this.#membership.connection.say({ is: "leave", member: this.number, holding: offsets });
  }

  #part(): void {
    if (this.#parting) return;
    this.#parting = this.#asked;
    if (!this.#asked || this.#hasLeft) this.end();
    else if (!this.#isFull) this.#giveUp();
  }

  /** Leaves without waiting for anything: the hub gives back what is held. */
  #abandon(): void {
    if (this.#asked && !this.#parting) this.#giveUp();
    this.end();
  }

  #giveUp(): void {
    this.#membership.connection.say({ is: "leave", member: this.number });
  }

  /** The hub does not name a lease as held any more. If it was settled, that may be why. */
  #miss(lease: Lease, why = "The hub gave the message to another."): void {
    if (!lease.settlement?.sent) return this.#lose(lease, this.#leaseLost(why));
    this.#held.delete(lease);
    lease.lose(this.#leaseLost("Whether the settlement was taken before the connection was lost is unknown."));
  }

  #lose(lease: Lease, error: DogearError): void {
    const released = lease.settlement?.words.outcome === "release";
    this.#held.delete(lease);
    lease.lose(error);
    if (!released) emit(this.worker, "lost", { message: lease.message, error });
  }

  #leaseLost(why: string): DogearError {
    return this.#membership.errorFrom({ code: "lease-lost", message: `The lease is not held any more. ${why}` });
  }

  #say(outcome: "release", fences: number[]): void {
    this.#membership.connection.say({ is: "settle", member: this.number, fences, outcome });
  }
}
