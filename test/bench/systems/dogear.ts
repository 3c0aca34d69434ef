/** Dogear itself, with the log in its own process or in a nats-server of its own. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { connect } from "@dogear/client";
import type { Running, System } from "../system.ts";
import { publisher } from "./dogear-publisher.ts";
import { Stretches, subscriber } from "./dogear-subscriber.ts";
import { worker } from "./dogear-worker.ts";
import { natsAbsence, startNats } from "./nats-server.ts";
import { node, versionOf } from "./process.ts";

const can = ["acknowledges", "ids", "channels", "wildcards", "replays", "resumes", "groups", "cursors"] as const;

export const dogear: System = {
  name: "dogear",
  settings: "as it comes: embedded log, flushed before it is acknowledged or delivered",
  durability: "flushed",
  can,
  absence: () => undefined,
  start: (folder) => startHub(folder, ["--data", folder]),
};

export const dogearJetstream: System = {
  name: "dogear-jetstream",
  settings: "as it comes, on one nats-server as that comes, which flushes every two minutes",
  durability: "process",
  can,
  absence: natsAbsence,
  async start(folder) {
    const nats = await startNats(folder);
    const hub = await startHub(folder, ["--engine", nats.url]);
    return {
      ...hub,
      version: `${hub.version}, ${nats.version}`,
      pids: [...hub.pids, ...nats.pids],
      async stop() {
        await hub.stop();
        await nats.stop();
      },
    };
  },
};

async function startHub(folder: string, args: readonly string[]): Promise<Running> {
  const command = join(dirname(createRequire(import.meta.url).resolve("@dogear/server")), "main.js");
  const hub = await node([command, "serve", "--port", "0", "--log-level", "error", ...args]);
  const stretches = new Stretches();
  return {
    ...hub,
    folder,
    version: `Dogear ${versionOf("@dogear/server")}`,
    client: {
      publisher: (options) => publisher(hub.url, options),
      subscriber: (options) => subscriber(hub.url, options, stretches),
      worker: (options) => worker(hub.url, options),
      readByLibrary: (channel, count) => readByLibrary(hub.url, channel, count),
    },
  };
}

async function readByLibrary(url: string, channel: string, count: number): Promise<void> {
  const dogear = connect(url);
  await new Promise<void>((resolve) => {
    let left = count;
    dogear.subscribe(channel, { from: "earliest" }, () => {
      if (--left === 0) resolve();
    });
  });
  await dogear.close();
}
