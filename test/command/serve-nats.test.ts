/** `dogear serve --engine nats://…`: hubs whose data is on NATS. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { beforeAll, describe, expect, test } from "vitest";
import { clientOf } from "../support/hub.ts";
import { listening } from "../support/hub-process.ts";
import { type NatsNode, natsServer, startNats } from "../support/nats.ts";
import { freePorts } from "../support/ports.ts";
import { ChildProcess } from "../support/process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { Collected } from "../support/waiting.ts";
import { dogear, jsonLines, payloads, start } from "./support.ts";

const password = "c0rrecth0rse";

describe.skipIf(natsServer === undefined)("dogear serve with NATS", () => {
  let node: NatsNode;
  let engine: string;
  beforeAll(async () => {
    node = await startNats({ config: `authorization { user: hub, password: "${password}" }\n` });
    engine = node.url.replace("//", `//hub:${password}@`);
  });

  test("says where the data is, keeps it there for every hub, and never says its password", async () => {
    const cwd = temporaryFolder();
    const hubs = [start(["serve", "--port", "0", "--engine", engine], { cwd })];
    hubs.push(start(["serve", "--port", "0"], { cwd, env: { DOGEAR_ENGINE: engine, DOGEAR_LOG_LEVEL: "debug" } }));
    const [one, other] = await Promise.all(hubs.map(listening));
    await hubs[0]?.untilLine(/^There is no access control/);
    expect(hubs[0]?.stdout).toContain(`The data is on NATS JetStream at ${node.url}, in one copy under dogear.\n`);
    const told = jsonLines<{ readonly event: string }>(hubs[0]?.stderr ?? "").filter(
      ({ event }) => event === "log.durability",
    );
    expect(told).toMatchObject([{ level: "warn", namespace: "default", durability: "process" }]);
    await dogear(["publish", "kept", "1"], one);
    const { stdout } = await dogear(["subscribe", "kept", "--from", "earliest", "--count", "1"], other);
    expect(payloads(stdout)).toEqual([1]);
    for (const hub of hubs) expect(await hub.kill("SIGTERM")).toEqual({ code: 0, signal: null });
    for (const { stdout, stderr } of hubs) expect(stdout + stderr).not.toContain(password);
    expect(existsSync(join(cwd, "data"))).toBe(false);
  });

  test("begins anew where its stream was made again, and its clients hear of it (G2, G5)", async () => {
    const hub = start(["serve", "--port", "0", "--engine", engine], { env: { DOGEAR_JETSTREAM_PREFIX: "again" } });
    const client = clientOf((await listening(hub)).url, { subscriber: "reader" });
    const seen = new Collected<readonly [unknown, string]>();
    const gaps = new Collected<unknown>();
    const options = { cursor: true, from: "earliest", onGap: "continue", window: { messages: 1 } } as const;
    const subscription = client.subscribe("news", options, ({ data, epoch }) => seen.add([data, epoch]));
    subscription.addEventListener("gap", ({ detail }) => gaps.add(detail.reason));
    for (const data of [0, 1]) await client.publish("news", data);
    // With the window it has, the second one comes when the first is acknowledged.
    await seen.reach(2);
    const nats = await connect({ servers: node.url, user: "hub", pass: password });
    await (await jetstreamManager(nats)).streams.delete("again-log-default");
    await nats.close();
    await gaps.reach(1);
    await client.publish("news", 2);
    const [, [, before], [data, after]] = (await seen.reach(3)) as [unknown, [unknown, string], [unknown, string]];
    expect([gaps.items, data, before === after]).toEqual([["epoch"], 2, false]);
    expect(await hub.kill("SIGTERM")).toEqual({ code: 0, signal: null });
  });

  test("says what is wrong where NATS is not there, or does not let it in", async () => {
    const [port] = await freePorts(1);
    const nowhere = await dogear(["serve", "--port", "0", "--engine", `nats://hub:${password}@127.0.0.1:${port}`]);
    expect(nowhere).toMatchObject({ code: 69, stdout: "" });
    expect(nowhere.stderr).toContain(`NATS does not answer at nats://127.0.0.1:${port}`);
    const strange = await dogear(["serve", "--port", "0", "--engine", node.url.replace("//", "//hub:wr0ng@")]);
    expect(strange).toMatchObject({ code: 69, stdout: "" });
    expect(strange.stderr).toContain(`NATS does not let this hub in at ${node.url}`);
    const large = await dogear(["serve", "--port", "0", "--engine", engine, "--set", "limits.messageBytesMax=1048576"]);
    expect(large).toMatchObject({ code: 69, stdout: "" });
    expect(large.stderr).toContain("raise its max_payload to 1056768, or lower limits.messageBytesMax");
    expect(nowhere.stderr + strange.stderr).not.toMatch(/c0rrecth0rse|wr0ng/);
  });
});

test("a hub whose data is in a folder loads nothing of NATS", async () => {
  const server = createRequire(import.meta.url).resolve("@dogear/server");
  const script = `
    const { startServer } = await import(${JSON.stringify(`file://${server}`)});
    const hub = await startServer({ data: ${JSON.stringify(temporaryFolder())}, port: 0 });
    await hub.close();
    const { createRequire } = await import("node:module");
    const loaded = Object.keys(createRequire(${JSON.stringify(server)}).cache);
    console.log(loaded.length > 0, loaded.filter((path) => path.includes("@nats-io")).length);
  `;
  const running = new ChildProcess(process.execPath, ["--input-type=module", "--eval", script]);
  await running.exited;
  expect(running.stdout + running.stderr).toBe("true 0\n");
});
