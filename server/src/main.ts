#!/usr/bin/env node
/** The process of the `dogear` command: hands over what is the process's, and exits with the code that comes back. */
import { dogear } from "./command/dogear.ts";
import { Interrupted, signalExits } from "./command/usage.ts";

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(signalExits[signal]);
    stop.abort(new Interrupted(signal));
  });
}

const crashed = new Promise<never>((_, reject) => {
  process.on("uncaughtException", reject);
});

const { stdin, stdout, stderr, env } = process;
// That nobody reads on is no crash; what needs to know listens as well.
for (const output of [stdout, stderr]) output.on("error", () => {});

process.exit(await dogear(process.argv.slice(2), { stdin, stdout, stderr, env, stop: stop.signal, crashed }));
