/** What a segment keeps of the chunks that are read. */
import type { Channel, Offset } from "@dogear/shared";
import { expect, onTestFinished, test } from "vitest";
import { encodeChunk } from "../../server/src/engine/lmdb/chunk.ts";
import { Segment } from "../../server/src/engine/lmdb/segment.ts";
import { temporaryFolder } from "../support/temp.ts";

const chunks = 100;
const keptBytesMax = 4 * 1_024 * 1_024;

test("a chunk that is read a second time is kept for those who read it after that, within its bytes (G12)", async () => {
  const segment = Segment.open(temporaryFolder(), 1 as Offset);
  onTestFinished(() => segment.close());
  const data = Buffer.from(JSON.stringify("x".repeat(60_000)));
  const draft = { channel: "a" as Channel, attributes: "", data, origin: { by: "nobody" as const } };
  for (let offset = 1; offset <= chunks; offset++) {
    await segment.append([encodeChunk([{ draft, offset: offset as Offset, provenance: undefined }], 5)]);
  }
  const read = () => [...segment.all(0 as Offset, chunks as Offset)].map(({ messages }) => messages);
  const [once, twice, again] = [read(), read(), read()];
  const texts = once.map((messages) => messages?.bytes.toString());
  for (const same of [twice, again]) expect(same.map((messages) => messages?.bytes.toString())).toEqual(texts);
  expect(once.filter((messages, i) => messages === twice[i])).toEqual([]);
  const kept = again.filter((messages, i) => messages === twice[i]);
  expect(kept.length).toBeGreaterThan(chunks / 2);
  expect(kept.reduce((sum, messages) => sum + (messages?.bytes.length ?? 0), 0)).toBeLessThanOrEqual(keptBytesMax);
});
