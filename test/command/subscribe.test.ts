import { execFileSync } from "node:child_process";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { startHub, type TestHub } from "../support/hub.ts";
import { startHubProcess } from "../support/hub-process.ts";
import type { ChildProcess } from "../support/process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { dogear, finished, jsonLines, payloads, shell, start, startShell } from "./support.ts";

const all = ["--from", "earliest", "--until-caught-up"];

let hub: TestHub;

beforeAll(async () => {
  hub = await startHub({ config: { namespaces: { ram: { durability: "memory" } } } });
});

/** Publishes the numbers from first to last. */
async function publish(
  channel: string,
  first: number,
  last: number,
  { url }: { readonly url: string } = hub,
): Promise<void> {
  const input = Array.from({ length: last - first + 1 }, (_, index) => `${first + index}\n`).join("");
  expect((await dogear(["publish", channel], { url, input })).code).toBe(0);
}

/** Waits for a subscriber that does not say when it is there. */
async function publishUntilSeen(subscriber: ChildProcess, at: { readonly url: string }): Promise<void> {
  while (subscriber.stdout === "") await publish("seen", 1, 1, at);
}

describe("--from", () => {
  test("latest, the default, prints what is published from then on", async () => {
    await publish("from.latest", 1, 1);
    const reading = start(["subscribe", "from.latest"], hub);
    await reading.untilLine(/^dogear: Subscribed to from\.latest after /);
    await publish("from.latest", 2, 2);
    await reading.untilLine(/"data":/);
    expect(payloads(reading.stdout)).toEqual([2]);
  });

  test("earliest prints all there is, and --until-caught-up ends there", async () => {
    await publish("from.earliest", 1, 3_000);
    const { code, stdout } = await dogear(["subscribe", "from.earliest", ...all], hub);
    expect(code).toBe(0);
    expect(payloads(stdout)).toEqual(Array.from({ length: 3_000 }, (_, index) => index + 1));
  });

  test("a position prints what comes after it", async () => {
    await publish("from.position", 1, 3);
    const [first] = jsonLines((await dogear(["subscribe", "from.position", ...all], hub)).stdout);
    const from = `${first?.epoch}:${first?.offset}`;
    const { stdout } = await dogear(["subscribe", "from.position", "--from", from, "--until-caught-up"], hub);
    expect(payloads(stdout)).toEqual([2, 3]);
  });

  test("a time prints what was published at it or later", async () => {
    await publish("from.time", 1, 1);
    await publish("from.time", 2, 2);
    const [, second] = jsonLines((await dogear(["subscribe", "from.time", ...all], hub)).stdout);
    const from = new Date(second?.time as number).toISOString();
    const { stdout } = await dogear(["subscribe", "from.time", "--from", from, "--until-caught-up"], hub);
    expect(payloads(stdout)).toEqual([2]);
  });
});

test("a pattern selects channels", async () => {
  await publish("pattern.a.x", 1, 1);
  await publish("pattern.b.y", 2, 2);
  await publish("pattern.c.x", 3, 3);
  expect(payloads((await dogear(["subscribe", "pattern.*.x", ...all], hub)).stdout)).toEqual([1, 3]);
  expect(payloads((await dogear(["subscribe", "pattern.>", ...all], hub)).stdout)).toEqual([1, 2, 3]);
});

test("--until-caught-up ends at once where there is nothing", async () => {
  expect(await dogear(["subscribe", "empty", "--quiet", ...all], hub)).toEqual({ code: 0, stdout: "", stderr: "" });
});

test("--window bounds what is on the way, and all arrives", async () => {
  await publish("window", 1, 50);
  const { stdout } = await dogear(["subscribe", "window", "--window", "1", ...all], hub);
  expect(payloads(stdout)).toHaveLength(50);
});

