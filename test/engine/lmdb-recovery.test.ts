/** What the LMDB engine makes of data that something happened to. */
import { cpSync, existsSync, mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Offset, Pattern } from "@dogear/shared";
import { expect, it, onTestFinished, vi } from "vitest";
import type { Log } from "../../server/src/engine/engine.ts";
import { epochOf, locate } from "../../server/src/engine/lineage.ts";
import { Catalog } from "../../server/src/engine/lmdb/catalog.ts";
import { draft, draftWithId, parsed } from "../contract/support.ts";
import { temporaryFolder } from "../support/temp.ts";
import {
  all,
  chunkOf,
  cutAt,
  dataIn,
  fileOf,
  fill,
  flipBit,
  folderOf,
  overwrite,
  plenty,
  segmentsOf,
  small,
  withLog,
} from "./support.ts";

it("cuts off an end it cannot read, says so, and goes on under a new epoch (G1, G2)", async () => {
  const data = temporaryFolder();
  let before = "";
  await withLog(data, async (log) => {
    before = epochOf(log.lineage);
    for (let i = 1; i <= 5; i++) await log.append([draft("a", i)]);
  });
  flipBit(data, 1, 5);
  const events = await withLog(data, async (log) => {
    expect(epochOf(log.lineage)).not.toBe(before);
    expect((await dataIn(log)).data).toEqual([1, 2, 3, 4]);
    expect(await log.append([draft("a", "new")])).toEqual([{ offset: 5, duplicate: false }]);
    const bounds = await log.bounds();
    const from = (offset: number) => locate(log.lineage, bounds, { epoch: before as never, offset: offset as Offset });
    expect(from(4)).toEqual({ offset: 4, gap: undefined });
    expect(from(5)).toEqual({ offset: 4, gap: { from: 4, to: null, reason: "epoch" } });
  });
  expect(events).toContain("log.cut");
  expect(await withLog(data, async (log) => expect(log.lineage.length).toBe(2))).not.toContain("log.cut");
  expect(existsSync(join(folderOf(data, 1), "damaged-5"))).toBe(true);
});

it("tells a hole in the middle as a gap and keeps what follows (G5)", async () => {
  const data = temporaryFolder();
  await withLog(data, async (log) => {
    for (let i = 1; i <= 5; i++) await log.append([draft("a", i), draft("b", -i)]);
  });
  flipBit(data, 1, 5);
  const events = await withLog(data, async (log) => {
    expect(log.lineage.length).toBe(1);
    expect(await dataIn(log)).toEqual({ data: [1, -1, 2, -2], gap: undefined, through: 4 });
    expect(await dataIn(log, 4)).toEqual({
      data: [4, -4, 5, -5],
      gap: { from: 4, to: 6, reason: "corruption" },
      through: 10,
    });
  });
  expect(events).toContain("log.corrupt");
});

it.each([
  ["short", 3],
  ["long", "x".repeat(2_000)],
])(
  "goes on where a crash left a %s commit unfinished, wherever it broke off, and nobody's position changes (G1, G2)",
  async (_, third) => {
    const original = temporaryFolder();
    // After a crash within a second nobody remembers how far the log went.
    const watermark = vi.spyOn(Catalog.prototype, "storeWatermark").mockResolvedValue();
    onTestFinished(() => watermark.mockRestore());
    await withLog(original, async (log) => {
      for (const data of [1, 2, third]) await log.append([draft("a", data)]);
    });
    const { start, end } = chunkOf(original, 1, 3);
    const sectors = Array.from({ length: Math.ceil(end / 512) }, (_, i) => 512 * i).filter((at) => at + 512 > start);
    const zero = (file: string, from: number, to: number): void => {
      const [first, last] = [Math.max(from, start), Math.min(to, end)];
      overwrite(file, first, (bytes) => bytes.fill(0), last - first);
    };
    const leftovers = [
      ...Array.from({ length: end - start - 1 }, (_, i) => start + 1 + i)
        .filter((size) => size < start + 30 || size % 97 === 0)
        .map((size) => (file: string) => truncateSync(file, size)),
      ...sectors.map((at) => (file: string) => zero(file, at, end)),
      // All that a process wrote before it was killed.
      ...[1, 10, 20, 21, 100, end - start - 1].map((length) => (file: string) => zero(file, start + length, end)),
      ...sectors.map((at) => (file: string) => zero(file, at, at + 512)),
    ];
    for (const leave of leftovers) {
      const data = temporaryFolder();
      cpSync(original, data, { recursive: true });
      leave(fileOf(data, 1));
      const events = await withLog(data, async (log) => {
        expect((await dataIn(log)).data).toEqual([1, 2]);
        expect(log.lineage.length).toBe(1);
        expect(await log.append([draft("a", "new")])).toEqual([{ offset: 3, duplicate: false }]);
      });
      // Where nothing of it was written there is nothing to say.
      expect(events.filter((event) => event !== "log.unfinished")).toEqual([]);
      const later = await withLog(data, async (log) => expect((await dataIn(log)).data).toEqual([1, 2, "new"]));
      expect(later).toEqual([]);
    }
  },
);

