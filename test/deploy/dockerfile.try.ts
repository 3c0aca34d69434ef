/**
 * `npm run try-dockerfile`: builds the image without an engine for it, runs it, and looks at it from outside. It takes a
 * minute or two, root, and Debian's packages debootstrap and iproute2; so it is no part of `npm test`.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listening } from "../support/hub-process.ts";
import { succeed } from "../support/machine.ts";
import { ChildProcess } from "../support/process.ts";
import { repository } from "../support/sources.ts";
import { whenDone } from "../support/temp.ts";
import { buildImage, type Image, run } from "./image.ts";

/** A hub that other machines reach is one that asks who they are. */
const key = randomBytes(32).toString("base64url");
const hash = createHash("sha256").update(key).digest("hex");
const config = { access: { keys: { somebody: { hash, capabilities: { ">": ["publish", "subscribe"] } } } } };

const network = `dogear-${process.pid}`;

describe("the image of the Dockerfile", () => {
  let image: Image;

  beforeAll(async () => {
    await succeed("ip", ["netns", "add", network]);
    await succeed("ip", ["-n", network, "link", "set", "lo", "up"]);
    image = await buildImage(repository);
    mkdirSync(join(image.root, "etc/dogear"));
    writeFileSync(join(image.root, "etc/dogear/dogear.json"), JSON.stringify(config));
  }, 1_800_000);

  afterAll(() => succeed("ip", ["netns", "del", network]));

  test("runs a hub as nobody in particular, which keeps what was published when it is stopped in good order", async () => {
    const first = await startHub();
    await client('await dogear.publish("kept", "here")');
    expect(await first.kill("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(first.stderr).toContain('"event":"stopped"');
    expect(owners()).toEqual(new Set([7_600]));
    await startHub();
    const read =
      'for await (const { data } of dogear.subscribe("kept", { from: "earliest" })) { console.log(data); break; }';
    expect(await client(read)).toBe("here\n");
  });

  test("is small", async () => {
    const du = new ChildProcess("du", ["--summarize", "--block-size=1M", image.root]);
    await du.exited;
    const megabytes = Number.parseInt(du.stdout, 10);
    console.log(`The image has ${megabytes} MB.`);
    expect(megabytes).toBeLessThan(400);
  });

  test("knows whether its hub is well", async () => {
    expect((await run(image, image.healthcheck, network).exited).code).toBe(1);
    await startHub();
    expect((await run(image, image.healthcheck, network).exited).code).toBe(0);
  });

  async function startHub(): Promise<ChildProcess> {
    const hub = run(image, [...image.entrypoint, ...image.command], network);
    expect(image.ports).toContain(`${(await listening(hub)).port}`);
    whenDone(async () => {
      await hub.kill();
    });
    return hub;
  }

  /** What a program prints that uses the SDK of the image. */
  async function client(body: string): Promise<string> {
    const script = [
      'import { connect } from "@dogear/client";',
      `const dogear = connect("ws://127.0.0.1:7600", { token: "${key}" });`,
      `${body};`,
      "await dogear.close();",
    ];
    const program = ["node", "--input-type=module", "--eval", script.join("\n")];
    const running = run({ ...image, folder: "/app" }, program, network);
    expect(await running.exited, running.stderr).toMatchObject({ code: 0 });
    return running.stdout;
  }

  /** Whose all is that the hub has written. */
  function owners(): Set<number> {
    const data = join(image.root, "var/lib/dogear");
    const files = readdirSync(data, { recursive: true, encoding: "utf8" });
    return new Set(files.map((file) => statSync(join(data, file)).uid));
  }
});
