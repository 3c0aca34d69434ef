/** deploy/dogear.service, as systemd reads it. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { defaultLimits } from "@dogear/shared";
import { describe, expect, test } from "vitest";
import { adapted, original } from "../support/deploy-files.ts";
import { program } from "../support/machine.ts";
import { ChildProcess } from "../support/process.ts";

const analyze = program("systemd-analyze") ?? "";

describe.skipIf(analyze === "")("deploy/dogear.service", () => {
  test("is what systemd understands, and starts a command that is there", async () => {
    expect(await verify(installed())).toBe("");
  });

  test("would be refused with a setting that is none, and without the command", async () => {
    expect(await verify(installed({ "NoNewPrivileges=yes": "NoNewPrivilege=yes" }))).toContain("NoNewPrivilege");
    expect(await verify(adapted("dogear.service", {}))).toContain("/usr/local/bin/dogear is not executable");
  });

  test("leaves a hub that was taken over little to do", async () => {
    const { stdout } = await systemd("security", "--offline=true", installed());
    const [, exposure] = stdout.match(/Overall exposure level for dogear\.service: ([\d.]+)/) ?? [];
    expect(Number(exposure)).toBeLessThanOrEqual(1.5);
  });

  test("waits longer for a hub that stops than the hub takes, and has a file for each connection", () => {
    expect(1_000 * setting("TimeoutStopSec")).toBeGreaterThan(2 * defaultLimits.drainMs);
    expect(setting("LimitNOFILE")).toBeGreaterThan(defaultLimits.connectionsMax);
  });

  async function verify(file: string): Promise<string> {
    const { stdout, stderr } = await systemd("verify", "--man=no", "--recursive-errors=no", file);
    return stdout + stderr;
  }

  async function systemd(...args: readonly string[]): Promise<ChildProcess> {
    const running = new ChildProcess(analyze, args);
    await running.exited;
    return running;
  }
});

/** With the built command in place of the installed one. */
function installed(replacements: Readonly<Record<string, string>> = {}): string {
  const command = join(dirname(createRequire(import.meta.url).resolve("@dogear/server")), "main.js");
  return adapted("dogear.service", { "/usr/local/bin/dogear": command, ...replacements });
}

function setting(name: string): number {
  return Number.parseInt(original("dogear.service").match(new RegExp(`^${name}=(\\d+)`, "m"))?.[1] ?? "", 10);
}
