/**
 * The hub: namespaces, producers and cursors put together. It knows no sockets and no envelopes.
 */
import {
  type Channel,
  type Durability,
  dogearError,
  type Epoch,
  type Limits,
  namespaceOf,
  type Offset,
  type Pattern,
} from "@dogear/shared";
import { Access, type AccessParts } from "../access/access.ts";
import type { LimitHit } from "../access/quotas.ts";
import type { Appended, Engine, HubId, State } from "../engine/engine.ts";
import { epochOf } from "../engine/lineage.ts";
import type { Chance, Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import { Administration } from "./administration.ts";
import type { Claimant } from "./claimant.ts";
import { Colleagues } from "./colleagues.ts";
import { type ClaimedElsewhere, type Cursor, Cursors, type Taken } from "./cursors.ts";
import { Groups } from "./groups/groups.ts";
import { RemoteMembers } from "./groups/remote-members.ts";
import { Links } from "./links.ts";
import { type HubPolicy, Namespace } from "./namespace.ts";
import { Ownership } from "./ownership.ts";
import { type From, type Start, startIn } from "./place.ts";
import { Roster } from "./roster.ts";
import { Schedules } from "./schedules/schedules.ts";
import { scoped } from "./scope.ts";
import { Sequencer, type Unnumbered } from "./sequencer.ts";
import { Turns } from "./turns.ts";

export interface HubParts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly policies: readonly HubPolicy[];
  readonly limits: Limits;
  /** Who is let in; everyone, where it is left out. */
  readonly access?: HubAccess;
  /** Told each time somebody meets a limit. */
  readonly hit?: LimitHit;
  readonly login?: AccessParts["login"];
}

type HubAccess = Pick<AccessParts, "policy" | "authenticate" | "authorize">;

const openAccess: HubAccess = { policy: { tokens: undefined, keys: [], cookie: "dogear" } };

/** Drafts that were answered. */
export interface Outcome {
  /** One for each draft. */
  readonly answers: readonly Appended[];
  readonly epoch: Epoch;
  readonly durability: Durability;
}

/** Who publishes, with what memory of it. */
export interface ProducerHello {
  readonly id: string;
  readonly settled: number;
  /** Numbers above `settled` that were refused. */
  readonly refused?: readonly number[] | undefined;
  readonly seen?: number | undefined;
}

/** A configured namespace would split a name: its channels already have messages in `default`. */
export class SplitNamespaceError extends Error {}

/** The parts of a hub that is open. */
interface Opened extends Omit<HubParts, "access"> {
  readonly hit: LimitHit;
  readonly state: State;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly ownership: Ownership;
  readonly colleagues: Colleagues;
  readonly links: Links;
  readonly groups: Groups;
  readonly schedules: Schedules;
  readonly access: Access;
}

/** What one hub asks others to be done with before it is removed. */
interface Retirement {
  readonly namespace: string;
  /** The groups that are the other one's. */
  readonly groups: readonly string[];
  readonly through: Offset;
}

/** How long after a revocation sessions end that were not ended by whoever revoked. */
const revokedMs = 500;

export class Hub {
  readonly turns: Turns;
  readonly groups: Groups;
  readonly schedules: Schedules;
  readonly access: Access;
  /** Takes note that somebody met a limit. */
  readonly hit: LimitHit;
  readonly roster: Roster = new Roster();
  readonly administration: Administration;
  readonly #parts: Opened;
  readonly #namespaces: ReadonlyMap<string, Namespace>;
  readonly #cursors: Cursors;
  #cancelKeeping: () => void = () => {};
  /** Producers that sessions use, counted: a second session of a producer shares its sequence. */
  readonly #producers = new Map<string, { readonly sequencer: Promise<Sequencer | undefined>; uses: number }>();

  /** Opens the log of every namespace, every group and every schedule. */
  static async open(parts: HubParts): Promise<Hub> {
    let hub: Hub | undefined;
    const namespaces = new Map<string, Namespace>();
    for (const policy of parts.policies) {
      const namespace = new Namespace(policy, await parts.engine.open(policy), parts);
      namespace.log.beforeRemoval(async (through) => {
        if (hub === undefined) throw new Error("The hub is still opening.");
        await hub.#retire(namespace, through);
      });
      namespaces.set(policy.namespace, namespace);
    }
    await refuseSplitNames(namespaces);
    hub = await Hub.#openParts(parts, namespaces);
    return hub;
  }

