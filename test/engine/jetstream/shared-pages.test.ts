/** Pages that are kept for those who catch up together. */
import type { Offset, Pattern } from "@dogear/shared";
import { beforeEach, expect, it } from "vitest";
import type { Page } from "../../../server/src/engine/engine.ts";
import { SharedPages } from "../../../server/src/engine/jetstream/shared-pages.ts";
import { bodyOf, joinBodies } from "../../../server/src/engine/text.ts";
import { all, draft, plenty } from "../../contract/support.ts";
import { VirtualClock } from "../../hub/support.ts";

const news = "news" as Pattern;

/** What was read after an offset: every second one, up to another. */
function page(after: number, through: number, text = ""): Page {
  const stored = Array.from({ length: Math.floor((through - after) / 2) }, (_, i) => {
    const offset = (after + 2 * (i + 1)) as Offset;
    const sent = draft("a", text);
    return { offset, channel: sent.channel, body: bodyOf(sent, 1) };
  });
  return { gap: undefined, messages: joinBodies(stored), through: through as Offset };
}

let clock: VirtualClock;
let pages: SharedPages;
beforeEach(() => {
  clock = new VirtualClock();
  pages = new SharedPages(clock);
});

function found(
  after: number,
  budget = plenty,
  pattern = all,
): { offsets: readonly number[]; through: number } | undefined {
  const page = pages.find(pattern, after as Offset, budget);
  return page && { offsets: page.messages.offsets, through: page.through };
}

function readTwice(after: number, read: Page, pattern = all): void {
  for (let i = 0; i < 2; i++) pages.add(pattern, after as Offset, read);
}

it("has nothing for one who reads alone", () => {
  for (let after = 0; after < 100; after += 10) pages.add(all, after as Offset, page(after, after + 10));
  for (let after = 0; after < 100; after++) expect(found(after)).toBeUndefined();
});

it("has what the second one read for all who are anywhere in it", () => {
  readTwice(0, page(0, 9));
  expect(found(0)).toEqual({ offsets: [2, 4, 6, 8], through: 9 });
  expect(found(3)).toEqual({ offsets: [4, 6, 8], through: 9 });
  expect(found(8)).toEqual({ offsets: [], through: 9 });
  expect(found(9)).toBeUndefined();
});

it("gives as much as the budget allows, and tells no further than that", () => {
  readTwice(0, page(0, 9));
  expect(found(1, { ...plenty, messages: 2 })).toEqual({ offsets: [2, 4], through: 5 });
});

it("has nothing of it for another pattern", () => {
  readTwice(0, page(0, 9));
  expect(found(0, plenty, news)).toBeUndefined();
});

it("forgets a page after a second, and all of them where something is removed", async () => {
  readTwice(0, page(0, 9));
  await clock.advance(999);
  expect(found(0)).toBeDefined();
  await clock.advance(1);
  expect(found(0)).toBeUndefined();
  readTwice(0, page(0, 9));
  pages.clear();
  expect(found(0)).toBeUndefined();
});

it("keeps no page with a gap, which must be told to each", () => {
  readTwice(0, { ...page(5, 9), gap: { from: 0 as Offset, to: 5 as Offset, reason: "retention" } });
  expect(found(0)).toBeUndefined();
});

it("keeps 4 MiB of them, the newest (G12)", () => {
  const text = "x".repeat(50_000);
  for (let after = 0; after < 400; after += 4) readTwice(after, page(after, after + 4, text));
  expect(found(0)).toBeUndefined();
  const kept = Array.from({ length: 100 }, (_, i) => found(4 * i)).filter((page) => page !== undefined);
  expect(kept.length).toBeGreaterThan(30);
  expect(kept.length).toBeLessThan(43);
  expect(found(396)).toBeDefined();
});
