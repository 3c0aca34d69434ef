/** When a session is pinged and when it is given up, as a function of time and of nothing else. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Beat, Heartbeat } from "../../server/src/session/heartbeat.ts";

describe("before hello", () => {
  it("there is one deadline and no ping (P-8)", () => {
    const heartbeat = new Heartbeat(1_000, 200, 50);
    heartbeat.heard();
    expect([1_000, 1_100, 1_199].map((now) => heartbeat.beat(now))).toEqual(["nothing", "nothing", "nothing"]);
    expect(heartbeat.beat(1_200)).toBe("hello-timeout");
  });
});

describe("after hello", () => {
  const greeted = () => {
    const heartbeat = new Heartbeat(0, 1_000, 50);
    heartbeat.greeted(100, 200);
    return heartbeat;
  };

  it("a ping is due every interval while answers come (P-13)", () => {
    const heartbeat = greeted();
    const pings: number[] = [];
    for (let now = 100; now <= 1_100; now += 10) {
      const beat = heartbeat.beat(now);
      if (beat === "ping") pings.push(now);
      else expect(beat).toBe("nothing");
      heartbeat.heard();
    }
    expect(pings).toEqual([300, 500, 700, 900, 1_100]);
  });

  it("silence for the grace after a ping is the end (P-14)", () => {
    const heartbeat = greeted();
    expect(heartbeat.beat(300)).toBe("ping");
    expect(heartbeat.beat(349)).toBe("nothing");
    expect(heartbeat.beat(350)).toBe("heartbeat-timeout");
  });

  it("what was heard before a ping is no answer to it (P-14)", () => {
    const heartbeat = greeted();
    heartbeat.heard();
    expect(heartbeat.beat(300)).toBe("ping");
    expect(heartbeat.beat(350)).toBe("heartbeat-timeout");
  });

  it("an answer that came in time counts, also where it is looked at late (P-14)", () => {
    const heartbeat = greeted();
    expect(heartbeat.beat(300)).toBe("ping");
    heartbeat.heard();
    expect(heartbeat.beat(5_000)).toBe("ping");
    expect(heartbeat.beat(5_049)).toBe("nothing");
    expect(heartbeat.beat(5_050)).toBe("heartbeat-timeout");
  });

  it("an interval shorter than the grace is kept as well (P-13)", () => {
    const heartbeat = new Heartbeat(0, 1_000, 10_000);
    heartbeat.greeted(0, 1_000);
    const beats: Beat[] = [];
    for (let now = 1_000; now <= 5_000; now += 1_000) {
      beats.push(heartbeat.beat(now));
      heartbeat.heard();
    }
    expect(beats).toEqual(["ping", "ping", "ping", "ping", "ping"]);
    const silent = new Heartbeat(0, 1_000, 10_000);
    silent.greeted(0, 1_000);
    expect([1_000, 2_000, 10_999, 11_000].map((now) => silent.beat(now))).toEqual([
      "ping",
      "nothing",
      "nothing",
      "heartbeat-timeout",
    ]);
  });

  it("nobody need look before it is due (P-13, P-14)", () => {
    const ms = fc.integer({ min: 1, max: 500 });
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.boolean()), { minLength: 50 });
    fc.assert(
      fc.property(ms, ms, steps, (intervalMs, graceMs, all) => {
        const [always, due] = [new Heartbeat(0, 1, graceMs), new Heartbeat(0, 1, graceMs)];
        for (const heartbeat of [always, due]) heartbeat.greeted(0, intervalMs);
        let now = 0;
        for (const [step, answers] of all) {
          now += step;
          const beat = always.beat(now);
          expect(due.isDue(now) ? due.beat(now) : "nothing").toBe(beat);
          if (answers) for (const heartbeat of [always, due]) heartbeat.heard();
        }
      }),
    );
  });

  it("whoever answers every ping in time is never given up, and whoever never does always is (P-14)", () => {
    const times = fc.tuple(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 500 }));
    fc.assert(
      fc.property(
        times,
        fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 50 }),
        fc.boolean(),
        (ms, steps, answers) => {
          const [intervalMs, graceMs] = ms;
          const heartbeat = new Heartbeat(0, 1, graceMs);
          heartbeat.greeted(0, intervalMs);
          let now = 0;
          const beats = steps.map((step) => {
            now += step;
            const beat = heartbeat.beat(now);
            if (beat === "ping" && answers) heartbeat.heard();
            return beat;
          });
          if (answers) expect(beats).not.toContain("heartbeat-timeout");
          else if (now >= intervalMs + graceMs + 80) expect(beats).toContain("heartbeat-timeout");
        },
      ),
    );
  });
});
