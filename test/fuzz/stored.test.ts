/** What is stored, read again: as it was written, or, where it was damaged, not at all. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Channel, Epoch, Offset, Pattern } from "@dogear/shared";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Accepted } from "../../server/src/engine/admission.ts";
import { ChannelIndex } from "../../server/src/engine/lmdb/channel-index.ts";
import {
  ChunkCorrupt,
  cutIntoChunks,
  decodeChunk,
  type EncodedChunk,
  encodeChunk,
  isWholeChunk,
} from "../../server/src/engine/lmdb/chunk.ts";
import { ChunkFile } from "../../server/src/engine/lmdb/chunk-file.ts";
import { MemoryState } from "../../server/src/engine/memory/memory-state.ts";
import { textOf } from "../../server/src/engine/text.ts";
import { Cursors } from "../../server/src/hub/cursors.ts";
import type { Item } from "../../server/src/hub/groups/item.ts";
import { groupFormat } from "../../server/src/hub/groups/record.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { newHead, newItem, policyOf } from "../hub/groups/support.ts";
import { VirtualClock } from "../hub/support.ts";
import { temporaryFolder } from "../support/temp.ts";
import { mutated } from "./mutation.ts";
import { corpus, fuzz, typed } from "./support.ts";

/** Any that has UTF-8. */
const name = fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" });
const channel = fc.constantFrom("a", "a.b", "orders.eu", `${"level.".repeat(15)}last`, "orders.$dead.g");
const draft = fc.record(
  {
    channel,
    data: fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify(value)),
    attributes: fc.constantFrom("", ',"key":"ß"', ',"headers":{"h":"😀"}', ',"expires":5'),
    id: name,
    provenance: fc.record({ producer: name, number: fc.nat(), previousOffset: fc.nat() }),
  },
  { requiredKeys: ["channel", "data", "attributes"] },
);
const drafts = fc.array(draft, { minLength: 1, maxLength: 20 });
const first = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 1_000 });

type Drafts = typeof drafts extends fc.Arbitrary<infer D> ? D : never;

function accepted(written: Drafts, start: number): Accepted[] {
  return written.map(({ channel, data, attributes, id, provenance }, i) => ({
    draft: {
      channel: channel as Channel,
      attributes,
      data: Buffer.from(data),
      origin: { by: "nobody" },
      ...(id !== undefined && { id }),
    },
    offset: (start + i) as Offset,
    provenance: provenance as Accepted["provenance"],
  }));
}

/** All that a chunk says, to be compared. */
function told({ first, last, time, messages, origins }: ReturnType<typeof decodeChunk>) {
  const texts = messages.offsets.map((_, i) => textOf(messages, i).toString());
  return { first, last, time, offsets: messages.offsets, channels: messages.channels, texts, origins };
}

describe("a chunk", () => {
  it("is read as it was written, and its messages are JSON", async () => {
    await fuzz(fc.tuple(drafts, first, fc.nat()), ([written, start, time]) => {
      const { chunk, value } = encodeChunk(accepted(written, start), time);
      const read = decodeChunk(value);
      expect(told(read)).toEqual(told(chunk));
      const parsed = told(read).texts.map((text) => JSON.parse(text) as { offset: number; data: unknown });
      expect(parsed.map(({ offset }) => offset)).toEqual(written.map((_, i) => start + i));
      expect(parsed.map(({ data }) => data)).toEqual(written.map(({ data }) => JSON.parse(data)));
    });
  });

  it("that is damaged anywhere is found out: it never gives a wrong payload (G2, G4)", async () => {
    const { value } = encodeChunk(accepted(fc.sample(drafts, 1)[0] as Drafts, 7), 1_795_400_000_000);
    const others = corpus("chunks.txt").map((hex) => Buffer.from(hex, "hex"));
    const whole = [value, ...others];
    await fuzz(
      mutated(whole),
      (bytes) => {
        const read = typed(() => decodeChunk(bytes), ChunkCorrupt);
        if (!(read instanceof Error)) expect(whole.some((one) => one.equals(bytes))).toBe(true);
      },
      { share: 4 },
    );
  });

  it("of an earlier day is still read", () => {
    const [small, large] = corpus("chunks.txt").map((hex) => told(decodeChunk(Buffer.from(hex, "hex"))));
    expect(small?.texts.map((text) => (JSON.parse(text) as { data: unknown }).data)).toEqual([1, { x: "😀" }, "AAEC"]);
    expect(small?.origins.map(({ offset, id, provenance }) => [offset, id ?? provenance?.producer])).toEqual([
      [2, "i"],
      [3, "p"],
    ]);
    expect(large).toMatchObject({ first: 9_007_199_254_740_000, channels: ["orders.$dead.g"] });
  });

  it("holds as much as fits, in order, and nothing twice", async () => {
    await fuzz(fc.tuple(drafts, first), ([written, start]) => {
      const all = accepted(written, start);
      expect(cutIntoChunks(all).flat()).toEqual(all);
    });
  });
});

