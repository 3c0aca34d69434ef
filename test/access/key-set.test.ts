/** Keys that are fetched from their issuer: while they change, while it cannot be reached, and while somebody plays with it. */
import { describe, expect, it } from "vitest";
import { refusal } from "../support/hub.ts";
import { type IssuerKey, KeyServer, makeKey } from "./key-server.ts";
import { openAccess, type TestAccess, tokenAt } from "./support.ts";

const minute = 60_000;
const [first, second] = [await makeKey("first"), await makeKey("second")];

async function withIssuer(keys: readonly IssuerKey[]): Promise<TestAccess & { readonly issuer: KeyServer }> {
  const issuer = await KeyServer.start();
  issuer.keys = keys;
  return { ...(await openAccess({ tokens: { keySetUrl: issuer.url } })), issuer };
}

/** A token that was signed now, different from every other. */
function signed({ clock }: Pick<TestAccess, "clock">, { privateKey: key, kid }: IssuerKey, claims = {}) {
  const header = { alg: "EdDSA", kid };
  return tokenAt(
    clock.now(),
    { exp: clock.now() / 1_000 + 10 * 86_400, jti: `${Math.random()}`, ...claims },
    {
      key,
      header,
    },
  );
}

describe("an issuer's keys", () => {
  it("are fetched when the first token comes, once for all who come with it", async () => {
    const world = await withIssuer([first]);
    expect(world.issuer.requests.items).toHaveLength(0);
    const tokens = await Promise.all(Array.from({ length: 20 }, () => signed(world, first)));
    const principals = await Promise.all(tokens.map((token) => world.enter(token)));
    expect(principals.every(({ user }) => user === "ann")).toBe(true);
    expect(world.issuer.requests.items).toHaveLength(1);
  });

  it("may be joined by a new one, which is fetched when a token names it", async () => {
    const world = await withIssuer([first]);
    await world.enter(await signed(world, first));
    world.issuer.keys = [first, second];
    await world.clock.advance(minute);
    for (const key of [second, first]) expect((await world.enter(await signed(world, key))).user).toBe("ann");
    expect(world.issuer.requests.items).toHaveLength(2);
  });

  it("may be replaced without overlap: the old one counts no more from when the new one is known", async () => {
    const world = await withIssuer([first]);
    await world.enter(await signed(world, first));
    world.issuer.keys = [second];
    await world.clock.advance(minute);
    expect((await world.enter(await signed(world, second))).user).toBe("ann");
    await world.clock.advance(minute);
    expect(await refusal(world.enter(await signed(world, first)))).toBe("unauthorized");
  });

  it("may be replaced a moment after they were fetched: whoever is early is told to come back, and is let in then", async () => {
    const world = await withIssuer([first]);
    await world.enter(await signed(world, first));
    world.issuer.keys = [second];
    const early = await signed(world, second);
    expect(await refusal(world.enter(early))).toBe("access-unavailable");
    await world.clock.advance(minute);
    expect((await world.enter(early)).user).toBe("ann");
  });

  it("are fetched again in the background when they are old, and one that was taken back counts no more", async () => {
    const world = await withIssuer([first, second]);
    await world.enter(await signed(world, first));
    world.issuer.keys = [second];
    await world.clock.advance(11 * minute);
    await world.enter(await signed(world, second));
    await world.issuer.requests.reach(2);
    await world.enter(await signed(world, second));
    await world.clock.advance(minute);
    expect(await refusal(world.enter(await signed(world, first)))).toBe("unauthorized");
  });
});

describe("tokens that name keys nobody has", () => {
  it("do not make the hub ask the issuer more than twice a minute, however many they are", async () => {
    const world = await withIssuer([first]);
    await world.enter(await signed(world, first));
    for (let i = 0; i < 4; i++) {
      const flood = await Promise.all(Array.from({ length: 50 }, (_, n) => makeKey(`made-up-${i}-${n}`)));
      const tokens = await Promise.all(flood.map((key) => signed(world, key)));
      await Promise.all(tokens.map((token) => refusal(world.enter(token))));
      expect((await world.enter(await signed(world, first))).user).toBe("ann");
      await world.clock.advance(15_000);
    }
    expect(world.issuer.requests.items.length).toBeLessThanOrEqual(3);
  });
});

describe("an issuer that cannot be reached", () => {
  const failures = [
    { status: 500, body: "" },
    { status: 302, body: "" },
    { status: 200, body: "<html>" },
    { status: 200, body: '{"keys":1}' },
    { status: 200, body: "null" },
  ];

  it.each(failures)("(%j) keeps nobody out for good, and is not asked for each who comes", async (broken) => {
    const world = await withIssuer([first]);
    world.issuer.broken = broken;
    const token = await signed(world, first);
    for (let i = 0; i < 10; i++) expect(await refusal(world.enter(token))).toBe("access-unavailable");
    expect(world.issuer.requests.items).toHaveLength(1);
    world.issuer.broken = undefined;
    await world.clock.advance(1_000);
    expect((await world.enter(token)).user).toBe("ann");
  });

  it("does not matter to those whose keys are known, for a day", async () => {
    const world = await withIssuer([first]);
    await world.enter(await signed(world, first));
    world.issuer.broken = { status: 503, body: "" };
    for (let hour = 1; hour < 24; hour++) {
      await world.clock.advance(60 * minute);
      expect((await world.enter(await signed(world, first))).user).toBe("ann");
    }
    await world.clock.advance(61 * minute);
    expect(await refusal(world.enter(await signed(world, first)))).toBe("access-unavailable");
  });

  it("is logged without what its address may hold", async () => {
    const world = await withIssuer([first]);
    world.issuer.broken = { status: 500, body: "" };
    await refusal(world.enter(await signed(world, first)));
    const [event, facts] = await world.logged.find(([event]) => event === "access.keys-not-fetched");
    expect(event).toBeDefined();
    expect(facts.url).not.toContain("secret");
  });
});
