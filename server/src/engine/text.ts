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
import { Messages, MessagesBuilder, type Part } from "./messages.ts";

/** More than the fixed parts of a message, with its offset and its time at their longest. */
const frameBytes = 80;

/** An upper bound of the bytes that an accepted draft takes. */
export function textBytesMax({ draft }: Accepted): number {
  return frameBytes + draft.channel.length + 3 * draft.attributes.length + draft.data.length;
}

/** The same of several, joined by commas. */
export function textsBytesMax(accepted: readonly Accepted[]): number {
  let sum = 0;
  for (const one of accepted) sum += textBytesMax(one);
  return sum;
}

/**
 * Writes accepted drafts as a run of messages appended at `time`, into a buffer from `start` on, which has room for them.
 * What comes before the data mostly differs by its offset alone from that of the message before, and is copied then.
 */
export function writeTexts(
  accepted: readonly Accepted[],
  time: number,
  into: Buffer = Buffer.allocUnsafe(textsBytesMax(accepted)),
  start = 0,
): Messages {
  const ends = new Array<number>(accepted.length);
  const offsets = new Array<Offset>(accepted.length);
  const channels = new Array<Channel>(accepted.length);
  let before: Accepted | undefined;
  let [textStart, dataStart] = [start, start];
  let at = start;
  for (let i = 0; i < accepted.length; i++) {
    const one = accepted[i] as Accepted;
    const { draft, offset } = one;
    if (i > 0) into[at++] = comma;
    if (before !== undefined && differByOffsetAlone(before, one)) {
      into.copyWithin(at, textStart, dataStart);
      writeOffset(into, at, offset);
      [textStart, dataStart] = [at, at + dataStart - textStart];
    } else {
      textStart = at;
      dataStart = at + into.write(head(offset, draft.channel) + bodyHead(draft, time), at);
    }
    at = writeData(into, dataStart, draft.data);
    ends[i] = at - start;
    offsets[i] = offset;
    // The same string where it is the same channel: each draft came with one of its own.
    channels[i] = before?.draft.channel === draft.channel ? (channels[i - 1] as Channel) : draft.channel;
    before = one;
  }
  return new Messages(into.subarray(start, at), ends, offsets, channels);
}

/** Whether what comes before their data is the same but for the digits of the offset. */
function differByOffsetAlone(before: Accepted, one: Accepted): boolean {
  const { channel, attributes } = one.draft;
  // The first number with another digit is a power of ten.
  const isLonger = one.offset - before.offset !== 1 || powersOfTen.has(one.offset);
  return channel === before.draft.channel && attributes === before.draft.attributes && !isLonger;
}

const powersOfTen: ReadonlySet<number> = new Set(Array.from({ length: 17 }, (_, i) => 10 ** i));

/** Writes an offset over one that has as many digits. */
function writeOffset(bytes: Buffer, textStart: number, offset: number): void {
  let end = textStart + offsetStart.length;
  while (bytes[end] !== comma) end++;
  for (let rest = offset; rest > 0; rest = Math.floor(rest / 10)) bytes[--end] = zero + (rest % 10);
}

/** The body of a draft appended at `time`. */
export function bodyOf(draft: Draft, time: number): Buffer {
  const bytes = Buffer.allocUnsafe(frameBytes + 3 * draft.attributes.length + draft.data.length);
  return bytes.subarray(0, writeData(bytes, bytes.write(bodyHead(draft, time)), draft.data));
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
  let at = after(comma, bytes, messages.start(i) + offsetStart.length);
  at = after(comma, bytes, at + channelStart.length + (messages.channels[i] as Channel).length + timeStart.length) - 1;
  for (let k = 0; k < expiresKey.length; k++) if (bytes[at++] !== expiresKey[k]) return undefined;
  return digitsAt(bytes, at);
}

/** The messages that have not expired: the same run, where none has. */
export function unexpired(messages: Messages, now: number): Messages {
  const { parts } = messages;
  if (!parts.some((part) => firstExpired(part, now) < part.to)) return messages;
  const builder = new MessagesBuilder();
  for (const { messages: run, from, to } of parts) {
    for (let at = from; at < to; at++) {
      const expired = firstExpired({ messages: run, from: at, to }, now);
      builder.add(run, at, expired);
      at = expired;
    }
  }
  return builder.build();
}

/** The index of the first message of a part that has expired, or where the part ends. */
function firstExpired({ messages, from, to }: Part, now: number): number {
  let i = from;
  while (i < to && (expiryOf(messages, i) ?? Number.POSITIVE_INFINITY) > now) i++;
  return i;
}

/** Channels are ASCII. */
function head(offset: Offset, channel: Channel): string {
  return `${offsetStart}${offset},${channelStart}${channel}",`;
}

/** Where the text goes on after the next byte of this value. */
function after(byte: number, bytes: Uint8Array, start: number): number {
  let at = start;
  while (bytes[at] !== byte) at++;
  return at + 1;
}

/** What a body begins with, up to its data. */
function bodyHead({ attributes }: Draft, time: number): string {
  return `${bodyStart}${time}${attributes},"data":`;
}

/** Writes what a message ends with; returns where it ends. */
function writeData(bytes: Buffer, start: number, data: Uint8Array): number {
  bytes.set(data, start);
  bytes[start + data.length] = closingBrace;
  return start + data.length + 1;
}

/** The number that stands before a comma. */
function digitsAt(bytes: Uint8Array, start: number): number {
  let value = 0;
  let at = start;
  for (let byte = bytes[at]; byte !== comma; byte = bytes[++at]) value = 10 * value + (byte as number) - zero;
  return value;
}

const offsetStart = '{"offset":';
const channelStart = '"channel":"';
const bodyStart = '"time":';
const timeStart = `",${bodyStart}`;
const expiresKey = Buffer.from(',"expires":');
const closingBrace = 0x7d;
const comma = 0x2c;
const zero = 0x30;