describe("a file of chunks", () => {
  /** So many chunks after another, of some drafts each. */
  const encoded = (many: readonly Drafts[]) => {
    let next = 1;
    return many.map((written) => {
      const one = encodeChunk(accepted(written, next), 5);
      next += written.length;
      return one;
    });
  };

  /** Every chunk of a file that is whole, by its first offset. */
  const wholeIn = (file: ChunkFile): Map<Offset, Buffer> => {
    const found = [...file.firsts()].map((first) => [first, file.read(first)] as const);
    return new Map(found.filter((one): one is [Offset, Buffer] => one[1] !== undefined && isWholeChunk(one[1])));
  };

  async function withFile<T>(path: string, use: (file: ChunkFile) => T | Promise<T>): Promise<T> {
    const file = new ChunkFile(path, 1 as Offset, undefined);
    try {
      return await use(file);
    } finally {
      file.close();
    }
  }

  it("that is damaged gives what was written, where it was written, or nothing, and can be appended to (G2, G4)", async () => {
    const path = join(temporaryFolder(), "chunks");
    const written = encoded(fc.sample(drafts, 12));
    const [last] = written.splice(-1) as [EncodedChunk];
    await withFile(path, (file) => file.append(written));
    const known = new Map([...written, last].map(({ chunk, value }) => [chunk.first, value]));
    await fuzz(
      mutated([readFileSync(path)]),
      async (bytes) => {
        writeFileSync(path, bytes);
        const before = await withFile(path, async (file) => {
          const whole = wholeIn(file);
          await file.append([last]);
          return whole;
        });
        for (const [first, value] of before) expect(known.get(first)?.equals(value)).toBe(true);
        const after = await withFile(path, wholeIn);
        expect(after).toEqual(before.set(last.chunk.first, last.value));
      },
      { share: 0.2 },
    );
  });
});

describe("the index of a segment", () => {
  const patterns = [">", "a", "a.*", "orders.>", "orders.$dead.g", "none"] as Pattern[];
  const chunks = fc.array(drafts, { minLength: 1, maxLength: 8 }).map((many) => {
    let next = 11;
    return many.map((written) => {
      const { chunk } = encodeChunk(accepted(written, next), 5);
      next += written.length;
      return chunk;
    });
  });

  /** All that an index tells. */
  const answers = (index: ChannelIndex) => ({
    last: [...index.lastOffsets()],
    counts: [...index.counts()],
    plans: patterns.map((pattern) => index.plan(pattern, 0 as Offset)),
    found: patterns.map((pattern) => [index.count(pattern), index.count(pattern, 13 as Offset)]),
  });

  function indexOf(all: readonly ReturnType<typeof decodeChunk>[]): ChannelIndex {
    const index = new ChannelIndex();
    for (const chunk of all) index.add(chunk);
    return index;
  }

  it("is read as it was written", async () => {
    await fuzz(chunks, (all) => {
      const index = indexOf(all);
      const read = ChannelIndex.decode(index.encode());
      expect(read && answers(read)).toEqual(answers(index));
    });
  });

  it("that is damaged anywhere is not believed: the segment itself is read instead (G5)", async () => {
    const indexes = fc.sample(chunks, { numRuns: 5, seed: 1 }).map(indexOf);
    const whole = indexes.map((index) => index.encode());
    // A disk that has lost something gives zeros.
    const zeros = [0, 1, 4, 12, 100].map((length) => Buffer.alloc(length));
    await fuzz(
      mutated([...whole, ...zeros]),
      (bytes) => {
        const read = ChannelIndex.decode(bytes);
        const same = whole.findIndex((one) => one.equals(bytes));
        expect(read && answers(read)).toEqual(same < 0 ? undefined : answers(indexes[same] as ChannelIndex));
      },
      { share: 4 },
    );
  });
});

