import { execFileSync } from "node:child_process";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { startHub, type TestHub } from "../support/hub.ts";
import { startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { dogear, finished, jsonLines, type Printed, shell, start, startShell } from "./support.ts";

let hub: TestHub;

beforeAll(async () => {
  hub = await startHub();
});

describe("one message", () => {
  test("prints where it is in the log, and what it survives", async () => {
    const { code, stdout, stderr } = await dogear(["publish", "one.place", '{"celsius":21.4}'], hub);
    expect([code, stderr]).toEqual([0, ""]);
    const [published, ...more] = jsonLines<Record<string, unknown>>(stdout);
    expect(published).toEqual({
      epoch: expect.any(String),
      offset: expect.any(Number),
      duplicate: false,
      durability: "disk",
    });
    expect(more).toEqual([]);
    expect(await printed("one.place")).toEqual([
      {
        offset: published?.offset,
        epoch: published?.epoch,
        channel: "one.place",
        time: expect.any(Number),
        data: { celsius: 21.4 },
      },
    ]);
  });

  test("is a JSON string where the data is not JSON", async () => {
    for (const data of ["hello there", "[1,", "-7", "null"]) await dogear(["publish", "one.string", "--", data], hub);
    expect((await printed("one.string")).map(({ data }) => data)).toEqual(["hello there", "[1,", -7, null]);
  });

  test("has a key and headers", async () => {
    const options = ["--key", "order-1", "--header", "from=me", "--header", "sum=1+1=2"];
    await dogear(["publish", "one.headers", "1", ...options], hub);
    expect(await printed("one.headers")).toMatchObject([
      { key: "order-1", headers: { from: "me", sum: "1+1=2" }, data: 1 },
    ]);
  });

  test("is the bytes of the data where its type is not JSON", async () => {
    await dogear(["publish", "one.text", "12 °C", "--type", "text/plain"], hub);
    const [message] = await printed("one.text");
    expect(message).toMatchObject({ type: "text/plain", data: Buffer.from("12 °C").toString("base64") });
  });

  test("is all of standard input where its type is not JSON", async () => {
    await shell(`printf '\\0\\377\\n\\n' | dogear publish one.bytes --type application/octet-stream`, hub);
    expect(await printed("one.bytes")).toMatchObject([{ data: Buffer.from([0, 255, 10, 10]).toString("base64") }]);
  });
});

describe("standard input", () => {
  test("is a message for each line, in order, and a summary", async () => {
    const { code, stdout, stderr } = await shell("seq 1 5000 | dogear publish lines.many", hub);
    expect([code, stderr]).toEqual([0, ""]);
    const messages = await printed("lines.many");
    expect(messages.map(({ data }) => data)).toEqual(Array.from({ length: 5_000 }, (_, index) => index + 1));
    const [first, last] = [messages[0]?.offset, messages.at(-1)?.offset];
    expect(stdout).toBe(`${JSON.stringify({ published: 5_000, first, last })}\n`);
  });

  test("is read also where the data is -", async () => {
    const { stdout } = await shell("echo true | dogear publish lines.dash - --key all", hub);
    expect(stdout).toMatch(/^\{"published":1,/);
    expect(await printed("lines.dash")).toMatchObject([{ key: "all", data: true }]);
  });

  test("ends a line at a line feed only, and skips empty lines", async () => {
    const lines = `printf '{"a":\\r1}\\r\\n\\n  \\n"\\342\\200\\250"\\n"no end"'`;
    const { stdout } = await shell(`${lines} | dogear publish lines.ends`, hub);
    expect(stdout).toMatch(/^\{"published":3,/);
    expect((await printed("lines.ends")).map(({ data }) => data)).toEqual([{ a: 1 }, "\u2028", "no end"]);
  });

  test("may be empty", async () => {
    const { code, stdout } = await shell("dogear publish lines.none < /dev/null", hub);
    expect([code, stdout]).toEqual([0, '{"published":0,"first":null,"last":null}\n']);
  });

  const bad: readonly [what: string, input: string, says: RegExp][] = [
    ["not JSON", `printf '1\\n\\n2\\n{"a":\\n3\\n'`, /^dogear: Line 4 is not JSON: .+ Messages published: 2\.\n$/],
    ["not UTF-8", `printf '1\\n2\\n"\\351"\\n3\\n'`, /^dogear: Line 3 is not UTF-8 text\. Messages published: 2\.\n$/],
    [
      "endless",
      "{ printf '1\\n2\\n'; head -c 5000000 /dev/zero; }",
      /^dogear: Line 3 is longer than 1048576 bytes\. Messages published: 2\.\n$/,
    ],
  ];
  for (const [what, input, says] of bad) {
    test(`is published up to a line that is ${what}, with exit code 65`, async () => {
      const channel = `lines.bad.${what.replaceAll(" ", "-")}`;
      const { code, stdout, stderr } = await shell(`${input} | dogear publish ${channel}`, hub);
      expect(code).toBe(65);
      expect(stderr).toMatch(says);
      expect(stdout).toMatch(/^\{"published":2,/);
      expect((await printed(channel)).map(({ data }) => data)).toEqual([1, 2]);
    });
  }

  test("stops at a message that is refused, with exit code 1", async () => {
    const input = `{ echo 1; printf '"'; head -c 300000 /dev/zero | tr '\\0' x; echo '"'; }`;
    const { code, stdout, stderr } = await shell(`${input} | dogear publish lines.large`, hub);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^dogear: Line 2: .* \(message-too-large\) Messages published: 1\.\n$/);
    expect(stdout).toMatch(/^\{"published":1,/);
  });

  test("goes on, each message once, when the hub is killed and comes back", async () => {
    const data = temporaryFolder();
    const first = await startHubProcess({ data });
    const input = await pipe();
    const publishing = startShell(`exec dogear publish lines.restart < ${input.path}`, first);
    const writer = await input.open();
    const before = start(["subscribe", "lines.restart", "--from", "earliest"], first);
    await writer.write("1\n");
    await before.untilLine(/"data":1/);
    await first.kill();
    await writer.write("2\n");
    const second = await startHubProcess({ data, port: first.port });
    await writer.write("3\n");
    await writer.close();
    const { code, stdout } = await finished(publishing);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^\{"published":3,/)]);
    expect((await printed("lines.restart", second)).map(({ data }) => data)).toEqual([1, 2, 3]);
  });

  test("is left where a signal stops it, saying what was confirmed, with the signal's exit code", async () => {
    const input = await pipe();
    const publishing = startShell(`exec dogear publish lines.signal < ${input.path}`, hub);
    const writer = await input.open();
    const reader = start(["subscribe", "lines.signal", "--from", "earliest"], hub);
    await writer.write("1\n2\n");
    await reader.untilLine(/"data":2/);
    expect(await publishing.kill("SIGINT")).toEqual({ code: 130, signal: null });
    await writer.close();
    expect(publishing.stdout).toMatch(/^\{"published":2,/);
    expect(publishing.stderr).toBe("dogear: Stopped by SIGINT: the hub has confirmed 2 of the 2 messages read.\n");
  });
});

describe("a message for later", () => {
  test("prints its id and when it is due, and is published then", async () => {
    const { code, stdout, stderr } = await dogear(["publish", "later.delay", "1", "--delay", "250ms"], hub);
    expect([code, stderr]).toEqual([0, ""]);
    const [scheduled] = jsonLines<{ readonly id: string; readonly due: number }>(stdout);
    expect(scheduled).toEqual({
      id: expect.any(String),
      due: expect.any(Number),
      duplicate: false,
      durability: "disk",
    });
    const read = ["subscribe", "later.delay", "--from", "earliest", "--count", "1"];
    const [message] = jsonLines((await dogear(read, hub)).stdout);
    expect(message).toMatchObject({ data: 1, headers: { "dogear-scheduled": scheduled?.id } });
    expect(message?.time).toBeGreaterThanOrEqual(scheduled?.due as number);
  });

  test("can be cancelled before it is due, once", async () => {
    for (const options of [[], ["--json"]]) {
      const { stdout } = await dogear(["publish", "later.at", "1", "--at", "2030-01-31T12:00Z"], hub);
      const [scheduled] = jsonLines<{ readonly id: string; readonly due: number }>(stdout);
      expect(scheduled?.due).toBe(Date.UTC(2030, 0, 31, 12));
      const id = scheduled?.id as string;
      const said = options.length === 0 ? `Cancelled ${id}.\n` : `${JSON.stringify({ cancelled: id })}\n`;
      const cancel = ["schedule", "cancel", id, ...options];
      expect(await dogear(cancel, hub)).toEqual({ code: 0, stdout: said, stderr: "" });
      expect(await dogear(cancel, hub)).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/\(not-scheduled\)\n$/),
      });
    }
  });

  test("may be each line of standard input, with a summary", async () => {
    const { stdout } = await shell("seq 3 | dogear publish later.lines --delay 1h30m", hub);
    const [summary] = jsonLines<Record<string, number>>(stdout);
    expect(summary).toEqual({ scheduled: 3, firstDue: expect.any(Number), lastDue: expect.any(Number) });
    expect(summary?.firstDue).toBeGreaterThan(Date.now() + 5_000_000);
    const none = await shell("dogear publish later.none --delay 1h < /dev/null", hub);
    expect(none.stdout).toBe('{"scheduled":0,"firstDue":null,"lastDue":null}\n');
  });
});

