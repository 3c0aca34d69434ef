/** How leased messages are handed to members: in pieces that an envelope, or a word between hubs, can hold. */
import type { Offset } from "@dogear/shared";
import { expect, test } from "vitest";
import { dispatch } from "../../../server/src/hub/groups/dispatch.ts";
import type { Grant, Leases } from "../../../server/src/hub/groups/leases.ts";
import type { Port } from "../../../server/src/hub/groups/port.ts";

const KiB = 1_024;

test("no piece is larger than 256 KiB, unless it is one message", () => {
  const member = { id: "m", open: true };
  const sizes = [100, 100, 100, 300, 10, 246, 1].map((size) => size * KiB);
  const grants = sizes.map((_, i) => {
    const item = { offset: i + 1, deliveries: 1, failures: 0, lease: { fence: i } };
    return { item, member, fence: i } as unknown as Grant;
  });
  const texts = new Map(sizes.map((size, i) => [(i + 1) as Offset, Buffer.alloc(size)]));
  const pieces: number[][] = [];
  const port: Partial<Port> = { lease: (leased) => void pieces.push(leased.map(({ text }) => text.length / KiB)) };
  const leases: Partial<Leases> = { sent: () => true };
  const ports = new Map([["m", port as Port]]);
  dispatch(grants, texts, { ports, leases: leases as Leases, now: 0, vanished: () => {} });
  expect(pieces).toEqual([[100, 100], [100], [300], [10, 246], [1]]);
});
