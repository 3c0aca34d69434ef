import { expect, test } from "vitest";
import { age, duration, milliseconds } from "../../server/src/command/duration.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const typed: readonly [text: string, ms: number][] = [
  ["0s", 0],
  ["250ms", 250],
  ["90s", 90 * second],
  ["1.5h", 90 * minute],
  ["1h30m", 90 * minute],
  ["1h 30m", 90 * minute],
  ["7d", 7 * day],
];

for (const [text, ms] of typed) {
  test(`${text} is ${ms} milliseconds`, () => {
    expect(milliseconds("delay", text)).toBe(ms);
  });
}

for (const text of ["", " ", "5", "s", "-1s", "1h30", "1 hour", "1h,30m", "Infinitys", `${"9".repeat(40)}d`]) {
  test(`${JSON.stringify(text)} is no duration`, () => {
    expect(() => milliseconds("delay", text)).toThrow(/^--delay is a duration such as /);
  });
}

const written: readonly [ms: number, whole: string, old: string][] = [
  [0, "0s", "0s"],
  [-5, "0s", "0s"],
  [340, "340ms", "0s"],
  [1_500, "1.5s", "1s"],
  [192 * second, "3m 12s", "3m 12s"],
  [hour, "1h", "1h"],
  [day + 2 * hour + 3 * minute + 4 * second, "1d 2h 3m 4s", "1d 2h"],
];

for (const [ms, whole, old] of written) {
  test(`${ms} milliseconds are ${whole}, and so old is ${old}`, () => {
    expect(duration(Math.max(0, ms))).toBe(whole);
    expect(age(ms)).toBe(old);
  });
}
