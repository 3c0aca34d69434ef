/**
 * For operators: what there is on a hub and who is connected, where cursors and groups are, and how to move them. A
 * separate entry point, since few programs need it.
 *
 * @packageDocumentation
 */
import type {
  Action,
  Browsed,
  ChannelList,
  ChannelReport,
  CursorList,
  CursorReport,
  GroupList,
  GroupReport,
  NamespaceList,
  NamespaceReport,
  Offset,
  Revoked,
  SessionList,
  SessionReport,
} from "@dogear/shared";
import type { Dogear } from "./client.ts";
import { unlessAborted } from "./deferred.ts";
import { type From, onWire } from "./from.ts";
import { payloadOf } from "./payload.ts";

export type {
  Browsed,
  ChannelList,
  ChannelReport,
  CursorList,
  CursorReport,
  GroupList,
  GroupPolicy,
  GroupReport,
  Lag,
  NamespaceReport,
  Revoked,
  SessionList,
  SessionReport,
} from "@dogear/shared";
export type { From } from "./from.ts";

/** How often a redrive that is waited for is looked at. */
export const redrivePollMs = 250;

export interface AskOptions {
  /** Ends the waiting. What was sent may still be done. */
  readonly signal?: AbortSignal;
}

export interface ListOptions extends AskOptions {
  /** Goes on after this: the `next` of the list before. */
  readonly after?: string;
  /** Most entries of the list, at most 1,000. Default: as many as the hub likes. */
  readonly limit?: number;
}

export interface AllChannelsOptions extends AskOptions {
  /** Only those of this namespace. Default: of all. */
  readonly namespace?: string;
}

export interface ChannelsOptions extends ListOptions, AllChannelsOptions {}

/** What to refuse: a token by its id (`jti`), all of a user's that were issued before a time, or both. */
export type Revocation =
  | { readonly token: string; readonly user?: undefined; readonly before?: undefined }
  | {
      readonly token?: string;
      readonly user: string;
      /** A number is milliseconds since 1970. Default: when the hub is asked. */
      readonly before?: Date | number;
    };

/** Which cursor: the place of a user's subscriber in a pattern. */
export interface CursorName {
  readonly user: string;
  readonly subscriber: string;
  readonly pattern: string;
}

export interface GroupOptions extends AskOptions {
  /** Where the group is. Needed only where groups of several namespaces have this name. */
  readonly namespace?: string;
}

export interface BrowseOptions extends GroupOptions {
  /** Goes on after this offset: the `through` of the page before. */
  readonly after?: Offset;
  /** Most messages of the page, at most 1,000. Default: as many as the hub likes. */
  readonly limit?: number;
}

/** How far a redrive is. */
export type Redrive = NonNullable<GroupReport["redrive"]>;

export interface RedriveOptions extends GroupOptions {
  /** Called with how far it is, each time that is looked at. */
  readonly onProgress?: (redrive: Redrive) => void;
}

/**
 * What an operator can ask of a hub, over the connection of a {@link Dogear}. Requests wait for the connection; one
 * whose connection breaks is sent again on the next, since none does more when it is repeated.
 *
 * A hub with access control shows, and lets change, what the token's `admin` capabilities cover; what concerns the whole
 * hub, its sessions and tokens, needs `admin` on `>`.
 *
 * All reject with a DogearError: `forbidden`; `unknown-group`, `unknown-cursor` or `unknown-session` where there is none;
 * what else the hub refuses (`error.retry` says whether it may help to ask again); or `closed`.
 */
export interface Admin {
  /** The namespaces there are: what they keep, and how much is in their logs. */
  namespaces(options?: AskOptions): Promise<readonly NamespaceReport[]>;
  /** The channels that have messages, a page at a time, ordered by name. */
  channels(options?: ChannelsOptions): Promise<ChannelList>;
  /** Every channel that has messages, ordered by name. */
  allChannels(options?: AllChannelsOptions): AsyncGenerator<ChannelReport, void, undefined>;

  /** Who is connected to this hub, a page at a time, ordered by session. */
  sessions(options?: ListOptions): Promise<SessionList>;
  /** Every session of this hub, ordered by session. */
  allSessions(options?: AskOptions): AsyncGenerator<SessionReport, void, undefined>;
  /** Ends a session with `disconnected`. Its client may come back; to keep it out, `revoke`. */
  disconnect(session: string, options?: AskOptions): Promise<void>;
  /**
   * Refuses tokens from now on, also after a restart, and ends the sessions that came with them: their clients do not come
   * back. Resolves when that is durable, with how many sessions were ended.
   *
   * @example
   * await admin(dogear).revoke({ user: "ada" }); // signed out everywhere; a new token is good again
   */
  revoke(what: Revocation, options?: AskOptions): Promise<Revoked>;

