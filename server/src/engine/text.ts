/**
 * Writes messages in wire form, and reads of them what needs no parsing: the one place that knows how a stored message
 * reads.
 *
 *     {"offset":7,"channel":"a.b","time":1795400010000,"expires":1795400010020,"key":"k","data":…}
 *     ├── head ──────────────────┼── body ────────────────────────────────────────────────────────┤
 *
 * Where the store itself says which offset and channel a message has, its body is all that is stored.
 */
import type { Channel, Offset } from "@dogear/shared";
import type { Accepted } from "./admission.ts";
import type { Draft } from "./engine.ts";
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
    if (at > 0) bytes[at++] = comma;
    at += bytes.write(head(offset, draft.channel), at);
    at = writeBody(bytes, at, draft, time);
    ends.push(at);
    offsets.push(offset);
    channels.push(draft.channel);
  }
  return new Messages(bytes.subarray(0, at), ends, offsets, channels);
}

/** The body of a draft appended at `time`. */
export function bodyOf(draft: Draft, time: number): Buffer {
  const bytes = Buffer.allocUnsafe(frameBytes + 3 * draft.attributes.length + draft.data.length);
  return bytes.subarray(0, writeBody(bytes, 0, draft, time));
}

/** When a message was appended, of which this is the body. */
export function timeOfBody(body: Uint8Array): number {
  return digitsAt(body, bodyStart.length);
}

/** A message whose body is stored by itself. */
export interface Stored {
  readonly offset: Offset;
  readonly channel: Channel;
  readonly body: Uint8Array;
}

/** Puts a run of messages together from their bodies. */
export function joinBodies(stored: readonly Stored[]): Messages {
  if (stored.length === 0) return Messages.none;
  const bytes = Buffer.allocUnsafe(
    stored.reduce((sum, { channel, body }) => sum + frameBytes + channel.length + body.length, 0),
  );
  const ends: number[] = [];
  let at = 0;
  for (const { offset, channel, body } of stored) {
    if (at > 0) bytes[at++] = comma;
    at += bytes.write(head(offset, channel), at, "latin1");
    bytes.set(body, at);
    at += body.length;
    ends.push(at);
  }
  const offsets = stored.map(({ offset }) => offset);
  const channels = stored.map(({ channel }) => channel);
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
  return digitsAt(bytes, at);
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

/** Channels are ASCII. */
function head(offset: Offset, channel: Channel): string {
  return `{"offset":${offset},"channel":"${channel}",`;
}

/** Where the time of a message stands in its text. */
function timeAt(offset: Offset, channel: Channel): number {
  return '{"offset":,"channel":"",'.length + String(offset).length + channel.length + bodyStart.length;
}

/** Returns where the body ends. */
function writeBody(bytes: Buffer, start: number, { attributes, data }: Draft, time: number): number {
  const at = start + bytes.write(`${bodyStart}${time}${attributes},"data":`, start);
  bytes.set(data, at);
  bytes[at + data.length] = closingBrace;
  return at + data.length + 1;
}

/** The number that stands before a comma. */
function digitsAt(bytes: Uint8Array, start: number): number {
  let value = 0;
  let at = start;
  for (let byte = bytes[at]; byte !== comma; byte = bytes[++at]) value = 10 * value + (byte as number) - zero;
  return value;
}

const bodyStart = '"time":';
const expiresKey = Buffer.from(',"expires":');
const closingBrace = 0x7d;
const comma = 0x2c;
const zero = 0x30;
