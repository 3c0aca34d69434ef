/** The hub's half of a codec: reads what clients say without touching payloads, writes what the hub says. */
import type { Channel, ClientEnvelope, ErrorCode, HubEnvelope, Limits, Offset, Pattern, Publish } from "@dogear/shared";
import type { Batch } from "../engine/engine.ts";

/** What one envelope turned out to be. */
export type Incoming =
  | { readonly kind: "envelope"; readonly envelope: Exclude<ClientEnvelope, Publish> }
  | { readonly kind: "publish"; readonly publish: IncomingPublish }
  | { readonly kind: "mistake"; readonly mistake: Mistake };

/** A draft as it came, its payload untouched. */
export interface IncomingPublish {
  readonly number: number;
  readonly channel: Channel;
  readonly id: string | undefined;
  /** When to publish it, if not now. */
  readonly wait: Wait | undefined;
  readonly ttlMs: number | undefined;
  /** The optional fields in wire form, as `Draft.attributes` in the engine's seam, the headers last. */
  readonly attributes: string;
  /** The text of `data`, as `Draft.data`. */
  readonly payload: Uint8Array;
}

/** How long a draft waits, from when the hub took it, or until when. */
export type Wait = { readonly delayMs: number } | { readonly deliverAt: number };

/** An envelope that is not what the protocol says, and which request it was meant to be. */
export interface Mistake {
  readonly code: ErrorCode;
  readonly detail?: string;
  readonly number?: number;
  readonly subscription?: number;
  readonly member?: number;
  readonly fence?: number;
  readonly request?: number;
}

/** A WebSocket message that is not what the subprotocol says; nothing in it can be trusted. */
export class Malformed extends Error {
  /** The limit that it goes beyond, if that is what is wrong. */
  readonly limit: keyof Limits | undefined;

  constructor(message: string, limit?: keyof Limits) {
    super(message);
    this.limit = limit;
  }
}

/** A frame ready for a socket, framed for WebSocket: in one piece where it is sent to many, else in as many as spare a copy. */
export type Frame = readonly Buffer[];

/** How many bytes a frame has. */
export function frameBytes(frame: Frame): number {
  let bytes = 0;
  for (const piece of frame) bytes += piece.length;
  return bytes;
}

/** An envelope that is small, and joined with others. Messages come in frames of their own; that there are none up to an offset is said. */
export type Said =
  | Exclude<HubEnvelope, { is: "messages" }>
  | {
      readonly is: "messages";
      readonly subscription: number;
      readonly after: Offset;
      readonly through: Offset;
      readonly messages: readonly [];
    };

export interface HubCodec {
  readonly subprotocol: string;
  /** The envelopes of one WebSocket message, each looked at when it is taken. Throws Malformed. */
  decode(message: Buffer, binary: boolean): Iterable<Incoming>;
  /** Writes one envelope, to be joined with others by `join`. */
  encode(envelope: Said): string;
  join(encoded: readonly string[]): Frame;
  /** What every live subscription to a pattern is sent. */
  live(pattern: Pattern, batch: Batch): Frame;
  /** What one subscription is sent. */
  private(subscription: number, batch: Batch): Frame;
  /** What one member is leased. */
  leased(member: number, leased: readonly LeasedText[]): Frame;
}

/** A message as it is leased, in wire form. */
export interface LeasedText {
  readonly fence: number;
  readonly deliveries: number;
  readonly failures: number;
  readonly text: Buffer;
}
