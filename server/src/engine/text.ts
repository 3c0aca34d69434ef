/**
 * Writes messages in wire form, and reads of them what needs no parsing: the one place that knows how a stored message
 * reads.
 *
 *     {"offset":7,"channel":"a.b","time":1795400010000,"expires":1795400010020,"key":"k","data":…}
 */
import type { Channel, Offset } from "@dogear/shared";
import type { Accepted } from "./admission.ts";
import { Messages, MessagesBuilder } from "./messages.ts";

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

/** The text of message `i`, not copied. */
export function textOf(messages: Messages, i: number): Buffer {
  return messages.bytes.subarray(messages.start(i), messages.ends[i]);
}

/**
 * When message `i` expires, if it does. Where that stands follows from what is known of the message, so nothing that a
 * publisher wrote is taken for it, and where it is absent only a few bytes are looked at.
 */
export function expiryOf(messages: Messages, i: number): number | undefined {
  const { bytes } = messages;
  let at = messages.start(i) + timeAt(messages.offsets[i] as Offset, messages.channels[i] as Channel);
  while (bytes[at] !== comma) at++;
  for (let k = 0; k < expiresKey.length; k++) if (bytes[at++] !== expiresKey[k]) return undefined;
  let expiry = 0;
  for (let byte = bytes[at]; byte !== comma; byte = bytes[++at]) expiry = 10 * expiry + (byte as number) - zero;
  return expiry;
}

/** The messages that have not expired: the same run, where none has. */
export function unexpired(messages: Messages, now: number): Messages {
  const hasExpired = (i: number) => (expiryOf(messages, i) ?? Number.POSITIVE_INFINITY) <= now;
  let builder: MessagesBuilder | undefined;
  /** Where the stretch begins that is kept next. */
  let from = 0;
  for (let i = 0; i < messages.length; i++) {
    if (!hasExpired(i)) continue;
    builder ??= new MessagesBuilder();
    builder.add(messages, from, i);
    from = i + 1;
  }
  if (builder === undefined) return messages;
  builder.add(messages, from);
  return builder.build();
}

/** Where the time of a message stands in its text. Channels are ASCII. */
function timeAt(offset: Offset, channel: Channel): number {
  return '{"offset":,"channel":"","time":'.length + String(offset).length + channel.length;
}

const expiresKey = Buffer.from(',"expires":');
const closingBrace = 0x7d;
const comma = 0x2c;
const zero = 0x30;
