/**
 * What a group does, kept the plain way: a list of messages, and rules that look at all of them. Which message goes to
 * which member is for the leases to choose; here it is only judged. Everything else is known beforehand.
 *
 * All times are wall times, which go on while the hub is down.
 */
import type { GroupPolicy, Offset } from "@dogear/shared";
import type { DeathReason, Item, Stage } from "../../../server/src/hub/groups/item.ts";
import type { Grant, Leases, Settlement } from "../../../server/src/hub/groups/leases.ts";
import { must } from "./support.ts";

/** A message as its log has it. */
export interface Told {
  readonly offset: Offset;
  readonly key: string | undefined;
  readonly expires: number | undefined;
  readonly redriven: boolean;
}

export interface Kept extends Told {
  stage: Stage;
  deliveries: number;
  failures: number;
  error: string | undefined;
  reason: DeathReason | undefined;
  due: number;
  lease: KeptLease | undefined;
}

interface KeptLease {
  readonly fence: number;
  readonly holder: string;
  readonly leaseMs: number;
  /** Infinity until it is sent. */
  readonly until: number;
  readonly orphaned: boolean;
}

interface Member {
  readonly window: number;
  readonly attached: boolean;
  readonly open: boolean;
}

export class Reference {
  items: Kept[] = [];
  members: Map<string, Member> = new Map();
  /** The largest fence so far. */
  fence = 0;
  readonly #policy: GroupPolicy;
  readonly #random: number;

  constructor(policy: GroupPolicy, random: number) {
    this.#policy = policy;
    this.#random = random;
  }

  get(offset: Offset): Kept | undefined {
    return this.items.find((item) => item.offset === offset);
  }

  heldBy(id: string): readonly Kept[] {
    return this.items.filter(({ lease }) => lease?.holder === id);
  }

  hasRoom(id: string): boolean {
    const { attached, open, window } = this.members.get(id) as Member;
    return attached && open && this.heldBy(id).length < window;
  }

  get someoneHasRoom(): boolean {
    return [...this.members.keys()].some((id) => this.hasRoom(id));
  }

  /** When something happens by itself. */
  get next(): number {
    const times = this.items.map(({ stage, due, lease }) => (stage === "delayed" ? due : (lease?.until ?? Infinity)));
    return Math.min(...times, Infinity);
  }

  offer(told: Told): void {
    const begins = { deliveries: 0, failures: 0, error: undefined, reason: undefined, due: 0, lease: undefined };
    if (this.get(told.offset) === undefined) this.items.push({ ...told, stage: "waiting", ...begins });
  }

  /** Takes note that a member works over a new connection; `kept` are the fences it has now. */
  join(id: string, window: number, holding: ReadonlySet<Offset>, kept: readonly Grant[], now: number): void {
    this.members.set(id, { window, attached: true, open: false });
    const held = this.heldBy(id);
    const keeps = held.filter(({ offset, lease }) => holding.has(offset) && lease?.until !== Infinity);
    for (const item of held) this.#take(item);
    for (const grant of kept) {
      const item = keeps.find(({ offset }) => offset === grant.item.offset);
      must(item !== undefined, () => `${grant.item.offset} is not one that ${id} may keep`);
      this.#hand(item, grant, now + this.#policy.leaseMs);
    }
    must(kept.length === keeps.length, () => `${id} keeps ${keeps.map(({ offset }) => offset)}`);
  }

  change(id: string, changed: Partial<Member>): void {
    this.members.set(id, { ...(this.members.get(id) as Member), ...changed });
  }

  leave(id: string): void {
    for (const item of this.heldBy(id)) this.#take(item);
    this.change(id, { attached: false });
  }