describe("--as", () => {
  test("goes on after what --count has printed", async () => {
    await publish("as.count", 1, 5);
    const read = ["subscribe", "as.count", "--from", "earliest", "--as", "me", "--count", "2"];
    expect(payloads((await dogear(read, hub)).stdout)).toEqual([1, 2]);
    expect(payloads((await dogear(read, hub)).stdout)).toEqual([3, 4]);
  });

  test("skips nothing after a kill, and goes on without a gap", async () => {
    await publish("as.kill", 1, 2_000);
    const read = ["subscribe", "as.kill", "--from", "earliest", "--as", "me", "--window", "10"];
    const killed = start(read, hub);
    await killed.untilLine(/"data":1000}/);
    await killed.kill();
    const first = payloads(killed.stdout.slice(0, killed.stdout.lastIndexOf("\n"))) as number[];
    await publish("as.kill", 2_001, 2_010);
    const second = payloads((await dogear([...read, "--until-caught-up"], hub)).stdout) as number[];
    expect(second[0]).toBeLessThanOrEqual(first.length + 1);
    expect(second[0]).toBeGreaterThan(1);
    expect(second).toEqual(Array.from({ length: second.length }, (_, index) => (second[0] as number) + index));
    expect(second.at(-1)).toBe(2_010);
  });

  test("goes on after what a closed pipe has taken, and that the pipe is closed is no error", async () => {
    await publish("as.head", 1, 3_000);
    const read = "dogear subscribe as.head --from earliest --as me --quiet";
    const { stdout, stderr } = await shell(`{ ${read}; echo "code $?" >&2; } | head -3`, hub);
    expect(payloads(stdout)).toEqual([1, 2, 3]);
    expect(stderr).toBe("code 0\n");
    const [next] = payloads((await shell(`${read} --count 1`, hub)).stdout) as number[];
    expect(next).toBeGreaterThan(3);
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`has acknowledged what it printed when ${signal} stops it, with exit code 0`, async () => {
      const channel = `as.${signal.toLowerCase()}`;
      await publish(channel, 1, 3);
      const read = ["subscribe", channel, "--from", "earliest", "--as", "me"];
      const reading = start(read, hub);
      await reading.untilLine(/"data":3}/);
      expect(await reading.kill(signal)).toEqual({ code: 0, signal: null });
      expect((await dogear([...read, "--until-caught-up"], hub)).stdout).toBe("");
    });
  }

  test("begins again at --from with --reset", async () => {
    await publish("as.reset", 1, 2);
    const read = ["subscribe", "as.reset", "--as", "me", ...all];
    expect(payloads((await dogear(read, hub)).stdout)).toEqual([1, 2]);
    expect(payloads((await dogear(read, hub)).stdout)).toEqual([]);
    expect(payloads((await dogear([...read, "--reset"], hub)).stdout)).toEqual([1, 2]);
  });

  test("ends with exit code 1 where another takes over", async () => {
    const read = ["subscribe", "as.twice", "--as", "me"];
    const older = start(read, hub);
    await older.untilLine(/Subscribed/);
    await start(read, hub).untilLine(/Subscribed/);
    expect((await finished(older)).code).toBe(1);
    expect(older.stderr).toMatch(/^dogear: .* \(taken-over\)$/m);
  });
});

describe("a hub that refuses ends it with exit code 1 and the name of the error:", () => {
  test("no pattern", async () => {
    const { code, stderr } = await dogear(["subscribe", "a.>.b"], hub);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^dogear: .* \(invalid-pattern\)\n$/);
  });

  test("a cursor in memory", async () => {
    const { code, stderr } = await dogear(["subscribe", "ram.>", "--as", "me"], hub);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^dogear: .* \(memory-namespace\)\n$/);
  });
});

test("a gap is a line of JSON on standard error, also with --quiet", async () => {
  const { code, stderr } = await dogear(["subscribe", "gap", "--quiet", "--from", "old:9", "--until-caught-up"], hub);
  expect(code).toBe(0);
  const [told, ...more] = jsonLines<Record<string, unknown>>(stderr);
  expect(told).toEqual({ gap: { from: expect.any(Number), to: null, reason: "epoch", position: expect.any(Object) } });
  expect(more).toEqual([]);
});

describe("a connection that is lost", () => {
  test("is told, and so is what was missed when it is back", async () => {
    const data = temporaryFolder();
    const first = await startHubProcess({ data });
    const [reading, quiet] = [start(["subscribe", ">"], first), start(["subscribe", ">", "--quiet"], first)];
    await reading.untilLine(/Subscribed/);
    await publishUntilSeen(quiet, first);
    // Both sleep while the hub is killed and comes back with a message, as on a laptop that is closed.
    for (const subscriber of [reading, quiet]) void subscriber.kill("SIGSTOP");
    await first.kill();
    const second = await startHubProcess({ data, port: first.port });
    await publish("lost", 1, 1, second);
    for (const subscriber of [reading, quiet]) void subscriber.kill("SIGCONT");
    await reading.untilLine(/^dogear: The connection is lost; trying again\.$/);
    await reading.untilLine(/^dogear: Connected again after [\d.]+ m?s: 1 message missed, all delivered\.$/);
    await quiet.untilLine(/"channel":"lost"/);
    expect(quiet.stderr).toBe("");
  });

  test("is told to have been asked for by a hub that stops", async () => {
    const stopping = await startHub();
    const reading = start(["subscribe", ">"], stopping);
    await reading.untilLine(/Subscribed/);
    await stopping.close();
    await reading.untilLine(/^dogear: The connection is lost \(draining\); trying again\.$/);
  });
});

test("a second signal ends it at once, also where nobody reads what it prints", async () => {
  await publish("stuck", 1, 5_000);
  const path = join(temporaryFolder(), "pipe");
  execFileSync("mkfifo", [path]);
  const reading = startShell(`exec dogear subscribe stuck --from earliest > ${path}`, hub);
  const pipe = await open(path, "r");
  await reading.untilLine(/Subscribed/);
  void reading.kill("SIGINT");
  const { code } = await reading.kill("SIGTERM");
  expect([130, 143]).toContain(code);
  await pipe.close();
});
