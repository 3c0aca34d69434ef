import type { Dogear } from "@dogear/client";
import { admin, type GroupReport } from "@dogear/client/admin";
import { beforeAll, describe, expect, test } from "vitest";
import { clientOf, startHub, type TestHub } from "../support/hub.ts";
import { Collected } from "../support/waiting.ts";
import { cells, dogear, jsonLines, shell, start, Terminal } from "./support.ts";
import { join, publish } from "./workers.ts";

let hub: TestHub;

beforeAll(async () => {
  hub = await startHub();
});

/** A group that has given up these, and has nobody now. */
async function dead(name: string, ...data: readonly unknown[]): Promise<Dogear> {
  const client = clientOf(hub.url);
  await publish(client, name, ...data);
  const worker = client.work(`${name}.>`, { group: name, concurrency: 100 }, (message) =>
    message.reject(`No use for ${message.data}.`),
  );
  const letters = new Collected<unknown>();
  const subscription = client.subscribe(`${name}.$dead.${name}`, { from: "earliest" }, letters.add);
  await letters.reach(data.length);
  await Promise.all([worker.leave(), subscription.unsubscribe()]);
  return client;
}

/** A member that settles everything. */
async function settle(client: Dogear, name: string): Promise<void> {
  await client.work(`${name}.>`, { group: name }, () => {}).ready();
}

describe("dead list", () => {
  test("is a table of what was given up and why, and says how many wait", async () => {
    await dead("list", 1, 2);
    const { code, stdout, stderr } = await dogear(["dead", "list", "list"], hub);
    expect(code).toBe(0);
    const offset = expect.stringMatching(/^\d+$/);
    const age = expect.stringMatching(/^\d+s$/);
    const from = expect.stringMatching(/^list\.new \d+$/);
    expect(cells(stdout)).toEqual([
      ["OFFSET", "AGE", "REASON", "FAILURES", "ERROR", "FROM", "DATA"],
      [offset, age, "rejected", "1", "No use for 1.", from, "1"],
      [offset, age, "rejected", "1", "No use for 2.", from, "2"],
    ]);
    expect(stderr).toBe("dogear: Dead letters in list.$dead.list: 2; not redriven: 2.\n");
  });

  test("is what dogear subscribe prints with --json", async () => {
    await dead("json", 1, 2);
    const { stdout, stderr } = await dogear(["dead", "list", "json", "--json"], hub);
    expect(stderr).toBe("");
    const subscribe = ["subscribe", "json.$dead.json", "--from", "earliest", "--until-caught-up", "--quiet"];
    expect(stdout).toBe((await dogear(subscribe, hub)).stdout);
    expect(jsonLines(stdout)).toMatchObject([{ data: 1, headers: { "dogear-reason": "rejected" } }, { data: 2 }]);
  });

  test("ends after --limit", async () => {
    await dead("limit", 1, 2, 3);
    const { stdout, stderr } = await dogear(["dead", "list", "limit", "--limit", "2"], hub);
    expect(cells(stdout)).toHaveLength(3);
    expect(stderr).toBe("dogear: Dead letters in limit.$dead.limit: 2 and maybe more; not redriven: 3.\n");
  });

  test("says that there are none", async () => {
    await join(clientOf(hub.url), "none");
    const none = { code: 0, stdout: "", stderr: "dogear: none has no dead letters.\n" };
    expect(await dogear(["dead", "list", "none"], hub)).toEqual(none);
    expect(await dogear(["dead", "list", "none", "--json"], hub)).toEqual({ ...none, stderr: "" });
  });

  test("prints all of many, and ends with exit code 0 where a pipe is closed", async () => {
    await dead("many", ...Array.from({ length: 1_500 }, (_, index) => index));
    const list = "dogear dead list many";
    expect(jsonLines((await shell(`${list} --json`, hub)).stdout)).toHaveLength(1_500);
    expect(cells((await shell(list, hub)).stdout)).toHaveLength(1_501);
    for (const line of [list, `${list} --json`]) {
      const { stdout, stderr } = await shell(`{ ${line}; echo "code $?" >&2; } | head -1`, hub);
      expect(stdout).toMatch(/^.+\n$/);
      expect(stderr).toMatch(/^code 0$/m);
    }
  });
});

