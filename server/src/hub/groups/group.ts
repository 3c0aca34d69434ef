/**
 * A group at work: messages come in, are leased to members in turn, and what became of them is stored before anybody
 * hears of it.
 *
 *                       ┌──► members
 *     intake ──► leases ┤        │
 *                  ↑    └──► dead letters
 *                  └──── settlements
 *
 * One loop does all of it in rounds: whatever happens during a flush is decided in the next round and stored together.
 */
import { dogearError, type ErrorCode, type Offset, type Pattern } from "@dogear/shared";
import { epochOf } from "../../engine/lineage.ts";
import type { Chance, Clock } from "../../runtime/clock.ts";
import { type Logger, weightOf } from "../../runtime/logger.ts";
import { isOutdated } from "../claimant.ts";
import { type Ledger, LedgerLostError } from "../ledger.ts";
import type { Namespace } from "../namespace.ts";
import { Rounds } from "../rounds.ts";
import { Departures } from "./departures.ts";
import { dispatch } from "./dispatch.ts";
import type { Intake } from "./intake.ts";
import type { Item } from "./item.ts";
import type { Grant, Leases, Settlement } from "./leases.ts";
import type { Member } from "./members.ts";
import type { Joined, Port, Workplace } from "./port.ts";
import type { GroupHead } from "./record.ts";
import { recover } from "./recovery.ts";
import { Shift } from "./shift.ts";

export interface GroupParts {
  readonly namespace: Namespace;
  readonly name: string;
  readonly ledger: Ledger<GroupHead, Item>;
  readonly unsettledMax: number;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  /** Told when another hub has taken the group over. */
  readonly lost: () => void;
}

/** What one round leases at most, because all of it is in memory at once. */
const roundMax = { messages: 4_096, bytes: 4 * 1_024 * 1_024 } as const;

export class Group implements Workplace {
  readonly namespace: Namespace;
  readonly name: string;
  readonly #parts: GroupParts;
  readonly #ledger: Ledger<GroupHead, Item>;
  #shift: Shift;
  /** By member id. */
  readonly #ports = new Map<string, Port>();
  /** Called once it is known whether what was decided so far is durable, or will never be. */
  #confirmations: ((isStored: boolean) => void)[] = [];
  readonly #departures = new Departures();
  readonly #rounds: Rounds;
  /** Not before then is it tried again to append dead letters, by the monotonic clock. */
  #buryAfter = 0;
  /** It was said that another hub has it. */
  #isLost = false;
  #closed: false | "deleted" | "stopped" = false;

