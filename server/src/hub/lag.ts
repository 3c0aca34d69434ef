/** How far behind somebody is: in messages, and in the age of the oldest. */
import type { Lag, Offset, Pattern, WireMessage } from "@dogear/shared";
import type { Log } from "../engine/engine.ts";
import { textOf } from "../engine/text.ts";

const page = { messages: 1, bytes: 1, scan: 4 * 1_024 * 1_024 } as const;

/** What matches after an offset. */
export async function lagAfter(log: Log, pattern: Pattern, after: Offset, now: number): Promise<Lag> {
  const messages = await log.count(pattern, after);
  const time = messages === 0 ? undefined : await firstTime(log, pattern, after);
  return { messages, ageMs: time === undefined ? null : Math.max(0, now - time) };
}

/** When the first message that matches after an offset was published. */
export async function firstTime(log: Log, pattern: Pattern, after: Offset): Promise<number | undefined> {
  const { newest } = await log.bounds();
  for (let at = after; at < newest; ) {
    const { messages, through } = await log.read(pattern, at, page);
    if (messages.length > 0) return (JSON.parse(textOf(messages, 0).toString()) as WireMessage).time;
    at = through;
  }
  return undefined;
}
