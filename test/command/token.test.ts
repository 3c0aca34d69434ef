import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "@dogear/client";
import { isCapabilities, issueKey, parseConfig } from "@dogear/server";
import { jwtVerify } from "jose";
import { describe, expect, test } from "vitest";
import { Keys } from "../../server/src/access/keys.ts";
import { Tokens } from "../../server/src/access/tokens.ts";
import { systemClock } from "../../server/src/runtime/clock.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { startHub } from "../support/hub.ts";
import { temporaryFolder } from "../support/temp.ts";
import { dogear, dogearProcess } from "./support.ts";

const secret = "R2l2ZSBtZSBhIHBsYWNlIHRvIHN0YW5kIG9uLCBhbmQgSSB3aWxs";
const older = "VGhlIG9sZGVyIG9uZSwgdGhhdCBpcyBub3Qgc2lnbmVkIHdpdGg=";

/** A folder with a configuration, and files that it names. */
function configured(tokens: object): { readonly cwd: string; readonly env: NodeJS.ProcessEnv } {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, "dogear.json"), JSON.stringify({ access: { tokens } }));
  writeFileSync(join(cwd, "secret"), `${secret}\n`);
  return { cwd, env: { DOGEAR_CONFIG: join(cwd, "dogear.json") } };
}

function verified(token: string, by = secret): ReturnType<typeof jwtVerify> {
  return jwtVerify(token.trim(), new TextEncoder().encode(by), { algorithms: ["HS256"] });
}

