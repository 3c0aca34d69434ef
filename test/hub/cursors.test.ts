/** Cursors over a state that is slow and fails, under a clock that is moved by hand. */
import type { Epoch, Offset, Pattern, Position } from "@dogear/shared";
import { beforeEach, describe, expect, it } from "vitest";
import type { State } from "../../server/src/engine/engine.ts";
import { MemoryState } from "../../server/src/engine/memory/memory-state.ts";
import { type Cursor, Cursors } from "../../server/src/hub/cursors.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { settled, VirtualClock } from "./support.ts";

const name = { user: "u", subscriber: "s", pattern: "a.>" as Pattern };

/** A state whose puts are counted, and can be held up or made to fail. */
class SlowState implements State {
  readonly beneath = new MemoryState();
  readonly puts: string[] = [];
  failing = false;
  /** The first of the puts that fail, by their number. */
  failingFrom = Number.POSITIVE_INFINITY;
  /** What is put is stored, and its answer is lost. */
  losing = false;
  #gate: Promise<void> = Promise.resolve();

  /** Holds every put from now on, until the function returned is called. */
  hold(): () => Promise<void> {
    let open: () => void = () => {};
    this.#gate = new Promise((resolve) => {
      open = resolve;
    });
    return async () => {
      open();
      await settled();
    };
  }

  get: State["get"] = (key) => this.beneath.get(key);
  list: State["list"] = (...range) => this.beneath.list(...range);
  watch: State["watch"] = (...watch) => this.beneath.watch(...watch);
  putAll: State["putAll"] = (changes) => this.beneath.putAll(changes);

  async put(key: string, value: Uint8Array, version: number): Promise<number | undefined> {
    const number = this.puts.push(Buffer.from(value).toString());
    await this.#gate;
    if (this.failing || number >= this.failingFrom) throw new Error("the disk is full");
    const stored = await this.beneath.put(key, value, version);
    if (this.losing) throw new Error("nobody answers");
    return stored;
  }
}

let clock: VirtualClock;
let state: SlowState;
let cursors: Cursors;

beforeEach(() => {
  clock = new VirtualClock();
  state = new SlowState();
  cursors = new Cursors(state, { clock, logger: silentLogger });
});

