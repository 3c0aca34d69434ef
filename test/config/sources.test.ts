/** Where a configuration comes from, and which source counts. */
import { join } from "node:path";
import { type ConfigSources, loadConfig } from "@dogear/server";
import { describe, expect, test } from "vitest";
import { leavesOf } from "../../server/src/config/paths.ts";
import { schema } from "../../server/src/config/schema.ts";
import { variables } from "../../server/src/config/sources.ts";
import { folderOf, mistakesFrom, secret } from "./support.ts";

const set = (path: string, text: string) => ({ flag: "--set", path, text });
const environment = (env: Record<string, string>): readonly string[] => mistakesFrom({ env });

describe("of what several say", () => {
  const file = (content: object): string => join(folderOf({ "dogear.json": content }), "dogear.json");

  test("the flag counts before the variable, and the variable before the file", () => {
    const sources: ConfigSources = {
      file: file({ limits: { errorsMax: 1, drainMs: 1, pollMsMax: 1 } }),
      env: { DOGEAR_LIMITS_ERRORS_MAX: "2", DOGEAR_LIMITS_DRAIN_MS: "2" },
      flags: [set("limits.errorsMax", "3")],
    };
    expect(loadConfig(sources).config.limits).toMatchObject({
      errorsMax: 3,
      drainMs: 2,
      pollMsMax: 1,
      ticketMs: 30_000,
    });
  });

  test("the later of two flags counts", () => {
    const flags = [set("limits.errorsMax", "3"), set("limits.errorsMax", "4")];
    expect(loadConfig({ flags }).config.limits.errorsMax).toBe(4);
  });

  test("a variable replaces the whole of what has free names, and a flag may change one thing in it", () => {
    const sources = {
      file: file({ namespaces: { chat: { ttlMs: 1 }, news: {} } }),
      env: { DOGEAR_NAMESPACES: '{"chat":{"ttlMs":2,"durability":"memory"}}' },
      flags: [set("namespaces.chat.ttlMs", "3"), set("namespaces.chat.retention.ageMs", "null")],
    };
    const { policies } = loadConfig(sources).config;
    expect(policies.map(({ namespace }) => namespace)).toEqual(["default", "chat"]);
    expect(policies[1]).toMatchObject({ durability: "memory", ttlMs: 3, retention: { ageMs: undefined } });
  });

  test("a mistake names the one that counts", () => {
    const wrong = file({ limits: { errorsMax: 0 } });
    const says = (who: string) => [`${who}: limits.errorsMax is a whole number from 1 up, not 0.`];
    expect(mistakesFrom({ file: wrong })).toEqual(says(wrong));
    expect(mistakesFrom({ file: wrong, env: { DOGEAR_LIMITS_ERRORS_MAX: "0" } })).toEqual(
      says("DOGEAR_LIMITS_ERRORS_MAX"),
    );
    expect(mistakesFrom({ file: wrong, flags: [{ ...set("limits.errorsMax", "0"), flag: "--errors" }] })).toEqual(
      says("--errors"),
    );
    expect(mistakesFrom({ file: wrong, env: { DOGEAR_LIMITS_ERRORS_MAX: "1" } })).toEqual([]);
  });

  test("the mistakes of all of them are said", () => {
    const wrong = file({ data: 1, limits: 5 });
    const env = { DOGEAR_LIMITS_ERRORS_MAX: "1", DOGEAR_LISTEN_PORT: "http", DOGEAR_LISTEN_PROT: "1" };
    expect(mistakesFrom({ file: wrong, env, flags: [set("log.levle", "info")] })).toEqual([
      "The environment: DOGEAR_LISTEN_PROT is not known; did you mean DOGEAR_LISTEN_PORT?",
      "--set: log.levle is not known; did you mean log.level?",
      `${wrong}: data is the name of a folder, not 1.`,
      'DOGEAR_LISTEN_PORT: listen.port is a whole number from 0 to 65535, not "http".',
      `${wrong}: limits is an object, not 5.`,
    ]);
  });

  test("DOGEAR_CONFIG names the file, unless a flag does", () => {
    const env = { DOGEAR_CONFIG: file({ limits: { errorsMax: 7 } }) };
    expect(loadConfig({ env })).toMatchObject({ file: env.DOGEAR_CONFIG, config: { limits: { errorsMax: 7 } } });
    const other = file({});
    expect(loadConfig({ file: other, env })).toMatchObject({ file: other, config: { limits: { errorsMax: 100 } } });
    expect(loadConfig({ env: { DOGEAR_CONFIG: "" } }).file).toBeUndefined();
  });
});