describe("a page of a group's messages", () => {
  const clock = new VirtualClock();
  const format = groupFormat(clock);
  const counts = { deliveries: fc.nat(), failures: fc.nat(), redriven: fc.boolean() };
  const optional = { key: fc.option(name, { nil: undefined }), error: fc.option(name, { nil: undefined }) };
  const facts = fc.record({ ...counts, ...optional, expires: fc.option(fc.nat(), { nil: undefined }) });
  const staged = fc.oneof(
    fc.constant({ stage: "waiting" as const }),
    fc.record({ stage: fc.constant("delayed" as const), due: fc.nat({ max: 1_000_000 }) }),
    fc.record({ stage: fc.constant("dying" as const), reason: fc.constantFrom("rejected", "ttl", "retention") }),
    fc.record({ stage: fc.constant("leased" as const), holder: name }),
  );

  it("says the same of each when it is read again, and leases begin anew (P-53, P-58)", async () => {
    await fuzz(fc.array(fc.tuple(facts, staged), { maxLength: 20 }), (many) => {
      const items = many.map(([fact, stage], i) => itemOf(i + 1, { ...fact, ...stage } as Partial<Item>, clock));
      const head = { ...newHead(policyOf()), epoch: "e" as Epoch, fence: 100 };
      const read = format.readPage(JSON.parse(JSON.stringify(format.writePage(items))), head);
      const kept = (item: Item) => ({ ...item, bytes: 0, due: Math.round(item.due), lease: item.lease?.holder });
      expect(read.map(kept)).toEqual(items.map(kept));
      const fences = read.flatMap(({ lease }) => (lease === undefined ? [] : [lease.fence]));
      expect(fences).toEqual(fences.map((_, i) => 101 + i));
    });
  });
});

describe("the record of a cursor", () => {
  const parts = { clock: new VirtualClock(), logger: silentLogger };
  const named = (subscriber: string) => ({ user: "u", subscriber, pattern: "a" as Pattern });
  const start = async () => ({ epoch: "e" as Epoch, offset: 3 as Offset });
  const claim = { reset: false, start, why: "taken-over" as const, takenOver: () => {} };

  it("says where it was when it is read again (G9)", async () => {
    const moves = fc.array(fc.integer({ min: 4, max: Number.MAX_SAFE_INTEGER }), { minLength: 1, maxLength: 5 });
    await fuzz(fc.tuple(name, moves), async ([subscriber, offsets]) => {
      const state = new MemoryState();
      const cursors = new Cursors(state, parts);
      const cursor = await cursors.claim(named(subscriber), claim);
      for (const offset of offsets) cursor.commit({ epoch: "e" as Epoch, offset: offset as Offset });
      await cursors.flush();
      const again = await new Cursors(state, parts).claim(named(subscriber), claim);
      expect(again.start).toEqual({ epoch: "e", offset: Math.max(...offsets) });
    });
  });

  it("that is no JSON any more is an error of whoever wants it, and of nobody else", async () => {
    const written = JSON.stringify({ epoch: "e", offset: 7, fence: 2, time: 5 });
    await fuzz(mutated([written]), async (bytes) => {
      const state = new MemoryState();
      await state.put("cursor/u/damaged/a", bytes, 0);
      const cursors = new Cursors(state, parts);
      await cursors.claim(named("damaged"), claim).catch((error: unknown) => expect(error).toBeInstanceOf(Error));
      expect((await cursors.claim(named("whole"), claim)).start.offset).toBe(3);
    });
  });
});

function itemOf(offset: number, { due, ...facts }: Partial<Item> & { holder?: string }, clock: VirtualClock): Item {
  const { holder, ...rest } = facts;
  const lease = { fence: 1, holder: holder ?? "", leaseMs: 5, until: 0, orphaned: false };
  return newItem(offset, {
    ...rest,
    ...(due !== undefined && { due: clock.monotonic() + due }),
    ...(rest.stage === "leased" && { lease }),
  });
}
