/**
 * All groups: those that this hub owns are at work here, the others are found on the hub that does.
 *
 * A group nobody sees to is taken over: when a hub opens or finds another gone, and when a member asks for it.
 */
import { type DeclaredPolicy, dogearError, isChannel, type Offset, type Pattern } from "@dogear/shared";
import { type HubId, type Peers, type State, silentMs } from "../../engine/engine.ts";
import { endOf, epochOf } from "../../engine/lineage.ts";
import type { Chance, Clock } from "../../runtime/clock.ts";
import { type Logger, weightOf } from "../../runtime/logger.ts";
import { Ledger, type LedgerKeys, LedgerLostError } from "../ledger.ts";
import type { Links } from "../links.ts";
import type { Namespace } from "../namespace.ts";
import type { Ownership } from "../ownership.ts";
import { Group } from "./group.ts";
import type { Item } from "./item.ts";
import { complete, deadChannelOf, differences } from "./policy.ts";
import type { Workplace } from "./port.ts";
import { type GroupHead, groupFormat, groupsPrefix, keysOf } from "./record.ts";
import { RemoteGroups } from "./remote-group.ts";
import type { DeclaredThere } from "./words.ts";

export interface GroupsParts {
  readonly state: State;
  readonly peers: Peers;
  readonly ownership: Ownership;
  readonly links: Links;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly unsettledMax: number;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
}

/** What a member says of the group it wants to work in. */
export interface Declared {
  readonly namespace: Namespace;
  readonly name: string;
  readonly pattern: Pattern;
  readonly policy: DeclaredPolicy;
  /** Whether the member may work on a pattern, and so be told about a group that does. */
  readonly may: (pattern: Pattern) => boolean;
  /** Where the group starts if there is none yet. */
  readonly start: () => Promise<Offset>;
}

/** Which group, wherever it is. */
export interface GroupName {
  readonly namespace: string;
  readonly name: string;
  readonly pattern: Pattern;
  /** Who owns it, as far as known; `undefined` where nobody does. */
  readonly hub: HubId | undefined;
}

/** What the names of what is owned begin with. */
const owned = "group/";

/** Tries to find out who owns a group that changes hands meanwhile. */
const triesMax = 5;

/** Pause before what could not be taken over is tried again. */
const retryMs = 1_000;

export class Groups {
  readonly #parts: GroupsParts;
  readonly #remote: RemoteGroups;
  /** Those owned here, by namespace and name, from when one is being opened. One that turns out not to be is `undefined`. */
  readonly #here = new Map<string, Promise<Group | undefined>>();
  #cancelAdoption: () => void = () => {};
  #cancelRetry: () => void = () => {};
  #closed = false;

