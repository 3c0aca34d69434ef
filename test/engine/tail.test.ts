/** A tail is bounded in memory, and not only in text; who waits for it to grow is woken once. */
import type { Channel, Offset } from "@dogear/shared";
import { expect, test } from "vitest";
import type { Draft } from "../../server/src/engine/engine.ts";
import { Messages } from "../../server/src/engine/messages.ts";
import { Tail } from "../../server/src/engine/tail.ts";
import { writeTexts } from "../../server/src/engine/text.ts";

const bytesMax = 64 * 1_024;
const draft: Draft = {
  channel: "a" as Channel,
  attributes: "",
  data: Buffer.from("1"),
  origin: { by: "nobody" },
};

test("many small pieces take no more memory than the tail may, whatever else is allocated between them (G12)", () => {
  const tail = new Tail(0 as Offset, bytesMax);
  for (let i = 1; i <= 10_000; i++) {
    tail.push(writeTexts([{ draft, offset: i as Offset, provenance: undefined }], 0), i as Offset);
    // As frames and answers do, of which nothing is kept.
    Buffer.allocUnsafe(3_000);
  }
  const pieces = tail.pieces(tail.start);
  const held = new Set(pieces.map(({ messages }) => messages.bytes.buffer));
  expect([...held].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThanOrEqual(bytesMax);
  // A piece is more than its text.
  expect(pieces.length * 256).toBeLessThanOrEqual(bytesMax);
  expect(tail.through).toBe(10_000);
});

test("who waits for it to grow is woken by what is pushed, and by its signal", async () => {
  const tail = new Tail(0 as Offset, bytesMax);
  const stop = new AbortController();
  let added = 0;
  const add = stop.signal.addEventListener.bind(stop.signal);
  stop.signal.addEventListener = (...args: Parameters<typeof add>) => {
    added++;
    add(...args);
  };
  for (let i = 1; i <= 3; i++) {
    const grown = tail.grownPast((i - 1) as Offset, stop.signal);
    tail.push(Messages.none, i as Offset);
    await grown;
  }
  const waiting = [tail.grownPast(3 as Offset, stop.signal), tail.grownPast(3 as Offset, stop.signal)];
  stop.abort();
  await Promise.all(waiting);
  expect([tail.through, added]).toEqual([3, 1]);
});
