import type { Offset } from "@dogear/shared";
import { expect, it } from "vitest";
import { RecentIds } from "../../server/src/engine/recent-ids.ts";

const windowMs = 1_000;
const idsMax = 3;

function recorded(...ids: readonly (readonly [id: string, offset: number, time: number])[]): RecentIds {
  const recent = new RecentIds(windowMs, idsMax);
  for (const [id, offset, time] of ids) recent.record(id, offset as Offset, time);
  return recent;
}

it("finds an id within its window and not after it", () => {
  const recent = recorded(["a", 1, 100]);
  expect(recent.find("a", 1_099)).toBe(1);
  expect(recent.find("a", 1_100)).toBeUndefined();
});

it("forgets the oldest where there are too many, and knows that it did", () => {
  const recent = recorded(["a", 1, 0], ["b", 2, 0], ["c", 3, 0], ["d", 4, 0], ["e", 5, 0]);
  expect(["a", "b", "c", "d", "e"].map((id) => recent.find(id, 0))).toEqual([undefined, undefined, 3, 4, 5]);
  expect([2, 3].map((offset) => recent.outgrown(offset as Offset))).toEqual([true, false]);
});

it("has outgrown nothing as long as all have room", () => {
  expect(recorded(["b", 2, 0], ["c", 3, 0]).outgrown(1 as Offset)).toBe(false);
});

it("does not forget an id with an older message that had it", () => {
  const recent = recorded(["a", 1, 0], ["a", 2, 900], ["b", 3, 1_500]);
  expect(recent.find("a", 1_500)).toBe(2);
});

it("begins anew when all it knew is too old", () => {
  const recent = recorded(["a", 1, 0], ["b", 2, 5_000], ["c", 3, 5_001]);
  expect(["a", "b", "c"].map((id) => recent.find(id, 5_001))).toEqual([undefined, 2, 3]);
});
