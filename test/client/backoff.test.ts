import { expect, test } from "vitest";
import { ceilingMs } from "../../client/src/connection/backoff.ts";
import type { ConnectionState } from "../../client/src/index.ts";
import { World } from "./support.ts";

test("the ceiling doubles from the base to the cap", () => {
  const backoff = { baseMs: 500, capMs: 20_000 };
  expect([0, 1, 2, 3, 4, 5, 6, 1_000].map((failures) => ceilingMs(backoff, failures))).toEqual([
    500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000,
  ]);
});

test("each wait is drawn anew between nothing and the ceiling", async () => {
  const world = new World({ backoff: { baseMs: 100, capMs: 1_000 } });
  const waits: number[] = [];
  for (const random of [0, 0.25, 0.5, 0.999]) {
    world.random = random;
    await world.socket.drop();
    waits.push((world.dogear.state as ConnectionState).retryInMs ?? -1);
    await world.clock.pass(1_000);
  }
  expect(waits).toEqual([0, 50, 200, 799.2]);
});
