/** How much of the hub one user, one address and everyone together may take, as they are told (P-84, P-85). */
import type { HubEnvelope } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import { open } from "../support/bare-socket.ts";
import { signed, tokenConfig } from "../support/tokens.ts";
import { count, dataOf, greet, publish, Reader, startHub } from "./support.ts";

const token = (user: string): string => signed({ sub: user, capabilities: { ">": ["publish", "subscribe", "work"] } });

describe("a handshake", () => {
  it("of a page from elsewhere is refused with 403 (P-84)", async () => {
    const hub = await startHub();
    await expect(open(hub.url, { origin: "https://evil.example" })).rejects.toThrow("403");
    await open(hub.url, { origin: hub.url.replace("ws", "http") });
  });

  it("beyond what the hub takes is refused with 503, until there is room again (P-84)", async () => {
    const hub = await startHub({ limits: { connectionsMax: 2 } });
    const [first] = await Promise.all([greet(hub), greet(hub)]);
    await expect(open(hub.url)).rejects.toThrow("503");
    first.close();
    await first.closed;
    await expect
      .poll(() =>
        greet(hub).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
  });
});

describe("a user", () => {
  it("has so many sessions; the next is told to come back, and another user's is not (P-84)", async () => {
    const hub = await startHub({ ...tokenConfig, limits: { userConnectionsMax: 2 } });
    const [first] = await Promise.all([greet(hub, { token: token("ada") }), greet(hub, { token: token("ada") })]);
    const third = await open(hub.url);
    third.send({ is: "hello", protocol: 1, token: token("ada") });
    expect(await third.next()).toMatchObject({ is: "error", code: "too-many-connections" });
    expect(await third.closed).toEqual({ code: 4007, reason: "too-many-connections" });
    await greet(hub, { token: token("bob") });
    first.close();
    await first.closed;
    await expect
      .poll(() =>
        greet(hub, { token: token("ada") }).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
  });

  it("publishes so much in a second; what is more may be sent again, and is published once (P-85)", async () => {
    const hub = await startHub({ ...tokenConfig, limits: { userPublishesPerSecondMax: 5 } });
    const socket = await greet(hub, { token: token("ada"), producer: { id: "p", settled: 0 } });
    const drafts = count(1, 20).map((number) => ({ is: "publish", number, channel: "a", data: number }));
    socket.send(drafts);
    const refused = await socket.next("error");
    expect(refused).toMatchObject({ code: "rate-limited" });
    expect(refused.number).toBeGreaterThan(5);
    expect(refused.number).toBeLessThan(10);
    // As a client does: again, in order, until there is room.
    const again = drafts.slice((refused.number as number) - 1, refused.number);
    const answered = (answer: HubEnvelope) => answer.is === "published" && answer.number === refused.number;
    let answer: HubEnvelope = refused;
    while (!answered(answer)) {
      if (answer.is === "error" && answer.code === "rate-limited") socket.send(again);
      answer = await socket.next();
    }
    expect(answer).toMatchObject({ duplicate: false });
    const other = await greet(hub, { token: token("bob") });
    expect(await publish(other, "b", 1)).toHaveLength(1);
  });

  it("has so many subscriptions and members over all its sessions (P-85)", async () => {
    const hub = await startHub({ ...tokenConfig, limits: { userSubscriptionsMax: 2 } });
    const [first, second] = await Promise.all([
      greet(hub, { token: token("ada") }),
      greet(hub, { token: token("ada") }),
    ]);
    first.send({ is: "subscribe", subscription: 1, pattern: "a" });
    await first.next("subscribed");
    first.send({ is: "work", member: 1, id: "w", group: "g", pattern: "a" });
    await first.next("working");
    second.send({ is: "subscribe", subscription: 7, pattern: "a" });
    expect(await second.next("error")).toMatchObject({ subscription: 7, code: "too-many-subscriptions" });
    first.send({ is: "unsubscribe", subscription: 1 });
    await first.next("unsubscribed");
    second.send({ is: "subscribe", subscription: 7, pattern: "a" });
    await second.next("subscribed");
  });

  it("that has read its share waits, and gets everything all the same, while another catches up (P-85)", async () => {
    const hub = await startHub({ ...tokenConfig, limits: { userReplayBytesPerSecondMax: 20_000 } });
    const publisher = await greet(hub, { token: token("publisher") });
    await publish(publisher, "a", ...count(1, 40).map((number) => `${number} ${"x".repeat(1_000)}`));
    const [ada, bob] = await Promise.all(
      ["ada", "bob"].map(async (user) => {
        const reader = new Reader(await greet(hub, { token: token(user) }));
        // A small window is many pages.
        const place = await reader.subscribe({
          pattern: "a",
          from: "earliest",
          window: { messages: 8, bytes: 1_000_000 },
        });
        return { reader, place };
      }),
    );
    for (const one of [ada, bob]) {
      if (one === undefined) throw new Error("Nobody reads.");
      await one.reader.until(() => one.place.messages.length === 40);
      expect(dataOf(one.place).map((text) => Number.parseInt(String(text), 10))).toEqual(count(1, 40));
    }
  });
});
