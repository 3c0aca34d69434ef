/** A disk that fills up, and has room again: a real file system, small enough to be filled. */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { count, dataOf, greet, publish, Reader, startHub } from "../protocol/support.ts";
import { root } from "../support/machine.ts";
import { temporaryFolder, whenDone } from "../support/temp.ts";

const MiB = 1_024 * 1_024;

describe.skipIf(root() !== true)("a hub whose disk is full", () => {
  test("refuses to publish for now, is not ready, goes on reading, and resumes by itself (G1, G13, P-82)", async () => {
    const disk = mounted(160 * MiB);
    const hub = await startHub({ data: join(disk, "data") });
    const publisher = await greet(hub, { producer: { id: "p", settled: 0 } });
    const ready = async () => (await fetch(`${hub.url.replace("ws", "http")}/readyz`)).status;
    await publish(publisher, "a", 1, 2, 3);
    expect(await ready()).toBe(200);

    const filler = join(disk, "filler");
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(filler, Buffer.alloc(bavail * bsize - 16 * MiB));
    await expect.poll(ready).toBe(503);
    publisher.send({ is: "publish", number: 4, channel: "a", data: 4 });
    expect(await publisher.next("error")).toMatchObject({ number: 4, code: "disk-full" });
    const refused = await fetch(`${hub.url.replace("ws", "http")}/publish/a`, { method: "POST", body: "5" });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);

    // A cursor is stored, and what was published is read.
    const reader = new Reader(await greet(hub, { subscriber: "reader" }));
    const place = await reader.subscribe({ pattern: "a", cursor: true, from: "earliest" });
    await reader.until(() => place.messages.length === 3);

    rmSync(filler);
    await expect.poll(ready).toBe(200);
    publisher.send({ is: "publish", number: 4, channel: "a", data: 4 });
    expect(await publisher.next("published")).toMatchObject({ number: 4, duplicate: false });
    await reader.until(() => place.messages.length === 4);
    expect(dataOf(place)).toEqual(count(1, 4));
  });
});

/** A file system of its own in memory, of so many bytes; it goes with the test. */
function mounted(bytes: number): string {
  const folder = join(temporaryFolder(), "disk");
  mkdirSync(folder);
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder]);
  whenDone(() => void execFileSync("umount", ["--lazy", folder]));
  return folder;
}
