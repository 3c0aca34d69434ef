/** The schema that editors go by: it says no more and no less than the hub does. */
import { readFileSync } from "node:fs";
import { jsonSchema, loadConfig, parseConfig } from "@dogear/server";
import { expect, test } from "vitest";
import { z } from "zod";
import { repository } from "../support/sources.ts";
import { mistakes, secret } from "./support.ts";

interface Node {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: false | Node;
}

const root = jsonSchema() as Node & z.core.JSONSchema.JSONSchema;
/** Made of the JSON Schema alone. */
const editor = z.fromJSONSchema(root);

const good: readonly object[] = [
  {},
  { $schema: "./dogear.schema.json", data: "./data" },
  {
    listen: {
      host: "0.0.0.0",
      port: 443,
      origins: ["https://app.example.com"],
      hosts: ["hub.local"],
      trustedProxies: ["10.0.0.0/8"],
    },
    access: {
      tokens: {
        secrets: [secret],
        algorithms: ["ES256"],
        audience: "dogear",
        capabilities: { "public.>": ["subscribe"] },
      },
      keys: {
        billing: {
          hash: "0".repeat(64),
          capabilities: { "inbox.{user}.>": ["work"] },
          limits: { userConnectionsMax: 1 },
        },
      },
    },
    log: { level: "debug" },
    limits: { subscriptionsMax: 5 },
    namespaces: { chat: { durability: "memory", retention: { ageMs: null }, ttlMs: 5 } },
  },
  { engine: "nats://a:4222,b:4222", jetstream: { prefix: "shop", replicas: 3, monitors: ["http://a:8222"] } },
  { engine: ["nats://hub:password@a:4222", "tls://[::1]"] },
  loadConfig().settings,
];

const bad: readonly object[] = [
  { listne: {} },
  { listen: { port: "7600" } },
  { listen: { port: 70_000 } },
  { listen: { origins: "https://app.example.com" } },
  { listen: { tls: { keyFile: "key.pem" } } },
  { limits: { mesageBytesMax: 1 } },
  { limits: { errorsMax: 0 } },
  { access: { tokens: { secrets: [secret], algorithms: ["none"] } } },
  { access: { keys: { billing: { hash: "abc" } } } },
  { access: { keys: { "a b": { hash: "0".repeat(64) } } } },
  { access: { keys: { billing: {} } } },
  { namespaces: { "a.b": {} } },
  { namespaces: { chat: { durability: "ram" } } },
  { log: { level: "loud" } },
  { engine: "mysql" },
  { engine: [] },
  { engine: "nats://a", jetstream: { replicas: 2 } },
];

test.each(good)("a configuration that the hub takes is one for editors: %j", (config) => {
  expect(mistakes(config)).toEqual([]);
  expect(editor.safeParse(config).error).toBeUndefined();
});

test.each(bad)("a mistake of the hub's is one for editors: %j", (config) => {
  expect(mistakes(config)).toHaveLength(1);
  expect(editor.safeParse(config).success).toBe(false);
});

test("the configuration that README.md shows is one", () => {
  const [, shown = ""] =
    readFileSync(`${repository}README.md`, "utf8").match(/^### Configuration$.*?^```json\n(.*?)^```$/ms) ?? [];
  expect(editor.safeParse(JSON.parse(shown)).error).toBeUndefined();
});

test("says of every key what it is, and of everything that has a default what that is", () => {
  const byDefault = parseConfig({});
  const walk = (node: Node, path: string): void => {
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      expect(child.description, `${path}${key}`).toMatch(/^.{10,}\.$/);
      walk(child, `${path}${key}.`);
    }
    if (node.properties !== undefined) expect(node.additionalProperties, path).toBe(false);
    else if (node.additionalProperties) walk(node.additionalProperties, `${path}<name>.`);
  };
  walk(root, "");
  const { listen, limits } = root.properties ?? {};
  expect(root.additionalProperties).toBe(false);
  expect(listen?.properties?.port?.default).toBe(byDefault.listen.port);
  expect(listen?.properties?.host?.default).toBe(byDefault.listen.host);
  const defaults = Object.entries(limits?.properties ?? {}).map(([name, { default: value }]) => [name, value]);
  expect(Object.fromEntries(defaults)).toEqual(byDefault.limits);
});
