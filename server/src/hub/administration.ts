/**
 * What operators ask for, and how it is done. The words are in `shared/src/administration.ts`.
 *
 * Whoever asks is shown, and may change, what its `admin` capabilities cover: cursors and groups by their patterns, channels by
 * their names. What it may not see is to it as if it were not there. What concerns the whole hub needs `admin` on `>`.
 */
import {
  type Action,
  type ChannelReport,
  type CursorReport,
  DogearError,
  dogearError,
  type NamespaceReport,
  type Offset,
  type Pattern,
  type SessionReport,
} from "@dogear/shared";
import { type Access, forbidden } from "../access/access.ts";
import type { Permissions } from "../access/capabilities.ts";
import type { Revocation } from "../access/revocations.ts";
import { epochOf } from "../engine/lineage.ts";
import type { Clock } from "../runtime/clock.ts";
import type { GroupLags } from "../runtime/metrics.ts";
import type { Colleagues } from "./colleagues.ts";
import type { CursorName, Cursors, StoredCursor } from "./cursors.ts";
import type { Group } from "./groups/group.ts";
import type { GroupName, Groups } from "./groups/groups.ts";
import { browse, lagsOf, reportOn } from "./groups/report.ts";
import { lagAfter } from "./lag.ts";
import type { Namespace } from "./namespace.ts";
import { type From, startIn } from "./place.ts";
import type { Roster } from "./roster.ts";
import type { Schedules } from "./schedules/schedules.ts";

export interface AdministrationParts {
  readonly clock: Clock;
  readonly access: Access;
  readonly roster: Roster;
  readonly cursors: Cursors;
  readonly groups: Groups;
  readonly schedules: Schedules;
  readonly colleagues: Colleagues;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  namespace(pattern: Pattern): Namespace;
}

type ActionOf<D extends Action["do"]> = Extract<Action, { do: D }>;

type Handlers = { readonly [D in Action["do"]]: (action: ActionOf<D>, who: Permissions) => Promise<unknown> };

/** Entries of an answer to somebody who does not say how many. */
const defaultLimit = 100;

const everything = ">" as Pattern;

/** Under which one hub asks another for what only that one can do. */
const topic = "action";

/** Whoever asks from another hub was found there to be allowed to. */
const allowedThere: Permissions = { may: () => true, mayAnywhere: () => true };

export class Administration {
  readonly #parts: AdministrationParts;
  readonly #handlers: Handlers;

  constructor(parts: AdministrationParts) {
    this.#parts = parts;
    parts.colleagues.serve<Action>(topic, (action) => this.#here(action));
    this.#handlers = {
      cancel: async ({ id }, who) => {
        await parts.schedules.cancel(id, (channel) => who.may("publish", channel) || who.may("admin", channel));
        return null;
      },
      "list-namespaces": (_action, who) => this.#listNamespaces(who),
      "list-channels": (action, who) => this.#listChannels(action, who),
      "list-sessions": (action, who) => this.#listSessions(action, who),
      disconnect: (action, who) => this.#disconnect(action, who),
      revoke: (action, who) => this.#revoke(action, who),
      "list-cursors": (action, who) => this.#listCursors(action, who),
      "show-cursor": (action, who) => this.#showCursor(action, who),
      "reset-cursor": (action, who) => this.#resetCursor(action, who),
      "list-groups": (action, who) => this.#listGroups(action, who),
      "show-group": (action, who) => this.#atOwner(action, who),
      "pause-group": (action, who) => this.#atOwner(action, who),
      "resume-group": (action, who) => this.#atOwner(action, who),
      "reset-group": (action, who) => this.#atOwner(action, who),
      "delete-group": (action, who) => this.#atOwner(action, who),
      "browse-group": (action, who) => this.#atOwner(action, who),
      redrive: (action, who) => this.#atOwner(action, who),
      "cancel-redrive": (action, who) => this.#atOwner(action, who),
    };
  }

  /**
   * Does what somebody asks for, as far as it may.
   *
   * @throws DogearError `forbidden`, `unknown-group`, `unknown-cursor`, `unknown-session`, `not-scheduled`, `disk-full`,
   *   `unavailable`
   */
  async perform(action: Action, who: Permissions): Promise<unknown> {
    if (action.do !== "cancel" && !who.mayAnywhere("admin")) throw forbidden("admin");
    return this.#handlers[action.do](action as never, who);
  }

  /** How far behind groups are, as the metrics tell it. */
  async lags(): Promise<GroupLags> {
    const { groups, clock } = this.#parts;
    return lagsOf(await groups.allHere(), clock);
  }