describe("a claim", () => {
  it("resolves once the cursor is stored (P-35)", async () => {
    const open = state.hold();
    let claimed = false;
    const claiming = claim(5).then((cursor) => {
      claimed = true;
      return cursor;
    });
    await settled();
    expect(claimed).toBe(false);
    await open();
    expect((await claiming).start).toEqual(at(5));
    expect(await stored()).toMatchObject({ offset: 5 });
  });

  it("starts where the cursor is stored, unless it is a reset (P-34)", async () => {
    await claim(5);
    expect((await claim(9)).start).toEqual(at(5));
    expect((await claim(2, { reset: true })).start).toEqual(at(2));
    expect((await claim(9)).start).toEqual(at(2));
  });

  it("raises the fence each time (P-41)", async () => {
    const fences: number[] = [];
    for (const reset of [false, false, true]) {
      await claim(5, { reset });
      fences.push((await stored()).fence);
    }
    expect(fences).toEqual([1, 2, 3]);
  });

  it("starts at what was acknowledged and is not stored yet (P-41)", async () => {
    const first = await claim(5);
    first.commit(at(8));
    expect((await claim(0)).start).toEqual(at(8));
    expect(await stored()).toMatchObject({ offset: 8 });
  });

  it("ends the holder before, whose later acknowledgements are ignored (P-41)", async () => {
    let told = 0;
    const first = await claim(5, { takenOver: () => told++ });
    const second = await claim(0);
    expect(told).toBe(1);
    first.commit(at(50));
    first.release();
    await clock.advance(1_000);
    expect(await stored()).toMatchObject({ offset: 5 });
    second.commit(at(7));
    await clock.advance(1_000);
    expect(await stored()).toMatchObject({ offset: 7 });
    expect(told).toBe(1);
  });

  it("over a connection that its client has given up comes too late, also on another hub (P-41)", async () => {
    let told = 0;
    const second = await claim(5, { connection: 2, takenOver: () => told++ });
    const elsewhere = new Cursors(state, { clock, logger: silentLogger });
    for (const there of [cursors, elsewhere])
      await expect(claim(5, { connection: 1, cursors: there })).rejects.toMatchObject({ code: "taken-over" });
    second.commit(at(8));
    await clock.advance(1_000);
    expect([told, (await stored()).offset]).toEqual([0, 8]);
    await claim(5, { connection: 3 });
    expect(told).toBe(1);
  });

  it("of several at once leaves one holder, and tells each of the others (P-41)", async () => {
    const told: number[] = [];
    const claims = [1, 2, 3, 4].map((i) => claim(5, { takenOver: () => told.push(i) }));
    const [one, two, three, four] = (await Promise.all(claims)) as [Cursor, Cursor, Cursor, Cursor];
    expect(told).toEqual([1, 2, 3]);
    for (const [i, cursor] of [four, three, two, one].entries()) cursor.commit(at(10 + i));
    await clock.advance(1_000);
    expect(await stored()).toMatchObject({ offset: 10, fence: 4 });
  });

  it("while an acknowledgement is being stored loses neither (P-40, P-41)", async () => {
    const first = await claim(5);
    first.commit(at(8));
    const open = state.hold();
    await clock.advance(250);
    // The flush is on its way now; and one more acknowledgement came after it began.
    first.commit(at(9));
    const claiming = claim(0);
    await settled();
    await open();
    const second = await claiming;
    expect(second.start).toEqual(at(9));
    second.commit(at(12));
    await clock.advance(1_000);
    expect(await stored()).toMatchObject({ offset: 12, fence: 2 });
  });

  it("tells no position that a crash would take back (G9)", async () => {
    const first = await claim(5);
    const open = state.hold();
    const claiming = claim(0);
    await settled();
    // The holder before acknowledges while it is being replaced.
    first.commit(at(8));
    await open();
    const second = await claiming;
    expect(await stored()).toMatchObject(second.start);
    expect(second.start).toEqual(at(8));
  });

  it("whose position cannot be stored fails, and leaves the cursor to nobody (P-41)", async () => {
    const first = await claim(5);
    const open = state.hold();
    let told = 0;
    const claiming = claim(0, { takenOver: () => told++ });
    await settled();
    first.commit(at(8));
    state.failingFrom = state.puts.length + 1;
    const failed = expect(claiming).rejects.toThrow("the disk is full");
    await open();
    await failed;
    state.failingFrom = Number.POSITIVE_INFINITY;
    expect((await claim(0)).start).toEqual(at(8));
    expect(told).toBe(0);
  });

  it("after a release that is not stored yet goes on from there (P-40)", async () => {
    const first = await claim(5);
    first.commit(at(8));
    const open = state.hold();
    await clock.advance(250);
    first.release();
    const claiming = claim(0);
    await settled();
    await open();
    expect((await claiming).start).toEqual(at(8));
  });

  it("that cannot be stored fails, and the next one does not find it in its way (P-35)", async () => {
    state.failing = true;
    await expect(claim(5)).rejects.toThrow("the disk is full");
    state.failing = false;
    expect((await claim(6)).start).toEqual(at(6));
  });

  it("that cannot be stored leaves the holder before where it is (P-41)", async () => {
    let told = 0;
    const first = await claim(5, { takenOver: () => told++ });
    state.failing = true;
    await expect(claim(0)).rejects.toThrow("the disk is full");
    state.failing = false;
    expect(told).toBe(0);
    first.commit(at(8));
    await clock.advance(1_000);
    expect(await stored()).toMatchObject({ offset: 8 });
  });

  it("that another hub won meanwhile is tried again (P-41)", async () => {
    await claim(5);
    const other = new Cursors(state, { clock, logger: silentLogger });
    let told = 0;
    const theirs = await claim(0, { takenOver: () => told++, cursors: other });
    expect(theirs.start).toEqual(at(5));
    theirs.commit(at(9));
    await clock.advance(1_000);
    expect((await claim(0)).start).toEqual(at(9));
    theirs.commit(at(20));
    await clock.advance(1_000);
    expect(told).toBe(1);
    expect(await stored()).toMatchObject({ offset: 9, fence: 3 });
  });
});

