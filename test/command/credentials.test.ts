import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { startHub, type TestHub } from "../support/hub.ts";
import { temporaryFolder } from "../support/temp.ts";
import { signed, tokenConfig } from "../support/tokens.ts";
import { dogear, shell, start } from "./support.ts";

let hub: TestHub;
let good: string;

beforeAll(async () => {
  hub = await startHub({ config: tokenConfig });
  good = signed({ sub: "ada" });
});

function fileOf(text: string): string {
  const file = join(temporaryFolder(), "token");
  writeFileSync(file, text);
  return file;
}

describe("a token", () => {
  test("is an option, a file, or a variable of either", async () => {
    const file = fileOf(`${good}\n`);
    const ways: readonly (readonly [args: string[], env: NodeJS.ProcessEnv])[] = [
      [["--token", good], {}],
      [["--token-file", file], {}],
      [[], { DOGEAR_TOKEN: good }],
      [[], { DOGEAR_TOKEN_FILE: file }],
      [["--token", good], { DOGEAR_TOKEN: "bad" }],
      [["--token-file", file], { DOGEAR_TOKEN: "bad" }],
      [[], { DOGEAR_TOKEN: "", DOGEAR_TOKEN_FILE: file }],
    ];
    for (const [args, env] of ways) {
      const { code, stderr } = await dogear(["publish", "a", "1", ...args], { url: hub.url, env });
      expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: "" });
    }
  });

  test("may come through a pipe", async () => {
    const env = { TEST_TOKEN: good };
    const piped = await shell('echo "$TEST_TOKEN" | dogear publish a 1 --token-file /dev/stdin', { url: hub.url, env });
    expect(piped).toMatchObject({ code: 0, stderr: "" });
  });

  for (const command of ["publish a 1", "subscribe a", "group list", "dead list g", "cursor list", "schedule cancel x"])
    test(`is needed by dogear ${command}`, async () => {
      const { code, stdout, stderr } = await dogear(command.split(" "), { url: hub.url });
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(/^dogear: .*\(unauthorized\)\n$/);
    });

  test("that has expired is refused, wherever it came from", async () => {
    const expired = signed({ sub: "ada" }, -1_000);
    for (const source of [
      ["--token", expired],
      ["--token-file", fileOf(expired), "--timeout", "1"],
    ]) {
      const { code, stderr } = await dogear(["group", "list", ...source], { url: hub.url });
      expect(code).toBe(1);
      expect(stderr).toMatch(/^dogear: .*\(token-expired\)\n$/);
    }
  });

  test("is read again from its file, where it was renewed, by a command that goes on", async () => {
    const file = fileOf(signed({ sub: "ada" }, -1_000));
    const subscribing = start(["subscribe", "a", "--token-file", file, "--timeout", "60"], { url: hub.url });
    await subscribing.untilLine(/^dogear: No hub answers at .* yet \(token-expired\); trying again\.$/);
    writeFileSync(file, good);
    await subscribing.untilLine(/^dogear: Subscribed to a /);
  });
});

describe("on the command line", () => {
  const file = join(temporaryFolder(), "missing");
  const wrong: readonly (readonly [args: string[], says: RegExp])[] = [
    [["--token", "a", "--token-file", "b"], /^dogear: Either --token or --token-file\. /],
    [["--token="], /^dogear: --token is empty\. /],
    [["--token-file", file], /^dogear: --token-file cannot be read: ENOENT/],
    [["--token-file", "/dev/null"], /^dogear: --token-file is empty: \/dev\/null\. /],
  ];
  for (const [args, says] of wrong)
    test(`${args.join(" ")} is refused`, async () => {
      const { code, stdout, stderr } = await dogear(["publish", "a", "1", ...args]);
      expect([code, stdout]).toEqual([64, ""]);
      expect(stderr).toMatch(says);
    });

  test("DOGEAR_TOKEN_FILE is checked as --token-file is", async () => {
    const { code, stderr } = await dogear(["publish", "a", "1"], { env: { DOGEAR_TOKEN_FILE: file } });
    expect(code).toBe(64);
    expect(stderr).toMatch(/^dogear: DOGEAR_TOKEN_FILE cannot be read: ENOENT/);
  });
});
