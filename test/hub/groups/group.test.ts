/** A group has something to lease and a member with room: it leases, whatever it was that made room. */
import type { Channel, Offset } from "@dogear/shared";
import { beforeEach, expect, test } from "vitest";
import type { LeasedText } from "../../../server/src/codec/codec.ts";
import { MemoryEngine } from "../../../server/src/engine/memory/memory-engine.ts";
import { Group } from "../../../server/src/hub/groups/group.ts";
import type { Item } from "../../../server/src/hub/groups/item.ts";
import type { Port } from "../../../server/src/hub/groups/port.ts";
import { type GroupHead, groupFormat, keysOf } from "../../../server/src/hub/groups/record.ts";
import { Ledger } from "../../../server/src/hub/ledger.ts";
import { Namespace } from "../../../server/src/hub/namespace.ts";
import { systemClock } from "../../../server/src/runtime/clock.ts";
import { silentLogger } from "../../../server/src/runtime/logger.ts";
import { chance } from "../../support/clock.ts";
import { policy, settled } from "../support.ts";
import { HeldState } from "./store.ts";
import { at, newHead, newItem, policyOf } from "./support.ts";

const parts = { clock: systemClock, chance, logger: silentLogger };

/** A member that remembers what it was leased. */
class Member implements Port {
  readonly by = undefined;
  readonly offsets: Offset[] = [];
  readonly #id: string;

  constructor(id: string) {
    this.#id = id;
  }

  async join(group: Group, window: number): Promise<this> {
    const joining = group.join(this, this.#id, window, []);
    await storeAll();
    await joining;
    group.open(this, this.#id, true);
    return this;
  }

  lease(leased: readonly LeasedText[]): void {
    for (const { text } of leased) this.offsets.push((JSON.parse(text.toString()) as { offset: Offset }).offset);
  }

  settled(): void {}
  lost(): void {}
  end(): void {}
}

let state: HeldState;
let namespace: Namespace;

beforeEach(async () => {
  state = new HeldState();
  namespace = new Namespace(policy, await new MemoryEngine(parts).open(policy), parts);
});

/** Messages of so many bytes each, one in each of these channels. */
async function publish(bytes: number, ...channels: readonly string[]): Promise<void> {
  const data = Buffer.from(JSON.stringify("x".repeat(bytes)));
  const origin = { by: "nobody" } as const;
  await namespace.log.append(channels.map((name) => ({ channel: name as Channel, attributes: "", data, origin })));
}

function newLedger(): Ledger<GroupHead, Item> {
  const keys = keysOf(policy.namespace, "billing");
  return Ledger.begin(state, keys, groupFormat(systemClock), newHead(policyOf()));
}

function open(ledger: Ledger<GroupHead, Item> = newLedger()): Promise<Group> {
  return Group.open({ ...parts, namespace, name: "billing", ledger, unsettledMax: 100, lost: () => {} });
}

/** Stores what waits to be, and what comes of that. */
async function storeAll(): Promise<void> {
  for (await settled(); state.calls.length > 0; await settled()) for (const call of [...state.calls]) call.store();
}

test("retention has removed what a member was about to get (P-62)", async () => {
  await publish(1, "orders.a", "orders.b", "orders.c");
  const group = await open();
  const member = await new Member("A").join(group, 2);
  // The leases of the first two are being stored.
  await settled();
  expect(member.offsets).toEqual([]);
  const retired = group.retire(at(2));
  await storeAll();
  await retired;
  expect(member.offsets).toEqual([3]);
});

test("the log has lost what its members were leased", async () => {
  await publish(1, "elsewhere", "elsewhere", "orders.c");
  const ledger = newLedger();
  for (const offset of [1, 2]) ledger.put(newItem(offset));
  const member = await new Member("A").join(await open(ledger), 2);
  await storeAll();
  expect(member.offsets).toEqual([3]);
});

test("a connection is full before all that its member was leased is sent", async () => {
  const group = await open();
  const slow = new Member("A");
  slow.lease = (leased) => {
    Member.prototype.lease.call(slow, leased);
    group.open(slow, "A", false);
  };
  await slow.join(group, 3);
  const other = await new Member("B").join(group, 3);
  await publish(200 * 1_024, "orders.a", "orders.b", "orders.c", "orders.d", "orders.e");
  await storeAll();
  expect([slow.offsets, other.offsets]).toEqual([
    [1, 3],
    [2, 4, 5],
  ]);
});
