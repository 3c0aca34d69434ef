/** Writes messages in wire form: the one place that knows how a stored message reads. */
import type { Channel, Offset } from "@dogear/shared";
import type { Accepted } from "./admission.ts";
import { Messages } from "./messages.ts";

/** More than the fixed parts of a message, with its offset and its time at their longest. */
const frameBytes = 80;

/** An upper bound of the bytes that an accepted draft takes. */
export function textBytesMax({ draft }: Accepted): number {
  return frameBytes + draft.channel.length + 3 * draft.attributes.length + draft.data.length;
}

/** Writes accepted drafts as a run of messages appended at `time`. */
export function writeTexts(accepted: readonly Accepted[], time: number): Messages {
  const bytes = Buffer.allocUnsafe(accepted.reduce((sum, one) => sum + textBytesMax(one), 0));
  const ends: number[] = [];
  const offsets: Offset[] = [];
  const channels: Channel[] = [];
  let at = 0;
  for (const { draft, offset } of accepted) {
    const comma = at === 0 ? "" : ",";
    at += bytes.write(
      `${comma}{"offset":${offset},"channel":"${draft.channel}","time":${time}${draft.attributes},"data":`,
      at,
    );
    bytes.set(draft.data, at);
    at += draft.data.length;
    bytes[at++] = closingBrace;
    ends.push(at);
    offsets.push(offset);
    channels.push(draft.channel);
  }
  return new Messages(bytes.subarray(0, at), ends, offsets, channels);
}

const closingBrace = 0x7d;