describe("what is acknowledged", () => {
  it("is stored within a second, much of it at once (P-40)", async () => {
    const cursor = await claim(0);
    const before = state.puts.length;
    for (let offset = 1; offset <= 1_000; offset++) cursor.commit(at(offset));
    await clock.advance(1_000);
    expect(state.puts).toHaveLength(before + 1);
    expect(await stored()).toMatchObject({ offset: 1_000 });
  });

  it("never moves back (P-39, P-40)", async () => {
    const cursor = await claim(5);
    for (const offset of [9, 7, 0, 9, 8]) cursor.commit(at(offset));
    await clock.advance(1_000);
    cursor.commit(at(3));
    await clock.advance(1_000);
    expect(await stored()).toMatchObject({ offset: 9 });
  });

  it("is stored at once by a flush, also what came while another was under way (P-16, P-40)", async () => {
    const cursor = await claim(0);
    cursor.commit(at(3));
    const open = state.hold();
    await clock.advance(250);
    cursor.commit(at(4));
    const flushed = cursors.flush();
    await open();
    await flushed;
    expect(await stored()).toMatchObject({ offset: 4 });
  });

  it("is nobody else's although the answer was lost that it is stored", async () => {
    let taken = 0;
    const cursor = await claim(0, { takenOver: () => void taken++ });
    cursor.commit(at(3));
    state.losing = true;
    await clock.advance(250);
    state.losing = false;
    cursor.commit(at(5));
    await clock.advance(2_000);
    expect(taken).toBe(0);
    expect(await stored()).toMatchObject({ offset: 5 });
  });

  it("is stored after its holder is gone (P-40)", async () => {
    const cursor = await claim(0);
    cursor.commit(at(3));
    cursor.release();
    cursor.commit(at(9));
    await clock.advance(1_000);
    expect(await stored()).toMatchObject({ offset: 3 });
  });

  it("is stored later where it could not be stored now (P-40)", async () => {
    const cursor = await claim(0);
    state.failing = true;
    cursor.commit(at(3));
    await clock.advance(1_000);
    expect(await stored()).toMatchObject({ offset: 0 });
    state.failing = false;
    await clock.advance(1_000);
    expect(await stored()).toMatchObject({ offset: 3 });
  });

  it("costs no more puts than it moves, and none when it does not move", async () => {
    const cursor = await claim(0);
    await clock.advance(10_000);
    expect(state.puts).toHaveLength(1);
    for (let i = 1; i <= 3; i++) {
      cursor.commit(at(i));
      await clock.advance(10_000);
    }
    expect(state.puts).toHaveLength(4);
  });
});

function claim(
  offset: number,
  {
    reset = false,
    takenOver = () => {},
    cursors: there = cursors,
    connection,
  }: { reset?: boolean; takenOver?: () => void; cursors?: Cursors; connection?: number } = {},
): Promise<Cursor> {
  const by = connection === undefined ? undefined : { client: "c", connection };
  return there.claim(name, { reset, takenOver, by, why: "taken-over", start: async () => at(offset) });
}

function at(offset: number): Position {
  return { epoch: "k1" as Epoch, offset: offset as Offset };
}

async function stored(): Promise<{ readonly offset: number; readonly fence: number }> {
  const [entry] = await state.beneath.list("cursor/");
  return JSON.parse(Buffer.from(entry?.value ?? []).toString()) as { offset: number; fence: number };
}
