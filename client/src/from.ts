/** Where to start, as users say it and as it is sent. */
import type { Position, Subscribe } from "@dogear/shared";

/**
 * After the newest message (`"latest"`), with the oldest one kept (`"earliest"`), after a position, or with the first
 * message at or after a time (a number is milliseconds since 1970).
 */
export type From = "latest" | "earliest" | Position | { readonly time: Date | number };

type WireFrom = NonNullable<Subscribe["from"]>;

export function onWire(from: From): WireFrom;
export function onWire(from: From | undefined): WireFrom | undefined;
export function onWire(from: From | undefined): WireFrom | undefined {
  return typeof from === "object" && "time" in from ? { time: Number(from.time) } : from;
}
