import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseConfig } from "@dogear/server";
import { describe, expect, test } from "vitest";
import { serve } from "../../server/src/command/serve.ts";
import { startHub } from "../support/hub.ts";
import { listening, startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { dogear, dogearProcess, jsonLines, payloads, start, startShell } from "./support.ts";

const noAccessControl = [
  "There is no access control: everybody on this machine may read, write and administer everything.",
  'To let other machines in, configure tokens or keys: "dogear help token", "dogear help key".\n',
].join("\n");

test("prints a line for people, with the port it got, and logs JSON to standard error", async () => {
  const hub = start(["serve", "--port", "0", "--data", temporaryFolder()]);
  const { port } = await listening(hub);
  expect(port).toBeGreaterThan(0);
  expect(await hub.kill("SIGTERM")).toEqual({ code: 0, signal: null });
  expect(hub.stdout).toBe(`dogear listening on http://127.0.0.1:${port}\n${noAccessControl}`);
  const log = jsonLines<{ event: string; signal?: string }>(hub.stderr);
  expect(log.slice(-2)).toMatchObject([{ event: "stopping", signal: "SIGTERM" }, { event: "stopped" }]);
});

test("names the defaults of the hub it starts", async () => {
  const { data, listen, log } = parseConfig({});
  const says = Object.fromEntries(Object.entries(serve.options).map(([name, option]) => [name, option.says]));
  expect(says.port).toContain(`(default: ${listen.port})`);
  expect(says.host).toContain(`(default: ${listen.host})`);
  expect(says.data).toContain(`(default: ${data})`);
  expect(says["log-level"]).toContain(`${log.level} (default)`);
});

test("keeps its data in ./data", async () => {
  const cwd = temporaryFolder();
  const hub = start(["serve", "--port", "0"], { cwd });
  await listening(hub);
  expect(existsSync(join(cwd, "data"))).toBe(true);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`stops in good order on ${signal}, and what was published is there afterwards`, async () => {
    const data = temporaryFolder();
    const first = await startHubProcess({ data });
    await dogear(["publish", "kept", "1"], first);
    expect(await first.kill(signal)).toEqual({ code: 0, signal: null });
    const second = await startHubProcess({ data });
    const { stdout } = await dogear(["subscribe", "kept", "--from", "earliest", "--count", "1"], second);
    expect(payloads(stdout)).toEqual([1]);
  });
}

const key = `access.keys.billing=${JSON.stringify({ hash: "0".repeat(64) })}`;

test("says nothing about access control where there is some, and lets other machines in", async () => {
  const hub = await startHubProcess({ data: temporaryFolder(), args: ["--host", "0.0.0.0", "--set", key] });
  expect(hub.process.stdout).toBe(`dogear listening on http://0.0.0.0:${hub.port}\n`);
  expect(hub.process.stderr).not.toContain("access.none");
});

test("logs that there is no access control", async () => {
  const hub = await startHubProcess({ data: temporaryFolder() });
  expect(jsonLines(hub.process.stderr)).toContainEqual(
    expect.objectContaining({ level: "warn", event: "access.none", host: "127.0.0.1" }),
  );
});

test("goes by its options first, then by the environment, then by the file", async () => {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, "dogear.json"), '{"data":"of-file","listen":{"host":"192.0.2.1","port":1}}');
  const env = { DOGEAR_CONFIG: "dogear.json", DOGEAR_LISTEN_HOST: "localhost", DOGEAR_LISTEN_PORT: "2" };
  const hub = start(["serve", "--port", "0"], { cwd, env });
  await hub.untilLine(/listening on http:\/\/localhost:\d{4,5}/);
  expect(existsSync(join(cwd, "of-file"))).toBe(true);
});

