/** All members of a client: gives each its number, and brings it what the hub says. */
import type { DogearError, ErrorEnvelope, HubEnvelope } from "@dogear/shared";
import type { Connection } from "../connection/driver.ts";
import type { errorFrom } from "../failure.ts";
import { Retry } from "../retry.ts";
import type { WorkHandler, WorkOptions } from "../worker.ts";
import { Member, type Membership } from "./member.ts";
import type { OpenWorker } from "./open-worker.ts";

/** How long closing a client waits for its workers' handlers, where no signal says how long. */
export const leaveWithinMs = 30_000;

/** What a hub says that may name a member. */
type About = Extract<HubEnvelope, { readonly member?: number | undefined }>;

export class Members implements Membership {
  readonly connection: Connection;
  readonly errorFrom: typeof errorFrom;
  readonly #report: (error: unknown) => void;
  /** By number. No number is used twice, so none gets what is said of another. */
  readonly #all = new Map<number, Member>();
  #lastNumber = 0;
  /** Those that were refused for now. */
  readonly #refused = new Set<Member>();
  readonly #retry: Retry;
  #isLeaving = false;

  constructor(connection: Connection, makeError: typeof errorFrom, report: (error: unknown) => void) {
    this.connection = connection;
    this.errorFrom = makeError;
    this.#report = report;
    this.#retry = new Retry(connection, () => {
      for (const member of this.#refused) member.join();
      this.#refused.clear();
    });
  }

  add(worker: OpenWorker, options: WorkOptions, handler: WorkHandler | undefined): void {
    const { concurrency = 1, signal } = options;
    if (!(concurrency >= 1)) {
      worker.end(new RangeError(`concurrency must be at least 1, not ${concurrency}.`));
    } else if (this.#isLeaving || signal?.aborted) {
      worker.end();
    } else if (worker.state !== "ended") {
      const member = new Member(this, worker, options, handler);
      this.#number(member);
      member.join();
    }
  }

  /** A session has begun: all go on in it. */
  resume(): void {
    for (const member of this.#all.values()) member.join();
  }

  lost(): void {
    this.#retry.stop();
    this.#refused.clear();
    for (const member of this.#all.values()) member.lost();
  }

  /** All leave, as their users wish: for as long as the signal allows, or for {@link leaveWithinMs}. */
  async leave(signal: AbortSignal | undefined): Promise<void> {
    this.#isLeaving = true;
    const limit = new AbortController();
    const disarm = signal ? undefined : this.connection.runtime.setTimer(leaveWithinMs, () => limit.abort());
    await Promise.all([...this.#all.values()].map((member) => member.leave(signal ?? limit.signal)));
    disarm?.();
  }

  end(error: DogearError): void {
    for (const member of this.#all.values()) member.end(error);
  }

  ended(member: Member): void {
    this.#all.delete(member.number);
    this.#refused.delete(member);
  }

  receive(envelope: About): void {
    const member = this.#all.get(envelope.member ?? 0);
    if (!member) return;
    switch (envelope.is) {
      case "working":
        this.#retry.reset();
        member.working(envelope);
        break;
      case "leased":
        member.leased(envelope);
        break;
      case "settled":
        member.settled(envelope);
        break;
      case "left":
        this.#letGo(member, envelope.code && this.errorFrom(envelope));
        break;
      case "error":
        this.#complained(member, envelope);
    }
  }

  #complained(member: Member, envelope: ErrorEnvelope): void {
    const error = this.errorFrom(envelope);
    if (envelope.fence !== undefined) member.leaseLost(envelope.fence, error);
    else if (member.isIn && !member.isParting) this.#report(error);
    else this.#letGo(member, error);
  }

  /** The hub has let go of a member, or has not taken it in. */
  #letGo(member: Member, error: DogearError | undefined): void {
    if (!error) return member.left();
    if (member.isParting) return member.end();
    if (error.retry === "no") return member.end(error);
    this.#all.delete(member.number);
    member.lost();
    if (member.worker.state === "ended") return;
    this.#number(member);
    this.#refused.add(member);
    this.#retry.later();
  }

  #number(member: Member): void {
    member.number = ++this.#lastNumber;
    this.#all.set(member.number, member);
  }
}
