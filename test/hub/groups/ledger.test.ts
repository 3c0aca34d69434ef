/** What is not finished, kept in a store that is slow, fails, and loses the end of what it was told. */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { Ledger, LedgerLostError } from "../../../server/src/hub/ledger.ts";
import { type Entry, format, type Head, keys, LedgerWorld } from "./ledger-world.ts";
import { type Call, failure, HeldState, soon } from "./store.ts";
import { at } from "./support.ts";

let state: HeldState;
let ledger: Ledger<Head, Entry>;

beforeEach(async () => {
  state = new HeldState();
  ledger = Ledger.begin(state, keys, format, { tick: 0 });
  await flushed();
});

const put = (offset: number, value = 1) => ledger.put({ offset: at(offset), value });

function call(): Call {
  const [first] = state.calls;
  if (first === undefined) throw new Error("Nothing is on its way to the store.");
  return first;
}

async function flushed(): Promise<void> {
  const flush = ledger.flush();
  await soon();
  call().store();
  await flush;
}

/** What a fresh hub finds: offsets and values. */
async function found(): Promise<readonly (readonly [number, number])[] | undefined> {
  const loaded = await Ledger.load(state.copy(), keys, format);
  return loaded && [...loaded.entries()].map(({ offset, value }) => [offset, value] as const).sort(([a], [b]) => a - b);
}

describe("a ledger", () => {
  it("is there from its first flush on", async () => {
    state = new HeldState();
    ledger = Ledger.begin(state, keys, format, { tick: 0 });
    expect([ledger.isDirty, await found()]).toEqual([true, undefined]);
    await flushed();
    expect(await found()).toEqual([]);
  });

  it("is found again as it was stored", async () => {
    for (const offset of [1, 255, 256, 1_000]) put(offset, offset);
    ledger.head.tick = 7;
    await flushed();
    expect(await found()).toEqual([1, 255, 256, 1_000].map((offset) => [offset, offset]));
    expect((await Ledger.load(state.copy(), keys, format))?.head).toEqual({ tick: 7 });
  });

  it("stores the pages that changed, and the head after them", async () => {
    for (const offset of [1, 300, 600]) put(offset);
    await flushed();
    put(301);
    void ledger.flush();
    expect(call().changes.map(({ key }) => key)).toEqual([`${keys.pages}1`, keys.head]);
  });

  it("removes a page of which nothing is left", async () => {
    put(1);
    put(300);
    await flushed();
    ledger.remove(at(1));
    await flushed();
    expect(state.keys).toEqual([`${keys.pages}1`, keys.head]);
    put(1, 2);
    await flushed();
    expect(await found()).toEqual([
      [1, 2],
      [300, 1],
    ]);
  });

  it("has nothing to flush where nothing changed, nor where what is removed is not there", async () => {
    ledger.remove(at(5));
    expect(ledger.isDirty).toBe(false);
    await ledger.flush();
    expect(state.calls).toEqual([]);
  });

  it("stores what happens during a flush with the next one, which all who ask meanwhile share", async () => {
    put(1, 1);
    const first = ledger.flush();
    put(1, 2);
    const next = [ledger.flush(), ledger.flush()];
    call().store();
    await first;
    expect(await found()).toEqual([[1, 1]]);
    await soon();
    expect(state.calls.length).toBe(1);
    call().store();
    await Promise.all(next);
    expect(await found()).toEqual([[1, 2]]);
  });

  it("has one flush on its way at a time, also where those who waited for one ask at once for another", async () => {
    const again = async (value: number): Promise<void> => {
      await first;
      put(1, value);
      const flush = ledger.flush();
      if (value < 9) put(2, value);
      await flush;
    };
    put(1);
    const first = ledger.flush();
    const waiting = [again(2), ledger.flush(), again(3), again(9)];
    while (state.calls.length > 0) {
      expect(state.calls.length).toBe(1);
      call().store();
      await soon();
    }
    await Promise.all(waiting);
    expect(await found()).toEqual([
      [1, 9],
      [2, 3],
    ]);
  });

  it("stores with the next flush what one could not", async () => {
    put(1);
    const failing = ledger.flush();
    call().fail();
    await expect(failing).rejects.toBe(failure);
    expect([ledger.isDirty, await found()]).toEqual([true, []]);
    await flushed();
    expect(await found()).toEqual([[1, 1]]);
  });

  it("brings its head up to date before each flush", async () => {
    ledger.onFlush((head) => {
      head.tick++;
    });
    for (const _ of [1, 2]) {
      ledger.touch();
      await flushed();
    }
    expect((await Ledger.load(state.copy(), keys, format))?.head).toEqual({ tick: 2 });
  });

  it("is lost where another hub has loaded it: nothing of it is stored any more", async () => {
    put(1);
    await flushed();
    const other = await Ledger.load(state, keys, format);
    put(2);
    const lost = ledger.flush();
    call().store();
    await expect(lost).rejects.toBeInstanceOf(LedgerLostError);
    expect([...(other?.entries() ?? [])].map(({ offset }) => offset)).toEqual([1]);
  });

  it("stays lost: whoever waits for the next flush is not told that it was stored", async () => {
    put(1);
    const lost = ledger.flush();
    const next = ledger.flush();
    const other = await Ledger.load(state, keys, format);
    call().store();
    await expect(lost).rejects.toBeInstanceOf(LedgerLostError);
    await expect(next).rejects.toBeInstanceOf(LedgerLostError);
    await expect(ledger.flush()).rejects.toBeInstanceOf(LedgerLostError);
    expect([...(other?.entries() ?? [])]).toEqual([]);
  });

  it("is lost where another hub has written to it", async () => {
    const other = (await Ledger.load(state, keys, format)) as Ledger<Head, Entry>;
    other.touch();
    const flush = other.flush();
    call().store();
    await flush;
    put(1);
    const lost = ledger.flush();
    call().store();
    await expect(lost).rejects.toBeInstanceOf(LedgerLostError);
  });
});