  async #listNamespaces(who: Permissions): Promise<unknown> {
    const seen = [...this.#parts.namespaces.values()].filter((namespace) => who.may("admin", wholeOf(namespace)));
    return { namespaces: await Promise.all(seen.map((namespace) => this.#reportOnNamespace(namespace))) };
  }

  async #reportOnNamespace(namespace: Namespace): Promise<NamespaceReport> {
    const { policy, log } = namespace;
    const { oldest, newest } = await log.bounds();
    const { ageMs = null, bytes = null } = policy.retention;
    return {
      namespace: policy.namespace,
      durability: log.durability,
      retention: { ageMs, bytes },
      ...(policy.ttlMs !== undefined && { ttlMs: policy.ttlMs }),
      epoch: epochOf(log.lineage),
      oldest,
      newest,
      scheduled: this.#parts.schedules.pending(namespace),
    };
  }

  async #listChannels(
    { namespace: name, after = "", limit = defaultLimit }: ActionOf<"list-channels">,
    who: Permissions,
  ): Promise<unknown> {
    const namespaces = [...this.#parts.namespaces.values()].filter(
      ({ policy }) => name === undefined || policy.namespace === name,
    );
    const found: ChannelReport[] = [];
    for (const { policy, log } of namespaces) found.push(...(await seenIn(log, policy.namespace, after, limit, who)));
    found.sort((a, b) => (a.channel < b.channel ? -1 : 1));
    const channels = found.slice(0, limit);
    return { channels, ...(found.length > limit && { next: channels.at(-1)?.channel }) };
  }

  async #listSessions({ after = "", limit = defaultLimit }: Listing, who: Permissions): Promise<unknown> {
    if (!who.may("admin", everything)) throw forbidden("admin", everything);
    const asked = { do: "list-sessions", after, limit: limit + 1 } as const;
    const there = await this.#parts.colleagues.askAll<readonly SessionReport[]>(topic, asked);
    const found = [...this.#sessionsHere(asked), ...there.flat()].sort((a, b) => (a.session < b.session ? -1 : 1));
    const sessions = found.slice(0, limit);
    return { sessions, ...(found.length > limit && { next: sessions.at(-1)?.session }) };
  }

  #sessionsHere({ after = "", limit = defaultLimit }: Listing): readonly SessionReport[] {
    return this.#parts.roster.list(after, limit).map((attendee) => attendee.report());
  }

  async #disconnect({ session }: ActionOf<"disconnect">, who: Permissions): Promise<null> {
    if (!who.may("admin", everything)) throw forbidden("admin", everything);
    const there = async () => this.#parts.colleagues.askAll<boolean>(topic, { do: "disconnect", session });
    if (!this.#disconnectHere(session) && !(await there()).includes(true)) throw dogearError("unknown-session");
    return null;
  }