describe("files that are named", () => {
  const folder = folderOf({
    "etc/dogear.json": { data: "data", access: { tokens: { secretFile: "../secret" } } },
    secret: `${secret}\r\n`,
  });
  const file = join(folder, "etc/dogear.json");

  test("in the file are found from its folder on", () => {
    const { config } = loadConfig({ file });
    expect(config.data).toBe(join(folder, "etc/data"));
    expect(config.access.tokens?.secrets).toEqual([secret]);
  });

  test("elsewhere are found from the working directory on", () => {
    expect(loadConfig({ file, env: { DOGEAR_DATA: "here" } }).config.data).toBe("here");
    expect(loadConfig({ file, flags: [set("data", "./here")] }).config.data).toBe("./here");
    expect(mistakesFrom({ env: { DOGEAR_ACCESS_TOKENS_SECRET_FILE: "no-secret" } })).toEqual([
      "DOGEAR_ACCESS_TOKENS_SECRET_FILE: access.tokens.secretFile names no-secret, which is not there.",
    ]);
  });
});

describe("a variable", () => {
  test("is there for every value of the schema, under a name of its own", () => {
    const values = leavesOf(schema).filter(([first]) => first !== "$schema");
    expect([...variables.values()]).toEqual(values);
    expect([...variables.keys()]).toEqual(
      expect.arrayContaining([
        "DOGEAR_DATA",
        "DOGEAR_LISTEN_PORT",
        "DOGEAR_LISTEN_TLS_CERTIFICATE_FILE",
        "DOGEAR_LIMITS_MESSAGE_BYTES_MAX",
        "DOGEAR_ACCESS_TOKENS_SECRET_FILE",
        "DOGEAR_ACCESS_KEYS",
        "DOGEAR_NAMESPACES",
      ]),
    );
    for (const name of variables.keys()) expect(name).toMatch(/^DOGEAR(_[A-Z]+)+$/);
  });

  /** A value of each that is not its default. */
  const values: Readonly<Record<string, string>> = {
    DOGEAR_DATA: "elsewhere",
    DOGEAR_ENGINE: "nats://a:4222,b:4222",
    DOGEAR_JETSTREAM_PREFIX: "shop",
    DOGEAR_JETSTREAM_REPLICAS: "5",
    DOGEAR_JETSTREAM_MONITORS: "http://a:8222,http://b:8222",
    DOGEAR_LISTEN_HOST: "::1",
    DOGEAR_LISTEN_PORT: "0",
    DOGEAR_LISTEN_ORIGINS: "https://a.example, https://b.example",
    DOGEAR_LISTEN_HOSTS: '["hub.local"]',
    DOGEAR_LISTEN_TRUSTED_PROXIES: "10.0.0.0/8,::1",
    DOGEAR_ACCESS_TOKENS_SECRETS: secret,
    DOGEAR_ACCESS_TOKENS_KEY_SET_URL: "https://issuer.example/keys",
    DOGEAR_ACCESS_TOKENS_ALGORITHMS: "ES256",
    DOGEAR_ACCESS_TOKENS_AUDIENCE: "1",
    DOGEAR_ACCESS_TOKENS_ISSUER: "true",
    DOGEAR_ACCESS_TOKENS_USER_CLAIM: "email",
    DOGEAR_ACCESS_TOKENS_CAPABILITIES_CLAIM: "may",
    DOGEAR_ACCESS_TOKENS_LIFETIME_MS_MAX: "5",
    DOGEAR_ACCESS_TOKENS_CAPABILITIES: '{"a.>":["work"]}',
    DOGEAR_ACCESS_KEYS: JSON.stringify({ billing: { hash: "0".repeat(64) } }),
    DOGEAR_ACCESS_COOKIE: "session",
    DOGEAR_LOG_LEVEL: "warn",
    DOGEAR_NAMESPACES: '{"chat":{}}',
  };
  const named = /^DOGEAR_(LIMITS_|.*_FILE$)/;

  test("of each kind is understood", () => {
    expect([...variables.keys()].filter((name) => !named.test(name))).toEqual(Object.keys(values));
    const limits = [...variables.keys()].filter((name) => name.startsWith("DOGEAR_LIMITS_"));
    const asDefault = loadConfig().config.limits;
    const raised = Object.values(asDefault).map((value) => (value === asDefault.ticketMs ? 1 : value + 1));
    const env = { ...values, ...Object.fromEntries(limits.map((name, i) => [name, `${raised[i]}`])) };
    const { config } = loadConfig({ env });
    expect(config).toMatchObject({
      data: "elsewhere",
      jetstream: {
        servers: ["nats://a:4222", "nats://b:4222"],
        prefix: "shop",
        replicas: 5,
        monitors: ["http://a:8222", "http://b:8222"],
      },
      listen: {
        host: "::1",
        port: 0,
        origins: ["https://a.example", "https://b.example"],
        hosts: ["hub.local"],
        trustedProxies: ["10.0.0.0/8", "::1"],
      },
      access: {
        tokens: {
          secrets: [secret],
          keySetUrl: "https://issuer.example/keys",
          algorithms: ["ES256"],
          audience: "1",
          issuer: "true",
          userClaim: "email",
          capabilitiesClaim: "may",
          lifetimeMsMax: 5,
          capabilities: { "a.>": ["work"] },
        },
        keys: [{ name: "billing", hash: "0".repeat(64), capabilities: {}, limits: {} }],
        cookie: "session",
      },
      log: { level: "warn" },
    });
    expect(Object.values(config.limits)).toEqual(raised);
    expect(config.policies.map(({ namespace }) => namespace)).toEqual(["default", "chat"]);
  });

  test("that is empty says nothing", () => {
    expect(loadConfig({ env: { DOGEAR_LISTEN_PORT: "", DOGEAR_FROBNICATION: "" } }).config.listen.port).toBe(7_600);
  });

  test("of the commands that talk to a hub is not the hub's", () => {
    const env = { DOGEAR_URL: "ws://a", DOGEAR_TOKEN: "t", DOGEAR_TOKEN_FILE: "f", HOME: "/root" };
    expect(loadConfig({ env }).config).toEqual(loadConfig().config);
  });

  test.each([
    ["DOGEAR_PORT", "; did you mean DOGEAR_LISTEN_PORT?"],
    ["DOGEAR_SECRET_FILE", "; did you mean DOGEAR_ACCESS_TOKENS_SECRET_FILE?"],
    ["DOGEAR_LIMITS_MESAGE_BYTES_MAX", "; did you mean DOGEAR_LIMITS_MESSAGE_BYTES_MAX?"],
    ["DOGEAR_CONFG", "; did you mean DOGEAR_CONFIG?"],
    ["DOGEAR_FROBNICATION", "."],
  ])("that is not known is a mistake: %s", (name, more) => {
    expect(environment({ [name]: "1" })).toEqual([`The environment: ${name} is not known${more}`]);
  });

  test("with which Kubernetes tells of a service is none of the hub's, and only there", () => {
    const env = {
      DOGEAR_PORT: "tcp://10.0.0.1:7600",
      DOGEAR_PORT_7600_TCP_ADDR: "10.0.0.1",
      DOGEAR_SERVICE_HOST: "10.0.0.1",
    };
    expect(environment({ ...env, KUBERNETES_SERVICE_HOST: "10.0.0.1" })).toEqual([]);
    expect(environment(env)).toHaveLength(3);
    expect(environment({ DOGEAR_LISTEN_PORT: "tcp://10.0.0.1", KUBERNETES_SERVICE_HOST: "a" })).toHaveLength(1);
  });

  test("that is not JSON where it should be is a mistake, which does not repeat it", () => {
    expect(environment({ DOGEAR_ACCESS_KEYS: "{a", DOGEAR_LISTEN_ORIGINS: "[a" })).toEqual([
      "DOGEAR_ACCESS_KEYS: access.keys is written in JSON here.",
      "DOGEAR_LISTEN_ORIGINS: listen.origins is written in JSON here.",
    ]);
  });
});

