/** Spans of time, as people type and read them: `1h 30m`. */
import { CommandError } from "./usage.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const units = { d: day, h: hour, m: minute, s: second, ms: 1 } as const;

/** The value of an option that is a span of time, in milliseconds: `90s`, `1h30m`, `1.5h`. */
export function milliseconds(option: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)\s*(ms|[dhms])\s*/gy)];
  const total = parts.reduce((sum, [, number, unit]) => sum + Number(number) * units[unit as keyof typeof units], 0);
  if (parts.length > 0 && parts.map(([part]) => part).join("") === text && Number.isSafeInteger(Math.round(total))) {
    return Math.round(total);
  }
  throw new CommandError("usage", `--${option} is a duration such as 90s, 15m or 1h30m, not ${JSON.stringify(text)}.`);
}

/** All of it: `1d 2h`, `1m 0.5s`, `340ms`. */
export function duration(ms: number): string {
  if (ms > 0 && ms < second) return `${ms}ms`;
  const parts: readonly [number, string][] = [
    [Math.floor(ms / day), "d"],
    [Math.floor((ms % day) / hour), "h"],
    [Math.floor((ms % hour) / minute), "m"],
    [(ms % minute) / second, "s"],
  ];
  const written = parts.filter(([number]) => number > 0).map(([number, unit]) => `${number}${unit}`);
  return written.join(" ") || "0s";
}

/** As much of it as says how old something is: whole seconds, and the two largest units. */
export function age(ms: number): string {
  const grain = ms >= day ? hour : ms >= hour ? minute : second;
  return duration(Math.max(0, Math.floor(ms / grain) * grain));
}
