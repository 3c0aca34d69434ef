import { expect, test } from "vitest";
import { commandOf, steps } from "./steps.ts";

test("the steps share all of the time that there is", () => {
  expect(steps.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
});

test("a step does as much as fits its time, and at least one of everything", () => {
  const step = { name: "kills", share: 1, tests: ["test/crash"], counts: { CRASH_KILLS: 2, CRASH_ROUNDS: 100 } };
  const { command, args, env } = commandOf(step, 60);
  expect([command, args[0], args.at(-1)]).toEqual(["npx", "vitest", "test/crash"]);
  expect(env).toEqual({ CRASH_KILLS: "30", CRASH_ROUNDS: "1" });
  expect(commandOf({ name: "soak", share: 1, script: "soak" }, 90).args.slice(-2)).toEqual(["--minutes", "1.5"]);
});
