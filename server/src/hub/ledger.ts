/**
 * What is not finished yet, by offset, kept in a state store: a head record that says how far the log was taken in,
 * and pages of entries. Only the pages that changed are stored.
 *
 *     head   group/orders/billing          { "position": 812, … }
 *     pages  group-page/orders/billing/2   entries of offsets 512 to 767
 *            group-page/orders/billing/3   entries of offsets 768 to 1023
 *
 * Pages are stored before the head: what the head says was taken in is finished, or is in a page. After a crash
 * between the two, what the head does not know yet is read again and meets the entry that is already there.
 */
import { DogearError, type Offset } from "@dogear/shared";
import type { Change, State } from "../engine/engine.ts";

/** How a kind of ledger writes itself down, as JSON values. */
export interface LedgerFormat<Head, Entry extends LedgerEntry> {
  writeHead(head: Head): unknown;
  readHead(written: unknown): Head;
  /** A page's entries are written together, so that they can share what they have in common. */
  writePage(entries: readonly Entry[]): unknown;
  readPage(written: unknown, head: Head): readonly Entry[];
}

export interface LedgerEntry {
  readonly offset: Offset;
}

/** Where a ledger is kept. No key of one may begin with a key of the other kind. */
export interface LedgerKeys {
  readonly head: string;
  /** What the keys of its pages start with, up to and including a slash. */
  readonly pages: string;
}

interface Page<Entry> {
  readonly entries: Map<Offset, Entry>;
  version: number;
}

/** Another hub has written to this ledger: it is not this hub's any more. Whoever asks again finds the other one. */
export class LedgerLostError extends DogearError {
  constructor(message: string) {
    super("unavailable", message);
  }
}

/** Offsets that one page covers. */
const pageOffsets = 256;

export class Ledger<Head, Entry extends LedgerEntry> {
  head: Head;
  readonly #state: State;
  readonly #keys: LedgerKeys;
  readonly #format: LedgerFormat<Head, Entry>;
  readonly #pages = new Map<number, Page<Entry>>();
  readonly #dirty = new Set<number>();
  #headVersion: number;
  #headDirty = false;
  #headFirst = false;
  #checkpoint: (head: Head) => void = () => {};
  #flushing: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  /** Once another hub has written to it. */
  #lost: LedgerLostError | undefined;

  private constructor(
    state: State,
    keys: LedgerKeys,
    format: LedgerFormat<Head, Entry>,
    head: Head,
    headVersion: number,
  ) {
    this.#state = state;
    this.#keys = keys;
    this.#format = format;
    this.head = head;
    this.#headVersion = headVersion;
  }

  /** A ledger that is not stored yet: the first flush stores it. */
  static begin<Head, Entry extends LedgerEntry>(
    state: State,
    keys: LedgerKeys,
    format: LedgerFormat<Head, Entry>,
    head: Head,
  ): Ledger<Head, Entry> {
    const ledger = new Ledger(state, keys, format, head, 0);
    ledger.#headDirty = true;
    return ledger;
  }

  /**
   * The ledger that is stored; `undefined` where there is none. It is written to first, so that from then on whoever had
   * it before can store nothing any more, and what is read here stays true.
   *
   * @throws LedgerLostError another hub did the same at the same time
   */
  static async load<Head, Entry extends LedgerEntry>(
    state: State,
    keys: LedgerKeys,
    format: LedgerFormat<Head, Entry>,
  ): Promise<Ledger<Head, Entry> | undefined> {
    const stored = await state.get(keys.head);
    if (stored === undefined) return undefined;
    const version = await state.put(keys.head, stored.value, stored.version);
    if (version === undefined) throw new LedgerLostError(`${keys.head} was written by another hub.`);
    const ledger = new Ledger(state, keys, format, format.readHead(parse(stored.value)), version);
    for (const { key, value, version } of await state.list(keys.pages, "", Number.MAX_SAFE_INTEGER)) {
      const entries = format.readPage(parse(value), ledger.head);
      const number = Number(key.slice(keys.pages.length));
      ledger.#pages.set(number, { entries: new Map(entries.map((entry) => [entry.offset, entry])), version });
    }
    return ledger;
  }

  /** Called before each flush, to bring the head up to date. */
  onFlush(checkpoint: (head: Head) => void): void {
    this.#checkpoint = checkpoint;
  }

  /** Whether there is something to flush. */
  get isDirty(): boolean {
    return this.#headDirty || this.#dirty.size > 0;
  }

