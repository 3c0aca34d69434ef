/** Who is let in: by tokens, by keys, by a function of the embedder's, or on the hub's own machine. */
import { dogearError } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import type { Authenticate } from "../../server/src/access/access.ts";
import { sha256 } from "../../server/src/access/keys.ts";
import { refusal } from "../support/hub.ts";
import { KeyServer, makeKey } from "./key-server.ts";
import { openAccess, secret, tokenAt } from "./support.ts";

const withSecret = { tokens: { secrets: [secret] } };

function keyOf(name: string, key: string) {
  return {
    name,
    hash: sha256(key).toString("hex"),
    capabilities: { "orders.{user}": ["publish" as const] },
    limits: {},
  };
}

describe("a hub without access control", () => {
  it("takes everyone for the same user, whose quota has no end, whatever token is sent", async () => {
    const { access, enter } = await openAccess();
    expect(access.isOpen).toBe(true);
    for (const token of [undefined, "", "x", "a.b.c"]) expect((await enter(token)).user).toBe("anonymous");
    const quota = access.quotaOf(await enter(undefined));
    for (let i = 0; i < 100_000; i++) if (!quota.connect() || !quota.publish(1_000_000)) throw new Error("refused");
  });
});

describe("a hub with tokens", () => {
  it("refuses who has none, and who has what is neither token nor key (P-66)", async () => {
    const { access, enter } = await openAccess(withSecret);
    expect(access.isOpen).toBe(false);
    for (const token of [undefined, "", " ", "x", "a.b", "a.b.c", ".", "\0", "é".repeat(4_000), "a.".repeat(4_000)]) {
      expect(await refusal(enter(token))).toBe("unauthorized");
    }
  });

  it("lets a token in until it expires, also when it was verified before (P-68)", async () => {
    const { clock, enter } = await openAccess(withSecret);
    const token = await tokenAt(clock.now(), { exp: Math.floor(clock.now() / 1_000) + 10 });
    expect((await enter(token)).user).toBe("ann");
    await clock.advance(9_000);
    expect((await enter(token)).user).toBe("ann");
    await clock.advance(1_001);
    expect(await refusal(enter(token))).toBe("token-expired");
  });

  it("verifies the token of a reconnect storm once, and a bad one is never taken for a good one", async () => {
    const issuer = await KeyServer.start();
    const key = await makeKey("k");
    issuer.keys = [key];
    const { access, clock, enter } = await openAccess({ tokens: { keySetUrl: issuer.url } });
    const token = await tokenAt(clock.now(), {}, { key: key.privateKey, header: { alg: "EdDSA", kid: "k" } });
    const changed = `${token.slice(0, -5)}AAAAA`;
    const all = await Promise.all(Array.from({ length: 500 }, () => enter(token)));
    // One verification is one principal.
    expect(new Set(all).size).toBe(1);
    for (let i = 0; i < 3; i++) expect(await refusal(enter(changed))).toBe("unauthorized");
    expect((await enter(token)).user).toBe("ann");
    await clock.advance(5 * 60_000);
    expect(await enter(token)).not.toBe(all[0]);
    expect(access.isOpen).toBe(false);
  });
});

describe("API keys", () => {
  it("let in whoever has one, by its name, with what it may do", async () => {
    const { enter } = await openAccess({ keys: [keyOf("billing", "k-1"), keyOf("shop", "k-2")] });
    const principal = await enter("k-2");
    expect(principal).toMatchObject({ user: "shop", revocable: false });
    expect(principal.permissions.may("publish", "orders.shop" as never)).toBe(true);
    expect(principal.permissions.may("publish", "orders.billing" as never)).toBe(false);
  });

  it("are refused where they are cut short, too long, a hash, or in other letters", async () => {
    const key = "dk_9f8e7d6c5b4a";
    const { enter } = await openAccess({ keys: [keyOf("billing", key)] });
    const wrong = [key.slice(0, -1), `${key}x`, key.toUpperCase(), ` ${key}`, sha256(key).toString("hex"), "billing"];
    for (const one of [...wrong, "", undefined]) expect(await refusal(enter(one))).toBe("unauthorized");
    expect((await enter(key)).user).toBe("billing");
  });

  it("may have limits of their own", async () => {
    const key = { ...keyOf("billing", "k"), limits: { userConnectionsMax: 1 } };
    const { access, enter, hits } = await openAccess({ keys: [key] });
    const quota = access.quotaOf(await enter("k"));
    expect([quota.connect(), quota.connect()]).toEqual([true, false]);
    expect(hits.items).toEqual(["userConnectionsMax"]);
  });

  it("alone do not make tokens good", async () => {
    const { clock, enter } = await openAccess({ keys: [keyOf("billing", "k")] });
    expect(await refusal(enter(await tokenAt(clock.now(), {}, { key: "k".repeat(32) })))).toBe("unauthorized");
  });
});

