/**
 * The line in which messages wait to be leased: oldest first, and where they are ordered, of one key only one at a time.
 *
 *     key a   12 ─ 15 ─ 31         12 may go; 15 and 31 wait for it
 *     key b   [13 is leased] 14    14 waits for 13
 *     no key  16, 17               both may go
 */
import TinyQueue from "tinyqueue";
import type { Item } from "./item.ts";

/** One key's messages. */
interface Row {
  /** Those that wait, oldest first. */
  readonly waiting: Item[];
  /** The one that the others wait for, from when it may go until it ends. */
  head: Item | undefined;
}

export class Line {
  readonly #rows = new Map<string, Row>();
  /** What may go now. */
  readonly #ready = new TinyQueue<Item>([], (a, b) => a.offset - b.offset);

  /** How many may go now. */
  get ready(): number {
    return this.#ready.length;
  }

  /** Whether a message waits for another of its key. */
  blocks(item: Item): boolean {
    return item.key !== undefined && item.stage === "waiting" && this.#rows.get(item.key)?.head !== item;
  }

  /** Lines a message up in its place. */
  add(item: Item): void {
    if (item.key === undefined) {
      this.#ready.push(item);
      return;
    }
    const row = this.#row(item.key);
    // One that failed or was given back comes before those that waited for it.
    if (row.head === item) {
      this.#ready.push(item);
      return;
    }
    insert(row.waiting, item);
    this.#advance(row);
  }

  /** Takes the oldest message that may go. Those of its key wait until it has `ended`. */
  take(): Item | undefined {
    return this.#ready.pop();
  }

  /** Holds the place of a message that is not in line: it is leased, or it failed and blocks its key. */
  hold(item: Item): void {
    if (item.key !== undefined) this.#row(item.key).head ??= item;
  }

  /** A message does not hold up its key any more. */
  ended(item: Item): void {
    if (item.key === undefined) return;
    const row = this.#rows.get(item.key);
    if (row?.head !== item) return;
    row.head = undefined;
    if (row.waiting.length === 0) this.#rows.delete(item.key);
    else this.#advance(row);
  }

  /** Takes out messages that may not go any more. Those of their keys wait until they have `ended`. */
  remove(gone: ReadonlySet<Item>): void {
    const kept: Item[] = [];
    for (let item = this.#ready.pop(); item !== undefined; item = this.#ready.pop()) {
      if (!gone.has(item)) kept.push(item);
    }
    for (const item of kept) this.#ready.push(item);
    for (const row of this.#rows.values()) {
      const waiting = row.waiting.filter((item) => !gone.has(item));
      row.waiting.splice(0, row.waiting.length, ...waiting);
    }
  }

  #row(key: string): Row {
    let row = this.#rows.get(key);
    if (row === undefined) {
      row = { waiting: [], head: undefined };
      this.#rows.set(key, row);
    }
    return row;
  }

  #advance(row: Row): void {
    if (row.head !== undefined) return;
    row.head = row.waiting.shift();
    if (row.head !== undefined) this.#ready.push(row.head);
  }
}

/** Puts a message among others, ordered by offset; nearly always it is the last. */
function insert(items: Item[], item: Item): void {
  let at = items.length;
  while (at > 0 && (items[at - 1] as Item).offset > item.offset) at--;
  items.splice(at, 0, item);
}