it("notices a log that lost its end without a trace, and goes on under a new epoch (G2)", async () => {
  const data = temporaryFolder();
  let before = "";
  await withLog(data, async (log) => {
    before = epochOf(log.lineage);
    for (let i = 1; i <= 5; i++) await log.append([draft("a", i)]);
  });
  cutAt(data, 1, 5);
  await withLog(data, async (log) => {
    expect(epochOf(log.lineage)).not.toBe(before);
    expect((await dataIn(log)).data).toEqual([1, 2, 3, 4]);
  });
});

it("keeps an older position valid only up to the earliest place the log was ever cut", () => {
  const lineage = [
    { epoch: "a", first: 1 },
    { epoch: "b", first: 100 },
    { epoch: "c", first: 50 },
  ] as unknown as Log["lineage"];
  const bounds = { oldest: 1 as Offset, newest: 200 as Offset };
  const from = (epoch: string, offset: number) => locate(lineage, bounds, { epoch, offset } as never).offset;
  expect([from("a", 40), from("a", 70), from("b", 120), from("c", 120), from("c", 300)]).toEqual([
    40, 49, 49, 120, 200,
  ]);
  expect(locate(lineage, bounds, { epoch: "never", offset: 7 } as never)).toEqual({
    offset: 0,
    gap: { from: 0, to: null, reason: "epoch" },
  });
});

const numbersIn = (data: readonly unknown[]) => data.map((value) => (value as { i: number }).i);

it("reads across segments as if there were one, before and after a restart", async () => {
  const data = temporaryFolder();
  const check = async (log: Log) => {
    const { oldest } = await log.bounds();
    const expected = Array.from({ length: 400 - (oldest - 1) }, (_, i) => i + oldest - 1);
    expect(numbersIn((await dataIn(log, oldest - 1)).data)).toEqual(expected);
    expect(numbersIn((await dataIn(log, oldest - 1, "c3" as Pattern)).data)).toEqual(
      expected.filter((i) => i % 10 === 3),
    );
    expect(numbersIn((await dataIn(log, 390, "*" as Pattern)).data)).toEqual(expected.filter((i) => i >= 390));
    expect((await dataIn(log, oldest - 1, "none" as Pattern)).through).toBe(400);
  };
  await withLog(
    data,
    async (log) => {
      await fill(log, 400);
      await check(log);
    },
    small,
  );
  expect(segmentsOf(data).length).toBeGreaterThan(3);
  await withLog(data, check, small);
});

it("finds a time in any segment", async () => {
  const data = temporaryFolder();
  await withLog(
    data,
    async (log) => {
      await fill(log, 300);
      const { oldest } = await log.bounds();
      const page = await log.read(all, (oldest - 1) as Offset, plenty);
      for (const { offset, time } of parsed(page.messages).filter((_, i) => i % 37 === 0)) {
        const before = await log.offsetAt(time);
        const [next] = parsed((await log.read(all, before, plenty)).messages);
        expect(next?.time).toBe(time);
        expect(before).toBeLessThan(offset);
      }
    },
    small,
  );
});

