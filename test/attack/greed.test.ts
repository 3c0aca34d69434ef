/** Users who take more than their share: what they cannot have is noted, and others have theirs (P-85). */

import type { Limits } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import { count, dataOf, greet, publish, Reader, startHub } from "../protocol/support.ts";
import { signed, tokenConfig } from "../support/tokens.ts";

const ada = { token: signed({ sub: "ada" }) };
const bob = { token: signed({ sub: "bob" }) };

/** How often each limit was met, as the metrics tell it. */
async function hits(hub: Awaited<ReturnType<typeof startHub>>, limit: keyof Limits): Promise<number> {
  const text = await hub.metrics.text();
  return Number(
    new RegExp(`^dogear_limit_hits_total\\{[^}]*limit="${limit}"[^}]*\\} (\\d+)`, "m").exec(text)?.[1] ?? 0,
  );
}

describe("a user that publishes more than it may", () => {
  it("is refused for now, and loses nothing of what it sends again (P-26, P-85)", async () => {
    const hub = await startHub({ ...tokenConfig, limits: { userPublishesPerSecondMax: 20 } });
    const socket = await greet(hub, { ...ada, producer: { id: "p", settled: 0 } });
    const other = await greet(hub, bob);
    let settled = 0;
    let refused = 0;
    while (settled < 60) {
      const numbers = count(settled + 1, 60);
      socket.send(numbers.map((number) => ({ is: "publish", number, channel: "a", data: number })));
      for (const _ of numbers) {
        const answer = await socket.next();
        if (answer.is === "published") expect(answer).toMatchObject({ number: ++settled, duplicate: false });
        else expect(answer).toMatchObject({ code: expect.stringMatching(/rate-limited|out-of-order/) });
        if (answer.is === "error") refused++;
      }
    }
    // It is nobody else's rate.
    await publish(other, "b", ...count(1, 20));
    expect(refused).toBeGreaterThan(0);
    expect(await hits(hub, "userPublishesPerSecondMax")).toBeGreaterThan(0);
    const reader = new Reader(other);
    const place = await reader.subscribe({ pattern: "a", from: "earliest" });
    await reader.until(() => place.messages.length === 60);
    expect(dataOf(place)).toEqual(count(1, 60));
  });

  it("is so by its bytes, over all its sessions (P-85)", async () => {
    const hub = await startHub({
      ...tokenConfig,
      limits: { messageBytesMax: 90_000, userPublishBytesPerSecondMax: 100_000 },
    });
    const [one, two] = [await greet(hub, ada), await greet(hub, ada)];
    const data = "x".repeat(80_000);
    await publish(one, "a", data, data);
    two.send({ is: "publish", number: 1, channel: "a", data: 1 });
    expect(await two.next("error")).toMatchObject({ code: "rate-limited", number: 1 });
    await publish(await greet(hub, bob), "a", data, data);
    await expect
      .poll(async () => {
        two.send({ is: "publish", number: 2, channel: "a", data: 1 });
        return (await two.next()).is;
      })
      .toBe("published");
  });
});

describe("a user with a thousand backlogs", () => {
  it("delays neither what another is sent live nor its catching up, by more than its turn (P-85)", async () => {
    const hub = await startHub(tokenConfig);
    const writer = await greet(hub, bob);
    const text = "x".repeat(2_000);
    for (let i = 0; i < 10; i++) await publish(writer, "a", ...count(1, 100).map((n) => ({ n, text })));
    const live = new Reader(writer);
    const news = await live.subscribe({ pattern: "news" });
    await live.until(() => news.state === "live");
    // A few sessions, so that what they are sent does not stop them early.
    const greedy = await Promise.all(count(1, 5).map(() => greet(hub, ada)));
    for (const socket of greedy) {
      socket.send(
        count(1, 200).map((subscription) => ({ is: "subscribe", subscription, pattern: "a", from: "earliest" })),
      );
    }
    const modest = new Reader(await greet(hub, bob));
    const place = await modest.subscribe({
      pattern: "a",
      from: "earliest",
      window: { messages: 10_000, bytes: 16_000_000 },
    });
    await modest.until(() => place.messages.length === 1_000);
    await publish(writer, "news", "hot");
    await live.until(() => news.messages.length === 1);
    const pages = greedy.flatMap(({ frames }) => frames).filter((frame) => frame.includes('"messages"')).length;
    // All it asked for would have been five pages and more of each of its backlogs.
    expect(pages).toBeLessThan(1_000);
  });

  it("reads no more in a second than it may, and everything in the end (P-85)", async () => {
    const hub = await startHub({ ...tokenConfig, limits: { userReplayBytesPerSecondMax: 200_000 } });
    const writer = await greet(hub, bob);
    await publish(writer, "a", ...count(1, 200).map((n) => ({ n, text: "x".repeat(1_500) })));
    const reader = new Reader(await greet(hub, ada));
    const place = await reader.subscribe({ pattern: "a", from: "earliest" });
    await reader.until(() => place.state === "live");
    expect(place.messages).toHaveLength(200);
    expect(await hits(hub, "userReplayBytesPerSecondMax")).toBeGreaterThan(0);
  });
});
