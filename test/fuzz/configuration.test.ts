/** Whatever a configuration says, in its file or in the environment: it is taken, or all that is wrong with it is said. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { check, parseConfig } from "../../server/src/config/config.ts";
import { Given } from "../../server/src/config/given.ts";
import { ConfigError } from "../../server/src/config/mistakes.ts";
import { loadConfig, variables } from "../../server/src/config/sources.ts";
import { temporaryFolder } from "../support/temp.ts";
import { mutatedText } from "./mutation.ts";
import { corpus, fuzz, oddValue, typed } from "./support.ts";

const configurations = corpus("configurations.txt");

/** A configuration in which the value at some place is another. */
const changed = fc
  .tuple(fc.constantFrom(...configurations), fc.nat(), fc.string(), oddValue)
  .map(([text, at, name, value]) => {
    const holders: Record<string, unknown>[] = [];
    const root = JSON.parse(text, (_key, one: unknown) => {
      if (typeof one === "object" && one !== null) holders.push(one as Record<string, unknown>);
      return one;
    }) as unknown;
    // The last is the root.
    const holder = holders[at % holders.length] as Record<string, unknown>;
    const names = [...Object.keys(holder), ...(Array.isArray(holder) ? [] : [name])];
    const field = names[at % names.length] ?? "0";
    Object.defineProperty(holder, field, { value, enumerable: true, configurable: true, writable: true });
    return root;
  });

/** Secrets of the corpus: no mistake may repeat one. */
const secrets = ["R2l2ZSBtZSBhIHBsYWNl", "user:password"];

function expectDiscreet(found: unknown): void {
  if (!(found instanceof ConfigError)) return;
  expect(found.mistakes.length).toBeGreaterThan(0);
  for (const secret of secrets) expect(found.message).not.toContain(secret);
}

it("a configuration is taken or refused, whatever its values are", async () => {
  await fuzz(fc.oneof(changed, oddValue), (values) => expectDiscreet(typed(() => parseConfig(values), ConfigError)));
});

it("a secret in the wrong place is not repeated by the mistake that it is", async () => {
  const [secret] = secrets as [string];
  const places = ["audience", "secrets", "algorithms", "lifetimeMsMax", "capabilities", "keySetUrl", "unknown"];
  const value = fc.constantFrom<unknown>(secret, [secret], { x: [secret] }, [[secret]]);
  await fuzz(fc.tuple(fc.constantFrom(...places), value, fc.boolean()), ([place, one, inKey]) => {
    const access = inKey ? { keys: { writer: { hash: one, [place]: one } } } : { tokens: { [place]: one } };
    expectDiscreet(typed(() => parseConfig({ access }), ConfigError));
  });
});

it("what is taken says the same once more", async () => {
  const given = (values: unknown) => new Given(values, { name: "test", folder: "." });
  await fuzz(changed, (values) => {
    const once = typed(() => check(given(values)), ConfigError);
    if (once instanceof Error) return;
    expect(check(given(JSON.parse(JSON.stringify(once.settings)))).config).toEqual(once.config);
  });
});

it("a file is taken or refused, whatever its bytes are, and its mistakes tell no secret", async () => {
  const file = join(temporaryFolder(), "dogear.json");
  await fuzz(mutatedText(configurations), (text) => {
    writeFileSync(file, text);
    expectDiscreet(typed(() => loadConfig({ file }), ConfigError));
  });
});

it("so are variables of the environment", async () => {
  const value = fc.oneof(mutatedText(configurations), oddValue.map(fc.stringify), fc.string());
  const variable = fc.oneof(
    fc.constantFrom(...variables.keys()),
    fc.string().map((name) => `DOGEAR_${name}`),
  );
  const env = fc.array(fc.tuple(variable, value), { maxLength: 4 }).map((pairs) => Object.fromEntries(pairs));
  await fuzz(env, ({ DOGEAR_CONFIG: _, ...rest }) => void typed(() => loadConfig({ env: rest }), ConfigError));
});