it("recognises a producer's numbers from sealed segments after a restart (G7)", async () => {
  const data = temporaryFolder();
  await withLog(data, (log) => fill(log, 300), small);
  await withLog(
    data,
    async (log) => {
      expect(await log.lastNumber("p")).toBe(300);
      const { oldest } = await log.bounds();
      const repeat = (number: number) =>
        log.append([draft("c0", 0, { by: "producer", producer: "p", number, previous: "repeat" })]);
      expect(await repeat(300)).toEqual([{ offset: 300, duplicate: true }]);
      expect(await repeat(oldest)).toEqual([{ offset: oldest, duplicate: true }]);
      expect(await repeat(oldest - 1)).toEqual([{ refused: "outcome-unknown" }]);
      await fill(log, 1, 300);
      expect((await log.bounds()).newest).toBe(301);
    },
    small,
  );
});

it("recognises an id from a sealed segment after a restart (G7)", async () => {
  const data = temporaryFolder();
  await withLog(
    data,
    async (log) => {
      await fill(log, 150);
      await log.append([draftWithId("a", 1, "x")]);
      await fill(log, 100, 150);
    },
    small,
  );
  await withLog(
    data,
    async (log) => expect(await log.append([draftWithId("a", 1, "x")])).toEqual([{ offset: 151, duplicate: true }]),
    small,
  );
});

it("finishes what a crash left between opening a segment and sealing the one before", async () => {
  const data = temporaryFolder();
  await withLog(data, (log) => fill(log, 200), small);
  const sealed = segmentsOf(data).at(-2) as number;
  const open = segmentsOf(data).at(-1) as number;
  rmSync(fileOf(data, sealed, "index"));
  rmSync(fileOf(data, open, "producers"));
  await withLog(
    data,
    async (log) => {
      expect(await log.lastNumber("p")).toBe(200);
      expect(numbersIn((await dataIn(log, 150)).data)).toEqual(Array.from({ length: 50 }, (_, i) => 150 + i));
    },
    small,
  );
  expect(existsSync(fileOf(data, sealed, "index"))).toBe(true);
});

it("rolls and removes under a load that fills a segment with every commit", async () => {
  const data = temporaryFolder();
  await withLog(
    data,
    async (log) => {
      for (let i = 0; i < 40; i++) {
        await log.append([1, 2, 3].map((n) => draft("a", `${i}.${n} ${"x".repeat(50_000)}`)));
        await dataIn(log, 0, "a" as Pattern);
      }
      const { oldest, newest } = await log.bounds();
      expect(newest).toBe(120);
      expect((await dataIn(log, oldest - 1)).data.length).toBe(120 - oldest + 1);
    },
    small,
  );
});

it("finishes a removal that a crash interrupted", async () => {
  const data = temporaryFolder();
  await withLog(data, (log) => fill(log, 100), small);
  const folder = join(data, "logs", "default", "removed-0000000000000000");
  mkdirSync(folder);
  writeFileSync(join(folder, "chunks"), "what is left of it");
  await withLog(data, async () => {}, small);
  expect(existsSync(folder)).toBe(false);
});

it("tells a segment that vanished as a gap", async () => {
  const data = temporaryFolder();
  await withLog(data, (log) => fill(log, 300), small);
  const [first, second, third] = segmentsOf(data) as [number, number, number];
  rmSync(folderOf(data, second), { recursive: true });
  await withLog(
    data,
    async (log) => {
      const before = await dataIn(log, first - 1);
      expect(before.through).toBe(second - 1);
      expect((await dataIn(log, second - 1)).gap).toEqual({ from: second - 1, to: third - 1, reason: "corruption" });
    },
    small,
  );
});

it("refuses to open data that another hub has open, and says what to do", async () => {
  const data = temporaryFolder();
  await withLog(data, async () => {
    await expect(withLog(data, async () => {})).rejects.toThrow(/Another hub is using the data/);
  });
  await withLog(data, async () => {});
});
