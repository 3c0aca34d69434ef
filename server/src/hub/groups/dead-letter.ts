/** Writes dead letters, and reads them when the group is given them once more (P-61, P-63). */
import { type Channel, hubHeaderPrefix, type Offset, type WireMessage } from "@dogear/shared";
import type { Unnumbered } from "../sequencer.ts";
import { attributesText, payloadOf } from "../texts.ts";
import type { Item } from "./item.ts";

const header = {
  reason: `${hubHeaderPrefix}reason`,
  error: `${hubHeaderPrefix}error`,
  channel: `${hubHeaderPrefix}channel`,
  offset: `${hubHeaderPrefix}offset`,
  group: `${hubHeaderPrefix}group`,
  deliveries: `${hubHeaderPrefix}deliveries`,
  failures: `${hubHeaderPrefix}failures`,
  /** The offset at which the group had it: the message's own, or that of the dead letter that was redriven. */
  cause: `${hubHeaderPrefix}cause`,
} as const;

/** The draft of a dead letter. `text` is the message as the log has it. */
export function deadLetter(
  { offset, redriven, reason, error, deliveries, failures }: Item,
  text: Buffer,
  { group, channel, incarnation }: { readonly group: string; readonly channel: Channel; readonly incarnation: string },
): Unnumbered {
  const message = JSON.parse(text.toString()) as WireMessage;
  const { type, key, headers = {} } = message;
  // A dead letter that was given once more is about the message it was about before.
  const before = redriven ? headers : {};
  const marked: Record<string, string> = {
    ...headers,
    [header.reason]: reason as string,
    [header.channel]: before[header.channel] ?? message.channel,
    [header.offset]: before[header.offset] ?? String(message.offset),
    [header.group]: group,
    [header.deliveries]: String(deliveries),
    [header.failures]: String(failures),
    [header.cause]: String(offset),
  };
  if (error === undefined) delete marked[header.error];
  else marked[header.error] = error;
  return {
    channel,
    attributes: attributesText({ type, key, headers: marked }),
    data: payloadOf(text),
    // The log is asked what it holds before anything is repeated; this only makes a retry within minutes certain.
    id: `$dead/${incarnation}/${offset}`,
  };
}

/** Which message of the group a dead letter is about. */
export function causeOf(text: Buffer): Offset | undefined {
  const cause = (JSON.parse(text.toString()) as WireMessage).headers?.[header.cause];
  return cause === undefined ? undefined : (Number(cause) as Offset);
}

/** A dead letter as its group is given it again: in the channel it came from. */
export function redrivenText(text: Buffer): Buffer {
  const { offset, time, channel, type, key, headers = {} } = JSON.parse(text.toString()) as WireMessage;
  const original = headers[header.channel] ?? channel;
  const attributes = attributesText({ type, key, headers });
  const start = Buffer.from(`{"offset":${offset},"channel":"${original}","time":${time}${attributes},"data":`);
  return Buffer.concat([start, payloadOf(text), Buffer.from("}")]);
}
