/** One late subscription, from the first message on. */
import { execFileSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { loopbackMessages } from "../limits/loopback.ts";
import { Load, until } from "../measure.ts";
import { close, fill, type Seat, type Stage, seats, verify, type Workload } from "./workload.ts";

const bytes = 256;
const sizes = { usual: 1_000_000, full: 10_000_000 } as const;
/** Systems that store less in this time are asked for what they have stored. */
const fillSeconds = { usual: 10, full: 240 } as const;
/** A program that is compiled as it runs is not yet as fast as it becomes: one that reads quickly is let read often. */
const warmUp = { most: 4, seconds: 4 } as const;
const channel = "bench.catch-up";

export const catchUp: Workload = {
  name: "catch-up",
  says: `one late subscription to 1,000,000 messages of ${bytes} bytes (10,000,000 with --full), or as many as the system stored in ${fillSeconds.usual} s, after ${warmUp.most} readings or as many as are begun in ${warmUp.seconds} s; cold: started anew, none of its files in memory`,
  needs: ["acknowledges", "replays"],
  limits: [loopbackMessages],
  async run(stage) {
    const size = stage.full ? "full" : "usual";
    const count = await fill(stage, channel, bytes, stage.size(sizes[size]), fillSeconds[size]);
    const warmUntil = performance.now() + warmUp.seconds * 1_000;
    for (let nth = 0; nth < warmUp.most && (nth === 0 || performance.now() < warmUntil); nth++)
      await read(stage, count);
    const load = new Load(stage.running.pids);
    const again = await read(stage, count);
    const beside = load.end(count);
    const { readByLibrary } = stage.running.client;
    const start = performance.now();
    await readByLibrary?.(channel, count);
    const byLibrary = (count / (performance.now() - start)) * 1_000;
    await stage.restart(() => forget(stage.running.folder));
    const cold = await read(stage, count);
    return {
      "messages/s": { value: again, unit: "messages/s", of: loopbackMessages },
      ...beside,
      "messages/s, cold": { value: cold, unit: "messages/s" },
      ...(readByLibrary && { "messages/s, by its library": { value: byLibrary, unit: "messages/s" } }),
      messages: { value: count, unit: "messages" },
    };
  },
};

async function read(stage: Stage, count: number): Promise<number> {
  const start = performance.now();
  const all = await seats(stage, 1, () => ({ channel, from: "earliest" }));
  const [{ sequence, subscriber }] = all as [Seat];
  await new Promise<void>((resolve, reject) => {
    const done = () => sequence.received >= count || subscriber.fault !== undefined;
    subscriber.onProgress = () => done() && resolve();
    until(done, "catching up", 120).then(resolve, reject);
  });
  const elapsed = performance.now() - start;
  verify(all);
  close(all);
  return (count / elapsed) * 1_000;
}

/** Takes the files out of the page cache. */
function forget(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const file = join(folder, entry);
    if (!statSync(file, { throwIfNoEntry: false })?.isFile()) continue;
    execFileSync("dd", [`of=${file}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"], { stdio: "ignore" });
  }
}
