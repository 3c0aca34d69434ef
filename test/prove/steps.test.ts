import { expect, test } from "vitest";
import { commandOf, steps } from "./steps.ts";

test("the steps share all of the time that there is", () => {
  expect(steps.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
});

test("a step does as much as fits its time, and at least one of everything", () => {
  const step = { name: "kills", share: 1, tests: ["test/crash"], counts: { CRASH_KILLS: 2, CRASH_ROUNDS: 100 } };
  expect(commandOf(step, 60)).toEqual({
    command: "npx",
    args: ["vitest", "run", "--project", "test", "test/crash"],
    env: { CRASH_KILLS: "30", CRASH_ROUNDS: "1" },
  });
  expect(commandOf({ name: "soak", share: 1, script: "soak" }, 90).args.slice(-2)).toEqual(["--minutes", "1.5"]);
});
