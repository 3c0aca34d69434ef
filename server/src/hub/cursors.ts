/**
 * Durable cursors. A new or taken-over cursor is stored before anyone hears of it; what is acknowledged afterwards is
 * collected and stored a few times a second.
 *
 * A cursor orders by (fence, position). Each claim raises the fence, so that whatever an older holder still says is
 * ignored.
 */
import { dogearError, type Epoch, type Offset, type Pattern, type Position } from "@dogear/shared";
import { keyBytesMax } from "../engine/changes.ts";
import type { State } from "../engine/engine.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import { type Claimant, isOutdated } from "./claimant.ts";

/** Whose cursor, and in what. */
export interface CursorName {
  readonly user: string;
  readonly subscriber: string;
  readonly pattern: Pattern;
}

/** A cursor while a subscription holds it. */
export interface Cursor {
  /** Where it stood when it was claimed. */
  readonly start: Position;
  /** Moves it forward; stored soon. Ignored once the cursor was taken over or released. */
  commit(position: Position): void;
  /** Gives it back. What was committed is still stored. */
  release(): void;
}

/** A cursor as it stands, for people. */
export interface StoredCursor {
  readonly key: string;
  readonly name: CursorName;
  readonly record: Stored;
}

/** Why a subscription has its cursor no more. */
export type Taken = "taken-over" | "cursor-reset";

interface Stored {
  readonly epoch: Epoch;
  readonly offset: Offset;
  readonly fence: number;
  /** When it last moved, for people. */
  readonly time: number;
  /** Who claimed it last. */
  readonly by?: Claimant | undefined;
}

interface Held {
  readonly key: string;
  record: Stored;
  version: number;
  holder: Holder | undefined;
}

interface Holder {
  readonly takenOver: (why: Taken) => void;
}

interface Claim {
  /** Start at `start` although a cursor is stored. */
  readonly reset: boolean;
  readonly start: () => Promise<Position>;
  /** Whoever held it before is told so. */
  readonly why: Taken;
  readonly takenOver: Holder["takenOver"];
  readonly by?: Claimant | undefined;
}

/** A cursor that was claimed, as one hub tells it the others. */
export interface ClaimedElsewhere {
  readonly key: string;
  readonly why: Taken;
}

export interface CursorsParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told of each claim once it is durable, so that another hub's holder need not find out by itself. */
  readonly claimed?: (claimed: ClaimedElsewhere) => void;
}

/** How long what was acknowledged may wait to be stored. */
const flushMs = 250;

/** Tries to claim a cursor that other hubs claim at the same time. */
const claimsMax = 10;

export class Cursors {
  readonly #state: State;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Cursors that a subscription holds, or whose last move is not stored yet. */
  readonly #held = new Map<string, Held>();
  readonly #dirty = new Set<Held>();
  /** Claims of one cursor wait for each other. */
  readonly #claims = new Map<string, Promise<unknown>>();
  #flushing: Promise<void> | undefined;
  #scheduled = false;

  readonly #tellOthers: (claimed: ClaimedElsewhere) => void;

  constructor(state: State, { clock, logger, claimed = () => {} }: CursorsParts) {
    this.#state = state;
    this.#clock = clock;
    this.#logger = logger;
    this.#tellOthers = claimed;
  }

  /** Another hub says that it has claimed a cursor: where that is so, whoever holds it here does not any more. */
  async claimedElsewhere({ key, why }: ClaimedElsewhere): Promise<void> {
    const held = this.#held.get(key);
    if (held === undefined) return;
    const stored = await this.#load(key);
    if (stored !== undefined && stored.record.fence > held.record.fence) this.#lost(held, why);
  }

