/** All groups of a hub: found, begun by their first member, and opened again after a restart. */
import { type DeclaredPolicy, dogearError, isChannel, type Offset, type Pattern } from "@dogear/shared";
import type { State } from "../../engine/engine.ts";
import { endOf, epochOf } from "../../engine/lineage.ts";
import type { Chance, Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { Ledger } from "../ledger.ts";
import type { Namespace } from "../namespace.ts";
import { Group } from "./group.ts";
import type { Item } from "./item.ts";
import { complete, deadChannelOf, differences } from "./policy.ts";
import { type GroupHead, groupFormat, groupsPrefix, keysOf } from "./record.ts";

export interface GroupsParts {
  readonly state: State;
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

export class Groups {
  readonly #parts: GroupsParts;
  /** By namespace and name, from when one is being opened. */
  readonly #groups = new Map<string, Promise<Group>>();

  /** Opens every group that is stored. */
  static async open(parts: GroupsParts): Promise<Groups> {
    const groups = new Groups(parts);
    for (const { key } of await parts.state.list(groupsPrefix, "", Number.MAX_SAFE_INTEGER)) {
      const [name = "", group = ""] = key.slice(groupsPrefix.length).split("/");
      const namespace = parts.namespaces.get(name);
      if (namespace === undefined) {
        parts.logger.warn("group.not-served", { namespace: name, group, reason: "Its namespace is not configured." });
      } else {
        groups.#groups.set(`${name}/${group}`, groups.#load(namespace, group));
      }
    }
    await Promise.all(groups.#groups.values());
    return groups;
  }

  private constructor(parts: GroupsParts) {
    this.#parts = parts;
  }

  /**
   * The group that a member declares: as it is stored, or begun now.
   *
   * @throws DogearError `invalid-group`, `group-differs`, `memory-namespace`, `disk-full`
   */
  async declare(declared: Declared): Promise<Group> {
    const { namespace, name, pattern, policy, may } = declared;
    if (namespace.log.durability === "memory") throw dogearError("memory-namespace");
    const key = `${namespace.policy.namespace}/${name}`;
    const group = await this.#open(key, declared);
    if (!may(group.head.pattern)) throw dogearError("group-differs");
    const differing = differences(group.head, { pattern, policy });
    if (differing.length > 0) throw dogearError("group-differs", `${differing.join("; ")}.`);
    return group;
  }

  /**
   * A group by its name, among those whose patterns may be seen; the namespace may be left out where only one has a group
   * of this name.
   *
   * @throws DogearError `unknown-group`
   */
  async find(name: string, namespace: string | undefined, may: (pattern: Pattern) => boolean): Promise<Group> {
    const found = (await this.all()).filter(
      (group) =>
        !group.isClosed &&
        group.name === name &&
        may(group.head.pattern) &&
        (namespace ?? group.namespace.policy.namespace) === group.namespace.policy.namespace,
    );
    const [group] = found;
    if (group === undefined) throw dogearError("unknown-group");
    if (found.length === 1) return group;
    const namespaces = found.map((group) => group.namespace.policy.namespace).join(", ");
    throw dogearError("unknown-group", `There are several; say in which namespace: ${namespaces}.`);
  }

  /** Every group, ordered by namespace and name. */
  async all(): Promise<readonly Group[]> {
    const keys = [...this.#groups.keys()].sort();
    const groups = await Promise.all(keys.map((key) => this.#groups.get(key)?.catch(() => undefined)));
    return groups.filter((group) => group !== undefined);
  }

  async delete(group: Group): Promise<void> {
    const key = `${group.namespace.policy.namespace}/${group.name}`;
    await group.delete();
    this.#groups.delete(key);
  }

  /** Everything up to an offset of a namespace is about to be removed. */
  async retire(namespace: Namespace, through: Offset): Promise<void> {
    const groups = (await this.all()).filter((group) => group.namespace === namespace);
    await Promise.all(groups.map((group) => group.retire(through)));
  }

  /** Stores what every group knows, and stops them. */
  async close(): Promise<void> {
    await Promise.all((await this.all()).map((group) => group.close()));
  }

  /** A group that is there, or begins now. That another member was refused a moment ago is no matter of this one. */
  async #open(key: string, declared: Declared): Promise<Group> {
    for (let opening = this.#groups.get(key); opening !== undefined; opening = this.#groups.get(key)) {
      const group = await opening.catch(() => undefined);
      if (group !== undefined) return group;
    }
    return this.#first(key, declared);
  }

  #first(key: string, declared: Declared): Promise<Group> {
    const opening = this.#begin(declared);
    this.#groups.set(key, opening);
    opening.catch(() => this.#groups.delete(key));
    return opening;
  }

  async #begin({ namespace, name, pattern, policy, start }: Declared): Promise<Group> {
    const deadChannel = deadChannelOf(namespace.policy.namespace, pattern, name);
    if (!isChannel(deadChannel)) throw dogearError("invalid-group", `${deadChannel} is not a channel.`);
    const { newest } = await namespace.log.bounds();
    const position = await start();
    const head: GroupHead = {
      pattern,
      policy: complete(policy),
      deadChannel,
      incarnation: this.#parts.chance.id(),
      epoch: epochOf(namespace.log.lineage),
      position,
      // What an older group of this name gave up is there to be redriven, and is nothing to take note of.
      redriven: 0 as Offset,
      redrive: undefined,
      buried: newest,
      fence: 0,
      paused: false,
      lost: 0,
    };
    const ledger = Ledger.begin(this.#parts.state, keysOf(namespace.policy.namespace, name), this.#format(), head);
    await ledger.flush();
    return Group.open({ ...this.#parts, namespace, name, ledger });
  }

  async #load(namespace: Namespace, name: string): Promise<Group> {
    const ledger = await Ledger.load(this.#parts.state, keysOf(namespace.policy.namespace, name), this.#format());
    if (ledger === undefined) throw new Error(`The group ${name} is gone.`);
    await this.#moveToToday(namespace, name, ledger);
    return Group.open({ ...this.#parts, namespace, name, ledger });
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
