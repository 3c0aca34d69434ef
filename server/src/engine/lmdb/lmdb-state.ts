/**
 * The state store in LMDB: records with LMDB's own versions. Changes that wait for a flush share the next one.
 *
 *     state       key → record
 *     versions    "reserved" → every version up to this may have been given to a record
 *
 * Versions are compared here, and not by LMDB, which compares them for one record at a time and would leave a part of
 * what belongs together. (Conditions inside conditions are no faster, and an inner one is said to hold where an outer
 * one did not.) Comparing here is safe: nobody else writes to this folder (`lock.ts`), one commit is in flight at a
 * time, and what it stored can be read by the next.
 */
import type { Clock } from "../../runtime/clock.ts";
import { checkChanges } from "../changes.ts";
import { CommitQueue } from "../commit-queue.ts";
import type { Change, Changed, Entry, KeyedEntry, State } from "../engine.ts";
import { Watchers } from "../watchers.ts";
import { type Environment, flushed } from "./environment.ts";
import { Records } from "./records.ts";
import type { Trouble } from "./trouble.ts";

export interface LmdbStateParts {
  readonly environment: Environment;
  readonly folder: string;
  readonly clock: Clock;
  readonly trouble: Trouble;
}

/** What one commit makes of a record. */
interface Staged {
  readonly value: Uint8Array | undefined;
  readonly version: number;
}

/** Versions taken from the store at once, so that not every commit has to say how far they have come. */
const versionsReserved = 1_000_000;

/** What a change costs beside its value, in the bytes that fill a commit. */
const changeBytes = 1_024;

export class LmdbState implements State {
  readonly #parts: LmdbStateParts;
  readonly #records: Records;
  readonly #versions: Records;
  readonly #commits: CommitQueue<readonly Change[], readonly number[] | undefined>;
  readonly #watchers = new Watchers();
  /** The version given last, and the last that may be given before more are reserved. */
  #version: number;
  #reserved: number;

  constructor(parts: LmdbStateParts) {
    const { environment, folder, clock } = parts;
    this.#parts = parts;
    this.#records = new Records(environment, folder, "state");
    this.#versions = new Records(environment, folder, "versions");
    // What is damaged is refused now, not met when its owner comes back.
    this.#records.verify();
    this.#version = Number(Buffer.from(this.#versions.get("reserved")?.value ?? []).toString());
    this.#reserved = this.#version;
    this.#commits = new CommitQueue((calls) => this.#commit(calls), bytesOf, clock);
  }

  async get(key: string): Promise<Entry | undefined> {
    return this.#records.get(key);
  }

  async put(key: string, value: Uint8Array, version: number): Promise<number | undefined> {
    return (await this.putAll([{ key, value, version }]))?.[0];
  }

  async putAll(changes: readonly Change[]): Promise<readonly number[] | undefined> {
    checkChanges(changes);
    return changes.length === 0 ? [] : this.#commits.submit(changes);
  }

  async list(prefix: string, after = "", limit: number = Number.POSITIVE_INFINITY): Promise<readonly KeyedEntry[]> {
    const found: KeyedEntry[] = [];
    const start = after > prefix ? after : prefix;
    for (const entry of this.#records.range(start, `${prefix}\uffff`)) {
      if (found.length >= limit) break;
      if (entry.key > after) found.push(entry);
    }
    return found;
  }

  watch(prefix: string, signal: AbortSignal): AsyncIterable<Changed> {
    return this.#watchers.watch(prefix, signal, () => this.list(prefix));
  }

  /** Resolves when every change has been answered. */
  async idle(): Promise<void> {
    await this.#commits.idle();
  }

  async #commit(calls: readonly (readonly Change[])[]): Promise<readonly (readonly number[] | undefined)[]> {
    this.#parts.trouble.check();
    const staged = new Map<string, Staged>();
    const answers = calls.map((changes) =>
      changes.every((change) => this.#isExpected(change, staged))
        ? changes.map((change) => this.#stage(change, staged))
        : undefined,
    );
    if (staged.size > 0) {
      await this.#write(staged);
      this.#watchers.changed([...staged].map(([key, record]) => ({ key, ...record })));
    }
    return answers;
  }

  #isExpected({ key, version }: Change, staged: ReadonlyMap<string, Staged>): boolean {
    const change = staged.get(key);
    if (change !== undefined) return change.version === version;
    return this.#records.has(key, version);
  }

  #stage({ key, value }: Change, staged: Map<string, Staged>): number {
    const version = value === undefined ? 0 : ++this.#version;
    staged.set(key, { value, version });
    return version;
  }

  async #write(staged: ReadonlyMap<string, Staged>): Promise<void> {
    const reserved = this.#version <= this.#reserved ? this.#reserved : this.#version + versionsReserved;
    const written = this.#parts.environment.batch(() => {
      if (reserved > this.#reserved) void this.#versions.put("reserved", Buffer.from(String(reserved)));
      for (const [key, { value, version }] of staged) {
        if (value === undefined) void this.#records.remove(key);
        else void this.#records.put(key, value, version);
      }
    });
    try {
      await flushed(written);
    } catch (error) {
      throw await this.#parts.trouble.meet("state", error);
    }
    this.#reserved = reserved;
  }
}

function bytesOf(changes: readonly Change[]): number {
  return changes.reduce((sum, { value }) => sum + changeBytes + (value?.length ?? 0), 0);
}