  /** Opens every group that nobody else sees to. */
  static async open(parts: GroupsParts): Promise<Groups> {
    const groups = new Groups(parts);
    try {
      await groups.#adopt();
    } catch (error) {
      // The owner before, who stood still, has stored something in this moment.
      if (!(error instanceof LedgerLostError)) throw error;
      groups.#adoptAgain(error);
    }
    parts.ownership.onLost((what) => {
      if (what.startsWith(owned)) void groups.#lose(what.slice(owned.length));
    });
    parts.peers.onGone(() => void groups.#adoptLater());
    // Whoever owns the others may be gone already, which this hub cannot know before it has listened for a while.
    if (groups.#names().some(({ hub }) => hub !== parts.peers.self)) {
      groups.#cancelAdoption = parts.clock.after(2 * silentMs, () => void groups.#adoptLater());
    }
    return groups;
  }

  private constructor(parts: GroupsParts) {
    this.#parts = parts;
    this.#remote = new RemoteGroups(parts.links);
  }

  /**
   * The group that a member declares: as it is stored, or begun now.
   *
   * @throws DogearError `invalid-group`, `group-differs`, `memory-namespace`, `disk-full`, `unavailable`
   */
  async declare(declared: Declared): Promise<Workplace> {
    const { namespace, name, pattern, policy, may } = declared;
    if (namespace.log.durability === "memory") throw dogearError("memory-namespace");
    const key = `${namespace.policy.namespace}/${name}`;
    for (let tries = 0; tries < triesMax; tries++) {
      const group = await this.#open(key, declared);
      if (group !== undefined) return checked(group, declared);
      const there = await this.#parts.ownership.find(owned + key);
      if (there?.hub === undefined || there.hub === this.#parts.peers.self) continue;
      if (!may(there.about as Pattern)) throw dogearError("group-differs");
      return this.#remote.at(there.hub, { namespace: namespace.policy.namespace, name, pattern, policy });
    }
    throw dogearError("unavailable", `Who sees to the group ${name} changes all the time.`);
  }

  /**
   * A group that a member of another hub declares, if it is owned here.
   *
   * @throws DogearError `group-differs`, `unavailable`
   */
  async findHere({ namespace, name, pattern, policy }: DeclaredThere): Promise<Workplace> {
    const group = this.#parts.namespaces.has(namespace) ? await this.#open(`${namespace}/${name}`) : undefined;
    if (group === undefined) throw dogearError("unavailable", `The group ${name} is not here.`);
    return checked(group, { pattern, policy, may: () => true });
  }

  /**
   * A group by its name, among those whose patterns may be seen; the namespace may be left out where only one has a group
   * of this name.
   *
   * @throws DogearError `unknown-group`
   */
  async find(name: string, namespace: string | undefined, may: (pattern: Pattern) => boolean): Promise<GroupName> {
    const found = (await this.all()).filter(
      (group) => group.name === name && may(group.pattern) && (namespace ?? group.namespace) === group.namespace,
    );
    const [group] = found;
    if (group === undefined) throw dogearError("unknown-group");
    if (found.length === 1) return group;
    const namespaces = found.map((one) => one.namespace).join(", ");
    throw dogearError("unknown-group", `There are several; say in which namespace: ${namespaces}.`);
  }

  /** Every group of every hub, ordered by namespace and name. */
  async all(): Promise<readonly GroupName[]> {
    // Those that are just being opened here are among them.
    await Promise.allSettled(this.#here.values());
    return this.#names();
  }

  /** A group, if it is owned here; one that nobody sees to is from now on. */
  async here({ namespace, name }: Pick<GroupName, "namespace" | "name">): Promise<Group | undefined> {
    const group = await this.#open(`${namespace}/${name}`);
    return group?.isClosed === true ? undefined : group;
  }

  /** Those that are owned here. */
  async allHere(): Promise<readonly Group[]> {
    const keys = [...this.#here.keys()].sort();
    const groups = await Promise.all(keys.map((key) => this.#here.get(key)?.catch(() => undefined)));
    return groups.filter((group) => group !== undefined);
  }

  async delete(group: Group): Promise<void> {
    const key = keyOf(group);
    try {
      await group.delete();
    } finally {
      if (group.isClosed) this.#here.delete(key);
    }
    await this.#parts.ownership.forget(owned + key);
  }

  /**
   * Everything up to an offset of a namespace is about to be removed: the groups of these names, which are this hub's, are
   * done with it.
   *
   * @throws DogearError `unavailable` one of them is not this hub's any more
   */
  async retire(namespace: Namespace, names: readonly string[], through: Offset): Promise<void> {
    // One that has ended here, and that nobody asked for since, is taken up again for that.
    const groups = await Promise.all(names.map((name) => this.here({ namespace: namespace.policy.namespace, name })));
    if (groups.includes(undefined)) throw dogearError("unavailable", "Another hub sees to the group.");
    await Promise.all(groups.map((group) => group?.retire(through)));
  }

  /** Stores what every group here knows, stops them, and lets other hubs have them. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelAdoption();
    this.#cancelRetry();
    const groups = await this.allHere();
    await Promise.all(groups.map((group) => group.close()));
    await Promise.all(groups.map((group) => this.#parts.ownership.release(owned + keyOf(group)).catch(() => {})));
  }

  /** Those of configured namespaces. */
  #names(): readonly GroupName[] {
    return this.#parts.ownership
      .list(owned)
      .map(({ what, hub, about }) => {
        const [namespace = "", name = ""] = what.slice(owned.length).split("/");
        return { namespace, name, pattern: about as Pattern, hub };
      })
      .filter(({ namespace }) => this.#parts.namespaces.has(namespace));
  }

  async #adoptLater(): Promise<void> {
    try {
      await this.#adopt();
    } catch (error) {
      this.#adoptAgain(error);
    }
  }

  /** Not all could be taken over now, so that is tried again. */
  #adoptAgain(error: unknown): void {
    this.#cancelRetry();
    if (this.#closed) return;
    this.#parts.logger[weightOf(error)]("groups.not-adopted", { error });
    this.#cancelRetry = this.#parts.clock.after(retryMs, () => void this.#adoptLater());
  }

  /** Takes over every stored group that nobody sees to. */
  async #adopt(): Promise<void> {
    const { state, namespaces, ownership, logger } = this.#parts;
    const adopted: Promise<unknown>[] = [];
    for (const { key } of await state.list(groupsPrefix, "", Number.MAX_SAFE_INTEGER)) {
      const stored = key.slice(groupsPrefix.length);
      const [namespace = "", group = ""] = stored.split("/");
      if (!namespaces.has(namespace)) {
        logger.warn("group.not-served", { namespace, group, reason: "Its namespace is not configured." });
      } else if (!this.#closed && ownership.isFree(owned + stored)) {
        adopted.push(this.#open(stored));
      }
    }
    await Promise.all(adopted);
  }

  /** Another hub has taken over a group: what is here of it ends. */
  async #lose(key: string): Promise<void> {
    const losing = this.#here.get(key);
    this.#here.delete(key);
    const group = await losing?.catch(() => undefined);
    await group?.lose().catch((error: unknown) => this.#parts.logger.error("group.failed", { group: key, error }));
  }

  /** A group here, or one that can be: stored, or as it is declared. `undefined` where another hub owns it. */
  async #open(key: string, declared?: Declared): Promise<Group | undefined> {
    for (let opening = this.#here.get(key); opening !== undefined; opening = this.#here.get(key)) {
      // That another member was refused a moment ago is no matter of this one.
      const group = await opening.catch(() => undefined);
      if (group !== undefined) return group;
    }
    if (this.#closed) throw dogearError("unavailable", "The hub is stopping.");
    const opening = this.#take(key, declared);
    this.#here.set(key, opening);
    const forget = () => {
      if (this.#here.get(key) === opening) this.#here.delete(key);
    };
    opening.then((group) => group === undefined && forget(), forget);
    return opening;
  }

  async #take(key: string, declared: Declared | undefined): Promise<Group | undefined> {
    const { ownership, peers, state, namespaces } = this.#parts;
    const [name = "", group = ""] = key.split("/");
    const namespace = namespaces.get(name) as Namespace;
    const keys = keysOf(name, group);
    const stored = await state.get(keys.head);
    const first = stored === undefined ? declared && (await this.#headOf(declared)) : undefined;
    const pattern = stored === undefined ? first?.pattern : patternOf(stored.value);
    if (pattern === undefined) {
      // Whoever owned it was stopped before it was stored, or after it was deleted.
      await ownership.forget(owned + key);
      return undefined;
    }
    if ((await ownership.claim(owned + key, pattern)) !== peers.self) return undefined;
    const ledger = (await Ledger.load(state, keys, this.#format())) ?? (first && (await this.#begin(keys, first)));
    // It was deleted just now.
    if (ledger === undefined) return undefined;
    await this.#moveToToday(namespace, group, ledger);
    return Group.open({ ...this.#parts, namespace, name: group, ledger, lost: () => void this.#lose(key) });
  }

  async #begin(keys: LedgerKeys, head: GroupHead): Promise<Ledger<GroupHead, Item>> {
    const ledger = Ledger.begin(this.#parts.state, keys, this.#format(), head);
    await ledger.flush();
    return ledger;
  }

  /** A group that begins now. */
  async #headOf({ namespace, name, pattern, policy, start }: Declared): Promise<GroupHead> {
    const deadChannel = deadChannelOf(namespace.policy.namespace, pattern, name);
    if (!isChannel(deadChannel)) throw dogearError("invalid-group", `${deadChannel} is not a channel.`);
    const { newest } = await namespace.log.bounds();
    return {
      pattern,
      policy: complete(policy),
      deadChannel,
      incarnation: this.#parts.chance.id(),
      epoch: epochOf(namespace.log.lineage),
      position: await start(),
      // What an older group of this name gave up is there to be redriven, and is nothing to take note of.
      redriven: 0 as Offset,
      redrive: undefined,
      buried: newest,
      fence: 0,
      paused: false,
      lost: 0,
    };
  }

  /** Where the log has lost its end, so have the group's places. */
  async #moveToToday({ log }: Namespace, name: string, ledger: Ledger<GroupHead, Item>): Promise<void> {
    const { head } = ledger;
    const last = endOf(log.lineage, await log.bounds(), head.epoch);
    const back = (offset: Offset) => Math.min(offset, last) as Offset;
    if (head.position > last) {
      this.#parts.logger.warn("group.gap", { group: name, from: last, to: null, reason: "epoch" });
    }
    for (const { offset } of [...ledger.entries()]) if (offset > last) ledger.remove(offset);
    head.position = back(head.position);
    head.redriven = back(head.redriven);
    head.buried = back(head.buried);
    head.epoch = epochOf(log.lineage);
  }

  #format(): ReturnType<typeof groupFormat> {
    return groupFormat(this.#parts.clock);
  }
}

/** A group, if it is as it was declared and whoever declares it may know. */
function checked(group: Group, { pattern, policy, may }: Pick<Declared, "pattern" | "policy" | "may">): Group {
  if (!may(group.pattern)) throw dogearError("group-differs");
  const differing = differences(group.head, { pattern, policy });
  if (differing.length > 0) throw dogearError("group-differs", `${differing.join("; ")}.`);
  return group;
}

function keyOf({ namespace, name }: Group): string {
  return `${namespace.policy.namespace}/${name}`;
}

function patternOf(head: Uint8Array): Pattern {
  return (JSON.parse(Buffer.from(head).toString()) as GroupHead).pattern;
}
