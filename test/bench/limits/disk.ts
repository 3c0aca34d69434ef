/** What the disk takes: commits, flushes, bytes. */
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { open } from "lmdb";
import { Distribution } from "../measure.ts";
import type { Limit } from "./limit.ts";

const messageBytes = 256;
const measureMs = 700;

export const flushedMessages = `flushed messages/s of ${messageBytes} bytes`;

/** One small record a commit, each flushed, one after another: what Dogear would do for one publish at a time. */
export const commits: Limit = {
  finds: ["durable commits/s", "durable commit p50 ms", "durable commit p99 ms"],
  always: true,
  async measure(folder) {
    const store = open({ path: join(folder, "commits"), overlappingSync: false, encoding: "binary" });
    const record = Buffer.alloc(messageBytes, "x");
    const times = new Distribution();
    const start = performance.now();
    for (let key = 0; performance.now() - start < measureMs; key++) {
      const begun = performance.now();
      await store.put(key, record);
      times.add(performance.now() - begun);
    }
    const elapsedS = (performance.now() - start) / 1_000;
    await store.close();
    return {
      "durable commits/s": { value: times.count / elapsedS, unit: "commits/s" },
      "durable commit p50 ms": { value: times.at(0.5), unit: "ms" },
      "durable commit p99 ms": { value: times.at(0.99), unit: "ms" },
    };
  },
};

export const flushes: Limit = {
  finds: ["flushed appends/s"],
  always: true,
  async measure(folder) {
    const { times, elapsedS } = append(join(folder, "appends"), messageBytes);
    return { "flushed appends/s": { value: times / elapsedS, unit: "appends/s" } };
  },
};

export const bytes: Limit = {
  finds: [flushedMessages, "flushed MB/s"],
  always: true,
  async measure(folder) {
    const size = 2 ** 20;
    const { times, elapsedS } = append(join(folder, "bytes"), size);
    const perSecond = (times * size) / elapsedS;
    return {
      [flushedMessages]: { value: perSecond / messageBytes, unit: "messages/s" },
      "flushed MB/s": { value: perSecond / 2 ** 20, unit: "MB/s" },
    };
  },
};

function append(path: string, size: number): { readonly times: number; readonly elapsedS: number } {
  const file = openSync(path, "a");
  const block = Buffer.alloc(size, "x");
  const start = performance.now();
  let times = 0;
  for (; performance.now() - start < measureMs; times++) {
    writeSync(file, block);
    fdatasyncSync(file);
  }
  const elapsedS = (performance.now() - start) / 1_000;
  closeSync(file);
  return { times, elapsedS };
}
