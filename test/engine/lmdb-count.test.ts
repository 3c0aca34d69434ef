/** How the LMDB engine counts what is behind an offset, without reading it. */
import { writeFileSync } from "node:fs";
import type { Offset, Pattern } from "@dogear/shared";
import { expect, it } from "vitest";
import type { Log } from "../../server/src/engine/engine.ts";
import { draft } from "../contract/support.ts";
import { temporaryFolder } from "../support/temp.ts";
import { all, fileOf, plenty, segmentsOf, small, withLog } from "./support.ts";

const rounds = 60;

/** Appends 7 messages at a time, of 5 channels and about 1 KB each: several segments. */
async function fillInChunks(log: Log): Promise<void> {
  const text = "x".repeat(1_000);
  for (let i = 0; i < rounds; i++) {
    await log.append(Array.from({ length: 7 }, (_, j) => draft(`c${(i + j * j) % 5}`, text)));
  }
}

/** Whether counting and reading agree, wherever one starts. */
async function expectExact(log: Log): Promise<void> {
  const { oldest, newest } = await log.bounds();
  for (const pattern of [all, "c3", "*", "none"] as Pattern[]) {
    const { messages } = await log.read(pattern, (oldest - 1) as Offset, plenty);
    for (let after = oldest - 1; after <= newest; after += after % 7 === 0 ? 1 : 3) {
      const later = messages.offsets.filter((offset) => offset > after).length;
      expect([pattern, after, await log.count(pattern, after as Offset)]).toEqual([pattern, after, later]);
    }
  }
}

it("counts across segments, before and after a restart", async () => {
  const data = temporaryFolder();
  const fillAndCount = async (log: Log) => {
    await fillInChunks(log);
    await expectExact(log);
    expect(await log.count(all, 0 as Offset)).toBe(7 * rounds);
  };
  await withLog(data, fillAndCount, small);
  expect(segmentsOf(data).length).toBeGreaterThan(3);
  await withLog(data, expectExact, small);
});

it("counts what is retained, from where it is asked, while the log is written, rolled and cut short", async () => {
  const data = temporaryFolder();
  await withLog(
    data,
    async (log) => {
      for (let i = 0; i < 8; i++) {
        const counting = log.count(all, 0 as Offset);
        const { newest } = await log.bounds();
        const filling = fillInChunks(log);
        expect(await counting).toBeLessThanOrEqual(newest);
        await filling;
        const before = await log.bounds();
        const count = await log.count(all, 0 as Offset);
        // Retention may be at work just now.
        const after = await log.bounds();
        expect(count).toBeLessThanOrEqual(before.newest - before.oldest + 1);
        expect(count).toBeGreaterThanOrEqual(before.newest - after.oldest + 1);
      }
      expect((await log.bounds()).oldest).toBeGreaterThan(1);
    },
    small,
  );
});

it("reads a segment whose index is of an older format", async () => {
  const data = temporaryFolder();
  await withLog(data, fillInChunks, small);
  writeFileSync(fileOf(data, 1, "index"), JSON.stringify({ chunks: 1, rows: [["c3", 1, 1, [1]]] }));
  await withLog(data, expectExact, small);
});