test("a message with --ttl says when it expires", async () => {
  await dogear(["publish", "one.ttl", "1", "--ttl", "1h"], hub);
  const [message] = await printed("one.ttl");
  const { time = 0, expires } = message as Printed & { readonly expires: number };
  // The hub dates a message when it is on its way into the log already.
  expect(Math.abs(expires - time - 3_600_000)).toBeLessThan(1_000);
});

describe("is refused", () => {
  test("with exit code 1 and the name of the hub's error", async () => {
    const reserved = await dogear(["publish", "orders.$dead.billing", "1"], hub);
    expect(reserved.code).toBe(1);
    expect(reserved.stderr).toMatch(/^dogear: .* \(reserved-channel\)\n$/);
    const key = await dogear(["publish", "a", "1", "--key", "k".repeat(1_000)], hub);
    expect(key.code).toBe(1);
    expect(key.stderr).toMatch(/^dogear: .*key.* \(invalid-envelope\)\n$/);
  });

  test("without asking the hub, where the channel is not one", async () => {
    const { code, stderr } = await dogear(["publish", "a..b", "1"], { url: "ws://127.0.0.1:1" });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^dogear: A channel is .* a\.\.b \(invalid-channel\)\n$/);
  });
});

describe("where no hub answers", () => {
  test("it gives up after --timeout, with exit code 69", async () => {
    expect(await dogear(["publish", "a", "1", "--timeout", "1"], { url: "ws://127.0.0.1:1" })).toEqual({
      code: 69,
      stdout: "",
      stderr:
        'dogear: No hub answers at ws://127.0.0.1:1. Start one with "dogear serve", or say where it is with --url.\n',
    });
  });

  test("it waits for one until then", async () => {
    const { data, port, close } = await startHub();
    await close();
    const publishing = dogear(["publish", "a", "1", "--url", `ws://127.0.0.1:${port}`]);
    await startHub({ data, port });
    expect(await publishing).toMatchObject({ code: 0 });
  });

  test("a signal stops it", async () => {
    const { port, close } = await startHub();
    await close();
    const waiting = start(["subscribe", "a", "--url", `ws://127.0.0.1:${port}`]);
    await waiting.untilLine(/No hub answers/);
    expect(await waiting.kill("SIGTERM")).toEqual({ code: 0, signal: null });
  });
});

test("--url wins over DOGEAR_URL, and may begin with http", async () => {
  const url = hub.url.replace("ws", "http");
  const { code } = await dogear(["publish", "url", "1", "--url", url], { url: "ws://127.0.0.1:1" });
  expect(code).toBe(0);
});

async function printed(channel: string, { url }: { readonly url: string } = hub): Promise<Printed[]> {
  const { stdout } = await dogear(["subscribe", channel, "--from", "earliest", "--until-caught-up"], { url });
  return jsonLines(stdout);
}

/** A named pipe, for input that comes when the test says so. */
async function pipe(): Promise<{ readonly path: string; open(): Promise<FileHandle> }> {
  const path = join(temporaryFolder(), "pipe");
  execFileSync("mkfifo", [path]);
  return { path, open: () => open(path, "w") };
}
