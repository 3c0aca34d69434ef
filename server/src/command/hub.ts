/** The hub that a command talks to: where it is, who comes, and how long to wait for it. */
import { type ConnectOptions, connect, type Dogear, type ErrorCode } from "@dogear/client";
import { sentences } from "@dogear/shared";
import type { Shell } from "./command.ts";
import { type TokenValues, tokenOf } from "./credentials.ts";
import { CommandError, integer } from "./usage.ts";

export const defaultUrl = "ws://127.0.0.1:7600";

/** The options of every command that talks to a hub. */
export const hubOptions = {
  url: { type: "string", value: "url", says: "the hub (default: $DOGEAR_URL, or ws://127.0.0.1:7600)" },
  token: { type: "string", value: "token", says: "who you are: a JWT or a key (default: $DOGEAR_TOKEN)" },
  "token-file": {
    type: "string",
    value: "file",
    says: "where that is, unseen by others (default: $DOGEAR_TOKEN_FILE)",
  },
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

export interface HubValues extends TokenValues {
  readonly url: string | undefined;
  readonly timeout: string;
}

export class Hub {
  readonly url: string;
  readonly #seconds: number;
  readonly #token: ConnectOptions["token"];

  constructor(values: HubValues, env: Shell["env"]) {
    this.#token = tokenOf(values, env);
    this.url = values.url ?? env.DOGEAR_URL ?? defaultUrl;
    this.#seconds = integer("timeout", values.timeout, 1, secondsMax);
    if (!/^(ws|http)s?:$/.test(protocolOf(this.url))) {
      const source = values.url === undefined ? "DOGEAR_URL" : "--url";
      throw new CommandError("usage", `${source} is a URL such as ${defaultUrl}, not ${JSON.stringify(this.url)}.`);
    }
  }

  /** Begins to connect. */
  connect(options: Pick<ConnectOptions, "subscriber"> = {}): Dogear {
    return connect(this.url, { ...options, ...(this.#token !== undefined && { token: this.#token }) });
  }

  /** Waits for the first connection. */
  async reach(dogear: Dogear, stop?: AbortSignal): Promise<void> {
    const timeout = AbortSignal.timeout(this.#seconds * 1_000);
    let turnedAway: ErrorCode | undefined;
    dogear.addEventListener("state", ({ detail: { code } }) => {
      if (code !== undefined) turnedAway = typeof code === "string" && code !== "heartbeat-timeout" ? code : undefined;
    });
    try {
      await dogear.ready({ signal: stop === undefined ? timeout : AbortSignal.any([stop, timeout]) });
    } catch (error) {
      if (error !== timeout.reason) throw error;
      if (turnedAway !== undefined) throw new CommandError("refused", `${sentences[turnedAway]} (${turnedAway})`);
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