describe("says what to do where it cannot run:", () => {
  test("the port is taken", async () => {
    const { port } = await startHub();
    expect(await dogear(["serve", "--port", `${port}`, "--data", temporaryFolder()])).toEqual({
      code: 69,
      stdout: "",
      stderr: `dogear: Port ${port} is taken. Stop what listens there, or take another with --port.\n`,
    });
  });

  test("this machine does not have the address", async () => {
    expect(
      await dogear(["serve", "--port", "0", "--host", "192.0.2.1", "--set", key, "--data", temporaryFolder()]),
    ).toEqual({
      code: 69,
      stdout: "",
      stderr: "dogear: This machine has no address 192.0.2.1. Take another with --host.\n",
    });
  });

  test("other machines could come in, and there is no access control", async () => {
    expect(await dogear(["serve", "--port", "0", "--host", "0.0.0.0", "--data", temporaryFolder()])).toEqual({
      code: 78,
      stdout: "",
      stderr:
        "dogear: listen.host is 0.0.0.0, but there is no access control: other machines could do everything. " +
        "Configure access.tokens or access.keys, or listen on 127.0.0.1.\n",
    });
  });

  test("the demo is wanted, and there is access control", async () => {
    const { code, stderr } = await dogear(["serve", "--port", "0", "--demo", "--set", key]);
    expect(code).toBe(64);
    expect(stderr).toMatch(/^dogear: --demo goes without access control/);
  });

  test("another hub has the data", async () => {
    const data = temporaryFolder();
    await startHubProcess({ data });
    const { code, stderr } = await dogearProcess(["serve", "--port", "0", "--data", data]);
    expect(code).toBe(69);
    expect(stderr).toBe(`dogear: Another hub is using the data in ${data}. Stop it, or give this one other data.\n`);
  });

  test("the data cannot be kept there", async () => {
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    const { code, stderr } = await dogear(["serve", "--port", "0", "--data", join(file, "data")]);
    expect(code).toBe(69);
    expect(stderr).toMatch(/^dogear: The data cannot be kept in .* Take another folder with --data\.\n$/);
  });

  test("the configuration is not there", async () => {
    const { code, stderr } = await dogear(["serve", "--config", "nowhere.json"]);
    expect(code).toBe(78);
    expect(stderr).toMatch(/^dogear: The configuration nowhere\.json cannot be read: .* See "dogear help config"\.\n$/);
  });

  test("the configuration has an unknown key", async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, "dogear.json"), '{"limits":{"messageByteMax":1}}');
    const { code, stderr } = await dogearProcess(["serve", "--config", "dogear.json"], { cwd });
    expect(code).toBe(78);
    expect(stderr).toBe(
      "dogear: dogear.json: limits.messageByteMax is not known; did you mean limits.messageBytesMax? " +
        'See "dogear help config".\n',
    );
  });

  test("a namespace would split the names of channels that are there", async () => {
    const hub = await startHub();
    await dogear(["publish", "chat.lobby", "1"], hub);
    await hub.close();
    const config = join(temporaryFolder(), "dogear.json");
    writeFileSync(config, '{"namespaces":{"chat":{}}}');
    const { code, stderr } = await dogear(["serve", "--port", "0", "--data", hub.data, "--config", config]);
    expect(code).toBe(78);
    expect(stderr).toContain("dogear: The namespace chat cannot be configured: chat.lobby already has messages");
  });
});

test("stops with exit code 70 where the disk fails, and starts again once it is well", async () => {
  const data = temporaryFolder();
  const hub = startShell(`ulimit -f 4000; exec dogear serve --port 0 --data ${data}`);
  const { url } = await listening(hub);
  const publishing = startShell(`yes "\\"$(printf '%01000d' 0)\\"" | dogear publish much`, { url });
  expect(await hub.exited).toEqual({ code: 70, signal: null });
  expect(hub.stderr).toMatch(/^dogear: The log cannot be written any more: .*\.$/m);
  await publishing.kill();
  const again = await startHubProcess({ data });
  const { stdout } = await dogear(["subscribe", "much", "--from", "earliest", "--until-caught-up"], again);
  expect(jsonLines(stdout).length).toBeGreaterThan(0);
});

test("--demo serves a page, says where, and publishes this machine's sensors", async () => {
  const data = join(temporaryFolder(), "demo");
  mkdirSync(data);
  const hub = await startHubProcess({ data, args: ["--demo"] });
  const page = `http://127.0.0.1:${hub.port}`;
  await hub.process.untilLine(/^See this machine/);
  expect(hub.process.stdout).toBe(
    `dogear listening on ${page}\n${noAccessControl}See this machine at ${page}; the data is in ${data}.\n`,
  );
  const response = await fetch(page);
  expect(response.status).toBe(200);
  expect(await response.text()).toContain("<!doctype html>");
  const { stdout } = await dogear(["subscribe", "sensors.>", "--from", "earliest", "--count", "1"], hub);
  expect(jsonLines(stdout)[0]?.channel).toMatch(/^sensors\./);
  expect(await hub.stop()).toEqual({ code: 0, signal: null });
});