  /** Judges what was leased, and what was found expired on the way. */
  granted(grants: readonly Grant[], expired: readonly Offset[], now: number): void {
    must(
      expired.length + grants.length === 0 || this.someoneHasRoom,
      () => "something is leased though nobody has room",
    );
    for (const offset of expired) {
      const item = this.get(offset) as Kept;
      must(item.stage === "waiting" && this.#isExpired(item, now), () => `${offset} has expired`);
      must(this.#mayGo(item), () => `${offset} expires only when it may go`);
      this.#die(item, "ttl");
    }
    for (const grant of grants) this.#judge(grant, now);
  }

  /** What could be leased now. */
  get ready(): readonly Offset[] {
    const ready = this.items.filter((item) => item.stage === "waiting" && !this.#isHeldUp(item));
    return this.someoneHasRoom ? ready.map(({ offset }) => offset) : [];
  }

  /** A grant is on its way. */
  sent({ fence }: Grant, now: number): boolean {
    const item = this.items.find(({ lease }) => lease?.fence === fence);
    if (item?.lease === undefined) return false;
    item.lease = { ...item.lease, until: now + item.lease.leaseMs };
    return true;
  }

  revoked({ fence }: Grant): void {
    const item = this.items.find(({ lease }) => lease?.fence === fence);
    if (item !== undefined) this.#take(item);
  }

  /** Whether a member holds what it settles; then it is settled. */
  settle(id: string, fence: number, settlement: Settlement, now: number): boolean {
    const item = this.heldBy(id).find(({ lease }) => lease?.fence === fence && lease.until !== Infinity);
    if (item?.lease === undefined) return false;
    if (settlement.outcome === "extend") {
      const { leaseMs = this.#policy.leaseMs } = settlement;
      item.lease = { ...item.lease, leaseMs, until: now + leaseMs };
      return true;
    }
    this.#take(item);
    if (settlement.outcome === "ack") this.forget(item);
    if (settlement.outcome === "retry") this.#fail(item, settlement.error, settlement.delayMs, now);
    if (settlement.outcome === "reject") {
      item.failures++;
      item.error = settlement.error ?? item.error;
      this.#die(item, "rejected");
    }
    return true;
  }

  advance(now: number): void {
    for (const item of this.items) {
      if (item.lease === undefined || item.lease.until > now) continue;
      const { orphaned } = item.lease;
      this.#take(item);
      if (!orphaned) this.#fail(item, "The lease ran out.", undefined, now);
    }
    for (const item of this.items) if (item.stage === "delayed" && item.due <= now) item.stage = "waiting";
  }

  forget(item: Kept): void {
    this.items = this.items.filter((one) => one !== item);
  }

  /** Gives up, or forgets, everything up to an offset; returns how many were never delivered. */
  retire(through: Offset): number {
    const gone = this.items.filter(({ offset, stage }) => offset <= through && stage !== "dying");
    for (const item of gone) if (item.lease !== undefined) this.#take(item);
    const [known, lost] = [gone.filter((item) => item.deliveries > 0), gone.filter((item) => item.deliveries === 0)];
    for (const item of known) this.#die(item, "retention");
    for (const item of lost) this.forget(item);
    return lost.length;
  }

  /** A copy, as it would be after a restart at `now`, but for the fences. */
  restarted(items: readonly Kept[], now: number): Kept[] {
    return items.map((item) => {
      if (item.stage === "delayed") return { ...item, due: Math.max(now, item.due) };
      if (item.lease === undefined) return { ...item };
      const { leaseMs } = this.#policy;
      return { ...item, lease: { ...item.lease, leaseMs, until: now + leaseMs, orphaned: true } };
    });
  }

  /** Everything is as it must be. `boot`: the wall time at which the monotonic clock began. */
  check(leases: Leases, boot: number): void {
    must(leases.items.size === this.items.length, () => `${[...leases.items.keys()]} are all there is`);
    for (const kept of this.items) {
      const item = leases.items.get(kept.offset);
      must(item !== undefined, () => `${kept.offset} is not there`);
      must(agrees(item, kept, boot), () => `should be ${JSON.stringify(kept)} but is ${JSON.stringify(item)}`);
      must(leases.dying.has(item) === (kept.stage === "dying"), () => `${kept.offset} is ${kept.stage}`);
    }
    for (const id of this.members.keys()) {
      const held = [...(leases.members.get(id)?.held ?? [])].map(([fence, { offset }]) => `${fence}:${offset}`);
      const should = this.heldBy(id).map(({ lease, offset }) => `${lease?.fence}:${offset}`);
      must(held.sort().join() === should.sort().join(), () => `${id} holds ${held} and should hold ${should}`);
    }
    must(leases.next + boot <= this.next, () => `next is ${leases.next + boot} and something happens at ${this.next}`);
  }

  #judge({ item: { offset }, member: { id }, fence }: Grant, now: number): void {
    const item = this.get(offset);
    must(item?.stage === "waiting", () => `${offset} is leased and did not wait`);
    must(!this.#isExpired(item, now), () => `${offset} is leased and has expired`);
    must(this.hasRoom(id), () => `${id} is given ${offset} and has no room`);
    must(this.#mayGo(item), () => `${offset} is leased before its turn`);
    item.deliveries++;
    this.#hand(item, { fence, member: { id } }, Infinity);
  }

  #isExpired({ expires }: Told, now: number): boolean {
    return expires !== undefined && expires <= now;
  }

  /** Another of its key is leased, or, where that blocks it, has failed or is dying. */
  #isHeldUp({ key, offset }: Told): boolean {
    const holdUp: readonly Stage[] = this.#policy.onFailure === "block" ? ["leased", "delayed", "dying"] : ["leased"];
    const others = this.items.filter((other) => other.key === key && other.offset !== offset);
    return key !== undefined && others.some(({ stage }) => holdUp.includes(stage));
  }

  /**
   * Whether it is a message's turn: nothing of its key is leased, or failed and blocks it, and of its key it is the next
   * of all that are not settled; where failed ones are skipped, the next of those that were never tried.
   */
  #mayGo(item: Kept): boolean {
    const skips = this.#policy.onFailure === "skip";
    const others = this.items.filter(({ key, offset }) => key === item.key && offset !== item.offset);
    if (item.key === undefined) return true;
    if (others.some(({ stage }) => stage === "leased" || (stage === "delayed" && !skips))) return false;
    if (skips && item.deliveries > 0) return true;
    // Messages and redriven ones come as they are read.
    const before = others.filter(({ offset, redriven }) => offset < item.offset && redriven === item.redriven);
    return before.every(({ deliveries, stage }) => skips && (deliveries > 0 || stage === "dying"));
  }

  #hand(item: Kept, { fence, member }: { fence: number; member: { id: string } }, until: number): void {
    must(fence > this.fence, () => `fence ${fence} comes after ${this.fence}`);
    this.fence = fence;
    item.stage = "leased";
    item.lease = { fence, holder: member.id, leaseMs: this.#policy.leaseMs, until, orphaned: false };
  }

  /** Gives back: what was never sent was not delivered. */
  #take(item: Kept): void {
    if (item.lease?.until === Infinity) item.deliveries--;
    item.lease = undefined;
    item.stage = "waiting";
  }

  #fail(item: Kept, error: string | undefined, delayMs: number | undefined, now: number): void {
    const { maxFailures, backoff } = this.#policy;
    item.failures++;
    item.error = error ?? item.error;
    if (item.failures >= maxFailures) return this.#die(item, "max-failures");
    let full = backoff.minMs;
    for (let i = 1; i < item.failures && backoff.type === "exponential"; i++) full = Math.min(full * 2, backoff.maxMs);
    item.stage = "delayed";
    item.due = now + (delayMs ?? Math.round(full - full * backoff.jitter * this.#random));
  }

  #die(item: Kept, reason: DeathReason): void {
    item.stage = "dying";
    item.reason = reason;
  }
}

/** Whether a message is as it must be, as far as its stage gives it a meaning. */
function agrees(item: Item, kept: Kept, boot: number): boolean {
  const { stage, deliveries, failures, error } = kept;
  if (item.stage !== stage || item.deliveries !== deliveries) return false;
  if (item.failures !== failures || item.error !== error) return false;
  if (stage === "dying") return item.reason === kept.reason;
  if (stage === "delayed") return item.due + boot === kept.due;
  return item.lease === kept.lease || areEqual(item.lease, kept.lease, boot);
}

function areEqual(is: KeptLease | undefined, should: KeptLease | undefined, boot: number): boolean {
  if (is?.fence !== should?.fence || is?.holder !== should?.holder || is?.orphaned !== should?.orphaned) return false;
  return is?.leaseMs === should?.leaseMs && (is?.until ?? 0) + boot === should?.until;
}
