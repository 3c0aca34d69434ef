/**
 * For operators: where cursors and groups are, and how to move them. A separate entry point, since few programs need it.
 *
 * @packageDocumentation
 */
import type { Action, Browsed, CursorList, CursorReport, GroupList, GroupReport, Offset } from "@dogear/shared";
import type { Dogear } from "./client.ts";
import { unlessAborted } from "./deferred.ts";
import { type From, onWire } from "./from.ts";
import { payloadOf } from "./payload.ts";

export type { Browsed, CursorList, CursorReport, GroupList, GroupPolicy, GroupReport, Lag } from "@dogear/shared";
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
 * All reject with a DogearError: `unknown-group` or `unknown-cursor` where there is none, what else the hub refuses
 * (`error.retry` says whether it may help to ask again), or `closed`.
 */
export interface Admin {
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
