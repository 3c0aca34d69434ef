/**
 * How many connections each address has, and how fast they come. Of an IPv6 address only the first 64 bits count: who has
 * one has all that begin like it. This machine's own addresses are not limited.
 */
import { BlockList, isIP, isIPv6, SocketAddress } from "node:net";
import type { Limits } from "@dogear/shared";
import type { Clock } from "../runtime/clock.ts";
import { Bucket } from "./bucket.ts";
import type { LimitHit } from "./quotas.ts";

type AddressLimits = Pick<Limits, "addressConnectionsMax" | "addressHandshakesPerSecondMax">;

interface Counted {
  readonly handshakes: Bucket;
  connections: number;
}

/** Addresses without connections are remembered up to this many, and then forgotten together. */
const idleMax = 10_000;

export class Addresses {
  readonly #limits: AddressLimits;
  readonly #clock: Clock;
  readonly #hit: LimitHit;
  readonly #counted = new Map<string, Counted>();
  #sweepAt = idleMax;

  constructor(limits: AddressLimits, clock: Clock, hit: LimitHit) {
    this.#limits = limits;
    this.#clock = clock;
    this.#hit = hit;
  }

  /** Lets a connection begin, if there may be one more; `leave` when it ends. */
  enter(address: string): boolean {
    const counted = this.#of(address);
    if (counted === undefined) return true;
    if (counted.connections >= this.#limits.addressConnectionsMax) return this.#refuse("addressConnectionsMax");
    if (!counted.handshakes.take(1, this.#clock.monotonic())) return this.#refuse("addressHandshakesPerSecondMax");
    counted.connections++;
    return true;
  }

  leave(address: string): void {
    const counted = this.#of(address);
    if (counted !== undefined) counted.connections--;
  }

  #of(address: string): Counted | undefined {
    if (address === "" || isLoopback(address)) return undefined;
    const network = networkOf(address);
    let counted = this.#counted.get(network);
    if (counted === undefined) {
      if (this.#counted.size >= this.#sweepAt) this.#sweep();
      const handshakes = new Bucket(this.#limits.addressHandshakesPerSecondMax, this.#clock.monotonic());
      counted = { handshakes, connections: 0 };
      this.#counted.set(network, counted);
    }
    return counted;
  }

  #sweep(): void {
    const now = this.#clock.monotonic();
    for (const [network, { connections, handshakes }] of this.#counted) {
      if (connections === 0 && handshakes.isFull(now)) this.#counted.delete(network);
    }
    this.#sweepAt = Math.max(idleMax, 2 * this.#counted.size);
  }

  #refuse(limit: keyof Limits): false {
    this.#hit(limit);
    return false;
  }
}

/** Of IPv6, which has many ways to write it. */
const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Whether an address is of this machine alone. */
export function isLoopback(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return address.startsWith("127.");
  return address === "localhost" || (family === 6 && loopback.check(address, "ipv6"));
}

/** The first 64 bits of an IPv6 address; an IPv4 address as it is. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  // In its one canonical form, whoever wrote it.
  const [head = "", tail] = new SocketAddress({ address, family: "ipv6" }).address.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array<string>(Math.max(0, zeros)).fill("0"), ...after].slice(0, 4).join(":");
}
