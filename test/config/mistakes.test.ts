/** What is said of a configuration that cannot be used. */
import { join } from "node:path";
import { ConfigError, parseConfig, readConfig } from "@dogear/server";
import { describe, expect, test } from "vitest";
import { folderOf, mistakes, mistakesOf, secret } from "./support.ts";

const hash = "0".repeat(64);
const tokens = (more: object): object => ({ access: { tokens: { secrets: [secret], ...more } } });

const wrong: readonly [config: unknown, says: string][] = [
  [5, "the configuration is an object, not 5."],
  [[], "the configuration is an object, not []."],
  [null, "the configuration is an object, not null."],
  [{ limits: { mesageBytesMax: 1 } }, "limits.mesageBytesMax is not known; did you mean limits.messageBytesMax?"],
  [{ listne: {} }, "listne is not known; did you mean listen?"],
  [{ port: 1 }, "port is not known; did you mean listen.port?"],
  [{ log: { errorsMax: 1 } }, "log.errorsMax is not known; did you mean limits.errorsMax?"],
  [{ frobnication: 1 }, "frobnication is not known."],
  [JSON.parse('{"__proto__":{}}'), "__proto__ is not known."],
  [
    { namespaces: { chat: { retention: { age: 1 } } } },
    "namespaces.chat.retention.age is not known; did you mean namespaces.chat.retention.ageMs?",
  ],
  [
    { access: { keys: { a: { hash, capabilitys: {} } } } },
    "access.keys.a.capabilitys is not known; did you mean access.keys.a.capabilities?",
  ],
  [
    { access: { keys: { a: { hash, limits: { connectionsMax: 1 } } } } },
    "access.keys.a.limits.connectionsMax is not known; did you mean access.keys.a.limits.userConnectionsMax?",
  ],

  [{ data: "" }, 'data is the name of a folder, not "".'],
  [{ listen: 7600 }, "listen is an object, not 7600."],
  [{ listen: { port: "http" } }, 'listen.port is a whole number from 0 to 65535, not "http".'],
  [{ listen: { port: 65_536 } }, "listen.port is a whole number from 0 to 65535, not 65536."],
  [{ listen: { host: null } }, "listen.host is a name or an address of this machine, not null."],
  [{ listen: { origins: "*" } }, 'listen.origins is a list, not "*".'],
  [{ listen: { origins: ["*", "https://a.example"] } }, 'listen.origins: "*" stands alone: it is every origin.'],
  ...[
    "https://a.example/",
    "https://A.example",
    "a.example",
    "null",
    "https://a.example:443",
    "ws://a.example",
    "",
  ].map((origin): [unknown, string] => [
    { listen: { origins: [origin] } },
    `listen.origins.0 is an origin such as https://app.example.com, without a path, or "*", not ${JSON.stringify(origin)}.`,
  ]),
  ...["HUB.local", "hub.local:7600", "*.local", "[::1]"].map((host): [unknown, string] => [
    { listen: { hosts: [host] } },
    `listen.hosts.0 is a host's name or address, in lower case and without a port, not "${host}".`,
  ]),
  ...["10.0.0.0/33", "::/129", "10.0.0", "proxy", "10.0.0.0/8/8", "10.0.0.0/"].map((network): [unknown, string] => [
    { listen: { trustedProxies: [network] } },
    `listen.trustedProxies.0 is an address such as 10.0.0.7, or a range of them such as 10.0.0.0/8, not "${network}".`,
  ]),
  [{ listen: { tls: { certificateFile: "a" } } }, "listen.tls.keyFile is missing."],
  [{ log: { level: "loud" } }, 'log.level is one of debug, info, warn, error, silent, not "loud".'],
  [{ limits: { errorsMax: 0 } }, "limits.errorsMax is a whole number from 1 up, not 0."],
  [{ limits: { errorsMax: 1.5 } }, "limits.errorsMax is a whole number from 1 up, not 1.5."],
  [{ limits: { errorsMax: null } }, "limits.errorsMax is a whole number from 1 up, not null."],
  [{ namespaces: { "a.b": {} } }, "namespaces.a.b: a namespace is one level of a name."],
  [{ namespaces: { $dead: {} } }, "namespaces.$dead: a namespace is one level of a name."],
  [{ namespaces: { a: { durability: "ram" } } }, 'namespaces.a.durability is one of disk, memory, not "ram".'],
  [
    { namespaces: { a: { retention: { bytes: 1 } } } },
    "namespaces.a.retention.bytes is a whole number from 1000000 up, not 1.",
  ],

  [
    { access: { tokens: {} } },
    "access.tokens: tokens are verified by one of secrets, secretFile, keySetFile and keySetUrl.",
  ],
  [tokens({ algorithms: ["HS256"] }), "access.tokens.algorithms.0 is one of RS256, ES256, EdDSA."],
  [tokens({ algorithms: ["none"] }), "access.tokens.algorithms.0 is one of RS256, ES256, EdDSA."],
  [tokens({ algorithms: [] }), "access.tokens.algorithms is a list with something in it."],
  ...["http://issuer.example/keys", "https://user:pass@issuer.example/keys", "file:///keys", "keys"].map(
    (keySetUrl): [unknown, string] => [
      tokens({ keySetUrl }),
      "access.tokens.keySetUrl is an https URL without a name and password (http only for this machine).",
    ],
  ),
  [tokens({ lifetimeMsMax: -1 }), "access.tokens.lifetimeMsMax is a whole number from 1 up."],
  [tokens({ capabilities: { "a..b": [] } }), "access.tokens.capabilities.a..b: it is not a pattern of channels."],
  [
    tokens({ capabilities: { ">": ["everything"] } }),
    "access.tokens.capabilities.>.0 is one of publish, subscribe, work, admin.",
  ],
  [
    { access: { keys: { "a b": { hash } } } },
    `access.keys.a b: a key's name is at most 128 letters, digits, "_" and "-".`,
  ],
  [{ access: { keys: { a: {} } } }, "access.keys.a.hash is missing."],
  [
    { access: { keys: { a: { hash: "abc" } } } },
    "access.keys.a.hash is the SHA-256 of the key in 64 hexadecimal digits, as `dogear key create` says it.",
  ],
  [
    { access: { keys: { a: { hash: "a".repeat(64) }, b: { hash: "A".repeat(64) } } } },
    "access.keys.b.hash is that of access.keys.a: a key is one user.",
  ],
  [{ access: { cookie: "a;b" } }, "access.cookie is the name of a cookie."],

  [{ limits: { outboxBytesMax: 1 } }, "limits.outboxBytesMax is at least 65536."],
  [{ limits: { frameBytesMax: 2 ** 28 + 1, messageBytesMax: 1 } }, `limits.frameBytesMax is at most ${2 ** 28}.`],
  [
    { limits: { frameBytesMax: 1_000 } },
    "limits.messageBytesMax cannot be larger than limits.frameBytesMax: no such message could be sent.",
  ],
  [{ limits: { helloBytesMax: 100 } }, "limits.helloBytesMax is at least 16384, to have room for the longest token."],
  [{ limits: { ticketMs: 60_001 } }, "limits.ticketMs is at most 60000, because a ticket travels in a URL."],
];

