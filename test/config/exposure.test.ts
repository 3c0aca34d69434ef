/** A hub without access control is for its own machine. */
import { ConfigError, checkExposure, parseConfig, startServer } from "@dogear/server";
import { expect, test } from "vitest";
import { temporaryFolder, whenDone } from "../support/temp.ts";
import { mistakesOf, secret } from "./support.ts";

const open = { policy: parseConfig({}).access };

test.each(["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "localhost"])(
  "without access control a hub may listen on %s",
  (host) => {
    expect(mistakesOf(() => checkExposure(open, host))).toEqual([]);
  },
);

test.each([
  "0.0.0.0",
  "::",
  "10.0.0.1",
  "hub.local",
  "localhost.example.com",
  "0177.0.0.1",
  "127.1",
  "::ffff:10.0.0.1",
])("without access control a hub may not listen on %s, and what to configure is said", (host) => {
  expect(mistakesOf(() => checkExposure(open, host))).toEqual([
    `listen.host is ${host}, but there is no access control: other machines could do everything. ` +
      "Configure access.tokens or access.keys, or listen on 127.0.0.1.",
  ]);
});

test.each([{ tokens: { secrets: [secret] } }, { keys: { billing: { hash: "0".repeat(64) } } }])(
  "with tokens or keys a hub may listen anywhere: %j",
  (access) => {
    const policy = parseConfig({ access }).access;
    expect(mistakesOf(() => checkExposure({ policy }, "0.0.0.0"))).toEqual([]);
  },
);

test("whoever embeds a hub is held to it too, whatever says where it listens", async () => {
  const data = temporaryFolder();
  await expect(startServer({ data, port: 0, host: "0.0.0.0" })).rejects.toThrow(ConfigError);
  const config = parseConfig({ data, listen: { host: "0.0.0.0", port: 0 } });
  await expect(startServer({ config })).rejects.toThrow(ConfigError);
  const hub = await startServer({ config, host: "127.0.0.1" });
  whenDone(() => hub.close());
  expect(hub.host).toBe("127.0.0.1");
});

test("whoever embeds a hub and asks who comes may listen anywhere", async () => {
  const authenticate = async () => undefined;
  const hub = await startServer({ data: temporaryFolder(), port: 0, host: "0.0.0.0", authenticate });
  whenDone(() => hub.close());
  expect(hub.port).toBeGreaterThan(0);
});
