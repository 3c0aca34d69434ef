/** A hub is replaced by its successor, as on any Friday: under load, with nothing lost and no herd at the new one's door. */
import { describe, expect, test } from "vitest";
import { count, greet } from "../protocol/support.ts";
import { clientOf } from "../support/hub.ts";
import { startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { Collected } from "../support/waiting.ts";

const readers = 30;
const half = 150;

describe("a hub that is replaced under load", () => {
  test("loses nothing, and everyone goes on where it was (G1, G5, G6, G9)", async () => {
    const data = temporaryFolder();
    const hub = await startHubProcess({ data });
    const publisher = clientOf(hub.url);
    const seen = await Promise.all(
      count(1, readers).map(async (number) => {
        const messages = new Collected<unknown>();
        const subscriber = clientOf(hub.url, { subscriber: `reader-${number}` });
        const subscription = subscriber.subscribe("load.>", { cursor: true, from: "earliest" }, (message) =>
          messages.add(message.data),
        );
        await subscription.ready();
        return messages;
      }),
    );

    const halfway = new Collected<void>();
    const publishing = (async () => {
      for (const number of count(1, 2 * half)) {
        await publisher.publish("load.a", number);
        if (number === half) halfway.add();
      }
    })();
    await halfway.reach(1);
    expect(await hub.stop()).toEqual({ code: 0, signal: null });
    await startHubProcess({ data, port: hub.port });
    await publishing;
    for (const messages of seen) expect(await messages.reach(2 * half)).toEqual(count(1, 2 * half));
  });

  test("asks its clients back spread over time, none at the same (P-16)", async () => {
    const hub = await startHubProcess({ data: temporaryFolder() });
    const sockets = await Promise.all(count(1, 200).map(() => greet(hub)));
    const stopped = hub.stop();
    const waits = await Promise.all(sockets.map(async (socket) => (await socket.next("draining")).reconnectAfterMs));
    expect(await stopped).toEqual({ code: 0, signal: null });
    const spreadMs = 500;
    const tenths = count(0, 9).map((tenth) => {
      return waits.filter((wait) => Math.min(9, Math.floor((wait / spreadMs) * 10)) === tenth).length;
    });
    // Of 200 about 20 each: that 50 fall into one tenth by chance is as good as impossible.
    expect(Math.max(...tenths)).toBeLessThan(50);
    expect(Math.max(...waits)).toBeLessThanOrEqual(spreadMs);
  });
});