describe("dead redrive", () => {
  test("waits until the group has them all, and prints how many", async () => {
    const client = await dead("redrive", 1, 2, 3);
    await settle(client, "redrive");
    const { code, stdout, stderr } = await dogear(["dead", "redrive", "redrive"], hub);
    expect([code, stdout, stderr]).toEqual([0, "Redriven: 3 of 3 dead letters.\n", ""]);
    const again = await dogear(["dead", "redrive", "redrive"], hub);
    const nothing = "redrive has no dead letters that were not redriven.\n";
    expect(again).toEqual({ code: 0, stdout: nothing, stderr: "" });
    expect((await dogear(["dead", "list", "redrive"], hub)).stderr).toMatch(/: 3; not redriven: 0\.$/m);
  });

  test("prints the group's report with --json", async () => {
    const client = await dead("redrive-json", 1);
    await settle(client, "redrive-json");
    for (const line of ["redrive redrive-json", "redrive redrive-json --cancel"]) {
      const { code, stdout, stderr } = await dogear(["dead", ...line.split(" "), "--json"], hub);
      expect([code, stderr]).toEqual([0, ""]);
      expect(jsonLines<GroupReport>(stdout)).toMatchObject([
        { group: "redrive-json", dead: 0, redrive: { state: "done", moved: 1, total: 1 } },
      ]);
    }
  });

  test("begins and does not wait with --no-wait, and says what it waits for", async () => {
    const client = await dead("no-wait", 1, 2);
    expect(await dogear(["dead", "redrive", "no-wait", "--no-wait"], hub)).toEqual({
      code: 0,
      stdout: "Redriving: 0 of 2 dead letters.\n",
      stderr: "dogear: no-wait has no members now: until that changes, its dead letters wait.\n",
    });
    await admin(client).pause("no-wait");
    await settle(client, "no-wait");
    const paused = await dogear(["dead", "redrive", "no-wait", "--no-wait"], hub);
    expect(paused.stderr).toBe("dogear: no-wait is paused: until that changes, its dead letters wait.\n");
  });

  test("goes on in the hub when a signal ends the waiting, until --cancel", async () => {
    await dead("signal", 1, 2);
    const waiting = start(["dead", "redrive", "signal"], hub);
    await waiting.untilLine(/its dead letters wait/);
    await begun("signal");
    expect(await waiting.kill("SIGINT")).toEqual({ code: 130, signal: null });
    expect(waiting.stdout).toBe("");
    expect(waiting.stderr).toMatch(
      /^dogear: Stopped by SIGINT: the redrive goes on, and "dogear dead redrive signal --cancel" ends it\.$/m,
    );
    expect((await dogear(["group", "show", "signal"], hub)).stdout).toMatch(/^redrive +running: 0 of 2$/m);
    const cancelled = await dogear(["dead", "redrive", "signal", "--cancel"], hub);
    expect(cancelled).toEqual({ code: 0, stdout: "Cancelled: 0 of 2 dead letters.\n", stderr: "" });
  });

  test("ends with exit code 1 where somebody cancels it", async () => {
    const client = await dead("cancelled", 1);
    const waiting = start(["dead", "redrive", "cancelled"], hub);
    await waiting.untilLine(/its dead letters wait/);
    await begun("cancelled");
    await admin(client).cancelRedrive("cancelled");
    expect((await waiting.exited).code).toBe(1);
    expect(waiting.stdout).toBe("Cancelled: 0 of 1 dead letters.\n");
    expect(waiting.stderr).toMatch(/^dogear: The redrive was cancelled\.$/m);
  });

  test("says that there is nothing to cancel", async () => {
    await join(clientOf(hub.url), "never");
    const { code, stdout } = await dogear(["dead", "redrive", "never", "--cancel"], hub);
    expect([code, stdout]).toEqual([0, "There is no redrive.\n"]);
  });

  test("shows on a terminal how far it is, and hides that when it ends", async () => {
    await dead("progress", 1, 2);
    const terminal = new Terminal(80);
    const said = new Collected<string>();
    terminal.stderr.on("data", said.add);
    const running = terminal.run(["dead", "redrive", "progress"], hub);
    await said.find((text) => text.includes("\r0 of 2 redriven"));
    terminal.interrupt();
    const { code, stderr } = await running;
    expect(code).toBe(130);
    expect(stderr).toContain("\r\u001b[Kdogear: Stopped by SIGINT: the redrive goes on");
  });
});

/** Waits until the hub has begun the redrive of a group. */
async function begun(group: string): Promise<void> {
  const operator = admin(clientOf(hub.url));
  while ((await operator.group(group)).redrive === undefined);
}

for (const line of ["list a", "redrive a", "redrive a --no-wait", "redrive a --cancel"]) {
  test(`dead ${line} is refused with exit code 1 where there is no such group`, async () => {
    const { code, stdout, stderr } = await dogear(["dead", ...line.split(" ")], hub);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^dogear: .* \(unknown-group\)\n$/);
  });
}

for (const line of ["list a", "redrive a"]) {
  test(`dead ${line} ends with exit code 69 where no hub answers`, async () => {
    const { code } = await dogear(["dead", ...line.split(" "), "--timeout", "1"], { url: "ws://127.0.0.1:1" });
    expect(code).toBe(69);
  });
}
