/** Whether what retention wants gone may go: asked of a listener that takes its time, or fails. */
import type { Offset } from "@dogear/shared";
import { expect, it } from "vitest";
import { Removal } from "../../server/src/engine/removal.ts";
import { systemClock } from "../../server/src/runtime/clock.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";

function removalUnderTest() {
  let now = 0;
  const warnings: unknown[] = [];
  const asked: { through: number; done: () => void; fail: () => void }[] = [];
  let released = 0;
  const removal = new Removal({
    namespace: "n",
    clock: { ...systemClock, monotonic: () => now },
    logger: { ...silentLogger, warn: (event, facts) => void warnings.push([event, facts?.through]) },
    released: () => void released++,
  });
  const listen = () =>
    removal.listen(
      (through) => new Promise((done, fail) => void asked.push({ through, done, fail: () => fail(new Error("no")) })),
    );
  /** Resolves when what the listener did last has been seen to. */
  const settled = async () => {
    for (let i = 0; i < 5; i++) await Promise.resolve();
  };
  return {
    asked,
    warnings,
    listen,
    released: () => released,
    settled,
    close: () => removal.close(),
    /** How far may be removed of what is wanted gone, and what the listener has been asked by then. */
    allowed: async (wanted: number) => {
      const allowed = removal.allowed(wanted as Offset);
      await Promise.resolve();
      return [allowed, asked.map(({ through }) => through)];
    },
    advance: (ms: number) => {
      now += ms;
    },
  };
}

it("allows everything where nobody listens", async () => {
  expect(await removalUnderTest().allowed(7)).toEqual([7, []]);
});

it("allows nothing but what the listener has let go of, and asks it one thing at a time", async () => {
  const { allowed, asked, listen, settled, released } = removalUnderTest();
  listen();
  expect(await allowed(5)).toEqual([0, [5]]);
  expect(await allowed(9)).toEqual([0, [5]]);
  asked[0]?.done();
  await settled();
  expect(released()).toBe(1);
  expect(await allowed(3)).toEqual([3, [5]]);
  expect(await allowed(9)).toEqual([5, [5, 9]]);
  asked[1]?.done();
  await settled();
  expect(await allowed(9)).toEqual([9, [5, 9]]);
});

it("leaves a listener that failed alone for a while, says so, and asks it again", async () => {
  const { allowed, asked, listen, settled, released, warnings, advance } = removalUnderTest();
  listen();
  await allowed(5);
  asked[0]?.fail();
  await settled();
  expect(warnings).toEqual([["log.removal-put-off", 5]]);
  expect(await allowed(6)).toEqual([0, [5]]);
  advance(1_000);
  expect(await allowed(6)).toEqual([0, [5, 6]]);
  asked[1]?.done();
  await settled();
  expect([await allowed(6), released()]).toEqual([[6, [5, 6]], 1]);
});

it("waits for the listener when it closes, and asks it no more", async () => {
  const { allowed, asked, listen, close } = removalUnderTest();
  listen();
  await allowed(5);
  let closed = false;
  const closing = close().then(() => {
    closed = true;
  });
  await allowed(9);
  expect(closed).toBe(false);
  asked[0]?.done();
  await closing;
  expect(await allowed(9)).toEqual([5, [5]]);
});

it("has one listener", () => {
  const { listen } = removalUnderTest();
  listen();
  expect(listen).toThrow(/already/);
});
