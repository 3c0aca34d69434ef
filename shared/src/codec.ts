/**
 * A codec turns envelopes into WebSocket messages and back. It is chosen by WebSocket subprotocol, so a binary one
 * can join `dogear.v1.json` without either side guessing. This is the client's half; the hub's reads drafts without
 * touching their payloads and lives with the hub.
 */
import type { ClientEnvelope, HubEnvelope, Publish, WireMessage } from "./envelopes.ts";

/** An envelope, or several joined, as the subprotocol writes them. */
export type Encoded = string | Uint8Array<ArrayBuffer>;

/** A draft as its publisher hands it in: `data` is any JSON value, or bytes where the type is not JSON. */
export type Draft = Omit<Publish, "is" | "number">;

export interface ClientCodec<E extends Encoded = Encoded> {
  readonly subprotocol: string;
  encode(envelope: Exclude<ClientEnvelope, Publish>): E;
  /**
   * Serialises a draft, all but its number. Done once, when the draft is handed in, so that what its owner changes
   * afterwards is not published and a retry costs nothing. Throws a TypeError where the data cannot be serialised.
   */
  draft(draft: Draft): E;
  /** Completes a serialised draft with its number. */
  publish(number: number, draft: E): E;
  /** One WebSocket message that holds these envelopes, in order. */
  join(encoded: readonly E[]): E;
  /** The envelopes of one WebSocket message, payloads decoded. Throws where it is not what the subprotocol says. */
  decode(frame: string | ArrayBuffer): readonly HubEnvelope[];
}

export const jsonSubprotocol = "dogear.v1.json";

/** JSON text: one envelope, or an array of envelopes. */
export const jsonCodec: ClientCodec<string> = {
  subprotocol: jsonSubprotocol,
  encode: JSON.stringify,
  draft({ data, ...rest }) {
    const payload = isJsonType(rest.type) ? JSON.stringify(data) : `"${base64(data)}"`;
    if (payload === undefined)
      throw new TypeError(`A message's data cannot be ${typeof data}: JSON has no such value.`);
    return `${JSON.stringify(rest).slice(1, -1)},"data":${payload}}`;
  },
  publish: (number, draft) => `{"is":"publish","number":${number},${draft}`,
  join: (encoded) => (encoded.length === 1 ? (encoded[0] as string) : `[${encoded.join(",")}]`),
  decode(frame) {
    const parsed: unknown = JSON.parse(frame as string);
    const envelopes = (Array.isArray(parsed) ? parsed : [parsed]) as HubEnvelope[];
    for (const envelope of envelopes) if (envelope.is === "messages") envelope.messages.forEach(decodeBytes);
    return envelopes;
  },
};

/** The type of a message that names none. */
export const defaultType = "application/json";

/** Whether payloads of a media type are JSON; every other type is bytes, which the JSON codec carries as base64. */
export function isJsonType(type: string | undefined): boolean {
  return type === undefined || type === defaultType || type.endsWith("+json");
}

function decodeBytes(message: WireMessage): void {
  if (isJsonType(message.type)) return;
  message.data = Uint8Array.from(atob(message.data as string), (character) => character.charCodeAt(0));
}

function base64(data: unknown): string {
  if (!(data instanceof Uint8Array))
    throw new TypeError("The data of a message whose type is not JSON must be a Uint8Array.");
  let text = "";
  for (const byte of data) text += String.fromCharCode(byte);
  return btoa(text);
}
