/** Revocations: of a token, of a user's tokens, and that nothing but time undoes them. */
import { describe, expect, it } from "vitest";
import { MemoryState } from "../../server/src/engine/memory/memory-state.ts";
import { refusal } from "../support/hub.ts";
import { openAccess, secret, tokenAt } from "./support.ts";

const withSecret = { tokens: { secrets: [secret] } };
const day = 86_400_000;

describe("a revocation", () => {
  it("of a token refuses that one, also where it was verified before, and no other (P-68)", async () => {
    const { access, clock, enter } = await openAccess(withSecret);
    const [one, two] = [await tokenAt(clock.now(), { jti: "1" }), await tokenAt(clock.now(), { jti: "2" })];
    const principal = await enter(one);
    await access.revoke({ token: "1" });
    expect(access.isRevoked(principal)).toBe(true);
    expect(await refusal(enter(one))).toBe("revoked");
    expect((await enter(two)).user).toBe("ann");
  });

  it("of a user refuses the tokens that were issued before, and those that do not say when (P-68)", async () => {
    const { access, clock, enter } = await openAccess(withSecret);
    const old = await tokenAt(clock.now());
    const undated = await tokenAt(clock.now(), { iat: undefined });
    const others = await tokenAt(clock.now(), { sub: "bob" });
    await clock.advance(1_000);
    await access.revoke({ user: "ann", before: clock.now() });
    for (const token of [old, undated]) expect(await refusal(enter(token))).toBe("revoked");
    expect((await enter(others)).user).toBe("bob");
    expect((await enter(await tokenAt(clock.now()))).user).toBe("ann");
  });

  it("is not undone by an older one", async () => {
    const { access, clock, enter } = await openAccess(withSecret);
    await clock.advance(10_000);
    const token = await tokenAt(clock.now() - 5_000);
    await access.revoke({ user: "ann", before: clock.now() });
    await access.revoke({ user: "ann", before: clock.now() - 8_000 });
    expect(await refusal(enter(token))).toBe("revoked");
  });

  it("survives a restart, for as long as tokens live", async () => {
    const state = new MemoryState();
    const options = { tokens: { secrets: [secret], lifetimeMsMax: day }, state };
    const before = await openAccess(options);
    const { clock } = before;
    const token = await tokenAt(clock.now(), { jti: "1", exp: clock.now() / 1_000 + 86_400 });
    await before.access.revoke({ token: "1" });
    await clock.advance(day - 1_000);
    const after = await openAccess({ ...options, clock });
    expect(await refusal(after.enter(token))).toBe("revoked");
    await clock.advance(day);
    await openAccess({ ...options, clock });
    expect(await state.list("revoked/")).toEqual([]);
  });

  it("of what is issued until later lasts until that has expired", async () => {
    const state = new MemoryState();
    const options = { tokens: { secrets: [secret], lifetimeMsMax: day }, state };
    const { access, clock } = await openAccess(options);
    await access.revoke({ user: "ann", before: clock.now() + 5 * day });
    await clock.advance(5 * day - 60_000);
    const token = await tokenAt(clock.now(), { exp: clock.now() / 1_000 + 80_000 });
    await clock.advance(120_000);
    const after = await openAccess({ ...options, clock });
    expect(await refusal(after.enter(token))).toBe("revoked");
  });

  it("does not concern keys, which are taken out of the configuration instead", async () => {
    const key = { name: "ann", hash: "0".repeat(64), capabilities: {}, limits: {} };
    const { access } = await openAccess({ keys: [key] });
    await access.revoke({ user: "ann", before: Number.MAX_SAFE_INTEGER });
    const permissions = { may: () => true, mayAnywhere: () => true };
    expect(access.isRevoked({ user: "ann", permissions, revocable: false, limits: {} })).toBe(false);
  });

  it("of one user is never another's, however their names are written", async () => {
    const { access, clock, enter } = await openAccess(withSecret);
    const names = ["ann", "ANN", "ann/", "%61nn", "a%6en", "token/1", "../ann", "ann\0", "é", "é"];
    for (const name of names) await access.revoke({ token: name });
    await clock.advance(1_000);
    await access.revoke({ user: "%61nn", before: clock.now() });
    for (const sub of names) {
      const entered = await enter(await tokenAt(clock.now() - 1_000, { sub })).catch(({ code }) => code);
      expect(entered).toEqual(sub === "%61nn" ? "revoked" : expect.objectContaining({ user: sub }));
    }
  });
});
