/** `dogear token`: tokens made by hand, where no service of one's own hands them out. */
import { tokenLengthMax } from "@dogear/shared";
import type { TokenPolicy } from "../index.ts";
import { systemChance, systemClock } from "../runtime/clock.ts";
import { canAbout, canOption, capabilitiesOf } from "./can.ts";
import { type Command, command, type Family } from "./command.ts";
import { duration, milliseconds } from "./duration.ts";
import { configOptions, configuration } from "./settings.ts";
import { CommandError, noMore } from "./usage.ts";

const create: Command = command({
  name: "token create",
  operands: "",
  summary: "Make a token for a user",
  about: [
    "Signs a token with the first of the configuration's secrets (access.tokens), so that a hub of that configuration " +
      "accepts it, and prints it, and nothing else, to standard output. Whoever has it is that user until it expires.",
    canAbout,
    "Without --can the token has the capabilities that the configuration gives to tokens that bring none.",
  ],
  options: {
    user: { type: "string", value: "name", says: "whose token it is" },
    ...canOption,
    expires: { type: "string", value: "duration", default: "1h", says: "how long it is good: 90s, 15m, 30d" },
    "secret-file": { type: "string", value: "file", says: "sign with the secret in this file instead" },
    ...configOptions,
  },
  examples: [
    {
      says: "A new secret, and a token for somebody who may read the news",
      line: `openssl rand -base64 48 > secret.txt
  dogear token create --user alice --can 'subscribe:news.>' --secret-file secret.txt`,
    },
    {
      says: "For an operator, for a quarter of an hour",
      line: `openssl rand -base64 48 > secret.txt
  dogear token create --user olga --can 'admin,subscribe:>' --expires 15m --secret-file secret.txt`,
    },
  ],
  next: 'A service is better off with a key, which does not expire: "dogear help key".',
  async run(values, operands, shell) {
    noMore(operands, "token create takes options only.");
    const { "secret-file": secretFile, user } = values;
    const lifetimeMs = milliseconds("expires", values.expires);
    if (lifetimeMs < 1_000) throw new CommandError("usage", "--expires is at least 1s.");
    const capabilities = await capabilitiesOf(values.can);
    const { isUser, issueToken } = await import("../index.ts");
    if (!isUser(user)) throw new CommandError("usage", "token create needs --user, a name of 1 to 128 characters.");

    const flag = { flag: "--secret-file", path: "access.tokens.secretFile" };
    const more = secretFile === undefined ? [] : [{ ...flag, text: secretFile }];
    const { config } = await configuration(values, shell, more);
    const { policy, secret } = signing(config.access.tokens, secretFile !== undefined);
    if (policy.lifetimeMsMax !== undefined && lifetimeMs > policy.lifetimeMsMax) {
      const most = duration(policy.lifetimeMsMax);
      throw new CommandError("usage", `--expires is at most ${most} here, because of access.tokens.lifetimeMsMax.`);
    }
    const claims = { user, capabilities, now: systemClock.now(), lifetimeMs, id: systemChance.id() };
    const token = await issueToken(secret, claims, policy);
    if (token.length > tokenLengthMax) {
      throw new CommandError("usage", `So many capabilities make a token of more than ${tokenLengthMax} characters.`);
    }
    shell.stdout.write(`${token}\n`);
  },
});

/** The first secret is the newest; one that is named on the command line comes after those of the configuration. */
function signing(policy: TokenPolicy | undefined, isNamed: boolean): { policy: TokenPolicy; secret: string } {
  const secret = policy?.secrets.at(isNamed ? -1 : 0);
  if (policy !== undefined && secret !== undefined) return { policy, secret };
  throw new CommandError(
    "config",
    "No secret is configured to sign with. Put one into a file (openssl rand -base64 48 > secret.txt), and name that in " +
      "access.tokens.secretFile or with --secret-file.",
  );
}

export const token: Family = {
  name: "token",
  summary: "Make tokens for users: create",
  about: [
    "A token says who somebody is, what that user may do and until when, and is signed. Most come from a service of " +
      "your own, which signs with a secret or a private key that the hub knows; these are for trying things out and for " +
      "operators.",
  ],
  commands: [create],
  next: 'More about it: "dogear help token create". Keys of services: "dogear help key".',
};
