/** The hub that a command talks to: where it is, and how long to wait for it. */
import type { Dogear } from "@dogear/client";
import type { Shell } from "./command.ts";
import { CommandError, integer } from "./usage.ts";

export const defaultUrl = "ws://127.0.0.1:7600";

/** The options of every command that talks to a hub. */
export const hubOptions = {
  url: { type: "string", value: "url", says: "the hub (default: $DOGEAR_URL, or ws://127.0.0.1:7600)" },
  timeout: {
    type: "string",
    value: "seconds",
    default: "10",
    says: "how long to look for the hub; once found and lost, for ever",
  },
} as const;

/** How long a command that has done its work waits for the hub to confirm it, or for its reader to read. */
export const closeWithinMs = 2_000;

const secondsMax = 24 * 60 * 60;

export class Hub {
  readonly url: string;
  readonly #seconds: number;

  constructor(values: { readonly url: string | undefined; readonly timeout: string }, env: Shell["env"]) {
    this.url = values.url ?? env.DOGEAR_URL ?? defaultUrl;
    this.#seconds = integer("timeout", values.timeout, 1, secondsMax);
    if (!/^(ws|http)s?:$/.test(protocolOf(this.url))) {
      const source = values.url === undefined ? "DOGEAR_URL" : "--url";
      throw new CommandError("usage", `${source} is a URL such as ${defaultUrl}, not ${JSON.stringify(this.url)}.`);
    }
  }

  /** Waits for the first connection. */
  async reach(dogear: Dogear, stop?: AbortSignal): Promise<void> {
    const timeout = AbortSignal.timeout(this.#seconds * 1_000);
    try {
      await dogear.ready({ signal: stop === undefined ? timeout : AbortSignal.any([stop, timeout]) });
    } catch (error) {
      if (error !== timeout.reason) throw error;
      throw new CommandError(
        "unavailable",
        `No hub answers at ${this.url}. Start one with "dogear serve", or say where it is with --url.`,
        { cause: error },
      );
    }
  }
}

function protocolOf(url: string): string {
  try {
    return new URL(url).protocol;
  } catch {
    return "";
  }
}
