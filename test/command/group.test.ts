import type { Dogear } from "@dogear/client";
import type { GroupReport } from "@dogear/client/admin";
import { beforeAll, describe, expect, test } from "vitest";
import { clientOf, startHub, type TestHub } from "../support/hub.ts";
import { cells, dogear, firstOf, jsonLines, shell, Terminal } from "./support.ts";
import { join, next, publish } from "./workers.ts";

const hour = 3_600_000;

let hub: TestHub;

beforeAll(async () => {
  hub = await startHub({
    config: { namespaces: { shop: {}, empty: {}, many: {} } },
  });
});

/** A group of which one message is settled, one dead, one delayed, one leased, and two wait. */
async function everyKind(name: string): Promise<Dogear> {
  const client = clientOf(hub.url);
  await publish(client, name, 1, 2, 3, 4, 5, 6);
  const messages = await join(client, name, { backoff: { type: "fixed", minMs: hour, jitter: 0 } });
  await (await next(messages)).ack();
  await (await next(messages)).reject("no such customer");
  await (await next(messages)).retry({ error: "timeout" });
  await next(messages);
  await firstOf(client, `${name}.$dead.${name}`);
  return client;
}

async function report(...args: readonly string[]): Promise<GroupReport> {
  const { code, stdout, stderr } = await dogear([...args, "--json"], hub);
  expect([code, stderr]).toEqual([0, ""]);
  const [one, ...more] = jsonLines<GroupReport>(stdout);
  expect(more).toEqual([]);
  return one as GroupReport;
}