describe("a flag that sets something", () => {
  const says = (path: string, text = "1"): readonly string[] => mistakesFrom({ flags: [set(path, text)] });

  test("of an unknown path is a mistake that names the nearest", () => {
    expect(says("limits.erorsMax")).toEqual(["--set: limits.erorsMax is not known; did you mean limits.errorsMax?"]);
    expect(says("namespaces.chat.ttl")).toEqual([
      "--set: namespaces.chat.ttl is not known; did you mean namespaces.chat.ttlMs?",
    ]);
    expect(says("listen.port.x")).toEqual(["--set: listen.port.x is not known."]);
    expect(says("access.tokens.capabilities.orders.>")).toHaveLength(1);
  });

  test("never reaches a prototype", () => {
    for (const path of ["__proto__.x", "namespaces.__proto__.ttlMs", "constructor.prototype.x", "limits.constructor"]) {
      expect(says(path)).toHaveLength(1);
    }
    expect(Object.hasOwn(Object.prototype, "ttlMs")).toBe(false);
  });

  test("says an object in JSON", () => {
    const { listen } = loadConfig({ flags: [set("listen", '{"port":1}'), set("listen.host", "::1")] }).config;
    expect(listen).toMatchObject({ port: 1, host: "::1" });
  });
});

describe("what it comes to", () => {
  test("is all there is, with defaults, and a configuration that says the same", () => {
    const { config, settings } = loadConfig({ flags: [set("namespaces.chat.durability", "memory")] });
    expect(settings).toMatchObject({
      data: "./data",
      listen: { host: "127.0.0.1", port: 7_600, origins: [] },
      access: { keys: {}, cookie: "dogear" },
      limits: config.limits,
      namespaces: {
        default: { durability: "disk", retention: { ageMs: 604_800_000, bytes: null } },
        chat: { durability: "memory", retention: { ageMs: 604_800_000, bytes: null } },
      },
    });
    const file = join(folderOf({ "dogear.json": settings }), "dogear.json");
    const again = loadConfig({ file, flags: [set("data", "./data")] });
    expect(again.config).toEqual(config);
  });

  test("never holds a secret, of any source", () => {
    const folder = folderOf({
      secret: secret.toLowerCase(),
      "dogear.json": { access: { tokens: { secretFile: "secret" } } },
    });
    const env = { DOGEAR_ACCESS_TOKENS_SECRETS: `${secret},${secret}x` };
    const { config, settings } = loadConfig({ file: join(folder, "dogear.json"), env });
    expect(config.access.tokens?.secrets).toEqual([secret, `${secret}x`, secret.toLowerCase()]);
    expect(settings).toMatchObject({ access: { tokens: { secrets: ["[redacted]", "[redacted]"] } } });
    expect(JSON.stringify(settings).toLowerCase()).not.toContain(secret.toLowerCase().slice(0, 8));
  });
});
