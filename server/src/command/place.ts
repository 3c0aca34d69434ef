/** Places in a log and moments in time, as they are typed. */
import type { Epoch, Offset, SubscribeOptions } from "@dogear/client";
import { CommandError } from "./usage.ts";

export type Place = NonNullable<SubscribeOptions["from"]>;

/** How to type a place; for the help. */
export const placeSays = "latest, earliest, <epoch>:<offset> or 2030-01-31T12:00Z";

/** The value of an option that is a place. */
export function place(option: string, text: string): Place {
  if (text === "latest" || text === "earliest") return text;
  const at = instant(text);
  if (at !== undefined) return { time: at };
  const [, epoch, offset] = text.match(/^([\w-]+):(\d+)$/) ?? [];
  if (epoch !== undefined && Number.isSafeInteger(Number(offset))) {
    return { epoch: epoch as Epoch, offset: Number(offset) as Offset };
  }
  throw new CommandError(
    "usage",
    `--${option} is latest, earliest, <epoch>:<offset> or a time such as 2030-01-31T12:00Z, not ${JSON.stringify(text)}.`,
  );
}

/** The value of an option that is a moment, in milliseconds since 1970. */
export function moment(option: string, text: string): number {
  const at = instant(text);
  if (at !== undefined) return at;
  throw new CommandError("usage", `--${option} is a time such as 2030-01-31T12:00Z, not ${JSON.stringify(text)}.`);
}

/** What begins with a date is a moment; other texts, of which `Date.parse` takes many, are not. */
function instant(text: string): number | undefined {
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}
