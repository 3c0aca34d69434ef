/** How a group is written down, and what is read again, by a hub whose clocks have moved. */
import { retryMsMax } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import type { Item } from "../../../server/src/hub/groups/item.ts";
import { groupFormat, keysOf } from "../../../server/src/hub/groups/record.ts";
import { newHead, newItem, policyOf } from "./support.ts";

const wall = 1_795_400_000_000;

const clockAt = (now: number, monotonic: number) => ({
  now: () => now,
  monotonic: () => monotonic,
  after: () => () => {},
  soon: () => {},
});

/** Writes a page at a wall time, and reads it at another, by a hub that just started. */
function reread(items: readonly Item[], { after = 0, fence = 1_000 } = {}) {
  const writer = groupFormat(clockAt(wall, 90_000));
  const reader = groupFormat(clockAt(wall + after, 50));
  const head = reader.readHead(JSON.parse(JSON.stringify(writer.writeHead({ ...newHead(policyOf()), fence }))));
  const page: unknown = JSON.parse(JSON.stringify(writer.writePage(items)));
  return { head, items: reader.readPage(page, head) };
}

/** How long a message is, is not written down: it may be long. */
const found = (item: Item): Item => ({ ...item, bytes: 64 * 1_024 });

const leased = (offset: number, holder: string, fence: number) =>
  newItem(offset, {
    stage: "leased",
    deliveries: 2,
    lease: { fence, holder, leaseMs: 7, until: 95_000, orphaned: false },
  });

describe("a group's record", () => {
  it("has the head as it is", () => {
    const head = { ...newHead(policyOf({ order: "key" })), fence: 7, lost: 3 };
    const format = groupFormat(clockAt(wall, 0));
    expect(format.readHead(JSON.parse(JSON.stringify(format.writeHead(head))))).toEqual(head);
  });

  it("has messages that wait and that are dying as they are", () => {
    const items = [
      newItem(1),
      newItem(2, { key: "a", expires: wall + 9, deliveries: 3, failures: 2, error: "timeout" }),
      newItem(3, { key: "", redriven: true, deliveries: 1 }),
      newItem(4, { stage: "dying", reason: "retention", deliveries: 1 }),
      newItem(5, { stage: "dying", reason: "max-failures", deliveries: 9, failures: 9, error: "" }),
    ];
    expect(reread(items).items).toEqual(items.map(found));
  });

  it("has a lease as one that waits for its member, under a new fence (P-58)", () => {
    const { items, head } = reread([leased(1, "A", 998), leased(2, "B", 999), leased(3, "A", 1_000)]);
    expect(items.map(({ stage, deliveries }) => `${stage} ${deliveries}`)).toEqual(Array(3).fill("leased 2"));
    const orphan = { leaseMs: 30_000, until: Number.POSITIVE_INFINITY, orphaned: true };
    expect(items.map(({ lease }) => lease)).toEqual([
      { ...orphan, fence: 1_001, holder: "A" },
      { ...orphan, fence: 1_002, holder: "B" },
      { ...orphan, fence: 1_003, holder: "A" },
    ]);
    expect(head.fence).toBe(1_003);
  });

  it("writes a member's name once in a page", () => {
    const writer = groupFormat(clockAt(wall, 0));
    const text = JSON.stringify(writer.writePage([leased(1, "worker-1", 1), leased(2, "worker-1", 2)]));
    expect(text.split("worker-1").length).toBe(2);
  });

  describe("of a message that failed", () => {
    const delayed = newItem(1, { stage: "delayed", due: 90_000 + 4_000, deliveries: 1, failures: 1, error: "timeout" });
    const due = (after: number) => (reread([delayed], { after }).items[0] as Item).due - 50;

    it("says when it is due, which it is although the hub was down", () => {
      expect(due(1_500)).toBe(2_500);
      expect(reread([delayed]).items).toEqual([found({ ...delayed, due: 50 + 4_000 })]);
    });

    it("lets it be due at once where that is over", () => {
      expect([due(4_000), due(365 * 86_400_000)]).toEqual([0, 0]);
    });

    it("lets it wait no longer than any may, however far the wall clock was set back", () => {
      expect(due(-365 * 86_400_000)).toBe(retryMsMax);
    });
  });

  it("has keys of which none begins with one of another kind or group", () => {
    const keys = ["a", "a-b", "b"].flatMap((group) => Object.values(keysOf("ns", group)));
    const prefixes = keys.filter((key) => key.startsWith("group-page/"));
    for (const prefix of prefixes) expect(keys.filter((key) => key.startsWith(prefix))).toEqual([prefix]);
    expect(keys.filter((key) => key.startsWith("group/"))).toHaveLength(3);
  });
});
