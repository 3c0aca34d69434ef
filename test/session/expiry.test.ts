/** Messages that expire on their way to those who are live. */
import type { Channel, Messages, Pattern } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import type { LiveBatch } from "../../server/src/hub/feed.ts";
import type { Hub } from "../../server/src/hub/hub.ts";
import { memoryHub, settled, VirtualClock } from "../hub/support.ts";
import { Client } from "./support.ts";

const clock = new VirtualClock();

describe("a message that has expired before it comes to those who are live", () => {
  it("is left out of what they are sent together, and what is sent covers it (P-36, P-46)", async () => {
    const { hub, clients } = await live(2);
    await append(hub, gone("1"), stays("2"), gone("3"), stays("4"), gone("5"));
    for (const client of clients) {
      expect(sent(client)).toMatchObject([
        { pattern: "a", after: 0, through: 5, messages: [{ data: 2 }, { data: 4 }] },
      ]);
    }
  });

  it("leaves no hole in what they were told where there was nothing else (P-36, P-46)", async () => {
    const { hub, clients } = await live(1);
    await append(hub, stays("1"));
    await append(hub, gone("2"));
    await append(hub, gone("3"));
    await append(hub, stays("4"));
    expect(sent(clients[0])).toMatchObject([
      { after: 0, through: 1, messages: [{ data: 1 }] },
      { after: 1, through: 4, messages: [{ data: 4 }] },
    ]);
  });

  it("lets an idle place advance (P-36, P-46)", async () => {
    const { hub, clients } = await live(1, { heartbeatMs: 1_000 });
    await append(hub, gone("1"));
    expect(sent(clients[0])).toEqual([]);
    await clock.advance(1_000);
    expect(sent(clients[0])).toMatchObject([{ subscription: 1, after: 0, through: 1, messages: [] }]);
  });

  it("takes no part of a window (P-38, P-46)", async () => {
    const { hub, clients } = await live(1, {}, { window: { messages: 1, bytes: 10_000 } });
    await append(hub, gone("1"), stays("2"), gone("3"));
    expect(sent(clients[0])).toMatchObject([{ pattern: "a", messages: [{ data: 2 }] }]);
    expect(clients[0]?.all("behind")).toEqual([]);
  });

  it("is there for whoever must take note of it, as a group must (P-46, P-62)", async () => {
    const { hub } = await memoryHub(clock);
    const feed = await hub.namespace("a" as Channel).feed("a" as Pattern);
    const batches: LiveBatch[] = [];
    feed.join({ prepare: () => {}, deliver: (batch) => void batches.push(batch) });
    await append(hub, gone("1"), stays("2"));
    expect(batches.map(({ messages, unexpired }) => [messages.offsets, unexpired.offsets])).toEqual([[[1, 2], [2]]]);
  });
});

/** Sessions that are live in `a`. */
async function live(count: number, limits: object = {}, asked: object = {}) {
  const { hub } = await memoryHub(clock);
  const clients: Client[] = [];
  for (let i = 0; i < count; i++) {
    const client = await Client.greet(hub, clock, {}, limits);
    await client.say({ is: "subscribe", subscription: 1, pattern: "a", ...asked });
    expect(client.all("caught-up")).toHaveLength(1);
    clients.push(client);
  }
  return { hub, clients };
}

/** What a client was sent of messages. */
function sent(client: Client | undefined): Messages[] {
  return client?.all("messages") ?? [];
}

async function append(hub: Hub, ...drafts: readonly { readonly attributes: string; readonly data: Buffer }[]) {
  const namespace = hub.namespace("a" as Channel);
  await hub.publish(
    namespace,
    drafts.map((draft) => ({ channel: "a" as Channel, id: undefined, ...draft })),
  );
  await settled();
}

/** One whose time is over when it comes. */
function gone(data: string) {
  return { attributes: `,"expires":${clock.now()}`, data: Buffer.from(data) };
}

function stays(data: string) {
  return { attributes: `,"expires":${clock.now() + 3_600_000}`, data: Buffer.from(data) };
}