  /** A group as it was stored, or as it begins. */
  static async open(parts: GroupParts): Promise<Group> {
    const group = new Group(parts);
    await recover(group.#ledger, group.#shift.burials, group.#shift.leases, () => parts.clock.monotonic());
    group.wake();
    return group;
  }

  private constructor(parts: GroupParts) {
    this.namespace = parts.namespace;
    this.name = parts.name;
    this.#parts = parts;
    this.#ledger = parts.ledger;
    this.#shift = this.#newShift();
    this.#rounds = new Rounds({
      clock: parts.clock,
      round: () => this.#round(),
      next: () => this.#shift.leases.next,
      failed: (error) => this.#failed(error),
    });
    this.#ledger.onFlush((head) => this.#shift.intake.note(head));
  }

  get head(): Readonly<GroupHead> {
    return this.#ledger.head;
  }

  get pattern(): Pattern {
    return this.head.pattern;
  }

  /** How many members have a connection. */
  get members(): number {
    return this.#ports.size;
  }

  /** It was deleted, or is just being deleted. */
  get isClosed(): boolean {
    return this.#closed !== false;
  }

  get leases(): Leases {
    return this.#shift.leases;
  }

  get intake(): Intake {
    return this.#shift.intake;
  }

  async join(port: Port, id: string, window: number, holding: readonly Offset[]): Promise<Joined> {
    if (this.#closed) throw dogearError(this.#closed === "deleted" ? "group-deleted" : "unavailable");
    const before = this.#ports.get(id);
    if (isOutdated(port.by, before?.by)) throw dogearError("taken-over");
    before?.end("taken-over");
    this.#ports.set(id, port);
    const shift = this.#shift;
    const kept = shift.leases.join(id, window, new Set(holding), this.#parts.clock.monotonic());
    // The new fences are durable before anyone hears of them.
    this.#ledger.touch();
    try {
      await this.#ledger.flush();
    } catch (error) {
      this.detach(port, id);
      throw error;
    }
    // While it was stored a lease may have run out, or all of them, by a reset.
    const held = kept.filter(({ item, fence }) => !shift.isOver && item.lease?.fence === fence);
    return {
      epoch: epochOf(this.namespace.log.lineage),
      policy: this.head.policy,
      leases: held.map(({ item: { offset, deliveries }, fence }) => ({ offset, fence, deliveries })),
    };
  }

  open(port: Port, id: string, open: boolean): void {
    const member = this.#memberOf(port, id);
    if (member === undefined || member.open === open) return;
    member.open = open;
    this.#shift.leases.members.changed(member);
    if (open) this.wake();
  }

  settle(port: Port, id: string, fences: readonly number[], settlement: Settlement): void {
    const member = this.#memberOf(port, id);
    if (member === undefined) return port.lost(fences);
    const now = this.#parts.clock.monotonic();
    const lost: number[] = [];
    const held: number[] = [];
    for (const fence of fences) (this.#shift.leases.settle(member, fence, settlement, now) ? held : lost).push(fence);
    if (lost.length > 0) port.lost(lost);
    if (held.length === 0) return;
    // An extension changes nothing that is stored. But an owner that stood still must find out whether it still is one.
    if (settlement.outcome === "extend") this.#ledger.touch();
    this.#confirmations.push((isStored) => isStored && port.settled(held));
    this.wake();
  }

  async leave(port: Port, id: string, holding: readonly Offset[]): Promise<void> {
    const member = this.#memberOf(port, id);
    if (member === undefined) return;
    this.#shift.leases.leave(member, new Set(holding));
    const gone = this.#departures.wait(port, id);
    this.wake();
    await gone;
  }

  detach(port: Port, id: string): void {
    if (this.#ports.get(id) !== port) return;
    this.#ports.delete(id);
    const member = this.#shift.leases.members.get(id);
    if (member !== undefined) this.#shift.leases.members.detach(member);
    this.#rest();
    this.wake();
  }

  /** Pauses the group, or lets it go on; resolves once that is durable. */
  async pause(paused: boolean): Promise<void> {
    this.#ledger.head.paused = paused;
    this.#ledger.touch();
    this.#rest();
    await this.#ledger.flush();
    this.wake();
  }

  /** Goes on after an offset, whatever was leased or waits; resolves once that is durable. */
  async reset(position: Offset): Promise<void> {
    // What was given up is not forgotten: it becomes a dead letter first.
    while (this.#shift.leases.dying.size > 0) await this.#shift.bury();
    const { head } = this.#ledger;
    const before = this.#shift.leases;
    head.redriven = this.#shift.intake.redriver.through;
    head.redrive = this.#shift.intake.redriver.asOf(0);
    head.position = position;
    head.incarnation = this.#parts.chance.id();
    head.epoch = epochOf(this.namespace.log.lineage);
    this.#shift.end();
    this.#ledger.clear();
    this.#shift = this.#newShift();
    this.#shift.leases.succeed(before, this.#parts.clock.monotonic());
    await this.#ledger.flush();
    this.wake();
  }

  /** Begins a redrive, or cancels it; resolves once that is durable. */
  async redrive(what: "start" | "cancel"): Promise<void> {
    const { redriver } = this.#shift.intake;
    const unleased = this.#shift.leases.freshCount("redriven");
    if (what === "start") await redriver.start(unleased);
    else redriver.cancel(unleased, this.#shift.leases.firstFresh("redriven"));
    if (what === "cancel") this.#shift.leases.dropFresh("redriven");
    this.#ledger.touch();
    await this.#ledger.flush();
    this.wake();
  }

  /**
   * Everything up to an offset is about to be removed: what was leased or failed becomes a dead letter, what was not
   * even read is counted. Resolves once that is durable.
   */
  async retire(through: Offset): Promise<void> {
    const { pattern } = this.head;
    const { log } = this.namespace;
    const read = this.#shift.intake.through;
    this.#shift.intake.skip(through);
    let lost = this.#shift.leases.retire(through);
    if (read < through) {
      const [after, later] = await Promise.all([log.count(pattern, read), log.count(pattern, through)]);
      lost += after - later;
    }
    if (lost > 0) this.#lose(lost, { through });
    this.#ledger.touch();
    // Those who held it, or were about to, have room.
    this.wake();
    await this.#shift.bury();
    await this.#ledger.flush();
  }

  /** Forgets the group; its dead letters stay. Where that fails after it has stopped, it is to be opened anew. */
  async delete(): Promise<void> {
    // Where that fails the group goes on.
    await this.#shift.bury();
    if (this.isClosed) throw dogearError("unknown-group");
    await this.#stop("group-deleted");
    try {
      while (this.#shift.leases.dying.size > 0) await this.#shift.bury();
      await this.#ledger.erase();
    } catch (error) {
      this.#finish(false);
      throw error;
    }
    this.#finish(true);
  }

  /** Another hub has taken it over: what happened here and was not stored has not happened. */
  async lose(): Promise<void> {
    if (this.#closed) return;
    await this.#stop("unavailable");
    await this.#shift.burials.stop();
    this.#finish(false);
  }

  /** Stores what it knows and stops. */
  async close(): Promise<void> {
    await this.#stop(undefined);
    await this.#shift.burials.stop();
    try {
      await this.#ledger.flush();
      this.#finish(true);
    } catch (error) {
      // What is not stored is read, or comes, again.
      this.#say(error);
      this.#finish(false);
    }
  }

  /** There is something to do. */
  wake(): void {
    this.#rounds.wake();
  }

  /** Reads and leases only while there is somebody to lease to. */
  #isActive(): boolean {
    return this.#ports.size > 0 && !this.head.paused && !this.#closed;
  }

  #rest(): void {
    if (!this.#isActive()) this.#shift.intake.rest();
  }

  async #stop(code: ErrorCode | undefined): Promise<void> {
    this.#closed = code === "group-deleted" ? "deleted" : "stopped";
    if (code !== undefined) for (const port of this.#ports.values()) port.end(code);
    this.#ports.clear();
    this.#rest();
    await this.#rounds.stop();
  }

  async #round(): Promise<void> {
    const { clock } = this.#parts;
    const shift = this.#shift;
    const { leases, intake } = shift;
    leases.advance(clock.monotonic());
    const grants = this.#isActive() ? leases.grant(clock.now(), roundMax) : [];
    if (leases.dying.size > 0 && clock.monotonic() >= this.#buryAfter) {
      void shift.bury().catch((error: unknown) => {
        this.#failed(error);
        this.#buryAfter = this.#rounds.retry();
      });
    }
    this.#letGo();
    const stored = this.#storeAndSend(shift, grants);
    // What the next round leases is read while the disk is at work.
    const read = this.#isActive() ? intake.read() : undefined;
    for (const done of await Promise.allSettled([stored, read])) if ("reason" in done) throw done.reason;
    // Also where not all of it could be sent.
    if (this.#isActive() && (leases.canGrant || intake.canRead)) this.wake();
  }

  async #storeAndSend(shift: Shift, grants: readonly Grant[]): Promise<void> {
    const texts = await this.#store(shift, grants);
    // Since it was reset nobody holds what was leased before.
    if (shift.isOver) return;
    const vanished = (item: Item) => shift.vanished(item);
    dispatch(grants, texts, { ports: this.#ports, leases: shift.leases, now: this.#parts.clock.monotonic(), vanished });
  }

  /** Stores what was decided, and tells those who wait for that. Returns the texts of what is leased. */
  async #store(shift: Shift, grants: readonly Grant[]): Promise<ReadonlyMap<Offset, Buffer>> {
    const items = grants.map(({ item }) => item);
    const confirmations = this.#confirmations.splice(0);
    let texts: ReadonlyMap<Offset, Buffer>;
    try {
      [texts] = await Promise.all([shift.intake.texts.take(items), this.#ledger.flush()]);
    } catch (error) {
      shift.leases.revoke(grants);
      this.#confirmations.unshift(...confirmations);
      throw error;
    }
    // Before anything is sent: what a member settled and what it is leased next leave in one write.
    for (const confirm of confirmations) confirm(true);
    return texts;
  }

  /** Lets those go that leave, and hold nothing any more or have gone already. */
  #letGo(): void {
    const holdsNothing = (port: Port, id: string) =>
      this.#ports.get(id) !== port || this.#shift.leases.members.get(id)?.held.size === 0;
    for (const { port, id, resolve } of this.#departures.take(holdsNothing)) {
      this.detach(port, id);
      this.#confirmations.push(() => resolve());
    }
  }

  /** The member of a connection, as long as no other took over. */
  #memberOf(port: Port, id: string): Member | undefined {
    return this.#ports.get(id) === port ? this.#shift.leases.members.get(id) : undefined;
  }

  /** Nothing more is decided here, nor stored. */
  #finish(isStored: boolean): void {
    for (const confirm of this.#confirmations.splice(0)) confirm(isStored);
    for (const { resolve } of this.#departures.take(() => true)) resolve();
  }

  #lose(count: number, facts: Readonly<Record<string, unknown>>): void {
    this.#ledger.head.lost += count;
    this.#ledger.touch();
    this.#parts.logger.warn("group.lost", { ...this.#facts(), count, ...facts });
  }

  #failed(error: unknown): void {
    if (this.#closed) return;
    this.#say(error);
    if (!(error instanceof LedgerLostError) || this.#isLost) return;
    this.#isLost = true;
    this.#parts.lost();
  }

  #say(error: unknown): void {
    this.#parts.logger[weightOf(error)]("group.failed", { ...this.#facts(), error });
  }

  #newShift(): Shift {
    const { logger } = this.#parts;
    return new Shift({
      ...this.#parts,
      isWanted: () => this.#isActive(),
      missed: (gap) => logger.warn("group.gap", { ...this.#facts(), ...gap }),
      lost: (count, facts) => this.#lose(count, facts),
      wake: () => this.wake(),
    });
  }

  #facts(): Readonly<Record<string, unknown>> {
    return { namespace: this.namespace.policy.namespace, group: this.name };
  }
}
