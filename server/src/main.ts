#!/usr/bin/env node
/** The process of the `dogear` command: hands its streams and signals over, and exits with the code that comes back. */
import { dogear } from "./command/dogear.ts";

const stop = new AbortController();
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(code);
    stop.abort(signal);
  });
}

const crashed = new Promise<never>((_, reject) => {
  process.on("uncaughtException", reject);
});
crashed.catch(() => {});

const { stdin, stdout, stderr, env } = process;
const code = await dogear(process.argv.slice(2), { stdin, stdout, stderr, env, stop: stop.signal, crashed });
process.exit(code);
