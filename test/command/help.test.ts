import { beforeAll, describe, expect, test } from "vitest";
import { commands, entries } from "../../server/src/command/table.ts";
import { exits, signalExits } from "../../server/src/command/usage.ts";
import { clientOf, startHub } from "../support/hub.ts";
import { whenDone } from "../support/temp.ts";
import { dogear, dogearProcess, finished, firstOf, startShell } from "./support.ts";

const columns = 100;
const ending = [...Object.values(exits).map(({ code }) => code), ...Object.values(signalExits)];

test("dogear --help names every command, with what it is for, and every exit code", async () => {
  const { code, stdout } = await dogearProcess(["--help"]);
  expect(code).toBe(0);
  for (const { name, summary } of entries) expect(stdout).toMatch(new RegExp(`^  ${name} +${summary}$`, "m"));
  for (const code of ending) expect(stdout).toMatch(new RegExp(`^  [\\d, ]*\\b${code}\\b`, "m"));
});

test("dogear help and dogear -h say the same as dogear --help", async () => {
  const { stdout } = await dogear(["--help"]);
  expect(await dogear(["help"])).toMatchObject({ code: 0, stdout });
  expect(await dogear(["-h"])).toMatchObject({ code: 0, stdout });
});

for (const { name, commands, ...family } of entries.filter((entry) => "commands" in entry)) {
  test(`the help of ${name} names its commands, with what they are for, within ${columns} columns`, async () => {
    const { code, stdout: help } = await dogear(["help", name]);
    expect(code).toBe(0);
    expect(help.startsWith(`${family.summary}.\n`)).toBe(true);
    for (const { name, summary } of commands) expect(help).toMatch(new RegExp(`^  ${name}\\b.* ${summary}$`, "m"));
    expect(help.split("\n").filter((line) => line.length > columns)).toEqual([]);
    expect(await dogear([name, "--help"])).toMatchObject({ code: 0, stdout: help });
    expect(await dogear([name, "-h"])).toMatchObject({ code: 0, stdout: help });
  });
}

for (const { name, options } of commands) {
  describe(`the help of ${name}`, () => {
    const words = name.split(" ");
    let help: string;

    beforeAll(async () => {
      help = (await dogear(["help", ...words])).stdout;
    });

    test("is there also after the command", async () => {
      expect(await dogear([...words, "--help"])).toMatchObject({ code: 0, stdout: help });
      expect(await dogear([...words, "-h"])).toMatchObject({ code: 0, stdout: help });
    });

    test("has a line for every option, with its default", () => {
      for (const [option, { value, default: byDefault = "" }] of Object.entries(options)) {
        const line = help.split("\n").find((line) => line.startsWith(`  --${option} `));
        expect(line, option).toContain(value === undefined ? `--${option} ` : `--${option} <${value}> `);
        expect(line, option).toContain(byDefault === "" ? "" : `(default: ${byDefault})`);
      }
    });

    test("has every exit code", () => {
      for (const code of ending) expect(help).toMatch(new RegExp(`^  [\\d, ]*\\b${code}\\b`, "m"));
    });

    test(`fits into ${columns} columns`, () => {
      expect(help.split("\n").filter((line) => line.length > columns)).toEqual([]);
    });
  });
}

describe("every example of the help works:", () => {
  let url: string;

  beforeAll(async () => {
    ({ url } = await startHub());
    for (let n = 0; n < 10; n++) await dogear(["publish", "sensors.kitchen.temperature", `${n}`], { url });
    await dogear(["subscribe", "sensors.>", "--from", "earliest", "--as", "me", "--count", "1"], { url });
    // One example deletes a group under its members.
    const client = clientOf(url, { expectErrors: true });
    await client.work("trial", { group: "trial" }).ready();
    // One is given up, and one is worked on for ever.
    const billing = client.work("orders.new", { group: "billing", concurrency: 10 }, (message) =>
      message.data === 1 ? message.reject() : new Promise(() => {}),
    );
    whenDone(() => billing.leave({ signal: AbortSignal.abort() }));
    await client.publish("orders.new", 1);
    await client.publish("orders.new", 2);
    await firstOf(client, "orders.new.$dead.billing");
  });

  for (const { line } of commands.flatMap(({ examples }) => examples)) {
    test(line, async () => {
      const example = startShell(line, { url });
      if (line.includes("dogear serve")) {
        // Another hub of this machine may be on the port that people use.
        await example.untilLine(/^dogear listening on |^dogear: Port 7600 is taken/);
      } else if (line === "dogear subscribe '>'") {
        await example.untilLine(/^dogear: Subscribed to > /);
      } else if (line.startsWith("dogear schedule cancel")) {
        expect((await finished(example)).stderr).toMatch(/\(not-scheduled\)$/m);
      } else if (line.startsWith("dogear session disconnect")) {
        expect((await finished(example)).stderr).toMatch(/\(unknown-session\)$/m);
      } else {
        expect(await example.exited).toEqual({ code: 0, signal: null });
        const text = /^ *dogear (group|dead|cursor|channel|session|revoke|token|key|config check)\b/m.test(line);
        const json = !text || line.includes("--json");
        expect(example.stdout).toMatch(json ? /^\{.*\}\n$/s : /^[A-Za-z].*\n$/s);
      }
    });
  }
});