for (const [config, says] of wrong) {
  test(`${JSON.stringify(config).slice(0, 100)} is refused: ${says}`, () => {
    expect(mistakes(config)).toEqual([`dogear.json: ${says}`]);
  });
}

test("all mistakes are said at once, each in a sentence, and the error's message is all of them", () => {
  const config = { listen: { prot: 1, port: -1 }, limits: { errorsMax: "many" } };
  const says = [
    "dogear.json: listen.port is a whole number from 0 to 65535, not -1.",
    "dogear.json: listen.prot is not known; did you mean listen.port?",
    'dogear.json: limits.errorsMax is a whole number from 1 up, not "many".',
  ];
  expect(mistakes(config)).toEqual(says);
  expect(() => parseConfig(config, "dogear.json")).toThrow(new ConfigError(says));
  expect(new ConfigError(says).message).toBe(says.join(" "));
});

describe("a secret", () => {
  const ofList = (secret: string): readonly string[] => mistakes({ access: { tokens: { secrets: [secret] } } });

  test("of less than 32 bytes is refused, which are bytes and not characters (RFC 7518, section 3.2)", () => {
    expect(ofList(secret.slice(0, 31))).toEqual([
      "dogear.json: access.tokens.secrets.0 has less than the 32 bytes that HS256 needs.",
    ]);
    expect(ofList(secret.slice(0, 32))).toEqual([]);
    expect(ofList(`${secret.slice(0, 29)}→`)).toEqual([]);
  });

  test.each([
    "a-string-secret-at-least-256-bits-long",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "reallyreallyreallyreallyverysafe",
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "A-STRING-SECRET-AT-LEAST-256-BITS-LONG",
    "0".repeat(64),
    "abcabcaabbccabcabcaabbccabcabcaabbcc",
    "dogear-secret-dogear-secret-dogear-secret-",
  ])("that others know or guess is refused: %s", (known) => {
    expect(ofList(known)).toEqual([
      'dogear.json: access.tokens.secrets.0 is a secret that others know or guess; "openssl rand -base64 48" makes a good one.',
    ]);
  });

  test.each(["0123456789abcdeff0e1d2c3b4a59687", secret, "31415926535897932384626433832795028841971"])(
    "that could be one is taken: %s",
    (good) => {
      expect(ofList(good)).toEqual([]);
    },
  );

  test("is never repeated in a mistake, wherever in access it stands", () => {
    for (const access of [
      secret,
      { tokens: secret },
      { tokens: { secrets: secret } },
      { tokens: { secrets: [[secret]] } },
      { tokens: { secrets: [secret], algorithms: secret } },
      { keys: { a: { hash: secret } } },
      { keys: secret },
    ]) {
      const says = mistakes({ access }).join();
      expect(says).toContain("dogear.json: access");
      expect(says).not.toContain(secret);
    }
  });
});

