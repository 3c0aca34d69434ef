/**
 * What every engine must do, as a test. Each engine's own test file is one call to `runEngineContract`.
 *
 * `open` opens an engine on fresh data; `reopen` opens the same data again after a close, where the engine keeps any.
 */
import type { Channel, Durability, Offset, Pattern } from "@dogear/shared";
import { afterEach, describe, expect, it } from "vitest";
import type { Batch, Budget, Draft, Log, NamespacePolicy } from "../../server/src/engine/engine.ts";
import { epochOf } from "../../server/src/engine/lineage.ts";
import { describePeers } from "./peers.ts";
import { describeRetention } from "./retention.ts";
import { describeState } from "./state.ts";
import {
  all,
  dataOf,
  draft,
  draftWithId,
  type EngineUnderTest,
  type Fixture,
  parsed,
  plenty,
  policy,
} from "./support.ts";

export interface EngineContract {
  open(): Promise<EngineUnderTest>;
  readonly durability: Durability;
  /** Whether data outlives the engine. */
  readonly keeps: boolean;
}

function numbered(producer: string, number: number, previous: number | "repeat", data: unknown = number): Draft {
  return draft("a", data, { by: "producer", producer, number, previous });
}

export function runEngineContract(name: string, contract: EngineContract): void {
  // Not skipped but left out: a skip says that something could not be tested here.
  const leftOut = () => {};
  const whereNotKept = contract.keeps ? leftOut : it;
  const describeKept = contract.keeps ? describe : leftOut;

  describe(`engine contract: ${name}`, () => {
    let current: EngineUnderTest;
    const opened = async (over: Partial<NamespacePolicy> = {}): Promise<Log> => {
      current = await contract.open();
      return current.engine.open({ ...policy, ...over });
    };
    const reopened = async (over: Partial<NamespacePolicy> = {}): Promise<Log> => {
      current = await current.reopen();
      return current.engine.open({ ...policy, ...over });
    };
    const fixture: Fixture = { opened, reopened, current: () => current };
    const append = async (log: Log, ...drafts: Draft[]) => {
      const answers = await log.append(drafts);
      return answers.map((answer) => ("refused" in answer ? answer.refused : answer.offset));
    };
    afterEach(() => current.engine.close());

    describe("health", () => {
      it("says that the log can be written, while it can", async () => {
        const log = await opened();
        expect(current.engine.health().writable).toBe(true);
        expect(await append(log, draft("a", 1))).toEqual([1]);
        expect(current.engine.health().writable).toBe(true);
      });

      it("says what the disk has left, where there is one", async () => {
        await opened();
        const { freeBytes } = current.engine.health();
        if (contract.durability === "memory") expect(freeBytes).toBeUndefined();
        else expect(freeBytes).toBeGreaterThan(0);
      });
    });

    describe("append", () => {
      it("answers each draft with the next offset, starting at 1 (G2)", async () => {
        const log = await opened();
        expect(await append(log, draft("a", 1), draft("b", 2))).toEqual([1, 2]);
        expect(await append(log, draft("a", 3))).toEqual([3]);
        expect(await log.bounds()).toEqual({ oldest: 1, newest: 3 });
      });

      it("names the durability it achieved (G14)", async () => {
        expect((await opened()).durability).toBe(contract.durability);
      });

      it("keeps payloads byte for byte (G4)", async () => {
        const log = await opened();
        const text = '{ "a":1.0, "big":12345678901234567890, "text":"\\u00e9é🎉" }';
        await log.append([
          { channel: "a" as Channel, attributes: "", data: Buffer.from(text), origin: { by: "nobody" } },
        ]);
        const { messages } = await log.read(all, 0 as Offset, plenty);
        expect(messages.bytes.toString()).toContain(`"data":${text}}`);
      });

      it("keeps attributes in wire form", async () => {
        const log = await opened();
        await log.append([draft("a", 1, { by: "nobody" }, ',"key":"kéy","headers":{"x":"1"}')]);
        const { messages } = await log.read(all, 0 as Offset, plenty);
        expect(parsed(messages)[0]).toMatchObject({ key: "kéy", headers: { x: "1" }, data: 1 });
      });

      it("keeps the order of drafts handed in by many calls at once (G6)", async () => {
        const log = await opened();
        await Promise.all(Array.from({ length: 500 }, (_, i) => log.append([draft(`c${i % 7}`, i)])));
        expect(dataOf(await log.read(all, 0 as Offset, plenty))).toEqual(Array.from({ length: 500 }, (_, i) => i));
      });

      it("never lets times decrease", async () => {
        const log = await opened();
        await log.append([draft("a", 1)]);
        current.advance(-1_000_000);
        await log.append([draft("a", 2)]);
        const [first, second] = parsed((await log.read(all, 0 as Offset, plenty)).messages);
        expect(second?.time).toBeGreaterThanOrEqual(first?.time as number);
      });

      it("takes messages of every size", async () => {
        const log = await opened();
        const sizes = [0, 1, 1_000, 65_000, 65_536, 200_000];
        await log.append(sizes.map((size) => draft("a", "x".repeat(size))));
        expect(dataOf(await log.read(all, 0 as Offset, plenty)).map((text) => (text as string).length)).toEqual(sizes);
      });
    });

    describe("read", () => {
      it("returns what matches after an offset, in order", async () => {
        const log = await opened();
        await log.append(["a.x", "b.x", "a.y", "a.$dead.g", "a"].map((channel) => draft(channel, channel)));
        const read = async (pattern: string, after = 0) =>
          dataOf(await log.read(pattern as Pattern, after as Offset, plenty));
        expect(await read("a.*")).toEqual(["a.x", "a.y"]);
        expect(await read("*.x")).toEqual(["a.x", "b.x"]);
        expect(await read(">")).toEqual(["a.x", "b.x", "a.y", "a"]);
        expect(await read("a")).toEqual(["a"]);
        expect(await read("a.$dead.g")).toEqual(["a.$dead.g"]);
        expect(await read("a.*", 1)).toEqual(["a.y"]);
        expect(await read("none")).toEqual([]);
      });

      it("says how far it read, also where nothing matched", async () => {
        const log = await opened();
        expect(await log.read(all, 0 as Offset, plenty)).toMatchObject({ through: 0, gap: undefined });
        await log.append([draft("a", 1), draft("b", 2)]);
        expect(await log.read("a" as Pattern, 0 as Offset, plenty)).toMatchObject({ through: 2 });
        expect(await log.read("none" as Pattern, 0 as Offset, plenty)).toMatchObject({ through: 2 });
      });

      it("keeps to its budget, and the pages join without loss or repeat", async () => {
        const log = await opened();
        for (let i = 0; i < 20; i++) {
          await log.append(Array.from({ length: 10 }, (_, j) => draft(j % 2 === 0 ? "even" : "odd", i * 10 + j)));
        }
        const budgets: Budget[] = [
          { ...plenty, messages: 3 },
          { ...plenty, bytes: 150 },
          { ...plenty, scan: 100 },
          { messages: 1, bytes: 1, scan: 1 },
        ];
        for (const budget of budgets) {
          const seen: unknown[] = [];
          let at = 0 as Offset;
          while (at < 200) {
            const page = await log.read("even" as Pattern, at, budget);
            expect(page.messages.length).toBeLessThanOrEqual(budget.messages);
            expect(page.through).toBeGreaterThan(at);
            seen.push(...dataOf(page));
            at = page.through;
          }
          expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => 2 * i));
        }
      });

      it("finds the few messages of one channel among many others", async () => {
        const log = await opened();
        for (let i = 0; i < 60; i++) {
          await log.append(Array.from({ length: 5 }, (_, j) => draft(i === 20 || i === 50 ? "rare" : `c${i}`, [i, j])));
        }
        const page = await log.read("rare" as Pattern, 0 as Offset, plenty);
        expect(dataOf(page)).toEqual([20, 50].flatMap((i) => [0, 1, 2, 3, 4].map((j) => [i, j])));
        expect(page.through).toBe(300);
        expect(dataOf(await log.read("rare" as Pattern, 102 as Offset, plenty)).length).toBe(8);
      });
    });

    describe("channels", () => {
      it("are listed by name, each with how many of its messages are kept", async () => {
        const log = await opened();
        await log.append(["b", "a.x", "b", "a.$dead.g"].map((channel) => draft(channel, 1)));
        const found = [
          { channel: "a.$dead.g", messages: 1 },
          { channel: "a.x", messages: 1 },
          { channel: "b", messages: 2 },
        ];
        expect(await log.channels("", 10)).toEqual(found);
        expect(await log.channels("a.$dead.g", 1)).toEqual(found.slice(1, 2));
        expect(await log.channels("b", 10)).toEqual([]);
      });
    });

    describe("follow", () => {
      it("gives everything after an offset in order, with no seam between old and new (G11)", async () => {
        const log = await opened();
        await log.append([draft("a", 1), draft("b", 2), draft("a.$dead.g", 3)]);
        const stop = new AbortController();
        const seen: unknown[] = [];
        let through = 1 as Offset;
        const following = (async () => {
          for await (const batch of log.follow(1 as Offset, stop.signal)) {
            expect(batch.after).toBe(through);
            through = (batch as Batch).through;
            seen.push(...dataOf(batch));
            if (through >= 54) return;
          }
        })();
        for (let i = 4; i < 55; i++) await log.append([draft(`c${i}`, i)]);
        await following;
        expect(seen).toEqual(Array.from({ length: 53 }, (_, i) => i + 2));
      });

      it("ends when its signal aborts", async () => {
        const log = await opened();
        const stop = new AbortController();
        const following = (async () => {
          for await (const _ of log.follow(0 as Offset, stop.signal)) throw new Error("nothing was appended");
        })();
        stop.abort();
        await following;
      });
    });

    describe("producers", () => {
      it("appends a number once, however often it is retried (G7)", async () => {
        const log = await opened();
        expect(await append(log, numbered("p", 1, 0), numbered("p", 2, 1))).toEqual([1, 2]);
        const [again] = await log.append([numbered("p", 1, "repeat")]);
        expect(again).toEqual({ offset: 1, duplicate: true });
        expect(await append(log, numbered("p", 2, 1))).toEqual([2]);
        expect((await log.bounds()).newest).toBe(2);
      });

      it("answers a repeat in the same commit as the original", async () => {
        const log = await opened();
        expect(
          await append(log, numbered("p", 1, 0), numbered("p", 1, 0), numbered("p", 2, 1), numbered("p", 1, "repeat")),
        ).toEqual([1, 1, 2, 1]);
      });

      it("finds the first result of any number, however many came after it", async () => {
        const log = await opened();
        for (let n = 1; n <= 300; n++) await log.append([numbered("p", n, n - 1), draft("other", n)]);
        for (const n of [1, 150, 299, 2]) {
          expect(await log.append([numbered("p", n, "repeat")])).toEqual([{ offset: 2 * n - 1, duplicate: true }]);
        }
      });

      it("refuses a draft whose predecessor is missing, and those after it (G6)", async () => {
        const log = await opened();
        expect(
          await append(log, numbered("p", 1, 0), numbered("p", 3, 2), numbered("p", 4, 3), numbered("p", 2, 1)),
        ).toEqual([1, "out-of-order", "out-of-order", 2]);
      });

      it("says where a number was used but its result is not known", async () => {
        const log = await opened();
        expect(await append(log, numbered("p", 1, 0), numbered("p", 5, 1))).toEqual([1, 2]);
        expect(await append(log, numbered("p", 3, "repeat"), numbered("q", 1, "repeat"))).toEqual([
          "outcome-unknown",
          "outcome-unknown",
        ]);
      });

      it("tells the last number, and forgets a producer not heard of for long", async () => {
        const log = await opened();
        await log.append([numbered("p", 1, 0), numbered("p", 2, 1)]);
        expect(await log.lastNumber("p")).toBe(2);
        expect(await log.lastNumber("q")).toBe(0);
        current.advance(policy.producerMemoryMs + 1);
        expect(await log.lastNumber("p")).toBe(0);
      });
    });

    describe("explicit ids", () => {
      const withId = (id: string, data: unknown) => draftWithId("a", data, id);

      it("appends an id once within the window (G7)", async () => {
        const log = await opened();
        expect(await log.append([withId("x", 1), withId("x", 2), withId("y", 3)])).toEqual([
          { offset: 1, duplicate: false },
          { offset: 1, duplicate: true },
          { offset: 2, duplicate: false },
        ]);
        expect(await log.append([withId("x", 4)])).toEqual([{ offset: 1, duplicate: true }]);
        current.advance(policy.deduplicationWindowMs + 1);
        expect(await log.append([withId("x", 5)])).toEqual([{ offset: 3, duplicate: false }]);
      });

      it("recognises a producer's draft by its id too, and by its number for longer", async () => {
        const log = await opened();
        const both = (number: number, previous: number, id: string) => ({ ...numbered("p", number, previous), id });
        await log.append([withId("x", 1)]);
        expect(await log.append([both(1, 0, "x"), both(2, 1, "y"), both(2, 1, "y"), both(1, 0, "x")])).toEqual([
          { offset: 1, duplicate: true },
          { offset: 2, duplicate: false },
          { offset: 2, duplicate: true },
          { offset: 1, duplicate: true },
        ]);
        current.advance(policy.deduplicationWindowMs + 1);
        expect(await log.append([both(2, 1, "y"), both(3, 2, "y")])).toEqual([
          { offset: 2, duplicate: true },
          { offset: 3, duplicate: false },
        ]);
      });

      it("goes on behind a producer's draft that was alone, and had been published under its id before", async () => {
        const log = await opened();
        await log.append([withId("x", 1)]);
        expect(await log.append([{ ...numbered("p", 1, 0), id: "x" }])).toEqual([{ offset: 1, duplicate: true }]);
        expect(await log.append([numbered("p", 2, 1)])).toEqual([{ offset: 2, duplicate: false }]);
      });

      it("answers a number that has no message of its own with that of its id, also where the one before it has one", async () => {
        const log = await opened();
        await log.append([numbered("p", 1, 0)]);
        await log.append([withId("x", 1)]);
        const second = { ...numbered("p", 2, 1), id: "x" };
        expect(await log.append([second])).toEqual([{ offset: 2, duplicate: true }]);
        expect(await log.append([second])).toEqual([{ offset: 2, duplicate: true }]);
        expect(await log.append([numbered("p", 3, 2)])).toEqual([{ offset: 3, duplicate: false }]);
      });

      it("forgets the oldest id where there are too many", async () => {
        const log = await opened({ deduplicationIdsMax: 2 });
        await log.append([withId("x", 1), withId("y", 1), withId("z", 1)]);
        expect(await append(log, withId("z", 2), withId("x", 2))).toEqual([3, 4]);
      });
    });

    describe("offsetAt", () => {
      it("finds the last offset before a time", async () => {
        const log = await opened();
        const times: number[] = [];
        for (let i = 0; i < 10; i++) {
          await log.append([draft("a", i), draft("a", i)]);
          times.push(parsed((await log.read(all, (2 * i) as Offset, plenty)).messages)[0]?.time as number);
          current.advance(1_000);
        }
        for (let i = 0; i < 10; i++) expect(await log.offsetAt(times[i] as number)).toBe(2 * i);
        expect(await log.offsetAt(0)).toBe(0);
        expect(await log.offsetAt((times[9] as number) + 1)).toBe(20);
      });
    });

    describe("count", () => {
      const counted = (log: Log, pattern: string, after = 0) => log.count(pattern as Pattern, after as Offset);

      it("counts what matches after an offset, as reading would", async () => {
        const log = await opened();
        expect(await counted(log, ">")).toBe(0);
        for (let i = 0; i < 30; i++) {
          await log.append(
            Array.from({ length: 1 + (i % 4) }, (_, j) =>
              draft(["a.x", "a.y", "b", "a.$dead.g"][(i + j) % 4] as string, j),
            ),
          );
        }
        const { newest } = await log.bounds();
        for (const pattern of [">", "a.*", "b", "*.y", "a.$dead.g", "none"]) {
          for (const after of [0, 1, 2, 3, 17, 18, 19, 20, newest - 1, newest, newest + 5]) {
            const page = await log.read(pattern as Pattern, after as Offset, plenty);
            expect([pattern, after, await counted(log, pattern, after)]).toEqual([
              pattern,
              after,
              page.messages.length,
            ]);
          }
        }
      });

      it("sees the same newest message in counts that are asked for at once", async () => {
        const log = await opened();
        await log.append([draft("a", 1), draft("a", 2), draft("a", 3)]);
        const appending = log.append([draft("a", 4)]);
        const [all3, after2] = await Promise.all([counted(log, "a"), counted(log, "a", 2)]);
        expect(all3 - after2).toBe(2);
        await appending;
        expect(await counted(log, "a")).toBe(4);
      });
    });

    describeRetention(fixture, contract.keeps);

    describeKept("after a restart", () => {
      it("keeps messages, offsets and epoch (G1, G2)", async () => {
        const before = await opened();
        await before.append([draft("a", 1), draft("b", 2)]);
        const epoch = epochOf(before.lineage);
        const log = await reopened();
        expect(epochOf(log.lineage)).toBe(epoch);
        expect(dataOf(await log.read(all, 0 as Offset, plenty))).toEqual([1, 2]);
        expect(dataOf(await log.read("b" as Pattern, 0 as Offset, plenty))).toEqual([2]);
        expect(await append(log, draft("a", 3))).toEqual([3]);
      });

      it("still recognises producers and ids (G7)", async () => {
        const before = await opened();
        await before.append([numbered("p", 1, 0), numbered("p", 2, 1), draftWithId("a", 1, "x")]);
        const log = await reopened();
        expect(await log.lastNumber("p")).toBe(2);
        expect(await append(log, numbered("p", 1, "repeat"), numbered("p", 2, 1), numbered("p", 3, 2))).toEqual([
          1, 2, 4,
        ]);
        expect(await append(log, draftWithId("a", 1, "x"))).toEqual([3]);
      });
    });

    whereNotKept("begins a new epoch each time it is opened", async () => {
      const epoch = epochOf((await opened()).lineage);
      expect(epochOf((await reopened()).lineage)).not.toBe(epoch);
    });

    it("keeps namespaces apart", async () => {
      const log = await opened();
      const other = await current.engine.open({ ...policy, namespace: "other" });
      await log.append([draft("a", 1)]);
      expect(await append(other, draft("other.a", 2))).toEqual([1]);
      expect(dataOf(await other.read("other.>" as Pattern, 0 as Offset, plenty))).toEqual([2]);
    });

    it("keeps a namespace in memory where its policy says so", async () => {
      const log = await opened({ durability: "memory" });
      expect(log.durability).toBe("memory");
      await log.append([draft("a", 1)]);
      expect(dataOf(await (await reopened({ durability: "memory" })).read(all, 0 as Offset, plenty))).toEqual([]);
    });

    describeState(fixture, contract.keeps);

    describePeers(fixture);
  });
}
