/** The machinery of the soak: a few seconds of it pass, and a hub's process that leaks does not. `npm run soak` is the real thing. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { startScript } from "../support/process.ts";
import { repository } from "../support/sources.ts";

const program = join(repository, "test/dist/soak/main.js");
const briefly = ["--minutes", "0.1", "--connections", "100", "--sample", "1000", "--scene", "2000", "--gone", "3000"];

test("a few seconds of a soak pass, and one whose hub's process leaks timers fails by name", async () => {
  const [sound, leaking] = [startScript(program, briefly), startScript(program, [...briefly, "--leak", "timers"])];
  expect(await sound.exited, sound.stdout + sound.stderr).toEqual({ code: 0, signal: null });
  expect(sound.stdout).toMatch(
    /^[1-9]\d* scenes were checked: [1-9]\d* messages, [1-9]\d* deliveries, [1-9]\d* leases/m,
  );
  expect(await leaking.exited, leaking.stdout + leaking.stderr).toEqual({ code: 1, signal: null });
  const failures = leaking.stdout.match(/^FAILED: .*/gm);
  expect(failures).toEqual([expect.stringMatching(/^FAILED: left: timers: \d+ before anybody came, \d+ after/)]);
});