  #disconnectHere(session: string): boolean {
    const attendee = this.#parts.roster.find(session);
    attendee?.close("disconnected");
    return attendee !== undefined;
  }

  async #revoke({ token, user, before }: ActionOf<"revoke">, who: Permissions): Promise<unknown> {
    const { access, clock, colleagues } = this.#parts;
    if (!who.may("admin", everything)) throw forbidden("admin", everything);
    const revocations: Revocation[] = [];
    if (token !== undefined) revocations.push({ token });
    if (user !== undefined) revocations.push({ user, before: before ?? clock.now() });
    if (revocations.length === 0) throw dogearError("invalid-request", "It names neither a `token` nor a `user`.");
    for (const revocation of revocations) await access.revoke(revocation);
    const here = this.endRevoked();
    const there = await colleagues.askAll<number>(topic, { do: "revoke" });
    return { sessions: there.reduce((sum, count) => sum + count, here) };
  }

  /** Ends every session here that came with a revoked token; returns how many. */
  endRevoked(): number {
    const { access, roster } = this.#parts;
    return roster.close("revoked", ({ principal }) => access.isRevoked(principal));
  }

  async #listCursors({ after = "", limit = defaultLimit }: Listing, who: Permissions): Promise<unknown> {
    const seen: StoredCursor[] = [];
    let from = after;
    for (let more = true; more && seen.length <= limit; ) {
      const page = await this.#parts.cursors.list(from, limit + 1);
      seen.push(...page.filter(({ name }) => who.may("admin", name.pattern)));
      from = page.at(-1)?.key ?? from;
      more = page.length > limit;
    }
    const cursors = await Promise.all(seen.slice(0, limit).map((cursor) => this.#reportOnCursor(cursor)));
    return { cursors, ...(seen.length > limit && { next: seen[limit - 1]?.key }) };
  }

  async #showCursor({ user, subscriber, pattern }: CursorName, who: Permissions): Promise<CursorReport> {
    if (!who.may("admin", pattern)) throw forbidden("admin", pattern);
    const cursor = await this.#parts.cursors.find({ user, subscriber, pattern });
    if (cursor === undefined) throw dogearError("unknown-cursor");
    return this.#reportOnCursor(cursor);
  }

  async #resetCursor(
    { to, user, subscriber, pattern }: CursorName & { readonly to: From },
    who: Permissions,
  ): Promise<CursorReport> {
    const { cursors } = this.#parts;
    const name = { user, subscriber, pattern };
    await this.#showCursor(name, who);
    const { epoch, offset } = await startIn(this.#parts.namespace(pattern).log, to);
    await cursors.reset(name, { epoch, offset });
    return this.#showCursor(name, who);
  }

  async #reportOnCursor({ name, record }: StoredCursor): Promise<CursorReport> {
    const { clock } = this.#parts;
    const { user, subscriber, pattern } = name;
    const namespace = this.#parts.namespace(pattern);
    const { epoch, offset, time } = record;
    const today = await startIn(namespace.log, { epoch, offset });
    const lag = await lagAfter(namespace.log, pattern, today.offset, clock.now());
    const position = { epoch, offset };
    return { user, subscriber, pattern, namespace: namespace.policy.namespace, position, time, lag };
  }

  async #listGroups({ after = "", limit = defaultLimit }: Listing, who: Permissions): Promise<unknown> {
    const all = await this.#parts.groups.all();
    const keyed = all
      .filter(({ pattern }) => who.may("admin", pattern))
      .map((group) => ({ key: `${group.namespace}/${group.name}`, group }));
    const found = keyed.filter(({ key }) => key > after).slice(0, limit + 1);
    const reports = await Promise.all(found.slice(0, limit).map(({ group }) => this.#showGroup(group)));
    const groups = reports.filter((report) => report !== undefined);
    return { groups, ...(found.length > limit && { next: found[limit - 1]?.key }) };
  }

  /** A report on a group, wherever it is; `undefined` where it was deleted meanwhile. */
  async #showGroup({ namespace, name }: GroupName): Promise<unknown> {
    try {
      return await this.#atOwner({ do: "show-group", group: name, namespace }, allowedThere);
    } catch (error) {
      if (error instanceof DogearError && error.code === "unknown-group") return undefined;
      throw error;
    }
  }

  /** Does what somebody asks of a group, or has the hub do it that owns the group. */
  async #atOwner(action: GroupAction, who: Permissions): Promise<unknown> {
    const { groups, colleagues } = this.#parts;
    const name = await groups.find(action.group, action.namespace, (pattern) => who.may("admin", pattern));
    const group = await groups.here(name);
    if (group !== undefined) return this.#perform(group, action);
    const { namespace, hub } = name;
    if (hub === undefined || hub === colleagues.self) throw dogearError("unknown-group");
    return colleagues.ask(hub, topic, { ...action, namespace });
  }

  /** What another hub asks for. */
  async #here(action: Action): Promise<unknown> {
    if ("group" in action) {
      const name = await this.#parts.groups.find(action.group, action.namespace, () => true);
      const group = await this.#parts.groups.here(name);
      if (group === undefined) throw dogearError("unavailable", "Another hub has the group now.");
      return this.#perform(group, action);
    }
    if (action.do === "list-sessions") return this.#sessionsHere(action);
    if (action.do === "disconnect") return this.#disconnectHere(action.session);
    if (action.do === "revoke") {
      await this.#parts.access.learnRevocations();
      return this.endRevoked();
    }
    throw dogearError("invalid-request");
  }

  async #perform(group: Group, action: GroupAction): Promise<unknown> {
    const { groups, clock } = this.#parts;
    switch (action.do) {
      case "browse-group":
        return browse(group, action.after ?? (0 as Offset), action.limit ?? defaultLimit, clock);
      case "delete-group": {
        const report = await reportOn(group, clock);
        await groups.delete(group);
        return report;
      }
      case "pause-group":
      case "resume-group":
        await group.pause(action.do === "pause-group");
        break;
      case "reset-group":
        await group.reset((await startIn(group.namespace.log, action.to)).offset);
        break;
      case "redrive":
      case "cancel-redrive":
        await group.redrive(action.do === "redrive" ? "start" : "cancel");
        break;
    }
    return reportOn(group, clock);
  }
}

/** The pattern that selects all of a namespace. */
function wholeOf({ policy: { namespace } }: Namespace): Pattern {
  return (namespace === "default" ? everything : `${namespace}.>`) as Pattern;
}

/** The channels of a log that somebody may see, and one more than were asked for if there is one. */
async function seenIn(
  log: Namespace["log"],
  namespace: string,
  after: string,
  limit: number,
  who: Permissions,
): Promise<ChannelReport[]> {
  const seen: ChannelReport[] = [];
  let from = after;
  for (let more = true; more && seen.length <= limit; ) {
    const page = await log.channels(from, limit + 1);
    for (const one of page) if (who.may("admin", one.channel)) seen.push({ ...one, namespace });
    from = page.at(-1)?.channel ?? from;
    more = page.length > limit;
  }
  return seen.slice(0, limit + 1);
}

interface Listing {
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

type GroupAction = Extract<Action, { group: string }>;