describe("group list", () => {
  test("is a table with a line for each group", async () => {
    await everyKind("list");
    const { code, stdout, stderr } = await dogear(["group", "list"], hub);
    expect([code, stderr]).toEqual([0, ""]);
    const [head, ...rows] = cells(stdout);
    expect(head).toEqual("NAMESPACE,GROUP,PATTERN,ORDER,MEMBERS,LAG,OLDEST,IN FLIGHT,DELAYED,DEAD,PAUSED".split(","));
    const row = rows.find(([, group]) => group === "list");
    expect(row).toEqual([
      "default",
      "list",
      "list.>",
      "none",
      "1",
      "4",
      expect.stringMatching(/^\d+s$/),
      "1",
      "1",
      "1",
      "no",
    ]);
  });

  test("is a report for each group with --json", async () => {
    await everyKind("list-json");
    const { stdout } = await dogear(["group", "list", "--json"], hub);
    const groups = jsonLines<GroupReport>(stdout);
    const listed = groups.find(({ group }) => group === "list-json");
    expect(listed).toMatchObject({ namespace: "default", members: 1, inFlight: 1, delayed: 1, dead: 1, paused: false });
    expect(listed?.lag.messages).toBe(4);
  });

  test("says that there are none, and prints nothing", async () => {
    const none = await dogear(["group", "list", "--namespace", "empty"], hub);
    expect(none).toEqual({ code: 0, stdout: "", stderr: "dogear: There are no groups in empty.\n" });
    const json = await dogear(["group", "list", "--namespace", "empty", "--json"], hub);
    expect(json).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("lists more than the hub tells at once, and a pipe that is closed is no error", async () => {
    const client = clientOf(hub.url);
    const names = Array.from({ length: 120 }, (_, index) => `many-${index}`);
    await Promise.all(names.map((group) => client.work("many.>", { group }).ready()));
    const { stdout } = await dogear(["group", "list", "--namespace", "many"], hub);
    expect(cells(stdout)).toHaveLength(121);
    const list = "dogear group list --namespace many --json";
    const { stdout: first, stderr } = await shell(`{ ${list}; echo "code $?" >&2; } | head -1`, hub);
    expect(jsonLines(first)).toHaveLength(1);
    expect(stderr).toBe("code 0\n");
  });
});

describe("group show", () => {
  test("tells all of the report, with the policy", async () => {
    await everyKind("show");
    const { code, stdout } = await dogear(["group", "show", "show"], hub);
    expect(code).toBe(0);
    expect(Object.fromEntries(cells(stdout))).toEqual({
      group: "show",
      namespace: "default",
      pattern: "show.>",
      state: "running",
      members: "1",
      position: expect.stringMatching(/^[\w-]+:\d+$/),
      lag: expect.stringMatching(/^4 messages, the oldest \d+s old$/),
      "in flight": "1",
      delayed: "1",
      lost: "0",
      dead: "1",
      "dead letters": "show.$dead.show",
      redrive: "-",
      order: "none",
      "on failure": "block",
      "max failures": "10",
      lease: "30s",
      backoff: "fixed, 1h, jitter 0",
    });
  });

  test("is the report with --json", async () => {
    await everyKind("show-json");
    expect(await report("group", "show", "show-json")).toMatchObject({
      group: "show-json",
      policy: { order: "none", leaseMs: 30_000, backoff: { type: "fixed", minMs: hour } },
      deadChannel: "show-json.$dead.show-json",
    });
  });

  test("asks for the namespace where several have a group of the name", async () => {
    const client = clientOf(hub.url);
    await client.work("twice.>", { group: "twice" }).ready();
    await client.work("shop.>", { group: "twice" }).ready();
    const { code, stderr } = await dogear(["group", "show", "twice"], hub);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^dogear: .*default, shop\. \(unknown-group\)\n$/);
    expect((await report("group", "show", "twice", "--namespace", "shop")).pattern).toBe("shop.>");
    expect((await report("group", "show", "twice", "--namespace", "default")).pattern).toBe("twice.>");
  });
});

test("group pause and group resume print how the group then is", async () => {
  const client = clientOf(hub.url);
  await join(client, "pause");
  const { stdout } = await dogear(["group", "pause", "pause"], hub);
  expect(stdout).toMatch(/^state +paused$/m);
  expect((await report("group", "show", "pause")).paused).toBe(true);
  expect((await dogear(["group", "resume", "pause"], hub)).stdout).toMatch(/^state +running$/m);
  expect((await report("group", "pause", "pause")).paused).toBe(true);
  expect((await report("group", "resume", "pause")).paused).toBe(false);
});

describe("group reset", () => {
  test("moves the group, and prints how it then is", async () => {
    const client = clientOf(hub.url);
    const messages = await join(client, "reset");
    for (const data of [1, 2, 3]) {
      await publish(client, "reset", data);
      await (await next(messages)).ack();
    }
    await dogear(["group", "pause", "reset"], hub);
    const lag = async (to: string) => (await report("group", "reset", "reset", "--to", to)).lag.messages;
    expect(await lag("earliest")).toBe(3);
    expect(await lag("latest")).toBe(0);
    const { epoch, offset, time } = await firstOf(client, "reset.new");
    expect(await lag(`${epoch}:${offset}`)).toBe(2);
    expect(await lag(new Date(time).toISOString())).toBe(3);
    const { stdout } = await dogear(["group", "reset", "reset", "--to", "latest"], hub);
    expect(stdout).toMatch(/^lag +0 messages$/m);
  });
});

describe("group browse", () => {
  test("is a table of what is not settled", async () => {
    await everyKind("browse");
    const { code, stdout, stderr } = await dogear(["group", "browse", "browse"], hub);
    expect([code, stderr]).toEqual([0, ""]);
    const age = expect.stringMatching(/^\d+s$/);
    const offset = expect.stringMatching(/^\d+$/);
    const delayed = expect.stringMatching(/^delayed (1h|59m \d+s)$/);
    const channel = "browse.new";
    expect(cells(stdout)).toEqual([
      ["OFFSET", "AGE", "CHANNEL", "KEY", "STATE", "DELIVERIES", "FAILURES", "ERROR", "DATA"],
      [offset, age, channel, "key-3", delayed, "1", "1", "timeout", "3"],
      [offset, age, channel, "key-4", "leased", "1", "0", "-", "4"],
      [offset, age, channel, "key-5", "waiting", "0", "0", "-", "5"],
      [offset, age, channel, "key-6", "waiting", "0", "0", "-", "6"],
    ]);
  });

  test("goes on with --after where --limit ended", async () => {
    await everyKind("browse-on");
    const browse = ["group", "browse", "browse-on"];
    const { stdout, stderr } = await dogear([...browse, "--limit", "1"], hub);
    expect(cells(stdout)).toHaveLength(2);
    const [, after] = stderr.match(/^dogear: There may be more: --after (\d+)\.\n$/) ?? [];
    const rest = await dogear([...browse, "--json", "--after", `${after}`], hub);
    expect(jsonLines(rest.stdout).map(({ data }) => data)).toEqual([4, 5, 6]);
  });

  test("is whole messages with --json, more than the hub tells at once too", async () => {
    const client = clientOf(hub.url);
    await client.publish("long.bytes", new Uint8Array([1, 2, 3]));
    await Promise.all(Array.from({ length: 1_200 }, (_, index) => client.publish("long.new", index)));
    await join(client, "long", { from: "earliest" });
    const browse = ["group", "browse", "long", "--json", "--limit"];
    const { stdout, stderr } = await dogear([...browse, "1100"], hub);
    expect(stderr).toBe("");
    const [bytes, second, ...more] = jsonLines<Record<string, unknown>>(stdout);
    expect(bytes).toMatchObject({ type: "application/octet-stream", data: "AQID" });
    expect(Object.keys(second ?? {})).toEqual(expect.arrayContaining(["offset", "channel", "time", "data", "state"]));
    expect(more).toHaveLength(1_098);
    expect(jsonLines((await dogear([...browse, "5000"], hub)).stdout)).toHaveLength(1_201);
  });

  test("says that nothing is left", async () => {
    await join(clientOf(hub.url), "idle");
    const idle = await dogear(["group", "browse", "idle"], hub);
    expect(idle).toEqual({ code: 0, stdout: "", stderr: "dogear: idle has settled all there is.\n" });
    const after = await dogear(["group", "browse", "idle", "--after", "1000000"], hub);
    expect(after).toEqual({ code: 0, stdout: "", stderr: "dogear: There is nothing after 1000000.\n" });
  });
});

describe("group delete", () => {
  test("says what stays", async () => {
    await everyKind("delete");
    expect(await dogear(["group", "delete", "delete"], hub)).toEqual({
      code: 0,
      stdout: "Deleted delete of the namespace default. Its dead letters (1) stay in delete.$dead.delete.\n",
      stderr: "",
    });
    expect((await dogear(["group", "show", "delete"], hub)).stderr).toMatch(/\(unknown-group\)\n$/);
  });

  test("prints the last report with --json", async () => {
    await everyKind("delete-json");
    expect(await report("group", "delete", "delete-json")).toMatchObject({ group: "delete-json", dead: 1 });
  });
});

const about = ["show a", "pause a", "resume a", "reset a --to latest", "browse a", "delete a"];

for (const line of about) {
  test(`group ${line} is refused with exit code 1 where there is no such group`, async () => {
    const { code, stdout, stderr } = await dogear(["group", ...line.split(" ")], hub);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^dogear: .* \(unknown-group\)\n$/);
  });
}