  *entries(): Generator<Entry> {
    for (const { entries } of this.#pages.values()) yield* entries.values();
  }

  /** Adds an entry, or takes note that it changed. */
  put(entry: Entry): void {
    const number = pageOf(entry.offset);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = { entries: new Map(), version: 0 };
      this.#pages.set(number, page);
    }
    page.entries.set(entry.offset, entry);
    this.#dirty.add(number);
  }

  /** Removes an entry, if it is there. */
  remove(offset: Offset): void {
    const number = pageOf(offset);
    if (this.#pages.get(number)?.entries.delete(offset) === true) this.#dirty.add(number);
  }

  /** Removes every entry. The next flush stores the head first, because it is what makes them void. */
  clear(): void {
    this.#headFirst = true;
    this.#headDirty = true;
    for (const [number, { entries }] of this.#pages) {
      if (entries.size > 0) this.#dirty.add(number);
      entries.clear();
    }
  }

  /** Takes note that the head changed. */
  touch(): void {
    this.#headDirty = true;
  }

  /**
   * Stores what changed so far; resolves once it is durable. Those who ask while a flush is on its way share the next
   * one. Where it rejects nothing is forgotten: the next flush stores it.
   *
   * @throws LedgerLostError from then on, also where nothing has changed
   */
  flush(): Promise<void> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    if (this.#flushing === undefined) return this.#flush();
    this.#next ??= this.#flushing
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        // Somebody who waited for the same one may have begun another already.
        return this.flush();
      });
    return this.#next;
  }

  /** Removes it from the store. Nothing may be flushed any more. */
  async erase(): Promise<void> {
    while ((this.#next ?? this.#flushing) !== undefined) await (this.#next ?? this.#flushing)?.catch(() => {});
    this.clear();
    const pages = [...this.#pages.keys()].map((number) => this.#pageChange(number));
    const head = { key: this.#keys.head, value: undefined, version: this.#headVersion };
    // Without a head it is not there, whatever becomes of its pages.
    await this.#store([head, ...pages], [], true);
  }

  #flush(): Promise<void> {
    if (!this.isDirty) return Promise.resolve();
    this.#flushing = this.#storeDirty().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #storeDirty(): Promise<void> {
    if (this.#headVersion === 0) await this.#findRemains();
    this.#checkpoint(this.head);
    const numbers = [...this.#dirty];
    const head = { key: this.#keys.head, value: text(this.#format.writeHead(this.head)), version: this.#headVersion };
    const pages = numbers.map((number) => this.#pageChange(number));
    // Before there is a head, there is nothing that a new one could make void.
    const first = this.#headFirst && this.#headVersion > 0;
    this.#dirty.clear();
    this.#headDirty = false;
    this.#headFirst = false;
    const versions = [...(await this.#store(first ? [head, ...pages] : [...pages, head], numbers, first))];
    this.#headVersion = (first ? versions.shift() : versions.pop()) as number;
    for (const [i, number] of numbers.entries()) this.#stored(number, versions[i] as number);
  }

  /** Pages without a head were left by a crash, of a ledger that was erased or begun. The first flush replaces them. */
  async #findRemains(): Promise<void> {
    for (const { key, version } of await this.#state.list(this.#keys.pages, "", Number.MAX_SAFE_INTEGER)) {
      const number = Number(key.slice(this.#keys.pages.length));
      const entries = this.#pages.get(number)?.entries ?? new Map<Offset, Entry>();
      this.#pages.set(number, { entries, version });
      this.#dirty.add(number);
    }
  }

  async #store(changes: readonly Change[], numbers: readonly number[], headFirst: boolean): Promise<readonly number[]> {
    let versions: readonly number[] | undefined;
    try {
      versions = await this.#state.putAll(changes);
    } catch (error) {
      for (const number of numbers) this.#dirty.add(number);
      this.#headDirty = true;
      this.#headFirst ||= headFirst;
      throw error;
    }
    if (versions === undefined) {
      this.#lost = new LedgerLostError(`${this.#keys.head} was written by another hub.`);
      throw this.#lost;
    }
    return versions;
  }

  #pageChange(number: number): Change {
    const { entries, version } = this.#pages.get(number) as Page<Entry>;
    const value = entries.size === 0 ? undefined : text(this.#format.writePage([...entries.values()]));
    return { key: this.#keys.pages + number, value, version };
  }

  #stored(number: number, version: number): void {
    const page = this.#pages.get(number) as Page<Entry>;
    page.version = version;
    // One that was emptied, and that nothing happened to since.
    if (page.entries.size === 0 && !this.#dirty.has(number)) this.#pages.delete(number);
  }
}

function pageOf(offset: Offset): number {
  return Math.floor(offset / pageOffsets);
}

function text(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function parse(value: Uint8Array): unknown {
  return JSON.parse(Buffer.from(value).toString());
}
