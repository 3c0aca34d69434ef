/** What may be sent beyond what was acknowledged, against an account kept the plain way. */
import type { Offset } from "@dogear/shared";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Window } from "../../server/src/session/window.ts";

const at = (offset: number) => offset as Offset;

describe("a window", () => {
  it("has the room that is not used (P-38)", () => {
    const window = new Window({ messages: 10, bytes: 1_000 });
    expect(window.room).toEqual({ messages: 10, bytes: 1_000 });
    window.sent(at(4), 3, 300);
    window.sent(at(9), 5, 600);
    expect(window.room).toEqual({ messages: 2, bytes: 100 });
    expect([window.admits(2, 100), window.admits(3, 100), window.admits(2, 101)]).toEqual([true, false, false]);
    window.acknowledged(at(8));
    expect(window.room).toEqual({ messages: 5, bytes: 400 });
    window.acknowledged(at(9));
    expect(window.room).toEqual({ messages: 10, bytes: 1_000 });
  });

  it("takes one message of any size when it is empty, and no other then (P-38)", () => {
    const window = new Window({ messages: 10, bytes: 1_000 });
    expect([window.admits(1, 5_000), window.admits(2, 5_000)]).toEqual([true, false]);
    window.sent(at(1), 1, 5_000);
    expect(window.room).toBeUndefined();
    expect(window.admits(1, 1)).toBe(false);
    window.acknowledged(at(1));
    expect(window.room).toEqual({ messages: 10, bytes: 1_000 });
  });

  it("is not used by a gap, which is unsettled all the same (P-43)", () => {
    const window = new Window({ messages: 1, bytes: 1 });
    window.sent(at(7), 0, 0);
    expect([window.settled, window.admits(1, 1)]).toEqual([false, true]);
    window.acknowledged(at(6));
    expect(window.settled).toBe(false);
    window.acknowledged(at(7));
    expect(window.settled).toBe(true);
  });

  it("never lets more through than it holds, and always something once all is acknowledged (P-38)", () => {
    const step = fc.oneof(
      fc.record({ messages: fc.integer({ min: 1, max: 5 }), size: fc.integer({ min: 1, max: 300 }) }),
      fc.record({ ack: fc.double({ min: 0, max: 1, noNaN: true }) }),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 500 }),
        fc.array(step),
        (messages, bytes, steps) => {
          const window = new Window({ messages, bytes });
          let unacknowledged: { offset: number; bytes: number }[] = [];
          let offset = 0;
          for (const one of steps) {
            if ("ack" in one) {
              const through = Math.floor(one.ack * (offset + 1));
              window.acknowledged(at(through));
              unacknowledged = unacknowledged.filter((sent) => sent.offset > through);
            } else if (window.admits(one.messages, one.messages * one.size)) {
              for (let i = 0; i < one.messages; i++) unacknowledged.push({ offset: ++offset, bytes: one.size });
              window.sent(at(offset), one.messages, one.messages * one.size);
            }
            expect(unacknowledged.length).toBeLessThanOrEqual(messages);
            const sum = unacknowledged.reduce((total, sent) => total + sent.bytes, 0);
            if (unacknowledged.length > 1) expect(sum).toBeLessThanOrEqual(bytes);
          }
          window.acknowledged(at(offset));
          expect(window.settled).toBe(true);
          expect(window.room).toEqual({ messages, bytes });
        },
      ),
    );
  });
});
