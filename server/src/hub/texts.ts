/** Stored messages as text, one at a time: for the few that the hub must look into, or read again. */
import type { Offset, Pattern, WireMessage } from "@dogear/shared";
import { payloadsIn } from "../codec/payloads.ts";
import type { Log } from "../engine/engine.ts";
import { textOf } from "../engine/text.ts";

/** The text of a message's payload, as its publisher wrote it. */
export function payloadOf(text: Buffer): Buffer {
  const [payload] = payloadsIn(text);
  if (payload === undefined) throw new Error("A stored message has no payload.");
  return text.subarray(payload.start, payload.end);
}

/** The optional fields of a message that the hub writes itself, as `Draft.attributes` in the engine's seam. */
export function attributesText(attributes: Pick<WireMessage, "type" | "key" | "headers">): string {
  return Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `,"${name}":${JSON.stringify(value)}`)
    .join("");
}

/** A page to find wanted messages in: those that follow are often wanted too. */
const page = { messages: 64, bytes: 256 * 1_024, scan: 1_024 * 1_024 } as const;

/** Reads messages by their offsets, which are in order. One that the log no longer has is missing. */
export async function readTexts(
  log: Log,
  pattern: Pattern,
  offsets: readonly Offset[],
): Promise<ReadonlyMap<Offset, Buffer>> {
  const texts = new Map<Offset, Buffer>();
  let next = 0;
  while (next < offsets.length) {
    const wanted = offsets[next] as Offset;
    const { messages, through } = await log.read(pattern, (wanted - 1) as Offset, page);
    for (let i = 0; i < messages.length && next < offsets.length; i++) {
      while ((offsets[next] as number) < (messages.offsets[i] as number)) if (++next === offsets.length) return texts;
      if (offsets[next] === messages.offsets[i]) texts.set(offsets[next++] as Offset, textOf(messages, i));
    }
    // One that was not found is not there; nor is one beyond the end.
    while (next < offsets.length && (offsets[next] as number) <= Math.max(through, wanted)) next++;
  }
  return texts;
}
