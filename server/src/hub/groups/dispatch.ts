/** Sends leased messages to their members, in pieces, as long as each one's connection takes them. */
import type { Offset } from "@dogear/shared";
import type { LeasedText } from "../../codec/codec.ts";
import type { Item } from "./item.ts";
import type { Grant, Leases } from "./leases.ts";
import type { Port } from "./port.ts";

export interface DispatchParts {
  /** By member id. */
  readonly ports: ReadonlyMap<string, Port>;
  readonly leases: Leases;
  /** By the monotonic clock. */
  readonly now: number;
  /** A message that the log can give no more. */
  vanished(item: Item): void;
}

/** The most bytes of messages that one envelope, or one word between hubs, holds; a message that is larger goes alone. */
const pieceBytesMax = 256 * 1_024;

export function dispatch(grants: readonly Grant[], texts: ReadonlyMap<Offset, Buffer>, parts: DispatchParts): void {
  const shares = new Map<string, Grant[]>();
  for (const grant of grants) {
    const share = shares.get(grant.member.id);
    if (share === undefined) shares.set(grant.member.id, [grant]);
    else share.push(grant);
  }
  for (const [id, share] of shares) sendShare(parts.ports.get(id), share, texts, parts);
}

function sendShare(
  port: Port | undefined,
  share: readonly Grant[],
  texts: ReadonlyMap<Offset, Buffer>,
  { leases, now, vanished }: DispatchParts,
): void {
  let piece: LeasedText[] = [];
  let bytes = 0;
  const send = () => {
    if (piece.length > 0) port?.lease(piece);
    piece = [];
    bytes = 0;
  };
  for (const grant of share) {
    const { item, member, fence } = grant;
    const text = texts.get(item.offset);
    // While it was stored it may have been taken away again.
    if (item.lease?.fence !== fence) continue;
    if (text === undefined) {
      vanished(item);
    } else if (port === undefined || !member.open) {
      leases.revoke([grant]);
    } else {
      if (bytes + text.length > pieceBytesMax) send();
      leases.sent(grant, now);
      piece.push({ fence, deliveries: item.deliveries, failures: item.failures, text });
      bytes += text.length;
    }
  }
  send();
}
