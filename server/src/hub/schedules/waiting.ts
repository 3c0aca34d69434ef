/**
 * The drafts of a namespace that wait, in the order in which they are due. Whatever is changed here is changed in the
 * ledger as well.
 */
import type { Offset } from "@dogear/shared";
import TinyQueue from "tinyqueue";
import type { Ledger } from "../ledger.ts";
import type { Pending, SchedulesHead } from "./record.ts";

/** What is taken at a time. At least one is, whatever its size. */
export interface BatchMax {
  readonly messages: number;
  readonly bytes: number;
}

/** So many in the queue that do not wait any more are no reason to build it anew. */
const goneMax = 1_024;

export class Waiting {
  readonly #ledger: Ledger<SchedulesHead, Pending>;
  readonly #byFirst = new Map<Offset, Pending>();
  /** Those that do not wait any more are left in it, and passed over. */
  #queue: TinyQueue<Pending>;
  #bytes = 0;

  constructor(ledger: Ledger<SchedulesHead, Pending>) {
    this.#ledger = ledger;
    for (const one of [...ledger.entries()]) this.#keep(one);
    this.#queue = this.#newQueue();
  }

  get size(): number {
    return this.#byFirst.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** When the next one is due; infinity where none waits. */
  get nextDue(): number {
    return this.#peek()?.due ?? Number.POSITIVE_INFINITY;
  }

  get(first: Offset): Pending | undefined {
    return this.#byFirst.get(first);
  }

  /** Adds one, in the place of an older slip of the same draft. Not while some are taken. */
  add(pending: Pending): void {
    if (!this.#keep(pending)) return;
    this.#ledger.put(pending);
    // A new queue has those in it that were taken: given back, they would be in it twice.
    if (this.#queue.length > 2 * this.size + goneMax) this.#queue = this.#newQueue();
    else this.#queue.push(pending);
  }

  /** Removes one, if it is still there. */
  remove(pending: Pending): void {
    if (!this.waits(pending)) return;
    this.#byFirst.delete(pending.first);
    this.#bytes -= pending.bytes;
    this.#ledger.remove(pending.offset);
  }

  /** Adds one that was removed: as another one, since the old one may still be in the queue. */
  putBack(pending: Pending): void {
    this.add({ ...pending });
  }

  /** Takes those that are due out of the queue, in order, as many as belong together. They wait until they are removed. */
  take(now: number, max: BatchMax): readonly Pending[] {
    const batch = new Batch(max);
    for (let one = this.#peek(); one !== undefined && one.due <= now && batch.add(one); one = this.#peek()) {
      this.#queue.pop();
    }
    return batch.pending;
  }

  /** Puts those that were taken, and still wait, back into the queue. */
  giveBack(taken: readonly Pending[]): void {
    for (const one of taken) if (this.waits(one)) this.#queue.push(one);
  }

  /** Those whose slips are at most there, ordered by place. */
  through(offset: Offset): readonly Pending[] {
    return [...this.#byFirst.values()].filter((one) => one.offset <= offset).sort((a, b) => a.offset - b.offset);
  }

  waits(pending: Pending): boolean {
    return this.#byFirst.get(pending.first) === pending;
  }

  /** Of two slips of one draft only the later one counts. False where it is not kept. */
  #keep(pending: Pending): boolean {
    const other = this.#byFirst.get(pending.first);
    if (other !== undefined) {
      const older = other.offset <= pending.offset ? other : pending;
      if (other.offset === pending.offset) return false;
      this.#ledger.remove(older.offset);
      if (older === pending) return false;
      this.#bytes -= other.bytes;
    }
    this.#byFirst.set(pending.first, pending);
    this.#bytes += pending.bytes;
    return true;
  }

  #peek(): Pending | undefined {
    let one = this.#queue.peek();
    while (one !== undefined && !this.waits(one)) {
      this.#queue.pop();
      one = this.#queue.peek();
    }
    return one;
  }

  #newQueue(): TinyQueue<Pending> {
    return new TinyQueue([...this.#byFirst.values()], (a, b) => a.due - b.due || a.first - b.first);
  }
}

/** The same in batches. */
export function batches(pending: readonly Pending[], max: BatchMax): readonly (readonly Pending[])[] {
  const all: Batch[] = [];
  for (const one of pending) {
    if (all.at(-1)?.add(one) === true) continue;
    const next = new Batch(max);
    next.add(one);
    all.push(next);
  }
  return all.map((batch) => batch.pending);
}

class Batch {
  readonly pending: Pending[] = [];
  readonly #max: BatchMax;
  #bytes = 0;

  constructor(max: BatchMax) {
    this.#max = max;
  }

  /** False where it is full. */
  add(one: Pending): boolean {
    const { length } = this.pending;
    if (length > 0 && (length >= this.#max.messages || this.#bytes + one.bytes > this.#max.bytes)) return false;
    this.pending.push(one);
    this.#bytes += one.bytes;
    return true;
  }
}
