import type { CursorReport } from "@dogear/client/admin";
import { beforeAll, describe, expect, test } from "vitest";
import { startHub, type TestHub } from "../support/hub.ts";
import { cells, dogear, finished, jsonLines, payloads, shell, start } from "./support.ts";

let hub: TestHub;

beforeAll(async () => {
  hub = await startHub();
});

/** A channel of 1, 2 and 3, of which `me` has had the first. */
async function half(channel: string): Promise<void> {
  await dogear(["publish", channel], { url: hub.url, input: "1\n2\n3\n" });
  await dogear(["subscribe", channel, "--from", "earliest", "--as", "me", "--count", "1"], hub);
}

async function report(...args: readonly string[]): Promise<CursorReport> {
  const { code, stdout, stderr } = await dogear([...args, "--json"], hub);
  expect([code, stderr]).toEqual([0, ""]);
  const [one, ...more] = jsonLines<CursorReport>(stdout);
  expect(more).toEqual([]);
  return one as CursorReport;
}

describe("cursor list", () => {
  test("is a table with a line for each cursor", async () => {
    await half("list");
    const { code, stdout, stderr } = await dogear(["cursor", "list"], hub);
    expect([code, stderr]).toEqual([0, ""]);
    const [head, ...rows] = cells(stdout);
    expect(head).toEqual(["USER", "SUBSCRIBER", "PATTERN", "NAMESPACE", "POSITION", "LAG", "OLDEST", "MOVED"]);
    const position = expect.stringMatching(/^[\w-]+:\d+$/);
    const [oldest, moved] = [expect.stringMatching(/^\d+s$/), expect.stringMatching(/^\d+s ago$/)];
    expect(rows.find(([, , pattern]) => pattern === "list")).toEqual([
      "anonymous",
      "me",
      "list",
      "default",
      position,
      "2",
      oldest,
      moved,
    ]);
  });

  test("is a report for each cursor with --json, and no more than --limit", async () => {
    await half("many.1");
    await half("many.2");
    const list = ["cursor", "list", "--json"];
    const all = jsonLines<CursorReport>((await dogear(list, hub)).stdout);
    expect(all.map(({ pattern }) => pattern)).toEqual(expect.arrayContaining(["many.1", "many.2"]));
    const first = jsonLines<CursorReport>((await dogear([...list, "--limit", "1"], hub)).stdout);
    expect(first.map(({ pattern }) => pattern)).toEqual([all[0]?.pattern]);
    const piped = await shell(`{ dogear ${list.join(" ")}; echo "code $?" >&2; } | head -1`, hub);
    expect(jsonLines(piped.stdout)).toHaveLength(1);
    expect(piped.stderr).toBe("code 0\n");
  });

  test("is of one user with --user", async () => {
    await half("user");
    expect((await dogear(["cursor", "list", "--user", "anonymous"], hub)).stdout).toContain(" user ");
    const none = await dogear(["cursor", "list", "--user", "nobody"], hub);
    expect(none).toEqual({ code: 0, stdout: "", stderr: "dogear: nobody has no cursors.\n" });
  });
});

test("cursor show tells where a subscriber is", async () => {
  await half("show");
  const { code, stdout } = await dogear(["cursor", "show", "me", "show"], hub);
  expect(code).toBe(0);
  expect(Object.fromEntries(cells(stdout))).toEqual({
    subscriber: "me",
    pattern: "show",
    user: "anonymous",
    namespace: "default",
    position: expect.stringMatching(/^[\w-]+:\d+$/),
    lag: expect.stringMatching(/^2 messages, the oldest \d+s old$/),
    moved: expect.stringMatching(/^\d+s ago$/),
  });
  expect(await report("cursor", "show", "me", "show")).toMatchObject({ subscriber: "me", lag: { messages: 2 } });
});

describe("cursor reset", () => {
  test("moves the cursor, and the next subscription goes on from there", async () => {
    await half("reset");
    const lag = async (to: string) => (await report("cursor", "reset", "me", "reset", "--to", to)).lag.messages;
    expect(await lag("latest")).toBe(0);
    const { position } = await report("cursor", "reset", "me", "reset", "--to", "earliest");
    const [first, second] = jsonLines(
      (await dogear(["subscribe", "reset", "--from", "earliest", "--count", "2"], hub)).stdout,
    );
    expect(await lag(`${position.epoch}:${first?.offset}`)).toBe(2);
    expect(await lag(new Date(second?.time as number).toISOString())).toBeGreaterThanOrEqual(2);
    const { stdout } = await dogear(["cursor", "reset", "me", "reset", "--to", "earliest"], hub);
    expect(stdout).toMatch(/^lag +3 messages, /m);
    const read = ["subscribe", "reset", "--as", "me", "--until-caught-up"];
    expect(payloads((await dogear(read, hub)).stdout)).toEqual([1, 2, 3]);
  });

  test("ends the subscription that holds it", async () => {
    const reading = start(["subscribe", "held", "--as", "me"], hub);
    await reading.untilLine(/Subscribed/);
    expect((await dogear(["cursor", "reset", "me", "held", "--to", "earliest"], hub)).code).toBe(0);
    expect((await finished(reading)).code).toBe(1);
    expect(reading.stderr).toMatch(/^dogear: .* \(cursor-reset\)$/m);
  });
});

for (const line of ["show you a", "reset you a --to latest", "show me a --user other"]) {
  test(`cursor ${line} is refused with exit code 1 where there is no such cursor`, async () => {
    const { code, stdout, stderr } = await dogear(["cursor", ...line.split(" ")], hub);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^dogear: .* \(unknown-cursor\)\n$/);
  });
}

test("cursor show is refused with exit code 1 where the pattern is none", async () => {
  const { code, stderr } = await dogear(["cursor", "show", "me", "a.>.b"], hub);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^dogear: .*pattern.*\)\n$/);
});

test("cursor list ends with exit code 69 where no hub answers", async () => {
  const { code } = await dogear(["cursor", "list", "--timeout", "1"], { url: "ws://127.0.0.1:1" });
  expect(code).toBe(69);
});