  /** Opens one part after the other. Where one cannot be, those before it end. */
  static async #openParts(parts: HubParts, namespaces: ReadonlyMap<string, Namespace>): Promise<Hub> {
    const { state, peers } = parts.engine;
    const { groupUnsettledMax, scheduledMax } = parts.limits;
    const ownership = await Ownership.open({ ...parts, state, peers });
    const colleagues = new Colleagues(peers);
    const links: Links = new Links({
      ...parts,
      peers,
      accept: (link) => new RemoteMembers(link, (declared) => groups.findHere(declared)),
    });
    const shared = { ...parts, state, peers, ownership, colleagues, links, namespaces };
    const opened: { close(): unknown }[] = [ownership, links];
    let groups: Groups;
    try {
      groups = await Groups.open({ ...shared, unsettledMax: groupUnsettledMax });
      opened.unshift(groups);
      const schedules = await Schedules.open({ ...shared, scheduledMax });
      opened.unshift(schedules);
      const { hit = () => {} } = parts;
      const access = await Access.open({ ...parts, ...(parts.access ?? openAccess), state, hit });
      return new Hub({ ...shared, hit, groups, schedules, access });
    } catch (error) {
      for (const part of opened) await part.close();
      throw error;
    }
  }

  private constructor(parts: Opened) {
    const { namespaces, groups, schedules, access, colleagues } = parts;
    this.#parts = parts;
    this.#namespaces = namespaces;
    this.groups = groups;
    this.schedules = schedules;
    this.access = access;
    this.hit = parts.hit;
    this.#cursors = new Cursors(parts.state, {
      ...parts,
      claimed: (claimed) => colleagues.tellAll("cursor", claimed),
    });
    colleagues.serve<ClaimedElsewhere>("cursor", (claimed) => this.#cursors.claimedElsewhere(claimed));
    colleagues.serve<Retirement>("retire", ({ namespace, groups: names, through }) =>
      groups.retire(namespaces.get(namespace) as Namespace, names, through),
    );
    // Whoever revokes ends the sessions at once, and counts them; this is for what was not heard of.
    access.onRevoked(() => void parts.clock.after(revokedMs, () => this.administration.endRevoked()));
    this.turns = new Turns(parts.clock);
    this.administration = new Administration({
      clock: parts.clock,
      cursors: this.#cursors,
      groups,
      schedules,
      colleagues,
      namespace: (pattern) => this.namespace(pattern),
      access,
      roster: this.roster,
      namespaces,
    });
    this.#keepProducers();
  }

  namespace(name: Channel | Pattern): Namespace {
    return this.#namespaces.get(namespaceOf(name, this.#namespaces)) as Namespace;
  }

  /** Finds or begins a producer's sequence; `undefined` where it was forgotten. Give it back with `leaveProducer`. */
  async produce(user: string, { id, settled, refused, seen }: ProducerHello): Promise<Sequencer | undefined> {
    const name = scoped(user, id);
    let used = this.#producers.get(name);
    // A session that is left here may not know what went through another hub since.
    if (used === undefined || (await used.sequencer.catch(() => undefined))?.hasSeen(settled) === false) {
      used = { sequencer: this.#sequencer(name, seen), uses: this.#producers.get(name)?.uses ?? 0 };
      this.#producers.set(name, used);
    }
    used.uses++;
    try {
      const sequencer = await used.sequencer;
      sequencer?.settled(settled, refused);
      return sequencer;
    } catch (error) {
      // Whoever comes next asks the logs again.
      this.leaveProducer(user, id);
      throw error;
    }
  }

  leaveProducer(user: string, id: string): void {
    const name = scoped(user, id);
    const used = this.#producers.get(name);
    if (used !== undefined && --used.uses === 0) this.#producers.delete(name);
  }

  /** Appends drafts to a namespace's log, in order; resolves once they are as durable as the outcome says. */
  async publish(namespace: Namespace, drafts: readonly Unnumbered[], by?: Publisher): Promise<Outcome> {
    const { log } = namespace;
    const answers =
      by === undefined
        ? await log.append(drafts.map((draft) => ({ ...draft, origin: { by: "nobody" } })))
        : await by.sequencer.append(by.first, namespace, drafts);
    return { answers, epoch: epochOf(log.lineage), durability: log.durability };
  }

  /** Claims a durable cursor; resolves once it is durable, with where it stands in today's log. */
  async claim(
    name: { readonly user: string; readonly subscriber: string; readonly pattern: Pattern },
    claim: {
      readonly from: From;
      readonly reset: boolean;
      readonly takenOver: (why: Taken) => void;
      readonly by?: Claimant | undefined;
    },
  ): Promise<{ readonly cursor: Cursor; readonly start: Start }> {
    const namespace = this.namespace(name.pattern);
    if (namespace.log.durability === "memory") throw dogearError("memory-namespace");
    const cursor = await this.#cursors.claim(name, {
      reset: claim.reset,
      why: "taken-over",
      takenOver: claim.takenOver,
      by: claim.by,
      start: async () => {
        // Stored as it was asked for: what is lost from there on must be told until it is acknowledged.
        if (typeof claim.from === "object" && "epoch" in claim.from) return claim.from;
        const { epoch, offset } = await startIn(namespace.log, claim.from);
        return { epoch, offset };
      },
    });
    return { cursor, start: await startIn(namespace.log, cursor.start) };
  }

  /** Stores what was acknowledged and stops following. The engine stays open. */
  async close(): Promise<void> {
    this.#cancelKeeping();
    const { access, links, ownership } = this.#parts;
    access.close();
    await this.schedules.close();
    await this.groups.close();
    links.close();
    ownership.close();
    for (const namespace of this.#namespaces.values()) namespace.stop();
    await this.#cursors.flush();
  }

  async #sequencer(name: string, seen: number | undefined): Promise<Sequencer | undefined> {
    const found = await Sequencer.find(name, this.#namespaces.values());
    if (found !== undefined) return found;
    const forgotten = seen !== undefined && seen < this.#parts.clock.now() - this.#parts.limits.producerMemoryMs;
    return forgotten ? undefined : Sequencer.begin(name);
  }

  /** A producer whose session lives is heard of, however rarely it publishes. */
  #keepProducers(): void {
    const { clock } = this.#parts;
    const { producerMemoryMs } = this.#parts.limits;
    this.#cancelKeeping = clock.after(producerMemoryMs / 4, () => {
      for (const name of this.#producers.keys()) {
        for (const { log } of this.#namespaces.values()) void log.lastNumber(name).catch(() => {});
      }
      this.#keepProducers();
    });
  }

  /**
   * What is about to be removed from a log is seen to by everyone who is not done with it. Of several hubs it is the one
   * that sees to the namespace's schedules who asks for it; the others wait until it is their turn.
   */
  async #retire(namespace: Namespace, through: Offset): Promise<void> {
    const { groups, schedules } = this;
    const { self } = this.#parts.colleagues;
    await schedules.owning(namespace);
    const name = namespace.policy.namespace;
    const all = async () => (await groups.all()).filter((group) => group.namespace === name);
    // Those that nobody sees to are this hub's from now on.
    await Promise.all((await all()).map((group) => groups.here(group)));
    const byHub = new Map<HubId, string[]>();
    for (const { hub, name: group } of await all()) {
      if (hub === undefined) throw dogearError("unavailable", "A group is between two hubs.");
      const names = byHub.get(hub);
      if (names === undefined) byHub.set(hub, [group]);
      else names.push(group);
    }
    const mine = byHub.get(self) ?? [];
    byHub.delete(self);
    await Promise.all([
      groups.retire(namespace, mine, through),
      schedules.retire(namespace, through),
      ...[...byHub].map(([hub, names]) => {
        const retirement: Retirement = { namespace: name, groups: names, through };
        return this.#parts.colleagues.ask(hub, "retire", retirement);
      }),
    ]);
  }
}

/** A producer, and the number of the first of its drafts. */
export interface Publisher {
  readonly sequencer: Sequencer;
  readonly first: number;
}

const splitScanBytes = 64 * 1_024 * 1_024;

/** A namespace must not split a name: its channels must not already live in `default`. */
async function refuseSplitNames(namespaces: ReadonlyMap<string, Namespace>): Promise<void> {
  const { log } = namespaces.get("default") as Namespace;
  const { newest } = await log.bounds();
  for (const name of namespaces.keys()) {
    if (name === "default") continue;
    for (const pattern of [name, `${name}.>`] as Pattern[]) {
      let at = 0 as Offset;
      while (at < newest) {
        const page = await log.read(pattern, at, { messages: 1, bytes: 1, scan: splitScanBytes });
        if (page.messages.length > 0) {
          throw new SplitNamespaceError(
            `The namespace ${name} cannot be configured: ${page.messages.channels[0]} already has messages in the namespace default.`,
          );
        }
        at = page.through;
      }
    }
  }
}