  /** The cursors there are, a page at a time, ordered by name. */
  cursors(options?: ListOptions): Promise<CursorList>;
  /** Every cursor there is, ordered by name. */
  allCursors(options?: AskOptions): AsyncGenerator<CursorReport, void, undefined>;
  /** Where a cursor is, and how far behind. */
  cursor(name: CursorName, options?: AskOptions): Promise<CursorReport>;
  /** Moves a cursor. The subscription that holds it ends with `cursor-reset`; a new one goes on from there. */
  resetCursor(name: CursorName, to: From, options?: AskOptions): Promise<CursorReport>;

  /** The groups there are, a page at a time, ordered by name. */
  groups(options?: ListOptions): Promise<GroupList>;
  /** Every group there is, ordered by name. */
  allGroups(options?: AskOptions): AsyncGenerator<GroupReport, void, undefined>;
  /** Where a group is, how far behind, and what it has in hand. */
  group(group: string, options?: GroupOptions): Promise<GroupReport>;
  /** Leases nothing more until it is resumed. What is leased is settled as ever. */
  pause(group: string, options?: GroupOptions): Promise<GroupReport>;
  /** Goes on after a pause. */
  resume(group: string, options?: GroupOptions): Promise<GroupReport>;
  /** Moves the group's place. What was leased or waited is forgotten, and leases are lost. */
  reset(group: string, to: From, options?: GroupOptions): Promise<GroupReport>;
  /** Forgets the group. Its members end with `group-deleted`; its dead letters stay. */
  remove(group: string, options?: GroupOptions): Promise<GroupReport>;
  /** What the group has not settled, a page at a time, without leasing it. */
  browse(group: string, options?: BrowseOptions): Promise<Browsed>;

  /**
   * Gives the group its dead letters once more: all there are now. Resolves when that is done, or was cancelled, with
   * the group's report. To end it, and not only the waiting, call `cancelRedrive`.
   *
   * @example
   * const { redrive } = await admin(dogear).redrive("billing", {
   *   onProgress: ({ moved, total }) => console.log(`${moved} of ${total}`),
   * });
   */
  redrive(group: string, options?: RedriveOptions): Promise<GroupReport>;
  /** Stops a redrive where it is; what was moved stays moved. */
  cancelRedrive(group: string, options?: GroupOptions): Promise<GroupReport>;
}

/**
 * The operator's side of a connection.
 *
 * @example
 * for await (const { group, lag, dead } of admin(dogear).allGroups()) {
 *   console.log(group, lag.messages, dead);
 * }
 */
export function admin(dogear: Dogear): Admin {
  return new HubAdmin(dogear);
}

/** What is done to a group, with nothing but its name. */
type Plain = Extract<
  Action["do"],
  "show-group" | "pause-group" | "resume-group" | "delete-group" | "redrive" | "cancel-redrive"
>;

class HubAdmin implements Admin {
  readonly #dogear: Dogear;

  constructor(dogear: Dogear) {
    this.#dogear = dogear;
  }

