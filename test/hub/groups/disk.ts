/** Where a group's leases are kept in these tests: like a ledger, but one that can be read at a glance. */
import type { Offset } from "@dogear/shared";
import type { Item } from "../../../server/src/hub/groups/item.ts";
import type { Journal } from "../../../server/src/hub/groups/leases.ts";
import { type GroupHead, groupFormat } from "../../../server/src/hub/groups/record.ts";
import type { Clock } from "../../../server/src/runtime/clock.ts";

export class Disk implements Journal {
  /** What is in the journal, flushed or not. */
  readonly #entries = new Map<Offset, Item>();
  readonly #dirty = new Set<Offset>();
  /** What survives: each message as it was when it was flushed after it was last stored. */
  readonly #pages = new Map<Offset, string>();
  readonly #format: ReturnType<typeof groupFormat>;
  #head = "";

  constructor(clock: Clock) {
    this.#format = groupFormat(clock);
  }

  /** The offsets of what would be found. */
  get stored(): ReadonlySet<Offset> {
    return new Set(this.#pages.keys());
  }

  store(item: Item): void {
    this.#entries.set(item.offset, item);
    this.#dirty.add(item.offset);
  }

  remove(offset: Offset): void {
    this.#entries.delete(offset);
    this.#dirty.add(offset);
  }

  flush(head: GroupHead): void {
    for (const offset of this.#dirty) {
      const item = this.#entries.get(offset);
      if (item === undefined) this.#pages.delete(offset);
      else this.#pages.set(offset, JSON.stringify(this.#format.writePage([item])));
    }
    this.#dirty.clear();
    this.#head = JSON.stringify(this.#format.writeHead(head));
  }

  /** Forgets what was not flushed; returns the rest. */
  crash(): { readonly head: GroupHead; readonly items: readonly Item[] } {
    const head = this.#format.readHead(JSON.parse(this.#head));
    const items = [...this.#pages.values()].flatMap((page) => this.#format.readPage(JSON.parse(page), head));
    this.#entries.clear();
    this.#dirty.clear();
    for (const item of items) this.#entries.set(item.offset, item);
    return { head, items };
  }
}