  /**
   * Claims a cursor for a subscription, taking it over from whoever holds it. Where none is stored, or with `reset`,
   * it starts at `start`. Resolves once the claim is durable.
   *
   * @throws DogearError `taken-over` the same client has claimed it over a newer connection; `unavailable`, `disk-full`
   */
  async claim(name: CursorName, claim: Claim): Promise<Cursor> {
    const key = cursorKey(name);
    const before = this.#claims.get(key) ?? Promise.resolve();
    const claiming = before.catch(() => {}).then(() => this.#claim(key, claim));
    this.#claims.set(key, claiming);
    try {
      return await claiming;
    } finally {
      if (this.#claims.get(key) === claiming) this.#claims.delete(key);
    }
  }

  /** Moves a cursor; whoever holds it has it no more. Resolves once that is durable. */
  async reset(name: CursorName, position: Position): Promise<void> {
    const start = async () => position;
    const cursor = await this.claim(name, { reset: true, start, why: "cursor-reset", takenOver: () => {} });
    cursor.release();
  }

  /** A cursor as it stands, if there is one. */
  async find(name: CursorName): Promise<StoredCursor | undefined> {
    const key = cursorKey(name);
    if (key.length > keyBytesMax) return undefined;
    const record = this.#held.get(key)?.record ?? (await this.#load(key))?.record;
    return record && { key, name, record };
  }

  /** Cursors as they stand, ordered by key: the next after a key, or the first. */
  async list(after: string, limit: number): Promise<readonly StoredCursor[]> {
    const entries = await this.#state.list(cursorsPrefix, after, limit);
    return entries.map(({ key, value }) => ({
      key,
      name: nameOf(key),
      record: this.#held.get(key)?.record ?? decode(value),
    }));
  }

  /** Stores what was committed so far. */
  async flush(): Promise<void> {
    await this.#flushing;
    // Another caller that waited for the same flush may have begun the next one.
    await (this.#flushing ?? (this.#dirty.size > 0 ? this.#flush() : undefined));
  }

  async #claim(key: string, claim: Claim): Promise<Cursor> {
    for (let tries = 0; tries < claimsMax; tries++) {
      await this.#flushing;
      const held = this.#held.get(key);
      const stored = held ?? (await this.#load(key));
      if (isOutdated(claim.by, stored?.record.by)) throw dogearError("taken-over");
      const anew = stored === undefined || claim.reset;
      const start = anew ? await claim.start() : positionOf(stored.record);
      const record = { ...start, fence: (stored?.record.fence ?? 0) + 1, time: this.#clock.now(), by: claim.by };
      const version = await this.#state.put(key, encode(record), stored?.version ?? 0);
      if (version !== undefined) {
        return this.#claimed({ key, record, version, holder: claim }, claim, anew ? undefined : held);
      }
      if (held !== undefined) this.#lost(held);
    }
    throw dogearError("unavailable", `The cursor ${key} is claimed by others all the time.`);
  }

  /** Takes the cursor from whoever held it: they hear of it now, and what they say from now on is ignored. */
  async #claimed(claimed: Held, claim: Claim, goesOn: Held | undefined): Promise<Cursor> {
    const held = this.#held.get(claimed.key);
    // While the claim was being stored, the holder before may have acknowledged more.
    const isFurther = goesOn !== undefined && goesOn.record.offset > claimed.record.offset;
    if (isFurther) claimed.record = { ...claimed.record, ...positionOf(goesOn.record) };
    if (held !== undefined) this.#dirty.delete(held);
    this.#held.set(claimed.key, claimed);
    this.#tellOthers({ key: claimed.key, why: claim.why });
    held?.holder?.takenOver(claim.why);
    try {
      // What is told to the new holder a crash must not take back.
      if (isFurther) await this.#store(claimed);
    } catch (error) {
      claimed.holder = undefined;
      throw error;
    }
    return this.#handle(claimed, positionOf(claimed.record));
  }

  #handle(held: Held, start: Position): Cursor {
    const mine = () => this.#held.get(held.key) === held && held.holder !== undefined;
    return {
      start,
      commit: ({ epoch, offset }) => {
        if (!mine() || (epoch === held.record.epoch && offset <= held.record.offset)) return;
        held.record = { ...held.record, epoch, offset, time: this.#clock.now() };
        this.#dirty.add(held);
        this.#schedule();
      },
      release: () => {
        if (!mine()) return;
        held.holder = undefined;
        if (!this.#dirty.has(held)) this.#held.delete(held.key);
      },
    };
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.after(flushMs, () => {
      this.#scheduled = false;
      void this.flush();
    });
  }

  #flush(): Promise<void> {
    const batch = [...this.#dirty];
    this.#dirty.clear();
    // Handed over together, so that they share a flush to disk.
    this.#flushing = Promise.allSettled(batch.map((held) => this.#store(held))).then((stored) => {
      this.#flushing = undefined;
      const failed = stored.filter((one) => one.status === "rejected");
      const [first] = failed;
      if (first === undefined) return;
      // Said once: they fail together, and there may be many.
      const { key } = batch[stored.indexOf(first)] as Held;
      this.#logger.warn("cursor.not-stored", { cursor: key, count: failed.length, error: first.reason });
    });
    return this.#flushing;
  }

  /** Rejects where it could not be stored. Then it is dirty again. */
  async #store(held: Held): Promise<void> {
    try {
      const version = await this.#state.put(held.key, encode(held.record), held.version);
      if (version === undefined) return await this.#reconsider(held);
      held.version = version;
      if (held.holder === undefined && !this.#dirty.has(held) && this.#held.get(held.key) === held) {
        this.#held.delete(held.key);
      }
    } catch (error) {
      // Nothing is lost: the next flush stores it, and until then a crash repeats a little.
      this.#dirty.add(held);
      this.#schedule();
      throw error;
    }
  }

  /** Another version is stored than was known: another hub's, or this one's whose answer was lost. */
  async #reconsider(held: Held): Promise<void> {
    const stored = await this.#load(held.key);
    if (stored?.record.fence !== held.record.fence) return this.#lost(held);
    held.version = stored.version;
    this.#dirty.add(held);
    this.#schedule();
  }

  /** Another hub claimed the cursor. */
  #lost(held: Held, why: Taken = "taken-over"): void {
    if (this.#held.get(held.key) !== held) return;
    held.holder?.takenOver(why);
    this.#drop(held);
  }

  #drop(held: Held): void {
    this.#dirty.delete(held);
    this.#held.delete(held.key);
  }

  async #load(key: string): Promise<{ readonly record: Stored; readonly version: number } | undefined> {
    const entry = await this.#state.get(key);
    return entry === undefined ? undefined : { record: decode(entry.value), version: entry.version };
  }
}

const cursorsPrefix = "cursor/";

function nameOf(key: string): CursorName {
  const [user = "", subscriber = "", pattern = ""] = key.slice(cursorsPrefix.length).split("/");
  return {
    user: decodeURIComponent(user),
    subscriber: decodeURIComponent(subscriber),
    pattern: pattern as Pattern,
  };
}

function cursorKey({ user, subscriber, pattern }: CursorName): string {
  return `${cursorsPrefix}${encodeURIComponent(user)}/${encodeURIComponent(subscriber)}/${pattern}`;
}

function positionOf({ epoch, offset }: Stored): Position {
  return { epoch, offset };
}

function encode(record: Stored): Uint8Array {
  return Buffer.from(JSON.stringify(record));
}

function decode(value: Uint8Array): Stored {
  return JSON.parse(Buffer.from(value).toString()) as Stored;
}