describe("dogear token create", () => {
  test("prints a token alone, which says who, from when, until when and by what name it can be revoked", async () => {
    const before = Math.floor(Date.now() / 1_000);
    const { code, stdout, stderr } = await dogear(
      ["token", "create", "--user", "alice", "--can", "subscribe:news.>", "--expires", "90s"],
      configured({ secrets: [secret, older] }),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const { payload, protectedHeader } = await verified(stdout);
    expect(protectedHeader).toEqual({ alg: "HS256", typ: "JWT" });
    const { iat = 0, exp, jti, ...claims } = payload;
    expect(claims).toEqual({ sub: "alice", capabilities: { "news.>": ["subscribe"] } });
    expect(iat).toBeGreaterThanOrEqual(before);
    expect(exp).toBe(iat + 90);
    expect(jti).toMatch(/^[\w-]{16,}$/);
  });

  test("has the claims that the configuration asks for, so that its hub accepts it", async () => {
    const policy = {
      secretFile: "secret",
      audience: "dogear",
      issuer: "https://issuer.example",
      userClaim: "email",
      capabilitiesClaim: "may",
      lifetimeMsMax: 3_600_000,
    };
    const { cwd, env } = configured(policy);
    const { stdout } = await dogear(["token", "create", "--user", "a@b.example", "--can", "work:a"], { env });
    const { payload } = await verified(stdout);
    expect(payload).toMatchObject({
      sub: "a@b.example",
      email: "a@b.example",
      aud: "dogear",
      iss: "https://issuer.example",
      may: { a: ["work"] },
    });
    const { tokens } = parseConfig({ access: { tokens: policy } }, "", cwd).access;
    if (tokens === undefined) throw new Error("There is no policy.");
    const hub = new Tokens(tokens, { clock: systemClock, logger: silentLogger });
    expect(await hub.verify(stdout.trim())).toMatchObject({ user: "a@b.example", tokenId: payload.jti });
  });

  test("brings no capabilities where none are given", async () => {
    const { stdout } = await dogear(["token", "create", "--user", "a"], configured({ secrets: [secret] }));
    expect((await verified(stdout)).payload).not.toHaveProperty("capabilities");
  });

  test("adds up what may be done in one place", async () => {
    const can = ["publish,subscribe:orders.>", "work:orders.>", "work:orders.>", "subscribe:inbox.{user}.>"];
    const args = ["token", "create", "--user", "a", ...can.flatMap((text) => ["--can", text])];
    const { payload } = await verified((await dogear(args, configured({ secrets: [secret] }))).stdout);
    expect(payload.capabilities).toEqual({
      "orders.>": ["publish", "subscribe", "work"],
      "inbox.{user}.>": ["subscribe"],
    });
    expect(isCapabilities(payload.capabilities)).toBe(true);
  });

  test("signs with the secret in a file, with a configuration of other secrets or without one", async () => {
    const args = ["token", "create", "--user", "a", "--secret-file", "secret"];
    const { cwd, env } = configured({ secrets: [older], audience: "dogear" });
    const { stdout } = await dogearProcess(args, { cwd, env });
    expect((await verified(stdout)).payload.aud).toBe("dogear");
    expect((await verified((await dogearProcess(args, { cwd })).stdout)).payload.sub).toBe("a");
  });

  test("is refused without a secret, and with a bad one, which is not printed", async () => {
    const none = await dogear(["token", "create", "--user", "a"]);
    expect(none).toMatchObject({ code: 78, stdout: "" });
    expect(none.stderr).toContain("No secret is configured to sign with.");
    const short = await dogear(["token", "create", "--user", "a"], configured({ secrets: ["hunter2"] }));
    expect(short).toMatchObject({ code: 78, stdout: "" });
    expect(short.stderr).not.toContain("hunter2");
  });

  test("is refused where it would live longer than the configuration allows", async () => {
    const surroundings = configured({ secrets: [secret], lifetimeMsMax: 60_000 });
    const { code, stderr } = await dogear(["token", "create", "--user", "a", "--expires", "61s"], surroundings);
    expect(code).toBe(64);
    expect(stderr).toMatch(/^dogear: --expires is at most 1m here, because of access\.tokens\.lifetimeMsMax\./);
  });

  test("is refused where it would be longer than a hub reads", async () => {
    const can = Array.from({ length: 300 }, (_, n) => ["--can", `work:orders.number-${n}`]).flat();
    const args = ["token", "create", "--user", "a", ...can];
    const { code, stderr } = await dogear(args, configured({ secrets: [secret] }));
    expect(code).toBe(64);
    expect(stderr).toContain("So many capabilities make a token of more than 8192 characters.");
  });
});

describe("dogear key create", () => {
  test("prints a new key alone, and apart from it the configuration that knows it by its hash", async () => {
    const { code, stdout, stderr } = await dogear(["key", "create", "billing", "--can", "work,subscribe:orders.>"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^dgr_[\w-]{43}\n$/);
    const key = stdout.trim();
    expect(stderr).not.toContain(key);
    const { access } = parseConfig(JSON.parse(stderr));
    expect(access.keys).toMatchObject([{ name: "billing", capabilities: { "orders.>": ["work", "subscribe"] } }]);
    const found = new Keys(access.keys).find(key);
    expect(found?.user).toBe("billing");
    expect(new Keys(access.keys).find(`${key}x`)).toBeUndefined();
    expect((await dogear(["key", "create", "billing"])).stdout).not.toBe(stdout);
  });

  test("makes 256 random bits into a key whose hash is another's for every bit", () => {
    const bytes = new Uint8Array(32);
    const { key, hash } = issueKey(bytes);
    expect(key).toBe(`dgr_${"A".repeat(43)}`);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    bytes[31] = 1;
    expect(issueKey(bytes).hash).not.toBe(hash);
  });
});

test("a hub lets in who has what these commands made, and nobody else", async () => {
  const { env } = configured({ secretFile: "secret" });
  const { stdout: token } = await dogear(["token", "create", "--user", "alice", "--can", "publish:news"], { env });
  const { stdout: key, stderr } = await dogear(["key", "create", "billing", "--can", "publish:news"]);
  const { keys } = JSON.parse(stderr).access;
  const hub = await startHub({ config: { access: { tokens: { secrets: [secret] }, keys } } });
  for (const good of [token, key]) {
    await using client = connect(hub.url, { token: good.trim() });
    expect(await client.publish("news", 1)).toMatchObject({ durability: "disk" });
  }
  await using stranger = connect(hub.url, { token: issueKey(new Uint8Array(32)).key });
  await expect(stranger.ready()).rejects.toMatchObject({ code: "unauthorized" });
});
