/**
 * The kinds of values in a configuration. The message of each says what it is, to follow "is": a whole number from 1 up.
 */
import { isIP } from "node:net";
import { z } from "zod";
import { isLoopback } from "../access/addresses.ts";

export function whole(min: number, max?: number): z.ZodNumber {
  const error = `a whole number ${max === undefined ? `from ${min} up` : `from ${min} to ${max}`}`;
  const schema = z.int({ error }).min(min, { error });
  return max === undefined ? schema : schema.max(max, { error });
}

export function text(error = "text"): z.ZodString {
  return z.string({ error }).min(1, { error });
}

/** Text of which more is asked than that there is some. */
function textThat(is: (text: string) => boolean, error: string): z.ZodString {
  return z.string({ error }).refine(is, { error });
}

/** A file, from the folder of the configuration file on. */
export const fileName: z.ZodString = text("the name of a file");

/** What a browser says of where a page is from; `*` is everybody. */
export const origin: z.ZodString = textThat(
  (text) => text === "*" || (/^https?:\/\//.test(text) && urlOf(text)?.origin === text),
  'an origin such as https://app.example.com, without a path, or "*"',
);

const label = "[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?";
const names = new RegExp(`^(?=.{1,253}$)${label}(\\.${label})*$`);

export const hostName: z.ZodString = textThat(
  (name) => isIP(name) > 0 || names.test(name),
  "a host's name or address, in lower case and without a port",
);

export const network: z.ZodString = textThat(
  isNetwork,
  "an address such as 10.0.0.7, or a range of them such as 10.0.0.0/8",
);

function isNetwork(text: string): boolean {
  const [address = "", bits, ...more] = text.split("/");
  const family = isIP(address);
  if (family === 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

/** Where keys are fetched from: what arrives there decides who is let in. */
export const keySetUrl: z.ZodString = textThat(
  isKeySetUrl,
  "an https URL without a name and password (http only for this machine)",
);

function isKeySetUrl(text: string): boolean {
  const url = urlOf(text);
  if (url === undefined || url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  return url.protocol === "http:" && isLoopback(url.hostname.replace(/^\[(.*)\]$/, "$1"));
}

const natsHost = "(\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?";
const natsLogin = "([^\\s,@/]+@)?";
const natsScheme = "(nats|tls)://";

/** A server of NATS, with a user and a password or a token where it needs one. */
export const natsUrl: RegExp = new RegExp(`^${natsScheme}${natsLogin}${natsHost}$`);

/** Several with commas between; those behind the first may leave out their scheme. */
export const natsUrls: RegExp = new RegExp(
  `^${natsScheme}${natsLogin}${natsHost}( *, *(${natsScheme}${natsLogin})?${natsHost})*$`,
);

/** Where a server tells how it is. */
export const monitorUrl: z.ZodString = textThat(
  (text) => /^https?:\/\//.test(text) && urlOf(text) !== undefined,
  "where a nats-server is monitored, such as http://nats-1:8222",
);

function urlOf(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}
