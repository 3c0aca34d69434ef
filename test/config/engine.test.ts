/** Where logs are kept, as a configuration says it. */
import { loadConfig, parseConfig } from "@dogear/server";
import { describe, expect, test } from "vitest";
import { folderOf, mistakes, mistakesFrom } from "./support.ts";

const settingsOf = (config: object, folder?: string) => parseConfig(config, "dogear.json", folder).jetstream;

test("logs are in the folder of the data, unless NATS is named", () => {
  expect(parseConfig({}).jetstream).toBeUndefined();
  expect(parseConfig({ engine: "lmdb", jetstream: { prefix: "unused" } }).jetstream).toBeUndefined();
});

test("servers are named in a list or with commas, the scheme once or each time", () => {
  const servers = (engine: unknown) => settingsOf({ engine })?.servers;
  expect(servers("nats://a")).toEqual(["nats://a"]);
  expect(servers("nats://a:4222,b:4223")).toEqual(["nats://a:4222", "nats://b:4223"]);
  expect(servers("nats://a:4222, nats://[::1]:4223")).toEqual(["nats://a:4222", "nats://[::1]:4223"]);
  expect(servers(["nats://a:4222", "nats://b:4222"])).toEqual(["nats://a:4222", "nats://b:4222"]);
  const flags = [{ flag: "--engine", path: "engine", text: "nats://a,nats://b" }];
  expect(loadConfig({ flags }).config.jetstream?.servers).toEqual(["nats://a", "nats://b"]);
  const env = { DOGEAR_ENGINE: "nats://a", DOGEAR_JETSTREAM_REPLICAS: "3", DOGEAR_JETSTREAM_MONITORS: "http://a:8222" };
  expect(loadConfig({ env }).config.jetstream).toMatchObject({ replicas: 3, monitors: ["http://a:8222"] });
});

test("several servers keep three copies, one keeps one, and more can be asked for", () => {
  expect(settingsOf({ engine: "nats://a" })).toMatchObject({ prefix: "dogear", replicas: 1, monitors: [] });
  expect(settingsOf({ engine: "nats://a,b" })).toMatchObject({ replicas: 3 });
  expect(settingsOf({ engine: "nats://a,b,c,d,e", jetstream: { replicas: 5, prefix: "shop" } })).toMatchObject({
    replicas: 5,
    prefix: "shop",
  });
});

test("tls:// asks for TLS", () => {
  expect(settingsOf({ engine: "nats://a" })?.tls).toBeUndefined();
  expect(settingsOf({ engine: "tls://a" })?.tls).toEqual({});
});

describe("who the hub is", () => {
  test("stands in the URL, which is shown without", () => {
    const engine = "nats://hub:s%3Acret@a:4222,b:4222";
    expect(settingsOf({ engine })).toMatchObject({
      servers: ["nats://a:4222", "nats://b:4222"],
      login: { user: "hub", password: "s:cret" },
    });
    expect(settingsOf({ engine: ["nats://t0ken@a"] })).toMatchObject({
      servers: ["nats://a"],
      login: { token: "t0ken" },
    });
    const shown = (given: string) => loadConfig({ env: { DOGEAR_ENGINE: given } }).settings;
    expect(shown(engine)).toMatchObject({ engine: "nats://[redacted]@a:4222,b:4222" });
    expect(shown("nats://hub:one@a,tls://hub:one@b")).toMatchObject({
      engine: "nats://[redacted]@a,tls://[redacted]@b",
    });
    expect(mistakesFrom({ env: { DOGEAR_ENGINE: "nats://hub:secret@" } }).join()).not.toContain("secret");
  });

  test("may stand in a file, and is said once", () => {
    const folder = folderOf({ "hub.creds": "…" });
    const jetstream = { credentialsFile: "hub.creds" };
    expect(settingsOf({ engine: "nats://a", jetstream }, folder)).toMatchObject({
      credentialsFile: `${folder}/hub.creds`,
      login: undefined,
    });
    expect(mistakes({ engine: "nats://u:p@a", jetstream }, folder)).toEqual([
      "dogear.json: jetstream.credentialsFile says who comes, and engine does too: leave one of them out.",
    ]);
    expect(mistakes({ engine: "nats://u:p@a,nats://v:p@b" })).toEqual([
      "dogear.json: engine has several users: all servers are asked as the same one.",
    ]);
  });
});

test.each([
  ["mysql", 'engine is "lmdb", or where NATS listens: nats://a:4222,b:4222, not "mysql".'],
  ["http://a", 'engine is "lmdb", or where NATS listens: nats://a:4222,b:4222, not "http://a".'],
  ["nats://a,", 'engine is "lmdb", or where NATS listens: nats://a:4222,b:4222, not "nats://a,".'],
  [["a:4222"], 'engine.0 is where NATS listens, such as nats://a:4222, not "a:4222".'],
  [[], "engine is a list with something in it, not []."],
])("an engine that is none is refused: %j", (engine, sentence) => {
  expect(mistakes({ engine })).toEqual([`dogear.json: ${sentence}`]);
});

test.each([
  [{ replicas: 2 }, "jetstream.replicas is one of 1, 3, 5, not 2."],
  [{ prefix: "a.b" }, 'jetstream.prefix is at most 32 letters, digits, "_" and "-", not "a.b".'],
  [
    { monitors: ["a:8222"] },
    'jetstream.monitors.0 is where a nats-server is monitored, such as http://nats-1:8222, not "a:8222".',
  ],
  [{ replica: 3 }, "jetstream.replica is not known; did you mean jetstream.replicas?"],
  [{ credentialsFile: "no.creds" }, "jetstream.credentialsFile names no.creds, which is not there."],
])("a mistake in what is said about NATS is named: %j", (jetstream, sentence) => {
  expect(mistakes({ engine: "nats://a", jetstream })).toEqual([`dogear.json: ${sentence}`]);
});

test("a certificate of the hub's own comes with its key", () => {
  const jetstream = { tls: { certificateFile: "hub.pem" } };
  expect(mistakes({ engine: "tls://a", jetstream }, folderOf({ "hub.pem": "…" }))).toEqual([
    "dogear.json: jetstream.tls.certificateFile and jetstream.tls.keyFile go together.",
  ]);
});
