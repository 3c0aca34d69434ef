/** A ledger in a store that fails and crashes, and beside it everything that every entry ever was. */
import type { Offset } from "@dogear/shared";
import { Ledger, type LedgerFormat } from "../../../server/src/hub/ledger.ts";
import { failure, HeldState, soon } from "./store.ts";
import { at, must } from "./support.ts";

export interface Head {
  /** What had happened when it was stored. */
  tick: number;
}

export interface Entry {
  readonly offset: Offset;
  readonly value: number;
}

export const keys = { head: "group/ns/g", pages: "group-page/ns/g/" };

export const format: LedgerFormat<Head, Entry> = {
  writeHead: (head) => head,
  readHead: (written) => written as Head,
  writePage: (entries) => entries,
  readPage: (written) => written as readonly Entry[],
};

/** What can happen. */
export type LedgerStep =
  | { readonly do: "put" | "remove"; readonly offset: number }
  | { readonly do: "touch" | "clear" | "store" | "fail" }
  /** `next`: what those who waited for it put and flush at once. */
  | { readonly do: "flush"; readonly next: readonly number[] }
  | { readonly do: "crash"; readonly kept: number };

/** What an offset's entry was from a tick on; without a value there was none. */
interface Since {
  readonly tick: number;
  readonly value: number | undefined;
  readonly cleared: boolean;
}

export class LedgerWorld {
  readonly #state = new HeldState();
  #ledger: Ledger<Head, Entry>;
  #tick = 1;
  #value = 0;
  /** What was so at this tick was flushed. */
  #flushed = 0;
  readonly #history = new Map<number, Since[]>();
  #clears: number[] = [];
  readonly #wrong: string[] = [];

  constructor() {
    this.#ledger = this.#watch(Ledger.begin(this.#state, keys, format, { tick: 0 }));
  }

  async step(step: LedgerStep): Promise<void> {
    if (step.do === "put") this.#put(step.offset);
    else if (step.do === "remove") this.#remove(step.offset);
    else if (step.do === "touch") this.#touch();
    else if (step.do === "clear") this.#clear();
    else if (step.do === "flush") this.#flush(step.next);
    else if (step.do === "crash") await this.#crash(step.kept);
    else this.#state.calls[0]?.[step.do]();
    await soon();
    if (this.#state.calls.length > 1) this.#wrong.push("two flushes are on their way");
    must(this.#wrong.length === 0, () => this.#wrong.join());
  }

  /** In a store that works, everything is stored in the end. */
  async finish(): Promise<void> {
    for (let turn = 0; turn < 8; turn++) await this.step({ do: "store" });
    await this.step({ do: "flush", next: [] });
    await this.step({ do: "store" });
    must(!this.#ledger.isDirty, () => "something is left to flush");
    await this.step({ do: "crash", kept: 0 });
  }

  #now(offset: number): Since {
    return this.#history.get(offset)?.at(-1) ?? { tick: 0, value: undefined, cleared: false };
  }

  #note(offset: number, value: number | undefined, cleared = false): void {
    const history = this.#history.get(offset) ?? [{ tick: 0, value: undefined, cleared: false }];
    this.#history.set(offset, [...history, { tick: this.#tick, value, cleared }]);
  }

  #put(offset: number): void {
    this.#tick++;
    this.#note(offset, ++this.#value);
    this.#ledger.put({ offset: at(offset), value: this.#value });
  }

  #remove(offset: number): void {
    if (this.#now(offset).value !== undefined) {
      this.#tick++;
      this.#note(offset, undefined);
    }
    this.#ledger.remove(at(offset));
  }

  #touch(): void {
    this.#tick++;
    this.#ledger.touch();
  }

  #clear(): void {
    this.#tick++;
    this.#clears.push(this.#tick);
    for (const offset of this.#history.keys()) {
      if (this.#now(offset).value !== undefined) this.#note(offset, undefined, true);
    }
    this.#ledger.clear();
  }

  #flush(next: readonly number[]): void {
    const ledger = this.#ledger;
    const tick = this.#tick;
    const flush = ledger.flush();
    const noted = flush.then(
      () => {
        if (ledger === this.#ledger) this.#flushed = Math.max(this.#flushed, tick);
      },
      (error: unknown) => {
        if (error !== failure) this.#wrong.push(String(error));
      },
    );
    for (const offset of next) {
      void noted.then(() => {
        if (ledger !== this.#ledger) return;
        this.#put(offset);
        this.#flush([]);
      });
    }
  }

  async #crash(kept: number): Promise<void> {
    this.#state.calls[0]?.crash(kept);
    const loaded = await Ledger.load(this.#state, keys, format);
    const head = loaded?.head.tick ?? 0;
    must(head >= this.#flushed, () => `the head is of ${head}, and ${this.#flushed} was flushed`);
    const values = new Map([...(loaded?.entries() ?? [])].map(({ offset, value }) => [offset as number, value]));
    for (const [offset, history] of this.#history) this.#check(head, offset, history, values.get(offset));
    this.#history.clear();
    for (const [offset, value] of values) this.#history.set(offset, [{ tick: head, value, cleared: false }]);
    this.#clears = [];
    this.#flushed = head;
    this.#tick = Math.max(1, head);
    this.#ledger = this.#watch(loaded ?? Ledger.begin(this.#state, keys, format, { tick: 0 }));
  }

  /** An entry is as it was at its head, or as it became later; and it is cleared only where the head says so. */
  #check(head: number, offset: number, history: readonly Since[], value: number | undefined): void {
    const isHeadFirst = this.#clears.some((tick) => tick > this.#flushed && tick <= head);
    const floor = isHeadFirst ? this.#flushed : head;
    const last = history.findLastIndex(({ tick }) => tick <= floor);
    const possible = history.slice(Math.max(0, last)).filter(({ tick, cleared }) => !cleared || tick <= head);
    const values = possible.map((one) => one.value);
    must(values.includes(value), () => `${offset} is ${value} and was ${values} since ${floor}`);
  }

  #watch(ledger: Ledger<Head, Entry>): Ledger<Head, Entry> {
    ledger.onFlush((head) => {
      head.tick = this.#tick;
    });
    return ledger;
  }
}