describe("an embedder's authenticate", () => {
  const saying = (who: unknown) => (async () => who) as Authenticate;

  it("says who comes, with what it may do and until when", async () => {
    const authenticate: Authenticate = async ({ token, address }) => ({
      user: `${token}@${address}`,
      capabilities: { "a.>": ["publish"] },
      expires: 2_000_000_000_000,
    });
    const { enter } = await openAccess({ authenticate });
    const principal = await enter("ann");
    expect(principal).toMatchObject({ user: "ann@203.0.113.7", expires: 2_000_000_000_000 });
    expect(principal.permissions.may("publish", "a.b" as never)).toBe(true);
    expect(principal.permissions.may("publish", "b" as never)).toBe(false);
  });

  it("that says nothing, or nobody who could be a user, lets nobody in", async () => {
    for (const who of [undefined, { user: "" }, { user: 5 }, {}, { user: "\ud800" }, { user: "x".repeat(10_000) }]) {
      expect(await refusal((await openAccess({ authenticate: saying(who) })).enter("t"))).toBe("unauthorized");
    }
  });

  it.each([
    ["null", null],
    ["an expiry that never comes", { user: "ann", expires: Number.NaN }],
    ["an expiry that is text", { user: "ann", expires: "soon" }],
    ["a time of issue that is none", { user: "ann", issued: Number.POSITIVE_INFINITY }],
    ["an id that has no UTF-8", { user: "ann", tokenId: "\ud800" }],
    ["rights that are none", { user: "ann", capabilities: { a: "publish" } }],
    ["patterns that are none", { user: "ann", capabilities: { "a..b": ["publish"] } }],
  ])("that says %s lets nobody in, and the mistake is logged", async (_what, who) => {
    const { enter, logged } = await openAccess({ authenticate: saying(who) });
    expect(await refusal(enter("t"))).toBe("access-unavailable");
    expect(logged.items).toMatchObject([["access.authenticate-failed", { error: {} }]]);
  });

  it("that fails keeps people waiting, unless it says why it refuses them", async () => {
    const failing = (error: unknown) => openAccess({ authenticate: async () => Promise.reject(error) });
    const cases = [
      [new Error("no database"), "access-unavailable"],
      [undefined, "access-unavailable"],
      [dogearError("disk-full"), "access-unavailable"],
      [dogearError("token-expired"), "token-expired"],
      [dogearError("revoked"), "revoked"],
    ] as const;
    for (const [error, code] of cases) {
      const { enter, logged } = await failing(error);
      expect(await refusal(enter("t"))).toBe(code);
      expect(logged.items).toHaveLength(code === "access-unavailable" ? 1 : 0);
    }
  });

  it("may throw at once instead of later", async () => {
    const { enter } = await openAccess({
      authenticate: () => {
        throw new Error("at once");
      },
    });
    expect(await refusal(enter("t"))).toBe("access-unavailable");
  });

  it("whose user has expired already lets nobody in", async () => {
    const { enter } = await openAccess({ authenticate: saying({ user: "ann", expires: 1 }) });
    expect(await refusal(enter("t"))).toBe("token-expired");
  });
});

describe("an embedder's authorize", () => {
  const authenticate: Authenticate = async () => ({ user: "ann", capabilities: { ">": ["admin"] } });

  it("decides alone, and only what it calls true is allowed", async () => {
    const asked: unknown[][] = [];
    const answers: unknown[] = [true, false, undefined, "yes", 1, Promise.resolve(true)];
    const authorize = (...args: unknown[]) => {
      asked.push(args);
      return answers[asked.length - 1] as boolean;
    };
    const { permissions } = await (await openAccess({ authenticate, authorize })).enter("t");
    const may = answers.map(() => permissions.may("admin", "a.>" as never));
    expect(may).toEqual([true, false, false, false, false, false]);
    expect(asked[0]).toMatchObject([{ user: "ann" }, "admin", "a.>"]);
  });

  it("that fails allows nothing, and is logged", async () => {
    const authorize = () => {
      throw new Error("no database");
    };
    const { enter, logged } = await openAccess({ authenticate, authorize });
    const { permissions } = await enter("t");
    expect(permissions.may("publish", "a" as never)).toBe(false);
    expect(logged.items).toMatchObject([["access.authorize-failed", { right: "publish", name: "a" }]]);
  });
});

describe("tickets", () => {
  it("are good once, and for a few seconds", async () => {
    const { access, clock } = await openAccess(withSecret);
    const { ticket, expiresInMs } = access.tickets.issue("the token");
    expect(access.tickets.redeem(ticket)).toBe("the token");
    expect(() => access.tickets.redeem(ticket)).toThrow("used before");
    const late = access.tickets.issue("another").ticket;
    await clock.advance(expiresInMs);
    expect(() => access.tickets.redeem(late)).toThrow();
    for (const wrong of ["", "__proto__", "x".repeat(10_000)]) expect(() => access.tickets.redeem(wrong)).toThrow();
  });

  it("are forgotten when they are too many, the oldest first", async () => {
    const { access } = await openAccess({ ...withSecret, limits: { ticketMs: 1_000_000_000 } });
    const all = Array.from({ length: 100_001 }, (_, i) => access.tickets.issue(`${i}`).ticket);
    expect(() => access.tickets.redeem(all[0] as string)).toThrow();
    expect(access.tickets.redeem(all.at(-1) as string)).toBe("100000");
  });
});
