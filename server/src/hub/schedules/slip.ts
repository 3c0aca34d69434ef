/**
 * A slip: how a draft that waits for its time stands in the log. It is a message of its namespace's reserved channel,
 * with the payload and the attributes of the message it will be; headers of the hub say the rest.
 *
 *     default.$scheduled   "headers":{ "trace":"ä1", "dogear-for":"orders.new", "dogear-due":"1795400070000" }
 *     orders.new           "headers":{ "trace":"ä1", "dogear-scheduled":"default/k2…/4711" }
 */
import { type Channel, hubHeaderPrefix, isChannel, type Offset, type Pattern, type WireMessage } from "@dogear/shared";
import { expiresAttribute, shorter } from "../expiry.ts";
import type { Unnumbered } from "../sequencer.ts";
import { attributesText, payloadOf } from "../texts.ts";

const header = {
  /** The channel it is for. */
  for: `${hubHeaderPrefix}for`,
  due: `${hubHeaderPrefix}due`,
  /** Its own time to live, which begins when it is due. */
  ttl: `${hubHeaderPrefix}ttl`,
  /** Of a slip that was stored again: where it was stored first. */
  first: `${hubHeaderPrefix}first`,
  /** Of a message that was due: the id of its schedule. */
  scheduled: `${hubHeaderPrefix}scheduled`,
} as const;

/** When a draft is due, and how long it lives from then on. */
export interface Wait {
  readonly due: number;
  readonly ttlMs: number | undefined;
}

/** What a slip says of its draft's schedule. */
export interface SlipFacts {
  readonly channel: Channel;
  readonly due: number;
  /** Where it was first stored. */
  readonly first: Offset;
}

/** Where a namespace keeps its slips: one channel of the hub, which no wildcard matches. */
export function slipChannel(namespace: string): { readonly channel: Channel; readonly pattern: Pattern } {
  const name = `${namespace}.$scheduled`;
  return { channel: name as Channel, pattern: name as Pattern };
}

/** What a client hands in, with what it waits for written into its headers. */
export function slipOf(
  { channel, attributes, data, id }: Unnumbered,
  { due, ttlMs }: Wait,
  slips: Channel,
): Unnumbered {
  const added = { [header.for]: channel, [header.due]: String(due), ...(ttlMs && { [header.ttl]: String(ttlMs) }) };
  return { channel: slips, attributes: withHeaders(attributes, added), data, id };
}

/** Throws where a text is no slip. */
export function readSlip(text: Buffer): SlipFacts {
  const { offset, headers = {} } = JSON.parse(text.toString()) as WireMessage;
  const due = Number(headers[header.due]);
  const first = Number(headers[header.first] ?? offset) as Offset;
  const channel = headers[header.for] ?? "";
  if (!Number.isSafeInteger(due) || !Number.isSafeInteger(first) || !isChannel(channel)) {
    throw new Error(`The slip at ${offset} is not one.`);
  }
  return { channel, due, first };
}

/** The message that a slip stood for, which lives from now on. Throws where the text is no slip. */
export function dueDraft(
  text: Buffer,
  { id, now, ttlMs }: { readonly id: string; readonly now: number; readonly ttlMs: number | undefined },
): Unnumbered {
  const { type, key, headers = {} } = JSON.parse(text.toString()) as WireMessage;
  const channel = headers[header.for] ?? "";
  if (!isChannel(channel)) throw new Error(`A slip is for ${channel}, which is no channel.`);
  const own = headers[header.ttl];
  const lives = shorter(own === undefined ? undefined : Number(own), ttlMs);
  const users = Object.entries(headers).filter(([name]) => !name.startsWith(hubHeaderPrefix));
  const marked = Object.fromEntries([...users, [header.scheduled, id]]);
  return {
    channel,
    attributes: expiresAttribute(now, lives) + attributesText({ type, key, headers: marked }),
    data: payloadOf(text),
    id: `$scheduled/${id}`,
  };
}

/** The same slip, to be stored again further on. */
export function carriedSlip(text: Buffer): Unnumbered {
  const { offset, channel, type, key, headers = {} } = JSON.parse(text.toString()) as WireMessage;
  const marked = { ...headers, [header.first]: headers[header.first] ?? String(offset) };
  return { channel, attributes: attributesText({ type, key, headers: marked }), data: payloadOf(text), id: undefined };
}

/** The id of the schedule that a message comes from, if it comes from one. */
export function scheduledBy(text: Buffer): string | undefined {
  // Most messages were never scheduled; parsing is for those that may have been.
  if (!text.includes(scheduledHeader)) return undefined;
  return (JSON.parse(text.toString()) as WireMessage).headers?.[header.scheduled];
}

const scheduledHeader = Buffer.from(`"${header.scheduled}"`);

/** Attributes end with the headers where there are any: nothing else in them ends with a brace. */
function withHeaders(attributes: string, added: Readonly<Record<string, string>>): string {
  const text = JSON.stringify(added);
  if (!attributes.endsWith("}")) return `${attributes},"headers":${text}`;
  const comma = attributes.endsWith("{}") ? "" : ",";
  return `${attributes.slice(0, -1)}${comma}${text.slice(1)}`;
}

/** What selects every channel of a namespace that a client can publish to. */
export function patternsOf(name: string): readonly Pattern[] {
  return (name === "default" ? [">"] : [name, `${name}.>`]) as Pattern[];
}
