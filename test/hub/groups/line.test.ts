/** Who is next in line, against a line that is a list. */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import type { Item } from "../../../server/src/hub/groups/item.ts";
import { Line } from "../../../server/src/hub/groups/line.ts";
import { must, newItem } from "./support.ts";

let line: Line;

beforeEach(() => {
  line = new Line();
});

/** Lines messages up, named like `3a`: an offset and a key, or none. */
function lineUp(...names: readonly string[]): Item[] {
  const items = names.map(named);
  for (const item of items) line.add(item);
  return items;
}

function named(name: string): Item {
  const key = name.replace(/\d+/, "");
  return newItem(Number.parseInt(name, 10), { key: key === "" ? undefined : key });
}

const takeAll = () => Array.from({ length: line.ready }, () => line.take()?.offset);

describe("a line", () => {
  it("lets the oldest go first", () => {
    lineUp("5", "3", "9", "4");
    expect(takeAll()).toEqual([3, 4, 5, 9]);
    expect(line.take()).toBeUndefined();
  });

  it("lets one of a key go, and the next when it has ended (P-60)", () => {
    const [first] = lineUp("1a", "2a", "3b", "4");
    expect(takeAll()).toEqual([1, 3, 4]);
    line.ended(first as Item);
    expect(takeAll()).toEqual([2]);
  });

  it("lets one that was given back go before those that waited for it (P-60)", () => {
    const [first] = lineUp("1a", "2a");
    line.take();
    line.add(first as Item);
    expect(takeAll()).toEqual([1]);
  });

  it("lines one that ended, and comes back, up in its place (P-60)", () => {
    const [first, second] = lineUp("1a", "2a", "3a");
    line.take();
    line.ended(first as Item);
    line.add(first as Item);
    expect(takeAll()).toEqual([2]);
    line.ended(second as Item);
    expect(takeAll()).toEqual([1]);
  });

  it("lets nobody of a key go while a place is held that is not in line (P-58)", () => {
    const [held] = [named("7a")];
    line.hold(held as Item);
    lineUp("5a", "8a", "9");
    expect(takeAll()).toEqual([9]);
    line.ended(held as Item);
    expect(takeAll()).toEqual([5]);
  });

  it("knows who waits for another", () => {
    const [first, second, free] = lineUp("1a", "2a", "3") as [Item, Item, Item];
    expect([first, second, free].map((item) => line.blocks(item))).toEqual([false, true, false]);
    line.take();
    line.ended(first);
    expect(line.blocks(second)).toBe(false);
  });

  it("takes messages out; those of their keys wait until they have ended", () => {
    const [first, second, third] = lineUp("1a", "2a", "3a", "4") as [Item, Item, Item];
    line.remove(new Set([first, second]));
    expect(takeAll()).toEqual([4]);
    line.ended(second);
    expect(takeAll()).toEqual([]);
    line.ended(first);
    expect(takeAll()).toEqual([third.offset]);
  });

  it("agrees with a list, whatever happens (P-60)", () => {
    const step = fc.record({
      do: fc.constantFrom("add", "add", "take", "take", "back", "end", "skip", "remove"),
      key: fc.option(fc.constantFrom("a", "b"), { nil: undefined }),
      which: fc.nat(20),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const world = new World();
        for (const one of steps) world.step(one);
        world.finish();
      }),
      { numRuns: 2_000 },
    );
  });
});

/** A line, and beside it a list of what stands in it, and who has a key. */
class World {
  readonly #line = new Line();
  #waiting: Item[] = [];
  #out: Item[] = [];
  /** Under way elsewhere: it has ended, and comes back. */
  #skipped: Item[] = [];
  readonly #heads = new Map<string, Item>();
  #newest = 0;

  step({ do: what, key, which }: { do: string; key: string | undefined; which: number }): void {
    const out = this.#out[which % this.#out.length];
    if (what === "add") this.#add(which % 4 === 0 ? (this.#skipped.shift() ?? this.#new(key)) : this.#new(key));
    else if (what === "take") this.#take();
    else if (what === "remove") this.#remove(which);
    else if (out !== undefined) this.#return(out, what);
    must(
      this.#line.ready === this.#ready.length,
      () => `${this.#line.ready} are ready and ${this.#ready.length} should`,
    );
    for (const item of this.#waiting) {
      must(this.#line.blocks(item) !== this.#ready.includes(item), () => `${item.offset} waits for another`);
    }
  }

  finish(): void {
    while (this.#waiting.length + this.#out.length > 0) {
      this.#take();
      for (const item of [...this.#out]) this.#return(item, "end");
    }
  }

  get #ready(): readonly Item[] {
    return this.#waiting.filter((item) => item.key === undefined || this.#heads.get(item.key) === item);
  }

  #new(key: string | undefined): Item {
    return newItem(++this.#newest, { key });
  }

  #add(item: Item): void {
    this.#line.add(item);
    this.#waiting.push(item);
    this.#promote(item.key);
  }

  #take(): void {
    const oldest = this.#ready.toSorted((a, b) => a.offset - b.offset)[0];
    must(this.#line.take() === oldest, () => `${oldest?.offset} is next`);
    if (oldest === undefined) return;
    this.#waiting = this.#waiting.filter((item) => item !== oldest);
    this.#out.push(oldest);
  }

  /** One that is out is given back, ends, or ends and comes back later. */
  #return(item: Item, how: string): void {
    this.#out = this.#out.filter((one) => one !== item);
    if (how === "back") return this.#add(item);
    this.#line.ended(item);
    this.#end(item);
    if (how === "skip") this.#skipped.push(item);
  }

  #remove(which: number): void {
    const gone = this.#waiting.filter((_, i) => (which >> (i % 5)) & 1);
    this.#line.remove(new Set(gone));
    this.#waiting = this.#waiting.filter((item) => !gone.includes(item));
    this.#out.push(...gone);
  }

  #end({ key, offset }: Item): void {
    if (key === undefined || this.#heads.get(key)?.offset !== offset) return;
    this.#heads.delete(key);
    this.#promote(key);
  }

  #promote(key: string | undefined): void {
    if (key === undefined || this.#heads.has(key)) return;
    const oldest = this.#waiting.filter((item) => item.key === key).toSorted((a, b) => a.offset - b.offset)[0];
    if (oldest !== undefined) this.#heads.set(key, oldest);
  }
}
