/** What operators ask for, and how it is done. The words are in `shared/src/administration.ts`. */
import {
  type Action,
  type CursorReport,
  dogearError,
  type GroupReport,
  listMax,
  type Offset,
  type Pattern,
} from "@dogear/shared";
import type { Clock } from "../runtime/clock.ts";
import type { CursorName, Cursors, StoredCursor } from "./cursors.ts";
import type { Groups } from "./groups/groups.ts";
import { browse, reportOn } from "./groups/report.ts";
import { lagAfter } from "./lag.ts";
import type { Namespace } from "./namespace.ts";
import { type From, startIn } from "./place.ts";

export interface AdministrationParts {
  readonly clock: Clock;
  readonly cursors: Cursors;
  readonly groups: Groups;
  namespace(pattern: Pattern): Namespace;
  /** Takes back what was scheduled. */
  cancel(id: string): Promise<void>;
}

type Handlers = { readonly [A in Action as A["do"]]: (action: A) => Promise<unknown> };

/** Entries of an answer to somebody who does not say how many. */
const defaultLimit = 100;

export class Administration {
  readonly #parts: AdministrationParts;
  readonly #handlers: Handlers;

  constructor(parts: AdministrationParts) {
    const { groups, clock } = parts;
    this.#parts = parts;
    const report = (action: GroupAction) => this.#changed(action, async () => {});
    this.#handlers = {
      cancel: async ({ id }) => {
        await parts.cancel(id);
        return null;
      },
      "list-cursors": (action) => this.#listCursors(action),
      "show-cursor": (action) => this.#showCursor(action),
      "reset-cursor": (action) => this.#resetCursor(action),
      "list-groups": (action) => this.#listGroups(action),
      "show-group": report,
      "pause-group": (action) => this.#changed(action, (group) => group.pause(true)),
      "resume-group": (action) => this.#changed(action, (group) => group.pause(false)),
      "reset-group": (action) =>
        this.#changed(action, async (group) => group.reset((await startIn(group.namespace.log, action.to)).offset)),
      "delete-group": (action) => this.#deleteGroup(action),
      "browse-group": async ({ group, namespace, after = 0 as Offset, limit = defaultLimit }) =>
        browse(await groups.find(group, namespace), after, limit, clock),
      redrive: (action) => this.#changed(action, (group) => group.redrive("start")),
      "cancel-redrive": (action) => this.#changed(action, (group) => group.redrive("cancel")),
    };
  }

  /** @throws DogearError `unknown-group`, `unknown-cursor`, `not-scheduled`, `disk-full`, `unavailable` */
  perform(action: Action): Promise<unknown> {
    return this.#handlers[action.do](action as never);
  }

  async #listCursors({ after = "", limit = defaultLimit }: Listing): Promise<unknown> {
    const found = await this.#parts.cursors.list(after, limit + 1);
    const cursors = await Promise.all(found.slice(0, limit).map((cursor) => this.#reportOnCursor(cursor)));
    return { cursors, ...(found.length > limit ? { next: found[limit - 1]?.key } : {}) };
  }

  async #showCursor(name: CursorName): Promise<CursorReport> {
    const cursor = await this.#parts.cursors.find(name);
    if (cursor === undefined) throw dogearError("unknown-cursor");
    return this.#reportOnCursor(cursor);
  }

  async #resetCursor({ to, ...name }: CursorName & { readonly to: From }): Promise<CursorReport> {
    const { cursors } = this.#parts;
    await this.#showCursor(name);
    const { epoch, offset } = await startIn(this.#parts.namespace(name.pattern).log, to);
    await cursors.reset(name, { epoch, offset });
    return this.#showCursor(name);
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

  async #listGroups({ after = "", limit = defaultLimit }: Listing): Promise<unknown> {
    const keyed = (await this.#parts.groups.all()).map((group) => ({
      key: `${group.namespace.policy.namespace}/${group.name}`,
      group,
    }));
    const found = keyed.filter(({ key }) => key > after).slice(0, Math.min(limit, listMax) + 1);
    const groups = await Promise.all(found.slice(0, limit).map(({ group }) => reportOn(group, this.#parts.clock)));
    return { groups, ...(found.length > limit ? { next: found[limit - 1]?.key } : {}) };
  }

  async #deleteGroup({ group: name, namespace }: GroupAction): Promise<GroupReport> {
    const { groups, clock } = this.#parts;
    const group = await groups.find(name, namespace);
    const report = await reportOn(group, clock);
    await groups.delete(group);
    return report;
  }

  async #changed(
    { group: name, namespace }: GroupAction,
    change: (group: Awaited<ReturnType<Groups["find"]>>) => Promise<void>,
  ): Promise<GroupReport> {
    const group = await this.#parts.groups.find(name, namespace);
    await change(group);
    return reportOn(group, this.#parts.clock);
  }
}

interface Listing {
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

interface GroupAction {
  readonly group: string;
  readonly namespace?: string | undefined;
}
