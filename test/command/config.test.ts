import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { jsonSchema, loadConfig, parseConfig } from "@dogear/server";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../support/temp.ts";
import { dogear, dogearProcess } from "./support.ts";

const secret = "R2l2ZSBtZSBhIHBsYWNlIHRvIHN0YW5kIG9uLCBhbmQgSSB3aWxs";

/** A folder with a configuration. */
function configured(config: object): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "dogear.json"), JSON.stringify(config));
  return folder;
}

describe("dogear config check", () => {
  test("says in one line that nothing is wrong", async () => {
    const cwd = configured({ limits: { errorsMax: 1 } });
    const fine = { code: 0, stdout: "dogear.json is in order.\n", stderr: "" };
    expect(await dogearProcess(["config", "check", "--config", "dogear.json"], { cwd })).toEqual(fine);
    expect(await dogearProcess(["config", "check"], { cwd, env: { DOGEAR_CONFIG: "dogear.json" } })).toEqual(fine);
    expect(await dogear(["config", "check"])).toEqual({ ...fine, stdout: "The configuration is in order.\n" });
  });

  test("says every mistake in a line of its own, of options, variables and file", async () => {
    const cwd = configured({ limits: { mesageBytesMax: 1 }, access: { tokens: { secrets: "hunter2hunter2" } } });
    const env = { DOGEAR_LISTEN_PORT: "http" };
    const args = ["config", "check", "--config", "dogear.json", "--log-level", "loud", "--set", "data="];
    expect(await dogearProcess(args, { cwd, env })).toEqual({
      code: 78,
      stdout: "",
      stderr: `${[
        '--set: data is the name of a folder, not "".',
        'DOGEAR_LISTEN_PORT: listen.port is a whole number from 0 to 65535, not "http".',
        "dogear.json: access.tokens.secrets is a list.",
        '--log-level: log.level is one of debug, info, warn, error, silent, not "loud".',
        "dogear.json: limits.mesageBytesMax is not known; did you mean limits.messageBytesMax?",
        "dogear: There are 5 mistakes in the configuration.",
      ].join("\n")}\n`,
    });
  });

  test("finds what a hub would refuse at start: other machines let in without access control", async () => {
    const { code, stderr } = await dogear(["config", "check"], { env: { DOGEAR_LISTEN_HOST: "0.0.0.0" } });
    expect(code).toBe(78);
    expect(stderr).toMatch(/^listen\.host is 0\.0\.0\.0, but there is no access control: .*\n.*is 1 mistake.*\n$/);
  });

  test("says that the file cannot be read", async () => {
    const { code, stderr } = await dogear(["config", "check", "--config", "nowhere.json"]);
    expect(code).toBe(78);
    expect(stderr).toMatch(/^The configuration nowhere\.json cannot be read: /);
  });
});

describe("dogear config print", () => {
  test("prints every default", async () => {
    const { code, stdout, stderr } = await dogear(["config", "print"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(loadConfig().settings)));
    expect(parseConfig(JSON.parse(stdout))).toEqual(parseConfig({}));
  });

  test("prints what options, variables and file say together, without the secrets", async () => {
    const folder = configured({ access: { tokens: { secrets: [secret] } }, limits: { errorsMax: 1, drainMs: 1 } });
    const env = {
      DOGEAR_CONFIG: join(folder, "dogear.json"),
      DOGEAR_LIMITS_ERRORS_MAX: "2",
      DOGEAR_LISTEN_PORT: "2",
    };
    const { code, stdout, stderr } = await dogear(["config", "print", "--port", "3"], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({
      listen: { host: "127.0.0.1", port: 3 },
      access: { tokens: { secrets: ["[redacted]"] } },
      limits: { errorsMax: 2, drainMs: 1 },
    });
    expect(stdout).not.toContain(secret);
  });

  test("says what is wrong, and where more is said", async () => {
    expect(await dogear(["config", "print", "--set", "prot=1"])).toEqual({
      code: 78,
      stdout: "",
      stderr: 'dogear: --set: prot is not known; did you mean listen.port? See "dogear help config".\n',
    });
  });
});

test("dogear config schema prints the JSON Schema", async () => {
  const { code, stdout, stderr } = await dogear(["config", "schema"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(jsonSchema())));
});
