/** The token that a command shows a hub. */
import { readFileSync, statSync } from "node:fs";
import type { ConnectOptions } from "@dogear/client";
import type { Shell } from "./command.ts";
import { CommandError } from "./usage.ts";

export interface TokenValues {
  readonly token: string | undefined;
  readonly "token-file": string | undefined;
}

/** The nearest of them counts: options before the environment, in which an empty variable is none. */
export function tokenOf({ token, "token-file": file }: TokenValues, env: Shell["env"]): ConnectOptions["token"] {
  if (token !== undefined && file !== undefined) throw new CommandError("usage", "Either --token or --token-file.");
  if (token === "") throw new CommandError("usage", "--token is empty.");
  if (token !== undefined) return token;
  if (file !== undefined) return tokenIn(file, "--token-file");
  if (env.DOGEAR_TOKEN) return env.DOGEAR_TOKEN;
  return env.DOGEAR_TOKEN_FILE ? tokenIn(env.DOGEAR_TOKEN_FILE, "DOGEAR_TOKEN_FILE") : undefined;
}

/** A file is read again for each session, since the token may have been renewed there; a pipe can be read only once. */
function tokenIn(file: string, source: string): ConnectOptions["token"] {
  const token = read(file, source);
  return statSync(file).isFile() ? () => read(file, source) : token;
}

function read(file: string, source: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw new CommandError("usage", `${source} cannot be read: ${(cause as Error).message}.`, { cause });
  }
  if (text === "") throw new CommandError("usage", `${source} is empty: ${file}.`);
  return text;
}