describe("clearing a ledger", () => {
  it("stores the head first: entries that are too many do less harm than entries that are missing", async () => {
    for (const offset of [1, 300]) put(offset);
    await flushed();
    ledger.head.tick = 9;
    ledger.clear();
    put(300, 2);
    void ledger.flush();
    expect(call().changes[0]?.key).toBe(keys.head);
    call().store();
    await soon();
    expect(await found()).toEqual([[300, 2]]);
  });

  it("stores the head first also when it is tried again", async () => {
    put(1);
    await flushed();
    ledger.clear();
    const failing = ledger.flush();
    call().fail();
    await expect(failing).rejects.toBe(failure);
    void ledger.flush();
    expect(call().changes[0]?.key).toBe(keys.head);
  });
});

describe("erasing a ledger", () => {
  it("leaves nothing", async () => {
    for (const offset of [1, 300]) put(offset);
    await flushed();
    const erased = ledger.erase();
    await soon();
    call().store();
    await erased;
    expect(state.keys).toEqual([]);
  });

  it("comes after every flush that was asked for", async () => {
    put(1);
    const flushes = [ledger.flush()];
    put(2);
    flushes.push(ledger.flush());
    const erased = ledger.erase();
    for (let turn = 0; turn < 5; turn++) {
      await soon();
      expect(state.calls.length).toBeLessThan(2);
      state.calls[0]?.store();
    }
    await Promise.all([...flushes, erased]);
    expect(state.keys).toEqual([]);
  });

  it("is enough where a crash kept only its beginning: one begun in its place has nothing of it", async () => {
    put(1);
    await flushed();
    void ledger.erase();
    await soon();
    call().crash(1);
    expect(await found()).toBeUndefined();
    ledger = Ledger.begin(state, keys, format, { tick: 0 });
    put(2);
    await flushed();
    expect(await found()).toEqual([[2, 1]]);
  });
});

describe("a ledger in a store that fails and crashes", () => {
  it("has everything that was flushed, nothing that was removed, and no head before its pages", async () => {
    const offset = fc.constantFrom(1, 2, 255, 256, 300, 700);
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant("put" as const), offset }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant("remove" as const), offset }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("touch" as const, "clear" as const) }) },
      {
        weight: 5,
        arbitrary: fc.record({ do: fc.constant("flush" as const), next: fc.array(offset, { maxLength: 2 }) }),
      },
      { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("store" as const, "store" as const, "fail" as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const), kept: fc.nat(5) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: "max" }), async (steps) => {
        const world = new LedgerWorld();
        for (const one of steps) await world.step(one);
        await world.finish();
      }),
      { numRuns: 1_500 },
    );
  });
});
