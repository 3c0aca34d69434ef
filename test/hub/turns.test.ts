/** Turns: who catches up when, where many do. */
import { describe, expect, it } from "vitest";
import { type Lane, type Steps, Turns } from "../../server/src/hub/turns.ts";
import { settled, VirtualClock } from "./support.ts";

const free: () => Lane = () => ({ replayWaitMs: () => 0 });

/** Who took a step, in order; each takes so many. */
class Backlogs {
  readonly turns: Turns;
  readonly taken: string[] = [];

  constructor(clock: VirtualClock) {
    this.turns = new Turns(clock);
  }

  add(name: string, pages: number, lane: Lane, taken: () => void = () => {}): void {
    let left = pages;
    const steps: Steps = {
      step: async () => {
        if (left === 0) return false;
        this.taken.push(name);
        taken();
        return --left > 0;
      },
    };
    this.turns.ask(steps, lane);
  }

  async end(): Promise<void> {
    while (this.turns.waiting > 0) await settled();
  }
}

describe("turns", () => {
  it("go round the users: a thousand backlogs of one delay another's no more than one would", async () => {
    const backlogs = new Backlogs(new VirtualClock());
    const [greedy, modest] = [free(), free()];
    for (let i = 0; i < 1_000; i++) backlogs.add("greedy", 3, greedy);
    backlogs.add("modest", 5, modest);
    await backlogs.end();
    const { taken } = backlogs;
    expect(taken.filter((name) => name === "modest")).toHaveLength(5);
    expect(taken.lastIndexOf("modest")).toBeLessThanOrEqual(11);
    expect(taken).toHaveLength(3_005);
  });

  it("go round the backlogs of one user", async () => {
    const backlogs = new Backlogs(new VirtualClock());
    const lane = free();
    for (const name of ["a", "b", "c"]) backlogs.add(name, 3, lane);
    await backlogs.end();
    expect(backlogs.taken.join("")).toBe("abcabcabc");
  });

  it("pass over who has read as much as may be, and come back to it after its rest", async () => {
    const clock = new VirtualClock();
    const backlogs = new Backlogs(clock);
    let waitMs = 0;
    const limited: Lane = { replayWaitMs: () => waitMs };
    backlogs.add("limited", 4, limited, () => {
      waitMs = 1_000;
    });
    backlogs.add("free", 50, free());
    await settled();
    while (backlogs.taken.length < 51) await settled();
    expect(backlogs.taken.filter((name) => name === "limited")).toHaveLength(1);
    // Asking for another turn does not cut the rest short.
    backlogs.add("limited", 1, limited);
    await settled();
    expect(backlogs.taken.filter((name) => name === "limited")).toHaveLength(1);
    waitMs = 0;
    await clock.advance(999);
    expect(backlogs.taken.filter((name) => name === "limited")).toHaveLength(1);
    await clock.advance(1);
    waitMs = 0;
    expect(backlogs.taken.filter((name) => name === "limited").length).toBeGreaterThan(1);
  });

  it("are taken in slices, between which everything else has its turn", async () => {
    const clock = new VirtualClock();
    const backlogs = new Backlogs(clock);
    const slices: number[] = [];
    const look = () => {
      slices.push(backlogs.taken.length);
      if (backlogs.turns.waiting > 0) clock.soon(look);
    };
    clock.soon(look);
    for (let i = 0; i < 10; i++) backlogs.add(`${i}`, 10, free());
    await backlogs.end();
    await settled();
    expect(slices.at(-1)).toBe(100);
    const steps = slices.map((taken, i) => taken - (slices[i - 1] ?? 0));
    expect(Math.max(...steps)).toBe(16);
  });

  it("end a slice after a step that took long", async () => {
    const clock = new VirtualClock();
    const backlogs = new Backlogs(clock);
    let between = 0;
    const look = () => {
      between++;
      if (backlogs.turns.waiting > 0) clock.soon(look);
    };
    clock.soon(look);
    backlogs.add("slow", 10, free(), () => void clock.advance(2));
    await backlogs.end();
    await settled();
    expect(between).toBeGreaterThanOrEqual(10);
  });

  it("may be asked for again while a slice is over", async () => {
    const clock = new VirtualClock();
    const backlogs = new Backlogs(clock);
    const lane = free();
    backlogs.add("before", 16, lane);
    // The seventeenth step waits for the next slice, and is asked for once more, as by a client that acknowledges.
    let steps = 0;
    const last: Steps = {
      step: async () => {
        steps++;
        return false;
      },
    };
    // Bounded, as nothing else has its turn between microtasks.
    for (let i = 0; i < 1_000 && backlogs.taken.length < 16; i++) await Promise.resolve();
    expect(backlogs.taken).toHaveLength(16);
    for (let i = 0; i < 10; i++) {
      backlogs.turns.ask(last, lane);
      await Promise.resolve();
    }
    await backlogs.end();
    await settled();
    expect(steps).toBe(1);
    backlogs.add("after", 1, lane);
    await backlogs.end();
    expect(backlogs.taken.at(-1)).toBe("after");
  });

  it("are asked for twice and taken once", async () => {
    const backlogs = new Backlogs(new VirtualClock());
    // Whoever asks first is served at once.
    backlogs.add("first", 1, free());
    let steps = 0;
    const once: Steps = {
      step: async () => {
        steps++;
        return false;
      },
    };
    const lane = free();
    for (let i = 0; i < 10; i++) backlogs.turns.ask(once, lane);
    await backlogs.end();
    expect(steps).toBe(1);
    backlogs.turns.ask(once, lane);
    await backlogs.end();
    await settled();
    expect(steps).toBe(2);
  });
});
