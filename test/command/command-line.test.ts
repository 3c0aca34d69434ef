import { expect, test } from "vitest";
import packageJson from "../../server/package.json" with { type: "json" };
import { dogear, dogearProcess } from "./support.ts";

test("dogear --version says which version it is", async () => {
  expect(await dogearProcess(["--version"])).toEqual({
    code: 0,
    stdout: `dogear ${packageJson.version}\n`,
    stderr: "",
  });
});

const wrong: readonly [line: string, says: string][] = [
  [
    "",
    'Say what to do: serve, publish, subscribe, group, dead, cursor, schedule, channel, session, revoke, config, token, key, help. See "dogear --help".',
  ],
  ["subscrib a", 'There is no command subscrib. Did you mean subscribe? See "dogear --help".'],
  ["help pubish", 'There is no command pubish. Did you mean publish? See "dogear --help".'],
  ["frobnicate", 'There is no command frobnicate. See "dogear --help".'],
  ["--versoin", 'There is no option --versoin. Did you mean --version? See "dogear --help".'],
  ["serve --prot 1", 'There is no option --prot. Did you mean --port? See "dogear serve --help".'],
  ["subscribe a --until", 'There is no option --until. Did you mean --until-caught-up? See "dogear subscribe --help".'],
  ["publish a -5", 'There is no option -5. Put -- before data that begins with -. See "dogear publish --help".'],
  ["serve --port", '--port needs a value: --port=<number>. See "dogear serve --help".'],
  ["publish a 1 --key --header", '--key needs a value: --key=<key>. See "dogear publish --help".'],
  ["subscribe a --quiet=yes", '--quiet takes no value. See "dogear subscribe --help".'],
  ["serve --port http", '--port is a whole number from 0 to 65535, not "http". See "dogear serve --help".'],
  ["serve --port 65536", '--port is a whole number from 0 to 65535, not "65536". See "dogear serve --help".'],
  ["serve --set port", '--set is a path=value such as limits.errorsMax=10. See "dogear serve --help".'],
  ["serve here", '"here" is one too many: serve takes options only. See "dogear serve --help".'],
  ["publish", 'publish needs a channel. See "dogear publish --help".'],
  [
    "publish a good day",
    '"day" is one too many: data is one word, in quotes where it has spaces. See "dogear publish --help".',
  ],
  ["publish a 1 --header x", '--header is a name=value, not "x". See "dogear publish --help".'],
  ["publish a 1 --url here", '--url is a URL such as ws://127.0.0.1:7600, not "here". See "dogear publish --help".'],
  ["publish a 1 --timeout 0", '--timeout is a whole number from 1 to 86400, not "0". See "dogear publish --help".'],
  ["subscribe", `subscribe needs a pattern; '>' is everything. See "dogear subscribe --help".`],
  ["subscribe a b", '"b" is one too many: subscribe takes one pattern, in quotes. See "dogear subscribe --help".'],
  [
    "subscribe a --from yesterday",
    '--from is latest, earliest, <epoch>:<offset> or a time such as 2030-01-31T12:00Z, not "yesterday". See "dogear subscribe --help".',
  ],
  ["subscribe a --reset", '--reset goes with --as. See "dogear subscribe --help".'],
  ["subscribe a --as=", '--as is a name of 1 to 128 characters. See "dogear subscribe --help".'],
  ["subscribe a --count 0", '--count is a whole number from 1 up, not "0". See "dogear subscribe --help".'],
  ["publish a 1 --delay 1h --at 2030-01-01", 'Either --delay or --at. See "dogear publish --help".'],
  [
    "publish a 1 --delay soon",
    '--delay is a duration such as 90s, 15m or 1h30m, not "soon". See "dogear publish --help".',
  ],
  ["publish a 1 --ttl 1m5", '--ttl is a duration such as 90s, 15m or 1h30m, not "1m5". See "dogear publish --help".'],
  ["publish a 1 --at noon", '--at is a time such as 2030-01-31T12:00Z, not "noon". See "dogear publish --help".'],
  ["group", 'Say what to do: list, show, pause, resume, reset, browse, delete. See "dogear group --help".'],
  ["gruop list", 'There is no command gruop. Did you mean group? See "dogear --help".'],
  ["group lst", 'There is no command group lst. Did you mean list? See "dogear group --help".'],
  ["help group lst", 'There is no command group lst. Did you mean list? See "dogear group --help".'],
  ["dead frobnicate", 'There is no command dead frobnicate. See "dogear dead --help".'],
  ["group --json list", 'There is no option --json. Options of group follow its command. See "dogear group --help".'],
  ["group list --jsno", 'There is no option --jsno. Did you mean --json? See "dogear group list --help".'],
  ["group list billing", '"billing" is one too many: group list takes options only. See "dogear group list --help".'],
  ["group show", 'group show needs a group. See "dogear group show --help".'],
  ["group pause a b", '"b" is one too many: group pause takes a group. See "dogear group pause --help".'],
  [
    "group reset a",
    'group reset needs --to: latest, earliest, <epoch>:<offset> or 2030-01-31T12:00Z. See "dogear group reset --help".',
  ],
  [
    "group reset a --to 9",
    '--to is latest, earliest, <epoch>:<offset> or a time such as 2030-01-31T12:00Z, not "9". See "dogear group reset --help".',
  ],
  ["group reset --to latest", 'group reset needs a group. See "dogear group reset --help".'],
  ["group browse a --limit 0", '--limit is a whole number from 1 up, not "0". See "dogear group browse --help".'],
  ["group browse a --after -1", '--after needs a value: --after=<offset>. See "dogear group browse --help".'],
  ["group show a --namespace", '--namespace needs a value: --namespace=<name>. See "dogear group show --help".'],
  ["dead list", 'dead list needs a group. See "dogear dead list --help".'],
  ["dead list a --limit many", '--limit is a whole number from 1 up, not "many". See "dogear dead list --help".'],
  ["dead redrive a --no-wait --cancel", '--cancel goes without --no-wait. See "dogear dead redrive --help".'],
  ["dead redrive a --no-wait=1", '--no-wait takes no value. See "dogear dead redrive --help".'],
  ["cursor show me", 'cursor show needs a pattern. See "dogear cursor show --help".'],
  [
    "cursor show me a b",
    '"b" is one too many: cursor show takes a subscriber and a pattern. See "dogear cursor show --help".',
  ],
  [
    "cursor reset me a",
    'cursor reset needs --to: latest, earliest, <epoch>:<offset> or 2030-01-31T12:00Z. See "dogear cursor reset --help".',
  ],
  ["cursor list --limit x", '--limit is a whole number from 1 up, not "x". See "dogear cursor list --help".'],
  ["channel list a", '"a" is one too many: channel list takes options only. See "dogear channel list --help".'],
  ["session disconnect", 'session disconnect needs a session. See "dogear session disconnect --help".'],
  ["revoke", 'revoke needs --user or --id. See "dogear revoke --help".'],
  ["revoke --id x --before 2030-01-01", '--before goes with --user. See "dogear revoke --help".'],
  ["revoke ada", '"ada" is one too many: revoke takes options only. See "dogear revoke --help".'],
  ["config chekc", 'There is no command config chekc. Did you mean check? See "dogear config --help".'],
  ["config check f", '"f" is one too many: config check takes options only. See "dogear config check --help".'],
  ["config schema f", '"f" is one too many: config schema takes nothing. See "dogear config schema --help".'],
  ["token create", 'token create needs --user, a name of 1 to 128 characters. See "dogear token create --help".'],
  [
    "token create --user=",
    'token create needs --user, a name of 1 to 128 characters. See "dogear token create --help".',
  ],
  [
    "token create --user a --can orders",
    '--can is rights:pattern such as publish,subscribe:orders.>, not "orders". See "dogear token create --help".',
  ],
  [
    "token create --user a --can fly:orders",
    '--can is rights:pattern such as publish,subscribe:orders.>, not "fly:orders". See "dogear token create --help".',
  ],
  [
    "token create --user a --can work:a..b",
    '--can is rights:pattern such as publish,subscribe:orders.>, not "work:a..b". See "dogear token create --help".',
  ],
  [
    "token create --user a --expires never",
    '--expires is a duration such as 90s, 15m or 1h30m, not "never". See "dogear token create --help".',
  ],
  ["token create --user a --expires 0s", '--expires is at least 1s. See "dogear token create --help".'],
  ["key create", 'key create needs a name. See "dogear key create --help".'],
  ["key create a b", '"b" is one too many: key create takes a name. See "dogear key create --help".'],
  ["key create a.b", 'A key\'s name is letters, digits, "_" and "-", not "a.b". See "dogear key create --help".'],
  ["schedule cancel", 'schedule cancel needs an id. See "dogear schedule cancel --help".'],
];

for (const [line, says] of wrong) {
  test(`dogear ${line} is refused, with help, and exit code 64`, async () => {
    const args = line.split(" ").filter((word) => word !== "");
    expect(await dogear(args)).toEqual({ code: 64, stdout: "", stderr: `dogear: ${says}\n` });
  });
}

test("a process that is refused ends with that exit code too", async () => {
  const stderr = 'dogear: There is no command frobnicate. See "dogear --help".\n';
  expect(await dogearProcess(["frobnicate"])).toEqual({ code: 64, stdout: "", stderr });
});

test("DOGEAR_URL is checked as --url is", async () => {
  const { code, stderr } = await dogear(["publish", "a", "1"], { url: "localhost:7600" });
  expect(code).toBe(64);
  expect(stderr).toMatch(/^dogear: DOGEAR_URL is a URL such as ws:\/\/127\.0\.0\.1:7600, not "localhost:7600"\./);
});

test("an error shows where in the program it came from with DEBUG=dogear, and only then", async () => {
  expect((await dogear(["publish"])).stderr).not.toContain(" at ");
  expect((await dogearProcess(["publish"], { env: { DEBUG: "dogear" } })).stderr).toMatch(/^ +at .*publish/m);
});