describe("a file", () => {
  const read = (content: string): readonly string[] => {
    const file = join(folderOf({ "dogear.json": content }), "dogear.json");
    return mistakesOf(() => readConfig(file)).map((mistake) => mistake.replace(file, "dogear.json"));
  };

  test("that is not there cannot be read", () => {
    expect(mistakesOf(() => readConfig("nowhere.json"))).toEqual([
      "The configuration nowhere.json cannot be read: ENOENT: no such file or directory, open 'nowhere.json'.",
    ]);
  });

  test.each([
    ['{\n  "data": "a"\n  "log": {}\n}', "Expected ',' or '}' after property value on line 3"],
    [`{\n  "data": "${"a".repeat(50)}",\n  "log": yes\n}`, "Unexpected token 'y' on line 3"],
    [`{\n  "data": "${"a".repeat(50)}",\n}`, "Expected double-quoted property name on line 3"],
    ["{data}", "Expected property name or '}' on line 1"],
    ["", "Unexpected end of JSON input"],
  ])("that is not JSON is refused with the line where it ends to be: %j", (content, why) => {
    expect(read(content)).toEqual([`The configuration dogear.json is not JSON: ${why}.`]);
  });

  test("that is not JSON is not quoted, because it may hold a secret", () => {
    for (const content of [`{"secrets": [${secret}]}`, `{"a": 1, "secrets": ["${secret}", oops], "b": "${secret}"}`]) {
      expect(read(content).join()).not.toContain(secret.slice(0, 8));
    }
  });
});

describe("a file that the configuration names", () => {
  test("must be there", () => {
    const folder = folderOf({});
    const config = { access: { tokens: { secretFile: "s", keySetFile: "k" } } };
    expect(mistakes(config, folder)).toEqual([
      `dogear.json: access.tokens.secretFile names ${folder}/s, which is not there.`,
      `dogear.json: access.tokens.keySetFile names ${folder}/k, which is not there.`,
    ]);
    expect(mistakes({ access: { tokens: { secretFile: "." } } }, folder)).toEqual([
      `dogear.json: access.tokens.secretFile names ${folder}, which cannot be read.`,
    ]);
  });

  test("with a secret is held to what a secret is, without the line's end", () => {
    const folder = folderOf({ short: `${secret.slice(0, 31)}\n` });
    expect(mistakes({ access: { tokens: { secretFile: "short" } } }, folder)).toEqual([
      "dogear.json: access.tokens.secretFile has less than the 32 bytes that HS256 needs.",
    ]);
  });

  test.each([
    ["{", "which is not JSON"],
    ["null", "which is not a set of keys"],
    ['{"keys":[]}', "which is not a set of keys"],
    ['{"keys":[{"kid":"a"}]}', "which is not a set of keys"],
    ['{"keys":[{"kty":"OKP","crv":"Ed25519","x":"a","d":"b"}]}', "which holds keys that are not public"],
    ['{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}', "which holds keys that are not public"],
  ])("with keys must hold public ones: %s", (content, why) => {
    const folder = folderOf({ "keys.json": content });
    expect(mistakes({ access: { tokens: { keySetFile: "keys.json" } } }, folder)).toEqual([
      `dogear.json: access.tokens.keySetFile names ${folder}/keys.json, ${why}.`,
    ]);
  });
});
