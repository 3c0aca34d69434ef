/** Connections of one address, and whose address it is. */
import type { IncomingMessage } from "node:http";
import { defaultLimits, type Limits } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import { Addresses, isLoopback } from "../../server/src/access/addresses.ts";
import { Proxies } from "../../server/src/socket/peer.ts";
import { VirtualClock } from "../hub/support.ts";

function counting(limits: Partial<Limits> = {}) {
  const clock = new VirtualClock();
  const hits: (keyof Limits)[] = [];
  const addresses = new Addresses({ ...defaultLimits, ...limits }, clock, (limit) => hits.push(limit));
  return { addresses, clock, hits };
}

describe("the connections of an address", () => {
  it("are no more than may be, and one that ends makes room for another (P-12)", () => {
    const { addresses, hits } = counting({ addressConnectionsMax: 3 });
    expect([1, 2, 3, 4].map(() => addresses.enter("203.0.113.7"))).toEqual([true, true, true, false]);
    expect(addresses.enter("203.0.113.8")).toBe(true);
    addresses.leave("203.0.113.7");
    expect([1, 2].map(() => addresses.enter("203.0.113.7"))).toEqual([true, false]);
    expect(hits).toEqual(["addressConnectionsMax", "addressConnectionsMax"]);
  });

  it("begin no faster than they may, also where they end at once (P-12)", async () => {
    const { addresses, clock, hits } = counting({ addressHandshakesPerSecondMax: 10 });
    const begin = () => {
      const entered = addresses.enter("203.0.113.7");
      if (entered) addresses.leave("203.0.113.7");
      return entered;
    };
    expect(Array.from({ length: 15 }, begin).filter(Boolean)).toHaveLength(10);
    expect(hits).toEqual(Array(5).fill("addressHandshakesPerSecondMax"));
    await clock.advance(500);
    expect(Array.from({ length: 15 }, begin).filter(Boolean)).toHaveLength(5);
  });

  it("of an IPv6 network are those of one: who has an address has 2^64", () => {
    const { addresses } = counting({ addressConnectionsMax: 2 });
    const same = ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:1:a:b:c:d"];
    expect(same.map((address) => addresses.enter(address))).toEqual([true, true, false]);
    for (const other of ["2001:db8:0:2::1", "2001:db8::1", "2001:db8:1::", "2001:db8:0:10::1"]) {
      expect(addresses.enter(other)).toBe(true);
    }
  });

  it("are the same however an IPv6 address is written", () => {
    const { addresses } = counting({ addressConnectionsMax: 1 });
    const same = ["2001:db8:0:1::1", "2001:DB8:0:1::2", "2001:0db8:0000:0001::3", "2001:db8::1:0:0:0:4"];
    expect(same.map((address) => addresses.enter(address))).toEqual([true, false, false, false]);
  });

  it("of this machine are not counted", () => {
    const { addresses } = counting({ addressConnectionsMax: 1 });
    for (const address of ["127.0.0.1", "127.9.9.9", "::1", ""]) {
      for (let i = 0; i < 5; i++) expect(addresses.enter(address)).toBe(true);
    }
    expect(["128.0.0.1", "10.0.0.1", "::2", "localhost.evil.com", "127.0.0.1.evil.com"].some(isLoopback)).toBe(false);
  });

  it("are forgotten when they are gone, and not before", async () => {
    const { addresses, clock } = counting({ addressConnectionsMax: 1 });
    addresses.enter("203.0.113.7");
    for (let i = 0; i < 25_000; i++) {
      const address = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
      addresses.enter(address);
      addresses.leave(address);
      if (i % 5_000 === 0) await clock.advance(1_000);
    }
    expect(addresses.enter("203.0.113.7")).toBe(false);
  });
});

describe("who is behind a proxy", () => {
  const proxies = new Proxies(["10.0.0.0/8", "192.0.2.1", "2001:db8:ffff::/48"]);
  const from = (remoteAddress: string, forwarded?: string, proto?: string) =>
    proxies.peerOf({
      socket: { remoteAddress },
      headers: { "x-forwarded-for": forwarded, "x-forwarded-proto": proto },
    } as unknown as IncomingMessage);

  it("is whom a trusted one names", () => {
    expect(from("10.1.2.3", "203.0.113.7")).toMatchObject({ address: "203.0.113.7", secure: false });
    expect(from("::ffff:10.1.2.3", "203.0.113.7", "https")).toMatchObject({ address: "203.0.113.7", secure: true });
    expect(from("192.0.2.1", "2001:db8::7").address).toBe("2001:db8::7");
  });

  it("is who is there, where a stranger names others", () => {
    expect(from("203.0.113.9", "198.51.100.1", "https")).toMatchObject({ address: "203.0.113.9", secure: false });
    expect(from("192.0.2.2", "127.0.0.1").address).toBe("192.0.2.2");
  });

  it("is read from the right: what a client puts in front counts nothing", () => {
    expect(from("10.1.2.3", "127.0.0.1, 203.0.113.7").address).toBe("203.0.113.7");
    expect(from("10.1.2.3", "8.8.8.8, 203.0.113.7, 10.9.9.9").address).toBe("203.0.113.7");
    expect(from("10.1.2.3", "garbage, 203.0.113.7 ").address).toBe("203.0.113.7");
  });

  it("is one of the proxies where nobody else is named", () => {
    expect(from("10.1.2.3").address).toBe("10.1.2.3");
    expect(from("10.1.2.3", "").address).toBe("10.1.2.3");
    expect(from("10.1.2.3", "10.0.0.7").address).toBe("10.0.0.7");
  });

  it("is never something that is no address", () => {
    for (const odd of ["unknown", "_hidden", "a\u0000b", "1.2.3", "203.0.113.7/8", "%", "[", "[::", "::ffff:1.2.3"]) {
      expect(from("10.1.2.3", odd).address).toBe("10.1.2.3");
    }
  });

  it("may be named with its port", () => {
    expect(from("10.1.2.3", "203.0.113.7:5061").address).toBe("203.0.113.7");
    expect(from("10.1.2.3", "[2001:db8::7]:5061").address).toBe("2001:db8::7");
    expect(from("10.1.2.3", "[2001:db8::7]").address).toBe("2001:db8::7");
  });

  it("takes networks that are networks only", () => {
    for (const wrong of ["10.0.0.0/33", "10.0.0/8", "example.com", "", "::/129"]) {
      expect(() => new Proxies([wrong]), wrong).toThrow();
    }
  });
});
