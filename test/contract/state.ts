/** The part of the engine contract about the state store. */
import { describe, expect, it } from "vitest";
import type { Change, State } from "../../server/src/engine/engine.ts";
import { Collected } from "../support/waiting.ts";
import type { Fixture } from "./support.ts";

const bytes = (text: string) => Buffer.from(text);
const put = (key: string, text: string, version = 0): Change => ({ key, value: bytes(text), version });
const remove = (key: string, version = 0): Change => ({ key, value: undefined, version });

/** What is stored under some keys. */
async function stored(state: State, ...keys: string[]): Promise<unknown[]> {
  const entries = await Promise.all(keys.map((key) => state.get(key)));
  return entries.map((entry) => entry && Buffer.from(entry.value).toString());
}

export function describeState({ opened, reopened, current }: Fixture, keeps: boolean): void {
  const whereKept = keeps ? it : () => {};
  const openedState = async (): Promise<State> => {
    await opened();
    return current().engine.state;
  };
  const reopenedState = async (): Promise<State> => {
    await reopened();
    return current().engine.state;
  };

  describe("state", () => {
    it("stores a record only over the version it was given", async () => {
      const state = await openedState();
      expect(await state.get("k")).toBeUndefined();
      const first = (await state.put("k", bytes("one"), 0)) as number;
      expect(await state.put("k", bytes("late"), 0)).toBeUndefined();
      const second = (await state.put("k", bytes("two"), first)) as number;
      expect(await state.put("k", bytes("late"), first)).toBeUndefined();
      const entry = await state.get("k");
      expect([await stored(state, "k"), entry?.version]).toEqual([["two"], second]);
    });

    it("lists records by prefix, in order, a page at a time", async () => {
      const state = await openedState();
      const keys = ["b/1", "a/2", "a/3", "a/1", "a/11", "a", "a0", "c"];
      for (const key of keys) await state.put(key, bytes(key), 0);
      const listed = async (...page: Parameters<State["list"]>) => (await state.list(...page)).map(({ key }) => key);
      expect(await listed("a/")).toEqual(["a/1", "a/11", "a/2", "a/3"]);
      expect(await listed("a/", "a/11")).toEqual(["a/2", "a/3"]);
      expect(await listed("a/", "a/12")).toEqual(["a/2", "a/3"]);
      expect(await listed("a/", "", 2)).toEqual(["a/1", "a/11"]);
      expect(await listed("a/", "a/1", 2)).toEqual(["a/11", "a/2"]);
      expect(await listed("a/", "a/3", 2)).toEqual([]);
      expect(await listed("a/", "b")).toEqual([]);
      expect(await listed("a/", "a/1", Number.MAX_SAFE_INTEGER)).toEqual(["a/11", "a/2", "a/3"]);
      expect(await listed("")).toEqual([...keys].sort());
      const [entry] = await state.list("a/1", "a/1", 1);
      expect(entry).toEqual({ key: "a/11", ...(await state.get("a/11")) });
    });

    it("changes several records together, each over its version", async () => {
      const state = await openedState();
      const first = (await state.putAll([put("a", "1"), put("b", "1"), remove("none")])) as number[];
      expect(first[2]).toBe(0);
      const [a, b] = first as [number, number];
      const second = (await state.putAll([put("c", "2"), remove("a", a), put("b", "2", b)])) as number[];
      expect(await stored(state, "a", "b", "c")).toEqual([undefined, "2", "2"]);
      expect(second).toEqual([(await state.get("c"))?.version, 0, (await state.get("b"))?.version]);
      expect(await state.putAll([])).toEqual([]);
    });

    it("changes at most the first ones where another has a version that was not expected", async () => {
      const state = await openedState();
      const [a] = (await state.putAll([put("a", "1"), put("b", "1")])) as [number, number];
      const late: Change[][] = [
        [put("a", "late", a), put("b", "late"), put("c", "late")],
        [put("a", "late", a), remove("b"), put("c", "late")],
        [put("a", "late", a), remove("none", 7), put("c", "late")],
      ];
      for (const changes of late) expect(await state.putAll(changes)).toBeUndefined();
      expect(await stored(state, "b", "c")).toEqual(["1", undefined]);
    });

    it("keeps the order of calls that wait for the same flush", async () => {
      const state = await openedState();
      const answers = await Promise.all([
        state.putAll([put("a", "1"), put("b", "1")]),
        state.putAll([put("c", "2"), put("a", "2")]),
        state.put("d", bytes("3"), 0),
        state.putAll([remove("a")]),
        state.put("c", bytes("5"), 0),
      ]);
      expect(answers.map((answer) => answer !== undefined)).toEqual([true, false, true, false, true]);
      expect(await stored(state, "a", "b", "c", "d")).toEqual(["1", "1", "5", "3"]);
    });

    it("never gives a record a version that somebody may remember", async () => {
      const state = await openedState();
      const versions: number[] = [];
      for (let i = 0; i < 5; i++) {
        versions.push((await state.put("k", bytes("one"), 0)) as number);
        versions.push((await state.put("k", bytes("two"), versions.at(-1) as number)) as number);
        expect(await state.putAll([remove("k", versions.at(-1) as number)])).toEqual([0]);
      }
      expect(new Set(versions).size).toBe(10);
      await state.put("k", bytes("new"), 0);
      for (const version of versions) expect(await state.put("k", bytes("late"), version)).toBeUndefined();
    });

    it("refuses what could never be stored", async () => {
      const state = await openedState();
      await expect(state.putAll([put("a", "1"), remove("a")])).rejects.toThrow(/twice/);
      for (const key of ["", "é", "a\n", "x".repeat(2_000)]) {
        await expect(state.putAll([put("b", "1"), put(key, "1")])).rejects.toThrow(/key/);
      }
      expect(await stored(state, "a", "b")).toEqual([undefined, undefined]);
    });

    it("takes records of every size", async () => {
      const state = await openedState();
      const sizes = [0, 1, 1_000, 8_000, 100_000];
      await state.putAll(sizes.map((size) => put(`k${size}`, "x".repeat(size))));
      const values = await Promise.all(sizes.map((size) => state.get(`k${size}`)));
      expect(values.map((entry) => entry?.value.length)).toEqual(sizes);
    });

    it("tells who watches what records are, and what becomes of them", async () => {
      const state = await openedState();
      const stop = new AbortController();
      const before = (await state.put("w/old", bytes("1"), 0)) as number;
      await state.put("x/other", bytes("1"), 0);
      const seen = new Collected<unknown>();
      const watching = (async () => {
        for await (const { key, value, version } of state.watch("w/", stop.signal)) {
          seen.add([key, value && Buffer.from(value).toString(), version]);
        }
      })();
      await seen.reach(1);
      const after = (await state.put("w/new", bytes("2"), 0)) as number;
      await seen.reach(2);
      const changed = (await state.put("w/old", bytes("3"), before)) as number;
      await seen.reach(3);
      await state.putAll([remove("w/old", changed), put("x/other2", "2")]);
      await seen.reach(4);
      stop.abort();
      await watching;
      expect(seen.items).toEqual([
        ["w/old", "1", before],
        ["w/new", "2", after],
        ["w/old", "3", changed],
        ["w/old", undefined, 0],
      ]);
    });

    whereKept("keeps records over a restart, and how far versions have come", async () => {
      const before = await openedState();
      const [version, removed] = (await before.putAll([put("k", "kept"), put("gone", "1")])) as [number, number];
      await before.putAll([remove("gone", removed)]);
      const state = await reopenedState();
      expect([await stored(state, "k"), (await state.get("k"))?.version]).toEqual([["kept"], version]);
      expect(await state.put("gone", bytes("again"), 0)).toBeGreaterThan(removed);
      expect(await state.put("gone", bytes("late"), removed)).toBeUndefined();
    });
  });
}
