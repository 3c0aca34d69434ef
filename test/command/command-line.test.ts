import { expect, test } from "vitest";
import packageJson from "../../server/package.json" with { type: "json" };
import { dogear } from "./support.ts";

test("dogear --version says which version it is", async () => {
  expect(await dogear(["--version"])).toEqual({ code: 0, stdout: `dogear ${packageJson.version}\n`, stderr: "" });
});

const wrong: readonly [line: string, says: string][] = [
  ["", 'Say what to do: serve, publish, subscribe, help. See "dogear --help".'],
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
];

for (const [line, says] of wrong) {
  test(`dogear ${line} is refused, with help, and exit code 64`, async () => {
    const args = line.split(" ").filter((word) => word !== "");
    expect(await dogear(args)).toEqual({ code: 64, stdout: "", stderr: `dogear: ${says}\n` });
  });
}

test("DOGEAR_URL is checked as --url is", async () => {
  const { code, stderr } = await dogear(["publish", "a", "1"], { url: "localhost:7600" });
  expect(code).toBe(64);
  expect(stderr).toMatch(/^dogear: DOGEAR_URL is a URL such as ws:\/\/127\.0\.0\.1:7600, not "localhost:7600"\./);
});

test("an error shows where in the program it came from with DEBUG=dogear, and only then", async () => {
  expect((await dogear(["publish"])).stderr).not.toContain(" at ");
  expect((await dogear(["publish"], { env: { DEBUG: "dogear" } })).stderr).toMatch(/^ +at .*publish/m);
});
