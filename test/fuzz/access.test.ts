/** What says who somebody is and what it may do: tokens, keys and capabilities. */
import { type Channel, DogearError, isChannel, isPattern, matcher, type Pattern } from "@dogear/shared";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { capabilities, permissionsOf, rights } from "../../server/src/access/capabilities.ts";
import { Keys, sha256 } from "../../server/src/access/keys.ts";
import type { Principal } from "../../server/src/access/principal.ts";
import { Tokens } from "../../server/src/access/tokens.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { secret, tokenAt, tokenPolicy } from "../access/support.ts";
import { VirtualClock } from "../hub/support.ts";
import { mutatedText } from "./mutation.ts";
import { corpus, fuzz, oddValue } from "./support.ts";

const clock = new VirtualClock();
const now = Math.floor(clock.now() / 1_000);
const tokens = new Tokens(tokenPolicy({ secrets: [secret] }), { clock, logger: silentLogger });

type Claims = Readonly<Record<string, unknown>>;

/** Claims of the corpus, their times made absolute. */
const claims = corpus("tokens.txt").map((text): Claims => {
  const said = JSON.parse(text) as Record<string, unknown>;
  for (const name of ["iat", "exp", "nbf"]) if (name in said) said[name] = now + (said[name] as number);
  return said;
});

/** Who a token lets in; nobody where it is refused, which is all that it may throw. */
async function verified(token: string): Promise<Principal | undefined> {
  try {
    return await tokens.verify(token);
  } catch (error) {
    if (!(error instanceof DogearError)) throw error;
    expect(["unauthorized", "token-expired"]).toContain(error.code);
    return undefined;
  }
}

describe("a token", () => {
  it("that was changed anywhere lets nobody in (P-66)", async () => {
    const signed = await Promise.all(claims.map((said) => tokenAt(clock.now(), said)));
    const content = (token: string) => token.split(".").slice(0, 2).join(".");
    await fuzz(
      mutatedText(signed),
      async (token) => {
        if ((await verified(token)) !== undefined) expect(signed.map(content)).toContain(content(token));
      },
      { share: 2 },
    );
  });

  it("that is signed lets somebody in whose name, expiry and rights are what they must be (P-66)", async () => {
    const names = ["sub", "exp", "iat", "nbf", "jti", "aud", "iss", "capabilities"];
    const odd = fc.oneof(
      oddValue,
      fc.constantFrom<unknown>(1e300, -1e300, now + 1, now - 1, [["publish"]], { ">": null }),
    );
    const strange = fc
      .tuple(fc.constantFrom(...claims), fc.constantFrom(...names), odd)
      .map(([said, name, value]) => ({ ...said, [name]: value }));
    await fuzz(strange, async (said) => {
      const payload = { ...said } as Claims;
      const somebody = await verified(await tokenAt(clock.now(), payload).catch(() => ""));
      if (somebody === undefined) return;
      const { user, expires, issued, tokenId } = somebody;
      expect(user).toBe(payload.sub);
      expect(Number.isFinite(expires) && (expires as number) > clock.now()).toBe(true);
      expect(issued === undefined || Number.isFinite(issued)).toBe(true);
      expect(tokenId === undefined || typeof tokenId === "string").toBe(true);
    });
  });
});

it("a key that is none of those configured lets nobody in (P-66)", async () => {
  const policy = { name: "writer", hash: sha256("the key").toString("hex"), capabilities: {}, limits: {} };
  const keys = new Keys([policy as never]);
  expect(keys.find("the key")?.user).toBe("writer");
  await fuzz(mutatedText(["the key", policy.hash]), (key) => {
    if (key !== "the key") expect(keys.find(key)).toBeUndefined();
  });
});

describe("capabilities", () => {
  const level = fc.constantFrom("a", "b", "$a", "*", "{user}", ">", "ann", "__proto__", "");
  const template = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("."));
  const granted = fc.dictionary(
    fc.oneof(template, fc.constantFrom("__proto__", "constructor")),
    fc.oneof(fc.subarray([...rights]), oddValue),
    { maxKeys: 4 },
  );
  const channel = fc.array(fc.constantFrom("a", "b", "ann", "$a"), { minLength: 1, maxLength: 4 });
  const asked = channel.map((levels) => levels.join(".") as Channel).filter(isChannel);

  it("grant nothing that no pattern of theirs selects (P-69)", async () => {
    await fuzz(
      fc.tuple(granted, asked, fc.constantFrom("ann", "a.b", "*", ">", "__proto__")),
      ([said, name, user]) => {
        const parsed = capabilities.safeParse(said);
        if (!parsed.success) return;
        const permissions = permissionsOf(parsed.data, user);
        for (const right of rights) {
          const grants = Object.entries(parsed.data).some(
            ([pattern, given]) => given.includes(right) && selects(pattern, user, name),
          );
          expect(permissions.may(right, name)).toBe(grants);
        }
      },
      { share: 2 },
    );
  });
});

/** Whether a pattern for a user selects a channel: a name that is no level can be nobody's. */
function selects(template: string, user: string, name: Channel): boolean {
  if (template.split(".").includes("{user}") && !/^[\w-]+$/.test(user)) return false;
  const pattern = template.replaceAll("{user}", user);
  return isPattern(pattern) && matcher(pattern as Pattern)(name);
}
