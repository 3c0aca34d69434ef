/**
 * Who is at the other end of a connection. Behind a proxy that is trusted it is whoever the proxy says it is
 * (`X-Forwarded-For`, read from the right until somebody who is not trusted); anybody else's word for it counts nothing.
 */
import type { IncomingMessage } from "node:http";
import { BlockList, isIP, isIPv6 } from "node:net";
import { TLSSocket } from "node:tls";

export interface Peer {
  readonly address: string;
  /** Whether it came over TLS, to the hub or to the proxy in front of it. */
  readonly secure: boolean;
  /** Whether the connection is its own and no proxy's. */
  readonly direct: boolean;
}

export class Proxies {
  readonly #trusted = new BlockList();
  readonly #areNone: boolean;

  /** Addresses, and networks such as `10.0.0.0/8`. Throws a TypeError where one is neither. */
  constructor(trusted: readonly string[]) {
    this.#areNone = trusted.length === 0;
    for (const one of trusted) {
      const [address = "", bits] = one.split("/");
      const family = isIPv6(address) ? "ipv6" : "ipv4";
      if (isIP(address) === 0) throw new TypeError(`${one} is neither an address nor a network.`);
      if (bits === undefined) this.#trusted.addAddress(address, family);
      else this.#trusted.addSubnet(address, Number(bits), family);
    }
  }

  trusts(address: string): boolean {
    // Node makes an object for each question to a list.
    return !this.#areNone && isIP(address) !== 0 && this.#trusted.check(address, isIPv6(address) ? "ipv6" : "ipv4");
  }

  peerOf({ socket, headers }: Pick<IncomingMessage, "socket" | "headers">): Peer {
    const direct = plain(socket.remoteAddress);
    if (!this.trusts(direct)) return { address: direct, secure: socket instanceof TLSSocket, direct: true };
    const claimed = String(headers["x-forwarded-for"] ?? "")
      .split(",")
      .map((address) => plain(address.trim()))
      .reverse();
    const address = claimed.find((one) => !this.trusts(one)) ?? claimed.at(-1) ?? "";
    const secure = headers["x-forwarded-proto"] === "https" || socket instanceof TLSSocket;
    return { address: isIP(address) === 0 ? direct : address, secure, direct: false };
  }
}

/** An IPv4 address is one address, however it is written. Some proxies name the port too. */
function plain(named = ""): string {
  const [, address = named] = /^\[(.*)\](?::\d+)?$|^([\d.]+):\d+$/.exec(named)?.filter(Boolean) ?? [];
  return address.startsWith("::ffff:") && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}
