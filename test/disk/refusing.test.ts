/**
 * A disk that refuses: full to the last block, mounted read-only, not for this user. What cannot be done is refused with an
 * error that says so; nothing that was confirmed is lost; and once the disk takes writes again, everything goes on.
 */
import { chmodSync, closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { explain } from "../checker/violation.ts";
import { hubOf, launchHub, startHubProcess } from "../support/hub-process.ts";
import { program, root } from "../support/machine.ts";
import { freePorts } from "../support/ports.ts";
import { temporaryFolder } from "../support/temp.ts";
import { until } from "../support/waiting.ts";
import { Clients } from "./clients.ts";
import { Image, imagePrograms } from "./image.ts";
import { shimLibrary, shimmed } from "./shim.ts";

const programs = imagePrograms();
const library = shimLibrary();
const setpriv = root() && program("setpriv");

describe.skipIf(programs === undefined)("a disk of its own", () => {
  const image = (): Image => new Image(programs as NonNullable<typeof programs>);

  test("that is full to the last block costs nothing, and when it has room the same hub goes on (G1, G9, G13)", async () => {
    const { folder } = image();
    const hub = await startHubProcess({ data: join(folder, "data") });
    const clients = new Clients(hub.url);
    await clients.publish(20);
    fill(join(folder, "filler"));
    const isReady = async (): Promise<boolean> => (await fetch(`${hub.url.replace("ws", "http")}/readyz`)).ok;
    await until(async () => !(await isReady()), "a hub that is not ready");
    const refused = await fetch(`${hub.url.replace("ws", "http")}/publish/orders.eu`, { method: "POST", body: "1" });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);

    // These wait, as does a reader whose cursor cannot be claimed.
    const waiting = clients.publish(20);
    await clients.replace();
    rmSync(join(folder, "filler"));
    await waiting;
    await clients.finish();
    expect(explain(clients.violations())).toBe("");
    await clients.close();
    expect(await hub.stop()).toEqual({ code: 0, signal: null });
  });

  test("that is read-only is refused at start, and taken when it is not any more (G1)", async () => {
    const disk = image();
    const data = join(disk.folder, "data");
    const [port] = (await freePorts(1)) as [number];
    const first = await startHubProcess({ data, port });
    const clients = new Clients(first.url);
    await clients.publish(20);
    await first.stop();
    disk.remount("ro");
    const refused = launchHub({ data, port });
    expect(await refused.exited).toEqual({ code: 69, signal: null });
    expect(refused.stderr).toMatch(/dogear: The data cannot be kept in \S+: .*EROFS: read-only file system/);
    disk.remount("rw");
    const hub = await startHubProcess({ data, port });
    await clients.finish();
    expect(explain(clients.violations())).toBe("");
    await clients.close();
    await hub.stop();
  });
});

test.skipIf(library === undefined)(
  "a disk that becomes read-only stops the hub, which loses nothing (G1)",
  async () => {
    const data = join(temporaryFolder(), "data");
    const [port] = (await freePorts(1)) as [number];
    const readOnly = join(temporaryFolder(), "read-only");
    const env = shimmed(library as string, { folder: data, fault: "erofs+:any:1", from: readOnly });
    const hub = await hubOf(launchHub({ data, port, env }));
    const clients = new Clients(hub.url);
    await clients.publish(20);
    closeSync(openSync(readOnly, "w"));
    const waiting = clients.publish(20);
    const { code, signal } = await hub.process.exited;
    const { stderr } = hub.process;
    // lmdb-js 3.5.6 may free memory twice where it could not write, after it has said so.
    if (signal !== null) expect(stderr).toMatch(/^Write error: Read-only file system/m);
    else {
      expect(code).toBe(70);
      expect(stderr).toMatch(/dogear: The (log|data) cannot be written any more: Error: .*read-only file system/i);
    }

    const next = await startHubProcess({ data, port });
    await waiting;
    await clients.finish();
    expect(explain(clients.violations())).toBe("");
    await clients.close();
    await next.stop();
  },
);

describe.skipIf(!setpriv)("data of another user", () => {
  const asNobody = [setpriv as string, "--reuid=65534", "--regid=65534", "--clear-groups"];

  test.each([
    ["that may not even be looked at", 0o700],
    ["that may be read", 0o755],
  ])("%s is refused, and the error says so", async (_, mode) => {
    const parent = temporaryFolder();
    chmodSync(parent, 0o755);
    const data = join(parent, "data");
    mkdirSync(data);
    const hub = await startHubProcess({ data });
    await hub.stop();
    chmodSync(data, mode);
    const refused = launchHub({ data, by: asNobody });
    expect(await refused.exited).toEqual({ code: 69, signal: null });
    expect(refused.stderr).toMatch(/dogear: The data cannot be kept in \S+: .*EACCES.*permission denied/);
  });
});

/** Takes all the room that a disk has. */
function fill(file: string): void {
  const open = openSync(file, "w");
  try {
    for (let bytes = 1 << 20; bytes >= 512; ) {
      try {
        writeSync(open, Buffer.alloc(bytes));
      } catch {
        bytes >>= 1;
      }
    }
  } finally {
    closeSync(open);
  }
}