for (const line of ["list", "show a", "delete a --json"]) {
  test(`group ${line} ends with exit code 69 where no hub answers`, async () => {
    const { code, stderr } = await dogear(["group", ...line.split(" "), "--timeout", "1"], { url: "ws://127.0.0.1:1" });
    expect(code).toBe(69);
    expect(stderr).toMatch(/^dogear: No hub answers at ws:\/\/127\.0\.0\.1:1\./);
  });
}

test("a signal ends the waiting for a hub, with its exit code", async () => {
  const terminal = new Terminal(80);
  const waiting = terminal.run(["group", "list"], { url: "ws://127.0.0.1:1" });
  terminal.interrupt();
  expect(await waiting).toEqual({ code: 130, stdout: "", stderr: "dogear: Stopped by SIGINT.\n" });
});

describe("on a terminal", () => {
  test("amounts have separators, and elsewhere they have none", async () => {
    const client = clientOf(hub.url);
    await Promise.all(Array.from({ length: 1_500 }, (_, index) => client.publish("amounts.new", index)));
    await join(client, "amounts");
    expect((await new Terminal(100).run(["group", "show", "amounts"], hub)).stdout).toMatch(/^lag +1,500 messages/m);
    expect((await dogear(["group", "show", "amounts"], hub)).stdout).toMatch(/^lag +1500 messages/m);
  });

  test("a line is cut where it is too long, and elsewhere it is not", async () => {
    const client = clientOf(hub.url);
    const data = { note: "値段が高い 🦊 ".repeat(100) };
    await client.publish("cut.new", data);
    await join(client, "cut");
    for (const columns of [80, 120]) {
      const { stdout } = await new Terminal(columns).run(["group", "browse", "cut"], hub);
      const [, line = ""] = stdout.split("\n");
      expect(line.endsWith("…")).toBe(true);
      expect(line.length).toBeLessThanOrEqual(columns);
      expect(stdout).toContain('{"note":"値段');
    }
    expect((await dogear(["group", "browse", "cut"], hub)).stdout).toContain(JSON.stringify(data));
  });

  test("nothing a message says is obeyed", async () => {
    const client = clientOf(hub.url);
    await client.publish("escape.new", 1, { key: "\u001b[31mred\u202e\nnext" });
    await join(client, "escape");
    const { stdout } = await new Terminal(200).run(["group", "browse", "escape"], hub);
    expect(stdout).toContain(String.raw`\u001b[31mred\u202e\nnext`);
    expect(cells(stdout)).toHaveLength(2);
  });
});
