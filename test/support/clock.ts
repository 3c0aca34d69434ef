/** Clocks and chance for tests. */
import { nanoid } from "nanoid";
import { type Chance, type Clock, systemClock } from "../../server/src/runtime/clock.ts";

/** The real clock, whose wall time can be moved. Timers stay real. */
export function movableClock(): Clock & { advance(ms: number): void } {
  let moved = 0;
  return {
    ...systemClock,
    now: () => systemClock.now() + moved,
    advance: (ms) => {
      moved += ms;
    },
  };
}

export const chance: Chance = { random: () => 0.5, id: () => nanoid() };