  async namespaces({ signal }: AskOptions = {}): Promise<readonly NamespaceReport[]> {
    return (await this.#ask<NamespaceList>({ do: "list-namespaces" }, signal)).namespaces;
  }

  channels({ signal, ...page }: ChannelsOptions = {}): Promise<ChannelList> {
    return this.#ask({ do: "list-channels", ...page }, signal);
  }

  allChannels(options: AllChannelsOptions = {}): AsyncGenerator<ChannelReport, void, undefined> {
    return all(async (after) => {
      const { channels, next } = await this.channels({ ...options, ...after });
      return [channels, next];
    });
  }

  sessions({ signal, ...page }: ListOptions = {}): Promise<SessionList> {
    return this.#ask({ do: "list-sessions", ...page }, signal);
  }

  allSessions(options: AskOptions = {}): AsyncGenerator<SessionReport, void, undefined> {
    return all(async (after) => {
      const { sessions, next } = await this.sessions({ ...options, ...after });
      return [sessions, next];
    });
  }

  async disconnect(session: string, { signal }: AskOptions = {}): Promise<void> {
    await this.#ask({ do: "disconnect", session }, signal);
  }

  revoke({ before, ...what }: Revocation, { signal }: AskOptions = {}): Promise<Revoked> {
    return this.#ask({ do: "revoke", ...what, before: before && Number(before) }, signal);
  }

  cursors({ signal, ...page }: ListOptions = {}): Promise<CursorList> {
    return this.#ask({ do: "list-cursors", ...page }, signal);
  }

  allCursors(options: AskOptions = {}): AsyncGenerator<CursorReport, void, undefined> {
    return all(async (after) => {
      const { cursors, next } = await this.cursors({ ...options, ...after });
      return [cursors, next];
    });
  }

  cursor(name: CursorName, { signal }: AskOptions = {}): Promise<CursorReport> {
    return this.#ask({ do: "show-cursor", ...named(name) }, signal);
  }

  resetCursor(name: CursorName, to: From, { signal }: AskOptions = {}): Promise<CursorReport> {
    return this.#ask({ do: "reset-cursor", ...named(name), to: onWire(to) }, signal);
  }

  groups({ signal, ...page }: ListOptions = {}): Promise<GroupList> {
    return this.#ask({ do: "list-groups", ...page }, signal);
  }

  allGroups(options: AskOptions = {}): AsyncGenerator<GroupReport, void, undefined> {
    return all(async (after) => {
      const { groups, next } = await this.groups({ ...options, ...after });
      return [groups, next];
    });
  }

  group(group: string, options?: GroupOptions): Promise<GroupReport> {
    return this.#plain("show-group", group, options);
  }

  pause(group: string, options?: GroupOptions): Promise<GroupReport> {
    return this.#plain("pause-group", group, options);
  }

  resume(group: string, options?: GroupOptions): Promise<GroupReport> {
    return this.#plain("resume-group", group, options);
  }

  reset(group: string, to: From, { signal, ...where }: GroupOptions = {}): Promise<GroupReport> {
    return this.#ask({ do: "reset-group", group, ...where, to: onWire(to) }, signal);
  }

  remove(group: string, options?: GroupOptions): Promise<GroupReport> {
    return this.#plain("delete-group", group, options);
  }

  async browse(group: string, { signal, ...page }: BrowseOptions = {}): Promise<Browsed> {
    const browsed = await this.#ask<Browsed>({ do: "browse-group", group, ...page }, signal);
    return { ...browsed, messages: browsed.messages.map((message) => ({ ...message, data: payloadOf(message) })) };
  }

  async redrive(group: string, { onProgress, ...options }: RedriveOptions = {}): Promise<GroupReport> {
    let report = await this.#plain("redrive", group, options);
    for (;;) {
      if (report.redrive) onProgress?.(report.redrive);
      if (report.redrive?.state !== "running") return report;
      await this.#wait(redrivePollMs, options.signal);
      report = await this.group(group, options);
    }
  }

  cancelRedrive(group: string, options?: GroupOptions): Promise<GroupReport> {
    return this.#plain("cancel-redrive", group, options);
  }

  #plain(what: Plain, group: string, { signal, namespace }: GroupOptions = {}): Promise<GroupReport> {
    return this.#ask({ do: what, group, namespace }, signal);
  }

  /** The hub's word for it: results are not checked again, as no envelope is. */
  #ask<R>(action: Action, signal: AbortSignal | undefined): Promise<R> {
    return this.#dogear.ask(action, signal) as Promise<R>;
  }

  async #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    let cancel = (): void => {};
    const passed = new Promise<void>((resolve) => {
      cancel = this.#dogear.runtime.setTimer(ms, resolve);
    });
    await unlessAborted(passed, signal).finally(cancel);
  }
}

/** Every entry of a list, asked for page by page. */
async function* all<T>(
  page: (after: { readonly after?: string }) => Promise<readonly [entries: readonly T[], next: string | undefined]>,
): AsyncGenerator<T, void, undefined> {
  let after: string | undefined;
  do {
    const [entries, next] = await page(after === undefined ? {} : { after });
    yield* entries;
    after = next;
  } while (after !== undefined);
}

function named({ user, subscriber, pattern }: CursorName): Pick<CursorReport, "user" | "subscriber" | "pattern"> {
  return { user, subscriber, pattern: pattern as CursorReport["pattern"] };
}
